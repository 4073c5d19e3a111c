"""Panel with the lineage tree of a project, and its Tracks layer."""

from __future__ import annotations

from typing import Any

import numpy as np
from qtpy.QtCore import QSignalBlocker
from qtpy.QtWidgets import QCheckBox, QVBoxLayout, QWidget

from napari_sam2track._napari.project import Project
from napari_sam2track._napari.tracks_layer import TracksLayer
from napari_sam2track._widgets.lineage_tree import LineageTree
from napari_sam2track._widgets.parts import wrapped

#: Milliseconds after the last edit.
_AFTER = 150


class LineagePanel(QWidget):
    """Lineage tree of a project."""

    def __init__(self) -> None:
        super().__init__()
        self._project: Project | None = None
        self.shown: TracksLayer | None = None
        self.tree = LineageTree()
        self.tree.setMinimumHeight(220)
        self.tree.clicked.connect(self._go_to)
        self.tree.frame_clicked.connect(lambda t: self._go_to(None, t))
        self.layer_box = QCheckBox("Show a Tracks layer")
        self.layer_box.setToolTip(
            wrapped(
                "Tracks with tails and divisions, in the colours of the labels; it follows "
                "the edits and can be saved"
            )
        )
        self.layer_box.toggled.connect(self._show_layer)
        layout = QVBoxLayout(self)
        layout.setContentsMargins(0, 0, 0, 0)
        layout.addWidget(self.layer_box)
        layout.addWidget(self.tree)

    def set_project(self, project: Project | None) -> None:
        """Show the tracks of a project, or none."""
        if self._project is not None:
            self._project.changed.disconnect(self._on_changed)
            self._project.work.state.changed.disconnect(self._on_changed)
            self._project.current_changed.disconnect(self._on_place)
            self._project.frame_changed.disconnect(self._on_place)
            self._project.viewer.layers.events.removed.disconnect(self._on_removed)
        if self.shown is not None:
            self.shown.leave()
        self._project = project
        self.shown = None if project is None else TracksLayer(project)
        self.setEnabled(project is not None)
        self._check(False)
        if project is None:
            self.tree.set_tracks({}, {}, {}, 0)
            return
        project.changed.connect(self._on_changed)
        project.work.state.changed.connect(self._on_changed)
        project.current_changed.connect(self._on_place)
        project.frame_changed.connect(self._on_place)
        project.viewer.layers.events.removed.connect(self._on_removed)
        self._renew()

    def _check(self, checked: bool) -> None:
        blocker = QSignalBlocker(self.layer_box)
        self.layer_box.setChecked(checked)
        blocker.unblock()

    def _show_layer(self, checked: bool) -> None:
        project, shown = self._project, self.shown
        if project is None or shown is None:
            return
        if not checked:
            shown.hide()
        elif shown.reason:
            project.tell("warning", shown.reason)
            self._check(False)
        else:
            shown.show()

    def _on_removed(self, event: Any) -> None:
        if self.shown is not None and (self.shown.layer is None or event.value == self.shown.layer):
            self._check(False)

    def _go_to(self, track: int | None, frame: int) -> None:
        if self._project is not None:
            self._project.go_to(track, frame)

    def _on_changed(self, _: Any = None) -> None:
        if self._project is not None:
            self._project.pump.later("lineage", _AFTER, self._renew)

    def _renew(self) -> None:
        project = self._project
        if project is None or not project.is_open:
            return
        state = project.work.state
        ids = state.places.ids
        colours = project.colours.of(np.array(ids, np.int64)).tolist()
        by_id = {i: tuple(c) for i, c in zip(ids, colours, strict=True)}
        n_frames = project.plane.n_frames
        self.tree.set_tracks(state.places.spans, state.parents, by_id, n_frames)
        self._on_place()

    def _on_place(self, _: Any = None) -> None:
        project = self._project
        if project is not None and project.is_open:
            there = project.current in project.work.state.places
            self.tree.set_current(project.current if there else None, project.frame)
