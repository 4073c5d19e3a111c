"""Messages and progress of ours where napari shows such."""

from __future__ import annotations

from typing import Any

from napari_sam2track._napari.run_status import RunStatus


def tell(level: str, text: str) -> None:
    """Show a warning or an error in napari's own way; the docks show the rest."""
    from napari.utils.notifications import Notification, notification_manager

    if level in ("warning", "error"):
        notification_manager.dispatch(Notification(text, severity=level))


class Activity:
    """A run in napari's activity dock."""

    def __init__(self) -> None:
        self._bar: Any = None

    def show(self, status: RunStatus) -> None:
        """Show how far it is; nothing, once it has ended."""
        from napari.utils import progress

        if not status.active:
            self.close()
            return
        if self._bar is None:
            self._bar = progress(total=status.total, desc="SAM2 Track")
        if self._bar.total != status.total:
            self._bar.total = status.total
            self._bar.events.total(value=status.total)
        self._bar.update(status.done - self._bar.n)

    def close(self) -> None:
        """Show nothing any more."""
        if self._bar is not None:
            self._bar.close()
            self._bar = None
