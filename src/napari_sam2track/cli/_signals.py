"""Signals that stop a command: Ctrl-C, and those of schedulers, containers and terminals."""

from __future__ import annotations

import signal
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from types import FrameType
from typing import Any

#: SLURM, docker and systemd send SIGTERM before they kill; a terminal that closes sends SIGHUP.
_NAMES = ("SIGINT", "SIGTERM", "SIGHUP")


class ToldToStop(KeyboardInterrupt):
    """A signal, raised where the program was; handled like Ctrl-C.

    Attributes
    ----------
    number
        Of the signal.
    """

    def __init__(self, number: int) -> None:
        super().__init__(signal.Signals(number).name)
        self.number = number


def exit_code(stop: KeyboardInterrupt) -> int:
    """128 plus the number of the signal, as in shells."""
    return 128 + (stop.number if isinstance(stop, ToldToStop) else signal.SIGINT)


def raise_when_told() -> None:
    """Let SIGTERM and SIGHUP unwind the program as Ctrl-C does, so that it leaves nothing half."""

    def stop(number: int, _: FrameType | None) -> None:
        raise ToldToStop(number)

    for name in _NAMES[1:]:
        _handle(name, stop)


@contextmanager
def after_this_step() -> Iterator[Callable[[], int]]:
    """Only note the first signal, so that work stops between two steps; the second one acts.

    Yields
    ------
    callable
        Returns the number of the signal that came; 0 if none did.
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
    """Set a handler; return the one before, or None if the signal is to be ignored.

    Some systems do not have the signal; nohup and shells have some ignored.
    """
    number = getattr(signal, name, None)
    if number is None or signal.getsignal(number) in (signal.SIG_IGN, None):
        return None
    return signal.signal(number, handler)
