"""Base of docks: notices when one is closed, removed by a script, or gone with the window."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from qtpy.QtCore import QEvent
from qtpy.QtWidgets import QApplication, QWidget


class DockBase(QWidget):
    """A widget that releases its resources once.

    napari takes the widget out of its dock and forgets it, without closing it; a window that is
    closed destroys it. Both end in the function given to `when_closed`, which must not touch the
    widget.
    """

    def __init__(self) -> None:
        super().__init__()
        self._docked = False
        self._farewell: Callable[[], object] | None = None

    def when_closed(self, farewell: Callable[[], object]) -> None:
        """Set the function that is called once, at the end."""
        done: list[bool] = []

        def once(*_: Any) -> None:
            if not done:
                done.append(True)
                farewell()

        self._farewell = once
        self.destroyed.connect(once)
        app = QApplication.instance()
        if app is not None:
            app.aboutToQuit.connect(once)

    def event(self, event: QEvent) -> bool:
        """Notice when the dock releases the widget, or the window is closed."""
        if event.type() == QEvent.Type.ParentChange:
            if self.parent() is None and self._docked:
                self._say_farewell()
            self._docked = self.parent() is not None
        elif event.type() == QEvent.Type.Close:
            self._say_farewell()
        return bool(super().event(event))

    def _say_farewell(self) -> None:
        if self._farewell is not None:
            self._farewell()
