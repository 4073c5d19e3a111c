"""Messages of ours in napari's notifications."""

from __future__ import annotations


def tell(level: str, text: str) -> None:
    """Show a warning or an error in napari's own way; the docks show the rest."""
    from napari.utils.notifications import Notification, notification_manager

    if level in ("warning", "error"):
        notification_manager.dispatch(Notification(text, severity=level))
