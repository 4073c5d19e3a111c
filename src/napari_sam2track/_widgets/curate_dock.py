"""The dock "SAM2 Curate tracks": link, edit, go through suspects, lineage and divisions."""

from __future__ import annotations

from collections.abc import Mapping
from functools import partial
from typing import Any

from qtpy.QtWidgets import QLabel, QVBoxLayout, QWidget

from napari_sam2track._napari.background import Background, Job
from napari_sam2track._napari.labels_project import LabelsProject, LayerToOpen
from napari_sam2track._napari.layer_tracks import graph_parents
from napari_sam2track._napari.layer_values import KEY
from napari_sam2track._napari.movie_project import ProjectRef
from napari_sam2track._napari.project import Project
from napari_sam2track._napari.ui_scheduler import QtPump
from napari_sam2track._widgets.divisions_panel import DivisionsPanel
from napari_sam2track._widgets.dock_base import DockBase
from napari_sam2track._widgets.edit_panel import EditPanel
from napari_sam2track._widgets.keys import REDO, UNDO, KeyBindings
from napari_sam2track._widgets.layer_choice import LayerChoice
from napari_sam2track._widgets.lineage_panel import LineagePanel
from napari_sam2track._widgets.link_panel import LinkPanel
from napari_sam2track._widgets.parts import Words, button, fill_dock, group, row, tell, wrapped
from napari_sam2track._widgets.suspects_panel import SuspectsPanel
from napari_sam2track.errors import Sam2TrackError
from napari_sam2track.tracks.editing.edits import SetParent
from napari_sam2track.tracks.editing.track_state import TrackState

_HINT = (
    "Choose a Labels layer: a result of SAM2, of Cellpose, or any other. Its values are "
    "tracks; link it first if they are not."
)


