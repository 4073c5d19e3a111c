"""Small parts of the docks, and their messages."""

from __future__ import annotations

from collections.abc import Callable
from html import escape
from typing import Any

from qtpy.QtCore import Qt
from qtpy.QtWidgets import (
    QFrame,
    QHBoxLayout,
    QLabel,
    QPushButton,
    QScrollArea,
    QSizePolicy,
    QVBoxLayout,
    QWidget,
)
from superqt import QCollapsible


def button(text: str, tip: str, call: Callable[[], Any], key: str = "") -> QPushButton:
    """Make a push button that shows its key."""
    made = QPushButton(f"{text} [{key}]" if key else text)
    made.setToolTip(tip)
    made.setFocusPolicy(Qt.FocusPolicy.NoFocus)  # keys still reach the canvas
    made.clicked.connect(lambda *_: call())
    return made


def row(*widgets: QWidget, stretch: int | None = None) -> QWidget:
    """Put widgets side by side; the one at `stretch` takes the room that is left."""
    box = QWidget()
    layout = QHBoxLayout(box)
    layout.setContentsMargins(0, 0, 0, 0)
    for k, widget in enumerate(widgets):
        layout.addWidget(widget, 1 if stretch == k else 0)
    return box


def column(*widgets: QWidget) -> QWidget:
    """Put widgets one below the other."""
    box = QWidget()
    layout = QVBoxLayout(box)
    layout.setContentsMargins(0, 0, 0, 0)
    for widget in widgets:
        layout.addWidget(widget)
    return box


def group(title: str, content: QWidget, opened: bool = True) -> QCollapsible:
    """Make a group that can be folded."""
    made = QCollapsible(title)
    made.setDuration(0)
    made.layout().setContentsMargins(0, 0, 0, 0)
    made.addWidget(content)
    if opened:
        made.expand(animate=False)
    else:
        made.collapse(animate=False)
    return made


def fill_dock(dock: QWidget, message: QWidget, content: QWidget) -> None:
    """Lay out a dock: a message above, and below it the part that scrolls."""
    scroll = QScrollArea()
    scroll.setWidgetResizable(True)
    scroll.setFrameShape(QFrame.Shape.NoFrame)
    scroll.setWidget(content)
    scroll.setHorizontalScrollBarPolicy(Qt.ScrollBarPolicy.ScrollBarAlwaysOff)
    layout = QVBoxLayout(dock)
    layout.setContentsMargins(2, 2, 2, 2)
    layout.addWidget(message)
    layout.addWidget(scroll)
    dock.setMinimumWidth(340)


class Words(QLabel):
    """Text that wraps and can be copied."""

    def __init__(self, text: str = "") -> None:
        super().__init__(text)
        self.setWordWrap(True)
        self.setTextFormat(Qt.TextFormat.PlainText)
        self.setTextInteractionFlags(Qt.TextInteractionFlag.TextSelectableByMouse)
        self.setSizePolicy(QSizePolicy.Policy.Preferred, QSizePolicy.Policy.Minimum)
        self.setVisible(bool(text))

    def say(self, text: str, level: str = "info") -> None:
        """Show text, or nothing; errors and warnings are marked."""
        mark = {"error": "✖ ", "warning": "⚠ "}.get(level, "") if text else ""
        self.setText(mark + text)
        self.setVisible(bool(text))


def wrapped(text: str) -> str:
    """Return a tooltip as rich text, since Qt breaks lines of that only."""
    return f"<qt>{escape(text)}</qt>" if text else ""


def tell(level: str, text: str) -> None:
    """Show a warning or an error in napari's own way; the docks show the rest.

    The progress of a run is shown in the dock alone: adding a bar to napari's activity dialog
    handles all waiting events at once, within the current task, and held the window for
    140 ms.
    """
    from napari.utils.notifications import Notification, notification_manager

    if level in ("warning", "error"):
        notification_manager.dispatch(Notification(text, severity=level))
