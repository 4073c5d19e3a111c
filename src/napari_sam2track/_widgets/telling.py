"""Messages of ours where napari shows such.

The progress of a run is shown in the dock alone: adding a bar to napari's activity dialog handles
all waiting events at once, within whatever was going on, and held the window for 140 ms.
"""

from __future__ import annotations


def tell(level: str, text: str) -> None:
    """Show a warning or an error in napari's own way; the docks show the rest."""
    from napari.utils.notifications import Notification, notification_manager

    if level in ("warning", "error"):
        notification_manager.dispatch(Notification(text, severity=level))
