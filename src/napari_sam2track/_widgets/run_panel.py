"""Panel of propagation: objects, range and progress of a run."""

from __future__ import annotations

from typing import Any

from qtpy.QtWidgets import (
    QButtonGroup,
    QCheckBox,
    QComboBox,
    QProgressBar,
    QPushButton,
    QSpinBox,
    QVBoxLayout,
    QWidget,
)

from napari_sam2track._napari.movie_project import MovieProject
from napari_sam2track._napari.run_status import RunStatus
from napari_sam2track._napari.settings import Keys
from napari_sam2track._widgets.keys import shown
from napari_sam2track._widgets.parts import Words, button, row

_DIRECTIONS = (
    ("◀ backward", "backward", "From the first prompt of an object back to the begin"),
    ("◀ both ▶", "both", "From the first prompt of an object to both ends"),
    ("forward ▶", "forward", "From the prompts of an object to the end"),
)
_RANGES = (
    ("the whole movie", "all"),
    ("from this frame on", "on"),
    ("up to this frame", "up"),
    ("some frames:", "some"),
)


class RunPanel(QWidget):
    """Panel to start, watch and stop a run; and to undo."""

    def __init__(self, keys: Keys) -> None:
        super().__init__()
        self._project: MovieProject | None = None
        self._scope = QComboBox()
        self._scope.setToolTip("Which objects are followed; those that are locked never are")
        self._scope.addItem("all objects", "all")
        self._scope.addItem("this object", "this")
        self._directions = QButtonGroup(self)
        buttons = []
        for k, (text, _, tip) in enumerate(_DIRECTIONS):
            tool = QPushButton()
            tool.setText(text)
            tool.setToolTip(tip)
            tool.setCheckable(True)
            self._directions.addButton(tool, k)
            buttons.append(tool)
        buttons[1].setChecked(True)
        self._range = QComboBox()
        self._range.setToolTip("On which frames")
        for text, name in _RANGES:
            self._range.addItem(text, name)
        self._first, self._last = QSpinBox(), QSpinBox()
        self._first.setToolTip("First frame")
        self._last.setToolTip("Last frame, included")
        self._frames = row(self._first, self._last)
        self._frames.hide()
        self._range.currentIndexChanged.connect(
            lambda _: self._frames.setVisible(self._range.currentData() == "some")
        )
        self._until_lost = QCheckBox("stop when all are lost")
        self._until_lost.setToolTip(
            "End the run as soon as none of the objects that it follows is seen any more"
        )
        self.run_button = button(
            "Propagate",
            "Follow the objects. Only what is stale is computed; each frame appears as it is done",
            self.propagate,
            shown(keys.propagate),
        )
        self._stop = button(
            "Stop",
            "Stop after the frame in hand. What is finished stays; propagate again to go on",
            lambda: self._call("stop"),
            shown(keys.stop),
        )
        self._bar = QProgressBar()
        self._bar.setToolTip("How many of the stale object-frames are done")
        self._bar.setTextVisible(False)
        self._words = Words()
        self._undo = button(
            "Undo",
            "Take back the last click, stroke, edit, link or run",
            lambda: self._call("undo"),
            "Ctrl+Z",
        )
        self._redo = button(
            "Redo",
            "Do again what was taken back",
            lambda: self._call("redo"),
            "Ctrl+Shift+Z",
        )
        layout = QVBoxLayout(self)
        layout.setContentsMargins(0, 0, 0, 0)
        layout.addWidget(row(self._scope, self._range, stretch=1))
        layout.addWidget(self._frames)
        layout.addWidget(row(*buttons))
        layout.addWidget(self._until_lost)
        layout.addWidget(row(self.run_button, self._stop, stretch=0))
        layout.addWidget(self._bar)
        layout.addWidget(self._words)
        layout.addWidget(row(self._undo, self._redo))

    def set_project(self, project: MovieProject | None) -> None:
        """Show a project, or none."""
        if self._project is not None:
            self._project.run_changed.disconnect(self._on_run)
            self._project.changed.disconnect(self._on_changed)
        self._project = project
        self.setEnabled(project is not None)
        if project is None:
            return
        project.run_changed.connect(self._on_run)
        project.changed.connect(self._on_changed)
        last = project.work.frames.n_frames - 1
        self._first.setMaximum(last)
        self._last.setMaximum(last)
        self._last.setValue(last)
        self._on_run(project.status)
        self._on_changed()

    def _call(self, name: str) -> None:
        if self._project is not None:
            getattr(self._project, name)()

    def propagate(self) -> None:
        """Start a run as the panel says."""
        project = self._project
        if project is None:
            return
        which, here = self._range.currentData(), project.frame
        start, stop = {
            "all": (0, None),
            "on": (here, None),
            "up": (0, here),
            "some": (self._first.value(), self._last.value()),
        }[which]
        only = [project.current] if self._scope.currentData() == "this" else None
        direction = _DIRECTIONS[self._directions.checkedId()][1]
        project.propagate(only, start, stop, direction, self._until_lost.isChecked())

    def _on_changed(self, frame: Any = None) -> None:
        project = self._project
        if project is not None:
            busy = project.work.busy
            self._undo.setEnabled(project.work.history.can_undo and not busy)
            self._redo.setEnabled(project.work.history.can_redo and not busy)

    def _on_run(self, status: RunStatus) -> None:
        self.run_button.setEnabled(not status.active)
        self._stop.setEnabled(status.active and not status.stopped)
        unfinished = status.stopped and not status.active and status.done < status.total
        key = self.run_button.text().rpartition(" [")[2]
        text = "Resume" if unfinished else "Propagate"
        self.run_button.setText(f"{text} [{key}" if key.endswith("]") else text)
        self._bar.setRange(0, 0 if status.waiting else max(status.total, 1))
        self._bar.setValue(status.done)
        self._words.say(status.text if status.active or status.total or status.stopped else "")
        self._on_changed()
