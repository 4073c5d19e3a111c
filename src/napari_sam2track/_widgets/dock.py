"""A widget that knows when its dock was closed."""

from __future__ import annotations

from qtpy.QtCore import QEvent
from qtpy.QtGui import QCloseEvent
from qtpy.QtWidgets import QWidget


class Dock(QWidget):
    """The inside of a dock; `leave` is called once, when it is closed.

    napari deletes the dock that was closed and takes the widget out of it, so the widget itself
    sees no close event. Hiding a dock, or making it float, is not closing it.
    """

    def __init__(self) -> None:
        super().__init__()
        self._docked = self._left = False

    def leave(self) -> None:
        """Let go of everything outside; to be overridden."""

    def event(self, event: QEvent) -> bool:
        """Notice that the dock is gone."""
        kind = event.type()
        if kind == QEvent.Type.ParentChange:
            if self.parent() is not None:
                self._docked = True
            elif self._docked:
                self._leave()
        elif kind == QEvent.Type.DeferredDelete:
            self._leave()
        return bool(super().event(event))

    def closeEvent(self, event: QCloseEvent) -> None:
        """Closed as a window of its own."""
        self._leave()
        super().closeEvent(event)

    def _leave(self) -> None:
        if not self._left:
            self._left = True
            self.leave()
