"""Progress on stderr: what is done, how fast, and how long it will take."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from typing import TypeVar

from napari_sam2track.cli._run import is_interactive

T = TypeVar("T")


def progress(
    items: Iterable[T],
    total: int,
    doing: str,
    unit: str = "frames",
    done: Callable[[T], tuple[int, int]] | None = None,
) -> Iterator[T]:
    """Pass items on and show a bar with the rate and the remaining time.

    Nothing is shown if stderr is not a terminal, as in logs.

    Parameters
    ----------
    items
        The items.
    total
        Number of items.
    doing
        The activity, as in "Linking".
    unit
        Unit of the rate.
    done
        Number done after an item, and in total; else each item counts one.
    """
    from rich.console import Console
    from rich.progress import (
        BarColumn,
        MofNCompleteColumn,
        Progress,
        ProgressColumn,
        Task,
        TextColumn,
        TimeRemainingColumn,
    )
    from rich.text import Text

    class Rate(ProgressColumn):
        """Finished items per second."""

        def render(self, task: Task) -> Text:
            rate = task.finished_speed or task.speed
            return Text(f"{rate:.1f} {unit}/s" if rate else f"- {unit}/s")

    columns = (
        TextColumn("{task.description}"),
        BarColumn(),
        MofNCompleteColumn(),
        Rate(),
        TimeRemainingColumn(),
    )
    console = Console(stderr=True)
    with Progress(*columns, console=console, disable=not is_interactive()) as bar:
        task = bar.add_task(doing, total=total)
        for item in items:
            yield item
            if done is None:
                bar.advance(task)
            else:
                finished, of = done(item)
                bar.update(task, completed=finished, total=of)


class DownloadBar:
    """Progress bar of bytes, in the way that pooch reports them."""

    def __init__(self, name: str) -> None:
        from rich.console import Console
        from rich.progress import (
            BarColumn,
            DownloadColumn,
            Progress,
            TextColumn,
            TimeRemainingColumn,
            TransferSpeedColumn,
        )

        self._bar = Progress(
            TextColumn("{task.description}"),
            BarColumn(),
            DownloadColumn(),
            TransferSpeedColumn(),
            TimeRemainingColumn(),
            console=Console(stderr=True),
            disable=not is_interactive(),
        )
        self._task = self._bar.add_task(name, total=None)
        self._bar.start()

    @property
    def total(self) -> float | None:
        """Number of bytes to come; None as long as it is not known."""
        return self._bar.tasks[0].total

    @total.setter
    def total(self, n_bytes: int) -> None:
        self._bar.update(self._task, total=n_bytes or None)

    def update(self, n_bytes: int) -> None:
        """Count more bytes."""
        self._bar.advance(self._task, n_bytes)

    def reset(self) -> None:
        """Count from 0 again."""
        self._bar.update(self._task, completed=0)

    def close(self) -> None:
        """Leave the terminal as it was; may be called twice."""
        self._bar.stop()


def counted(n: int, noun: str) -> str:
    """Return a number of things in words: "1 frame", "30 frames"."""
    return f"{n} {noun}{'' if n == 1 else 's'}"
