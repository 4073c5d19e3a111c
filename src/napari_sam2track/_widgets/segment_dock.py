"""The dock "SAM2 Segment and follow": click, propagate, correct."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

from qtpy.QtWidgets import QFileDialog, QVBoxLayout, QWidget

from napari_sam2track._napari.adopted_layers import (
    layers_of_work,
    leave_with,
    restored_layers,
)
from napari_sam2track._napari.adopted_prompts import adoption_notes
from napari_sam2track._napari.background import Background, Job
from napari_sam2track._napari.movie_project import MovieProject
from napari_sam2track._napari.project_setup import Found, Ready, find_work
from napari_sam2track._napari.project_start import ProjectStart, StartRequest, StartState
from napari_sam2track._napari.run_status import RunStatus
from napari_sam2track._napari.sample_prompts import load_sample, prompt_sample
from napari_sam2track._napari.session_export import save_session
from napari_sam2track._napari.settings import settings
from napari_sam2track._napari.ui_scheduler import QtPump
from napari_sam2track._widgets.dock_base import DockBase
from napari_sam2track._widgets.help_panel import HelpPanel
from napari_sam2track._widgets.image_panel import ImagePanel
from napari_sam2track._widgets.keys import REDO, UNDO, KeyBindings
from napari_sam2track._widgets.model_panel import ModelPanel
from napari_sam2track._widgets.objects_panel import ObjectsPanel
from napari_sam2track._widgets.parts import Words, button, fill_dock, group, row, tell
from napari_sam2track._widgets.review_panel import ReviewPanel
from napari_sam2track._widgets.run_panel import RunPanel
from napari_sam2track.errors import Sam2TrackError
from napari_sam2track.models.registry import find_model

_HINT = (
    "Choose an image and press Start. Then click on an object: its mask appears; Propagate follows "
    "it through the movie. Where it goes wrong, click or paint there and propagate again."
)


class SegmentDock(DockBase):
    """Dock from an image to followed objects.

    Parameters
    ----------
    napari_viewer
        The viewer.
    """

    def __init__(self, napari_viewer: Any) -> None:
        super().__init__()
        self.viewer = napari_viewer
        self.project: MovieProject | None = None
        self.pump = QtPump(self)
        self.background = Background("sam2track-files", self.pump.wake, turns=False)
        self.pump.attach(self.background)
        chosen = settings()
        self._keys, self._bindings = chosen.keys, KeyBindings()
        self.setup = ProjectStart(self.background, self)
        self.message = Words(_HINT)
        self.image = ImagePanel(napari_viewer)
        self.model = ModelPanel(self.background, chosen.device, chosen.cache_memory)
        self.objects = ObjectsPanel(napari_viewer, chosen.keys)
        self.run = RunPanel(chosen.keys)
        self.review = ReviewPanel(chosen.keys)
        self._try = button(
            "Try it",
            "Load a synthetic movie, click on five cells and follow them with the model that is in "
            "the package",
            self.try_it,
        )
        self._save = button(
            "Save session…",
            "Write a file with prompts and parameters that the command line runs as well: "
            "sam2track video --session FILE",
            self.save_session,
        )
        self._save.hide()
        self._end = button(
            "Close work", "Save and close the work on this image; its layers stay", self.close_work
        )
        self._end.hide()
        self._build()
        self.image.changed.connect(self._image_changed)
        self.image.start_asked.connect(self.start)
        self.image.preview_asked.connect(lambda _: self._show_picture())
        self.model.changed.connect(self._configure)
        self.model.told.connect(self.say)
        self.viewer.dims.events.current_step.connect(self._show_picture)
        for panel in (self.objects, self.run, self.review):
            panel.set_project(None)
        self._image_changed()
        self.when_closed(partial(_close, _Held(self)))

    def _build(self) -> None:
        inner = QWidget()
        layout = QVBoxLayout(inner)
        layout.addWidget(row(self._try, self._save, self._end))
        for title, panel, opened in (
            ("Image", self.image, True),
            ("Model", self.model, False),
            ("Objects", self.objects, True),
            ("Propagate", self.run, True),
            ("Review", self.review, True),
            ("Keys and help", HelpPanel(self._keys), False),
        ):
            layout.addWidget(group(title, panel, opened))
        layout.addStretch()
        fill_dock(self, self.message, inner)

    def say(self, level: str, text: str) -> None:
        """Show a message in the dock; a warning or an error in napari as well."""
        self.message.say(text, level)
        tell(level, text)

    # -- before work begins --------------------------------------------------------------------

    def _image_changed(self) -> None:
        """Find saved work on the image, in the background."""
        self.image.set_offer("")
        layer = self.image.image()
        if self.project is not None or layer is None:
            self.setup.forget()
            return
        try:
            self.setup.look_at(layer, self.image.value())
        except (Sam2TrackError, ValueError) as error:
            self.message.say(str(error), "warning")
            return
        self.message.say(_HINT)
        self._show_picture()

    def start_found(self, found: Found) -> None:
        """Offer saved work."""
        if found.earlier is not None:
            saved = found.earlier.saved.replace("T", " ")[:16]
            n = len(found.earlier.annotations().prompts.objects)
            self.image.set_offer(
                f"There is work on this image, saved {saved} UTC: {n} prompted "
                f"{'object' if n == 1 else 'objects'}."
            )

    def start(self, go_on: bool, then: Callable[[MovieProject], object] | None = None) -> None:
        """Begin work on the chosen image.

        Parameters
        ----------
        go_on
            Resume saved work, if there is some.
        then
            Called with the project once it is open.
        """
        layer = self.image.image()
        if self.project is not None or layer is None:
            return
        if self.model.missing:
            self.say("error", self.model.missing)
            return
        asked = StartRequest(layer, self.image.value(), self.image.labels(), go_on, then)
        try:
            self.setup.start(asked)
        except (Sam2TrackError, ValueError) as error:
            self.say("error", str(error))
            return
        if self.setup.state is StartState.READING:
            self.message.say("Reading the image…")

    def start_opening(self, request: StartRequest, found: Found) -> None:
        """Choose the model of resumed work, and disable all choices."""
        if request.go_on and found.earlier is not None:
            earlier = found.earlier
            try:
                model = find_model(earlier.model.name)
            except Sam2TrackError as error:
                self.say("warning", f"{error}. The chosen model is used")
            else:
                self.model.set_value(model, earlier.engine, earlier.device)
        self.image.setEnabled(False)
        self.message.say("Opening…")

    def start_measured(self, done: int, total: int) -> None:
        """Show how far the labels are measured."""
        self.message.say(f"Measuring labels: frame {done} of {total}")

    def start_failed(self, error: BaseException, was: StartState) -> None:
        """Report the reason, and look up the image again if it could be read before."""
        if was is not StartState.READING:
            self._image_changed()
        self._fail(error)  # last: it is to be read

    def start_opened(self, request: StartRequest, ready: Ready) -> None:
        """Begin work."""
        layer, labels = request.layer, request.labels
        self.image.setEnabled(True)
        said: list[tuple[str, str]] = []
        points = self._taken(self.image.points(), ready, said)
        boxes = self._taken(self.image.boxes(), ready, said)
        if ready.aside is not None:
            leave_with(self.viewer, ready.found.folder, ready.aside)
        restored = restored_layers(self.viewer, layer)
        left = layers_of_work(self.viewer, ready.found.folder) if ready.going_on else {}
        project = MovieProject(
            self.viewer,
            layer,
            ready,
            self.model.model(),
            self.model.engine(),
            self.model.device(),
            self.pump,
            labels or left.get("labels"),
            points or left.get("points"),
            boxes or left.get("boxes"),
        )
        self.project = project
        project.told.connect(self.say)
        project.run_changed.connect(self._run_changed)
        project.closed.connect(self._work_closed)
        for panel in (self.objects, self.run, self.review):
            panel.set_project(project)
        self.image.set_started(True)
        self._try.hide()
        self._end.show()
        self._save.show()
        self._bind()
        self.viewer.layers.selection.active = project.prompts.points
        project.prompts.points.mode = "add"
        self.message.say("Click on an object.")
        if said:
            level = "warning" if any(each == "warning" for each, _ in said) else "info"
            self.say(level, ". ".join(text for _, text in said))
        if restored is not None and not ready.going_on:
            project.say_prompts(restored.prompts)  # with masks, which no layer shows
        if request.then is not None:
            request.then(project)

    def _taken(self, layer: Any, ready: Ready, said: list[tuple[str, str]]) -> Any:
        """Return a layer of prompts that was chosen, if it can be taken; add what is to be said."""
        if layer is None:
            return None
        try:
            said += [("info", text) for text in adoption_notes(layer, ready.found.geometry)]
        except Sam2TrackError as error:
            said.append(("warning", f"Not taken: {error}"))
            return None
        return layer

    def _fail(self, error: BaseException) -> None:
        if self.setup.state is not StartState.CLOSED:
            self.image.setEnabled(True)
            self.say("error", str(error) or type(error).__name__)

    def _show_picture(self, event: Any = None) -> None:
        """Show the picture of the shown frame that SAM2 gets."""
        layer = self.image.image()
        if not self.image.shows_picture or layer is None:
            self.image.show_picture(None)
            return
        try:
            found = self.project.found if self.project is not None else None
            found = found or find_work(layer, self.image.value())
        except (Sam2TrackError, ValueError) as error:
            self.message.say(str(error), "warning")
            return
        from napari_sam2track._napari.viewer_position import ViewerPosition

        t = ViewerPosition(self.viewer, layer, found.geometry).frame if not layer.rgb else 0
        if self.project is not None:
            t = self.project.frame
        frames = found.frames

        def steps() -> Any:
            yield frames.read(t)

        self.background.submit(
            Job(steps, self.image.show_picture, on_error=self._fail, key="picture")
        )

    def try_it(self) -> None:
        """The main job on a sample: load, click, follow."""
        layer = load_sample(self.viewer)
        self.model.set_value(find_model("bundled"), self.model.engine(), "auto")
        self.image.set_image(layer)
        self._image_changed()
        self.start(False, then=_follow_sample)

    # -- during work ---------------------------------------------------------------------------

    def _configure(self) -> None:
        project = self.project
        if project is None:
            return
        if self.model.missing:
            self.say("warning", self.model.missing)
            return
        project.configure(self.model.model(), self.model.engine(), self.model.device())

    def _run_changed(self, status: RunStatus) -> None:
        self.model.set_running(status.active)

    def _bind(self) -> None:
        project = self.project
        assert project is not None
        todo: dict[str, Callable[[], object]] = {
            "toggle": project.toggle_label,
            "segment": project.segment,
            "propagate": self.run.propagate,
            "next_object": project.next_object,
            "next_problem": project.next_problem,
            "accept": project.accept,
            "clear": project.clear,
            "stop": project.stop,
        }
        actions = {getattr(self._keys, name): call for name, call in todo.items()}
        actions.pop("", None)
        ours = (*project.layers, self.viewer)
        try:
            self._bindings.bind(ours, actions)
            self._bindings.bind(ours[1:-1], {UNDO: project.undo, REDO: project.redo})
        except ValueError as error:
            self.say("warning", f"a key in the plugin's settings is none: {error}")

    def save_session(self) -> None:
        """Write a session file to a place that the person chooses."""
        if self.project is None:
            return
        name = f"{self.project.image.name}.sam2track.json"
        path, _ = QFileDialog.getSaveFileName(self, "Save session", name, "Session (*.json)")
        if path:
            self.project.read_prompts()
            try:
                save_session(self.project, Path(path))
            except Sam2TrackError as error:
                self.say("error", str(error))
                return
            run_it = f"sam2track video --session {path} --out-dir …"
            self.say("info", f"Saved {path}; run it with: {run_it}")

    def close_work(self) -> None:
        """Save and close the work on this image."""
        if self.project is not None:
            self.project.close()

    def _work_closed(self) -> None:
        self._bindings.release()
        for panel in (self.objects, self.run, self.review):
            panel.set_project(None)
        self.project = None
        self.image.set_started(False)
        self.model.set_running(False)
        self._try.show()
        self._end.hide()
        self._save.hide()
        self._image_changed()


def _follow_sample(project: MovieProject) -> None:
    prompt_sample(project)
    project.propagate(direction="forward")


class _Held:
    """Resources that are released after the dock is gone; the dock itself is not touched then."""

    def __init__(self, dock: SegmentDock) -> None:
        self.dock = dock


def _close(held: _Held) -> None:
    dock = held.dock
    dock.setup.close()
    dock.viewer.dims.events.current_step.disconnect(dock._show_picture)
    project, dock.project = dock.project, None
    if project is not None:
        project.closed.disconnect(dock._work_closed)
        for panel in (dock.objects, dock.run, dock.review):
            panel.set_project(None)
        dock._bindings.release()
        project.close()
    dock.image.close_panel()
    dock.objects.close_panel()
    dock.background.close()
    dock.pump.close()
