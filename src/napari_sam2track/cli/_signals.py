"""Ways to be told to stop: Ctrl-C, and what schedulers, containers and terminals send."""

from __future__ import annotations

import signal
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from types import FrameType
from typing import Any

#: SLURM, docker and systemd send SIGTERM before they kill; a terminal that closes sends SIGHUP.
_NAMES = ("SIGINT", "SIGTERM", "SIGHUP")


class ToldToStop(KeyboardInterrupt):
    """A signal, raised where the program was; handled as Ctrl-C is.

    Attributes
    ----------
    number
        Of the signal.
    """

    def __init__(self, number: int) -> None:
        super().__init__(signal.Signals(number).name)
        self.number = number


def exit_code(stop: KeyboardInterrupt) -> int:
    """128 and the number of the signal, as shells have it."""
    return 128 + (stop.number if isinstance(stop, ToldToStop) else signal.SIGINT)


def raise_when_told() -> None:
    """Let SIGTERM and SIGHUP unwind the program as Ctrl-C does, so that it leaves nothing half."""

    def stop(number: int, _: FrameType | None) -> None:
        raise ToldToStop(number)

    for name in _NAMES[1:]:
        _handle(name, stop)


@contextmanager
def after_this_step() -> Iterator[Callable[[], int]]:
    """Let the first signal only be noted, so that work stops between two steps; the second acts.

    Yields
    ------
    callable
        Gives the number of the signal that came; 0 if none did.
    """
    told: list[int] = []

    def note(number: int, _: FrameType | None) -> None:
        told.append(number)
        for name, handler in before.items():
            signal.signal(getattr(signal, name), handler)

    before = {name: old for name in _NAMES if (old := _handle(name, note)) is not None}
    try:
        yield lambda: told[0] if told else 0
    finally:
        for name, handler in before.items():
            signal.signal(getattr(signal, name), handler)


def _handle(name: str, handler: Callable[[int, FrameType | None], None]) -> Any:
    """Set a handler; gives back the one before, or None where a signal is to be left alone.

    Some systems do not have it; nohup and shells have some ignored.
    """
    number = getattr(signal, name, None)
    if number is None or signal.getsignal(number) in (signal.SIG_IGN, None):
        return None
    return signal.signal(number, handler)
