"""Panel of the objects: the current one, and the states of all."""

from __future__ import annotations

from typing import Any

import numpy as np
from qtpy.QtCore import QSignalBlocker
from qtpy.QtWidgets import QDoubleSpinBox, QLabel, QMessageBox, QVBoxLayout, QWidget

from napari_sam2track._napari.movie_project import MovieProject
from napari_sam2track._napari.settings import Keys
from napari_sam2track._widgets.keys import shown
from napari_sam2track._widgets.layer_choice import LayerChoice
from napari_sam2track._widgets.objects_table import ObjectRow, ObjectsTable
from napari_sam2track._widgets.parts import button, row
from napari_sam2track.workspace.state_grid import NONE, STATES


class ObjectsPanel(QWidget):
    """Panel to choose, prompt, name, hide, protect and delete objects."""

    def __init__(self, viewer: Any, keys: Keys) -> None:
        super().__init__()
        self._viewer = viewer
        self._project: MovieProject | None = None
        self.id_spin = QDoubleSpinBox()  # of whole numbers: QSpinBox ends at half of all ids
        self.id_spin.setDecimals(0)
        self.id_spin.setRange(1, 2**32 - 1)
        self.id_spin.setToolTip("The object that clicks, boxes and the brush are for")
        self.id_spin.valueChanged.connect(self._chosen)
        self._swatch = QLabel("    ")
        self._swatch.setAutoFillBackground(True)
        self._swatch.setToolTip("Colour of the object")
        self.sign_button = button(
            "+ on the object",
            "Whether the next click is on the object (green) or beside it (red)",
            lambda: self._do("toggle_label"),
            shown(keys.toggle),
        )
        new = button(
            "Next object",
            "The next click is for a new object",
            lambda: self._do("next_object"),
            shown(keys.next_object),
        )
        click = button("Click", "Add points: click on objects", lambda: self._tool("points"))
        box = button("Box", "Draw a box around the object", lambda: self._tool("boxes"))
        paint = button(
            "Paint",
            "Paint the object with napari's brush: what is painted on a frame is its mask there, "
            "and frames after it become stale",
            lambda: self._tool("labels"),
        )
        segment = button(
            "Segment",
            "Look again at all prompts on this frame",
            lambda: self._do("segment"),
            shown(keys.segment),
        )
        clear = button(
            "Clear",
            "Take away the prompts of this object on this frame",
            lambda: self._do("clear"),
            shown(keys.clear),
        )
        self._masks = LayerChoice(viewer, ("labels",), none_text="labels as prompts…")
        self._masks.setToolTip(
            "A Labels layer (Cellpose, StarDist, drawn by hand): every label on this frame becomes "
            "the mask of an object"
        )
        self._use = button("Use", "Take its labels on this frame as masks", self._take_labels)
        self.table = ObjectsTable()
        self.table.setMinimumHeight(150)
        self.table.selected.connect(self._selected)
        self.table.activated.connect(self._go)
        self.table.renamed.connect(lambda i, name: self._call("rename", i, name))
        self.table.lock_changed.connect(lambda i, locked: self._call("lock", i, locked))
        self.table.visibility_changed.connect(self._show_or_hide)
        self.table.delete_requested.connect(self._delete)
        layout = QVBoxLayout(self)
        layout.setContentsMargins(0, 0, 0, 0)
        layout.addWidget(row(self._swatch, self.id_spin, new, stretch=1))
        layout.addWidget(self.sign_button)
        layout.addWidget(row(click, box, paint))
        layout.addWidget(row(segment, clear))
        layout.addWidget(row(self._masks, self._use, stretch=0))
        layout.addWidget(self.table)

    def set_project(self, project: MovieProject | None) -> None:
        """Show a project, or none."""
        if self._project is not None:
            self._project.changed.disconnect(self._on_changed)
            self._project.current_changed.disconnect(self._on_current)
        self._project = project
        self.setEnabled(project is not None)
        if project is not None:
            project.changed.connect(self._on_changed)
            project.current_changed.connect(self._on_current)
            self._on_current(project.current)
        self.renew()

    def close_panel(self) -> None:
        """Disconnect from the viewer."""
        self.set_project(None)
        self._masks.leave()

    def _do(self, name: str) -> None:
        self._call(name)

    def _call(self, name: str, *args: Any) -> None:
        if self._project is not None:
            getattr(self._project, name)(*args)

    def _tool(self, which: str) -> None:
        project = self._project
        if project is None:
            return
        layer = project.labels if which == "labels" else getattr(project.prompts, which)
        self._viewer.layers.selection.active = layer
        layer.mode = {"points": "add", "boxes": "add_rectangle", "labels": "paint"}[which]

    def _chosen(self, object_id: float) -> None:
        self._call("set_current", int(object_id))

    def _selected(self, object_id: int) -> None:
        project = self._project
        if project is not None and object_id != project.current:
            project.go_to(object_id, project.frame)

    def _go(self, object_id: int) -> None:
        project = self._project
        if project is not None and object_id in project.work.state.places:
            first, _ = project.work.state.places.span(object_id)
            project.go_to(object_id, first)

    def _delete(self, ids: list[int]) -> None:
        names = ", ".join(map(str, ids[:8])) + (" …" if len(ids) > 8 else "")
        answer = QMessageBox.question(
            self, "Delete objects", f"Delete {names}, with their masks and prompts? (Ctrl+Z undoes)"
        )
        if answer == QMessageBox.StandardButton.Yes:
            self._call("delete", ids)

    def _show_or_hide(self, object_id: int, visible: bool) -> None:
        project = self._project
        if project is not None:
            hidden = project.colours.hidden
            now = hidden - {object_id} if visible else hidden | {object_id}
            project.colours.hide(now, project.work.objects)

    def _take_labels(self) -> None:
        layer, project = self._masks.value(), self._project
        if project is None:
            return
        if layer is None:
            project.tell("info", "Choose a Labels layer first")
            return
        project.take_layer(layer)

    def _on_current(self, object_id: int) -> None:
        project = self._project
        assert project is not None
        blocker = QSignalBlocker(self.id_spin)
        self.id_spin.setValue(object_id)
        blocker.unblock()
        positive = project.prompts.label == "positive"
        text = "+ on the object" if positive else "− beside the object"
        key = self.sign_button.text().rpartition(" [")[2]
        self.sign_button.setText(f"{text} [{key}" if key.endswith("]") else text)
        r, g, b, _ = (int(255 * v) for v in project.colours.of(np.array([object_id]))[0])
        palette = self._swatch.palette()
        palette.setColor(self._swatch.backgroundRole(), _colour(r, g, b))
        self._swatch.setPalette(palette)
        self.table.select(object_id)

    def _on_changed(self, frame: int | None) -> None:
        project = self._project
        if project is not None:  # a run reports every frame
            project.pump.later("objects", 100 if frame is not None else 0, self.renew)

    def renew(self) -> None:
        """Show the present states of all objects."""
        project = self._project
        if project is None or not project.is_open:
            self.table.set_rows([])
            return
        self.table.set_rows(object_rows(project))
        self.table.select(project.current)


def object_rows(project: MovieProject) -> list[ObjectRow]:
    """Return the rows of all objects."""
    work, grid = project.work, project.work.grid
    colours = project.colours.of(np.array(grid.ids, np.int64))
    worst = ("stale", "absent")
    rows = []
    for k, i in enumerate(grid.ids):
        codes, scores = grid.states[k], grid.scores[k]
        there = work.state.places.frames(i) if i in work.state.places else []
        known = scores[np.isfinite(scores)]
        counts = np.bincount(codes, minlength=len(STATES))
        counts[NONE] = 0
        state = next((s for s in worst[:1] if counts[STATES.index(s)]), None)
        if state is None and counts.any():
            state = STATES[int(counts.argmax())]
        rows.append(
            ObjectRow(
                i,
                tuple(float(v) for v in colours[k]),  # type: ignore[arg-type]
                project.names.get(i, ""),
                there[0] if there else 0,
                there[-1] if there else 0,
                len(there),
                state or "none",
                float(known.mean()) if len(known) else None,
                i not in project.colours.hidden,
                i in work.locked,
            )
        )
    return rows


def _colour(r: int, g: int, b: int) -> Any:
    from qtpy.QtGui import QColor

    return QColor(r, g, b)
