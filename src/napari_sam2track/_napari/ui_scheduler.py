"""Scheduler of the window: takes results of threads, and makes calls a little later."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Protocol

from qtpy.QtCore import QObject, QTimer

from napari_sam2track._napari.background import Background

#: Milliseconds between two checks for results, and how long one may take, in seconds.
_EVERY, _AT_MOST = 5, 0.025


class UiScheduler(Protocol):
    """Calls back in the window's thread."""

    def attach(self, background: Background) -> None:
        """Report the results of a thread from now on."""
        ...

    def wake(self) -> None:
        """Begin to check for results."""
        ...

    def later(self, name: str, milliseconds: int, call: Callable[[], object]) -> None:
        """Call once, so much later; of calls with one name the last one counts."""
        ...

    def hold(self, held: bool) -> None:
        """Hold results back for now, or report them again; later calls are not held."""
        ...

    def close(self) -> None:
        """Make no calls any more."""
        ...


class QtPump(QObject):
    """A `UiScheduler` in Qt's event loop. It makes no calls while there is nothing to do."""

    def __init__(self, parent: Any = None) -> None:
        super().__init__(parent)
        self._threads: list[Background] = []
        self._timer = QTimer(self)
        self._timer.setInterval(_EVERY)
        self._timer.timeout.connect(self._look)
        self._later: dict[str, QTimer] = {}
        self._held = False

    def attach(self, background: Background) -> None:
        """See `UiScheduler`."""
        self._threads.append(background)

    def wake(self) -> None:
        """See `UiScheduler`."""
        if not self._timer.isActive():
            self._timer.start()

    def later(self, name: str, milliseconds: int, call: Callable[[], object]) -> None:
        """See `UiScheduler`."""
        timer = self._later.get(name)
        if timer is None:
            timer = self._later[name] = QTimer(self)
            timer.setSingleShot(True)
        else:
            timer.timeout.disconnect()
        timer.timeout.connect(call)
        timer.start(milliseconds)

    def hold(self, held: bool) -> None:
        """See `UiScheduler`."""
        self._held = held

    def close(self) -> None:
        """See `UiScheduler`."""
        self._timer.stop()
        for timer in self._later.values():
            timer.stop()
        self._threads.clear()

    def _look(self) -> None:
        if self._held:
            return
        for thread in list(self._threads):
            thread.drain(_AT_MOST)
        # checked afterwards: a result of one thread may have submitted a job to another
        if not any(thread.busy for thread in self._threads):
            self._timer.stop()
