"""Panel to review the states of all objects on all frames."""

from __future__ import annotations

from qtpy.QtWidgets import QVBoxLayout, QWidget

from napari_sam2track._napari.movie_project import MovieProject
from napari_sam2track._napari.settings import Keys
from napari_sam2track._widgets.keys import shown
from napari_sam2track._widgets.parts import Words, button, row
from napari_sam2track._widgets.status_strip import StatusLegend, StatusStrip


class ReviewPanel(QWidget):
    """The strip of states, the next problem, and acceptance."""

    def __init__(self, keys: Keys) -> None:
        super().__init__()
        self._project: MovieProject | None = None
        self.strip = StatusStrip()
        self.strip.setMinimumHeight(130)
        self.strip.clicked.connect(self._go_to)
        self.strip.frame_clicked.connect(lambda t: self._go_to(None, t))
        self._words = Words()
        problem = button(
            "Next problem",
            "Go to the next frame on which an object is stale, was lost, or has a low score",
            lambda: self._call("next_problem"),
            shown(keys.next_problem),
        )
        accept = button(
            "Accept",
            "Accept the object on this frame: runs leave it as it is. Once more opens it again",
            lambda: self._call("accept"),
            shown(keys.accept),
        )
        accept_all = button(
            "Accept on all frames",
            "Accept the object on all frames on which it is",
            self._accept_all,
        )
        layout = QVBoxLayout(self)
        layout.setContentsMargins(0, 0, 0, 0)
        layout.addWidget(self.strip)
        layout.addWidget(StatusLegend())
        layout.addWidget(self._words)
        layout.addWidget(row(problem, accept))
        layout.addWidget(accept_all)

    def set_project(self, project: MovieProject | None) -> None:
        """Show a project, or none."""
        if self._project is not None:
            self._project.changed.disconnect(self._on_changed)
            self._project.current_changed.disconnect(self._on_place)
            self._project.frame_changed.disconnect(self._on_place)
        self._project = project
        self.setEnabled(project is not None)
        if project is not None:
            project.changed.connect(self._on_changed)
            project.current_changed.connect(self._on_place)
            project.frame_changed.connect(self._on_place)
            self._renew()
            self._on_place()

    def _call(self, name: str) -> None:
        if self._project is not None:
            getattr(self._project, name)()

    def _go_to(self, object_id: int | None, frame: int) -> None:
        if self._project is not None:
            self._project.go_to(object_id, frame)

    def _accept_all(self) -> None:
        project = self._project
        if project is not None:
            places, i = project.work.state.places, project.current
            project.accept(places.frames(i) if i in places else [])

    def _on_changed(self, frame: int | None) -> None:
        project = self._project
        assert project is not None
        grid = project.work.grid
        if frame is not None and list(grid.ids) == self.strip.ids:
            self.strip.update_columns(frame, grid.states[:, frame], grid.scores[:, frame])
            project.pump.later("words", 100, self._on_place)
        else:
            project.pump.later("strip", 0 if frame is None else 100, self._renew)

    def _renew(self) -> None:
        project = self._project
        if project is not None and project.is_open:
            grid = project.work.grid
            self.strip.set_grid(grid.ids, grid.states, grid.scores, project.names)
            self._on_place()

    def _on_place(self, _: int = 0) -> None:
        project = self._project
        if project is not None and project.is_open:
            self.strip.set_current(project.current, project.frame)
            self._words.say(project.here)
