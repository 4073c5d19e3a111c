"""Panel of the keys, and how to work."""

from __future__ import annotations

from qtpy.QtWidgets import QFormLayout, QLabel, QWidget

from napari_sam2track._napari.settings import Keys
from napari_sam2track._widgets.keys import MEANINGS, shown
from napari_sam2track._widgets.parts import Words

_TEXT = (
    "Clicks are points of a Points layer: move, delete, undo them as usual, and the mask follows. "
    "The Labels layer is yours to paint on: what you paint on a frame counts there, and frames "
    "after it become stale until you propagate. Label value = object = track.\n"
    "Keys can be changed in Preferences ▸ SAM2 Track; they count from the next start of work."
)


class HelpPanel(QWidget):
    """A list of the keys."""

    def __init__(self, keys: Keys) -> None:
        super().__init__()
        layout = QFormLayout(self)
        layout.setContentsMargins(0, 0, 0, 0)
        for name, meaning in MEANINGS.items():
            key = QLabel(shown(getattr(keys, name)) or "no key")
            text = QLabel(meaning)
            text.setWordWrap(True)
            for label in (key, text):
                label.setToolTip(meaning)
            layout.addRow(key, text)
        layout.addRow(QLabel("Ctrl+Z"), QLabel("undo the last click, stroke, edit, link or run"))
        layout.addRow(QLabel("Ctrl+Shift+Z"), QLabel("do it again"))
        layout.addRow(Words(_TEXT))
