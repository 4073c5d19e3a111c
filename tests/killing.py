"""Processes that are killed between two changes of names, played in this one.

An audit hook (PEP 578) is told of each rename, removal and new folder before it happens, and of
each file that is opened. From a chosen change on it lets nothing happen any more: what `finally`
blocks would do is left undone too, as if the process had been killed.
"""

import os
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress

from napari_sam2track.storage.durable import EXCHANGE

CHANGES = {"os.rename", "os.remove", "os.rmdir", "os.mkdir", "os.link", "os.symlink", EXCHANGE}
_WRITING = os.O_WRONLY | os.O_RDWR | os.O_CREAT | os.O_TRUNC


class Killed(BaseException):
    """The process would be gone now."""


class _Hook:
    """Counts changes, and stops all from a number on."""

    def __init__(self) -> None:
        self.watching, self.seen, self.last = False, 0, 0

    def __call__(self, event: str, args: tuple) -> None:
        if not self.watching:
            return
        if event in CHANGES:
            self.seen += 1
            if self.seen > self.last:
                raise Killed
        elif event == "open" and self.seen > self.last and self._writes(args):
            raise Killed

    def _writes(self, args: tuple) -> bool:
        _, mode, flags = args
        return bool(flags & _WRITING) if mode is None else any(c in mode for c in "wxa+")


_hook = _Hook()
sys.addaudithook(_hook)


@contextmanager
def killed_after(changes: int) -> Iterator[None]:
    """Let so many changes of names happen in the block, and nothing after them."""
    _hook.watching, _hook.seen, _hook.last = True, 0, changes
    try:
        with suppress(Killed):
            yield
    finally:
        _hook.watching = False


def count_changes(work: Callable[[], object]) -> int:
    """How many changes of names some work makes."""
    with killed_after(1 << 30):
        work()
    return _hook.seen