class CurateDock(DockBase):
    """Dock from labels to curated tracks.

    Parameters
    ----------
    napari_viewer
        The viewer.
    """

    def __init__(self, napari_viewer: Any) -> None:
        super().__init__()
        self.viewer = napari_viewer
        self.project: Project | None = None
        self.pump = QtPump(self)
        self.background = Background("sam2track-tracks", self.pump.wake)
        self.pump.attach(self.background)
        self._layer: Any = None
        self._opening: Job | None = None
        self._bindings = KeyBindings()
        self.message = Words(_HINT)
        self.labels = LayerChoice(napari_viewer, ("labels",))
        self.labels.setToolTip("The labels whose tracks are edited, in place")
        self.parents = LayerChoice(napari_viewer, ("tracks",), none_text="no layer")
        self.parents.setToolTip(
            wrapped("A Tracks layer whose graph says who descends from whom, with the same ids")
        )
        self._take = button(
            "Take",
            "Take the parents from the graph of this Tracks layer: one step to undo",
            self.take_parents,
        )
        self.link = LinkPanel()
        self.edit = EditPanel()
        self.suspects = SuspectsPanel()
        self.lineage = LineagePanel()
        self.divisions = DivisionsPanel()
        self.panels = (self.link, self.edit, self.suspects, self.lineage, self.divisions)
        self._build()
        self._set_project(None)
        self.labels.changed.connect(self._choose)
        self._choose(self.labels.value())
        self.when_closed(partial(_close, self))

    def _build(self) -> None:
        inner = QWidget()
        layout = QVBoxLayout(inner)
        layout.setContentsMargins(4, 4, 4, 4)
        layout.addWidget(row(QLabel("Labels"), self.labels, stretch=1))
        layout.addWidget(row(QLabel("Parents"), self.parents, self._take, stretch=1))
        for title, panel, opened in (
            ("Link", self.link, True),
            ("Edit", self.edit, True),
            ("Suspects", self.suspects, True),
            ("Lineage", self.lineage, True),
            ("Divisions", self.divisions, False),
        ):
            layout.addWidget(group(title, panel, opened))
        layout.addStretch()
        fill_dock(self, self.message, inner)

    def say(self, level: str, text: str) -> None:
        """Show a message in the dock; a warning or an error in napari as well."""
        self.message.say(text, level)
        if isinstance(self.project, LabelsProject) or self.project is None:
            tell(level, text)  # else the project's dock reports it

    # -- which labels --------------------------------------------------------------------------

    def _choose(self, layer: Any) -> None:
        """Work on a layer: in its project, or by itself."""
        self._leave()
        if layer is None:
            self.message.say(_HINT)
            return
        self._layer = layer
        layer.events.metadata.connect(self._on_metadata)
        known = _project_of(layer)
        if known is not None:
            self._set_project(known)
            self.message.say(
                "These labels are those of the dock SAM2 Segment and follow: undo goes over both."
            )
            return
        try:
            opened = LayerToOpen.of(layer)
        except Sam2TrackError as error:
            self.message.say(str(error), "warning")
            return
        self.message.say("Reading the labels…")
        self._opening = Job(opened.measure, on_error=self._failed)
        self._opening.on_item = partial(self._measured, self._opening, opened)
        self.background.submit(self._opening)

    def _measured(self, job: Job, opened: LayerToOpen, item: Any) -> None:
        if job is not self._opening:
            return
        if isinstance(item, tuple):
            self.message.say(f"Reading the labels: frame {item[0]} of {item[1]}")
            return
        self._opening = None
        project = LabelsProject(self.viewer, opened, item, self.pump, self.background)
        self._bind(project)
        self._set_project(project)
        n, lineages = len(project.work.state.places), len(project.work.state.parents)
        self.message.say(f"{n} tracks, {lineages} with a parent." if n else "No tracks yet.")

    def _failed(self, error: BaseException) -> None:
        self._opening = None
        self.message.say(str(error) or type(error).__name__, "error")

    def _bind(self, project: Project) -> None:
        self._bindings.bind([project.labels], {UNDO: project.undo, REDO: project.redo})

    def _set_project(self, project: Project | None) -> None:
        self.project = project
        for panel in self.panels:
            panel.set_project(project)
        self._take.setEnabled(project is not None)
        if project is not None:
            project.told.connect(self.say)
            project.closing.connect(self._on_closing)
            assert self.link.run is not None
            self.link.run.changed.connect(self._on_link)

    def _leave(self) -> None:
        """Work on no layer."""
        if self._opening is not None:
            self._opening.stop()
            self._opening = None
        if self._layer is not None:
            self._layer.events.metadata.disconnect(self._on_metadata)
            self._layer = None
        project = self.project
        if project is not None:
            project.told.disconnect(self.say)
            project.closing.disconnect(self._on_closing)
            self._set_project(None)
        self._bindings.release()
        if isinstance(project, LabelsProject):
            project.close()

    def _on_metadata(self, event: Any = None) -> None:
        """Handle that the labels became those of a project, or of none."""
        if self._layer is not None and _project_of(self._layer) is not None:
            self._choose(self._layer)

    def _on_closing(self) -> None:
        """Handle the end of the project: stop tasks, and choose another layer a little later."""
        self._leave()
        self.pump.later("choose", 0, self._again)

    def _again(self) -> None:
        if self.project is None and self._opening is None:
            self._choose(self.labels.value())

    def _on_link(self) -> None:
        run = self.link.run
        active = run is not None and run.active
        if active and self.edit.tools is not None and self.edit.tools.name:
            self.edit.choose(None)
        for panel in (self.edit, self.divisions):
            panel.setEnabled(self.project is not None and not active)

    # -- parents from elsewhere ----------------------------------------------------------------

    def take_parents(self) -> None:
        """Take the parents that the chosen Tracks layer has."""
        project, layer = self.project, self.parents.value()
        if project is None:
            return
        if layer is None:
            self.say("info", "Choose a Tracks layer first")
            return
        try:
            wanted = graph_parents(layer, "cut")
        except Sam2TrackError as error:
            project.fail(error)
            return
        edits = fitting_parents(project.work.state, wanted)
        if not edits:
            self.say("info", f"{layer.name!r} has no parent that fits these tracks and is new")
        elif project.edit(edits, f"parents from {layer.name}"):
            self.say("info", f"{len(edits)} of {len(wanted)} parents were taken")


def fitting_parents(state: TrackState, wanted: Mapping[int, int]) -> list[SetParent]:
    """Return those of some parents that are new and hold: the parent ends before the daughter."""
    places, now = state.places, state.parents
    return [
        SetParent(child, parent)
        for child, parent in sorted(wanted.items())
        if child in places
        and parent in places
        and now.get(child) != parent
        and places.span(parent)[1] < places.span(child)[0]
    ]


def _project_of(layer: Any) -> Project | None:
    known = layer.metadata.get(KEY)
    return known.project if isinstance(known, ProjectRef) else None


def _close(dock: CurateDock) -> None:
    dock.labels.changed.disconnect()
    dock._leave()
    dock.labels.leave()
    dock.parents.leave()
    dock.background.close()
    dock.pump.close()
