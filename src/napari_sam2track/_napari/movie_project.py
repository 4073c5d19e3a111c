"""Work on an image in napari: its layers, tasks in another thread, and reports about both.

Widgets know a project and nothing below it. All of it happens in the window's thread.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Generator, Iterable
from functools import partial
from typing import Any

import numpy as np
from psygnal import Signal

from napari_sam2track._napari.autosave import Saving
from napari_sam2track._napari.background import Background, Job
from napari_sam2track._napari.geometry import PlaneLabels
from napari_sam2track._napari.layer_colours import Colours
from napari_sam2track._napari.layer_values import KEY, layer_parents
from napari_sam2track._napari.project import Project
from napari_sam2track._napari.project_setup import Ready, check_labels
from napari_sam2track._napari.prompt_binding import PromptBinding
from napari_sam2track._napari.prompt_layers import LABELS
from napari_sam2track._napari.run_status import RunLost, RunStatus
from napari_sam2track._napari.session_export import provenance_of
from napari_sam2track._napari.ui_scheduler import UiScheduler
from napari_sam2track._napari.viewer_position import ViewerPosition
from napari_sam2track.errors import Sam2TrackError, UsageError
from napari_sam2track.models.registry import ModelInfo
from napari_sam2track.params import EngineParams
from napari_sam2track.prompts import PromptSet, masks_from_labels
from napari_sam2track.prompts.from_labels import VOID, void_in
from napari_sam2track.prompts.values import Key
from napari_sam2track.session.runner import RunStep
from napari_sam2track.workspace.annotations import Annotations
from napari_sam2track.workspace.state_grid import STATES
from napari_sam2track.workspace.workspace import Workspace


def _leave_one_core() -> None:
    """Let the window have a core of its own; called in the thread that computes."""
    from napari_sam2track.models.device import set_threads

    set_threads(max(1, (os.cpu_count() or 2) - 1))


class ProjectRef:
    """Reference of a labels layer to its project; a copy of the layer has none."""

    def __init__(self, project: MovieProject | None = None) -> None:
        self.project = project

    @property
    def parents(self) -> dict[int, int]:
        """Parent of each daughter."""
        return {} if self.project is None else dict(self.project.work.state.parents)

    @property
    def provenance(self) -> dict[str, Any]:
        """Origin of the labels, for exports."""
        return {} if self.project is None else provenance_of(self.project)

    def __deepcopy__(self, memo: Any) -> ProjectRef:
        return ProjectRef()

    def __reduce__(self) -> tuple[type[ProjectRef], tuple[()]]:
        return ProjectRef, ()


class MovieProject(Project):
    """Work on one image.

    Parameters
    ----------
    viewer
        The viewer.
    image
        The image layer.
    ready
        Data that were read for it.
    model, engine, device
        How objects are followed.
    pump
        Calls back in the window's thread.
    labels, points, boxes
        Layers of the person's to work on; None: new ones.
    """

    run_changed = Signal(RunStatus)
    work: Workspace

    def __init__(
        self,
        viewer: Any,
        image: Any,
        ready: Ready,
        model: ModelInfo,
        engine: EngineParams,
        device: str,
        pump: UiScheduler,
        labels: Any = None,
        points: Any = None,
        boxes: Any = None,
    ) -> None:
        self.viewer, self.image, self.found = viewer, image, ready.found
        self.pump = pump
        self.background = Background("sam2track-engine", pump.wake)
        pump.attach(self.background)
        geometry = ready.found.geometry
        self.plane = PlaneLabels(ready.labels, geometry)
        earlier = ready.found.earlier if ready.going_on else None
        drawn = {} if labels is None else layer_parents(labels)
        self.work = Workspace(
            ready.found.frames,
            self.plane,
            ready.found.folder,
            model,
            engine,
            device,
            annotations=None if earlier is None else earlier.annotations(),
            parents=drawn if earlier is None else earlier.parents,
            table=ready.table,
        )
        self.refused = set() if earlier is None else set(earlier.refused)
        self.names = {} if earlier is None else dict(earlier.names)
        self.work.lock(() if earlier is None else earlier.locked)
        self.status = RunStatus()
        self._run: Job | None = None
        self._lost: RunLost | None = None
        self._told_refused: tuple[str, ...] = ()
        name = image.name
        if labels is None:
            labels = viewer.add_labels(
                ready.labels, name=f"{name} [labels]", opacity=0.5, **geometry.transform
            )
        self.labels, self._data = labels, labels.data
        self.labels.metadata[KEY] = ProjectRef(self)
        self.colours = Colours(labels)
        self.place = ViewerPosition(viewer, labels, geometry)
        self.prompts = PromptBinding(
            viewer, geometry, name, self.colours.of, self.work.annotations.prompts, points, boxes
        )
        for layer in (self.prompts.points, self.prompts.boxes):
            layer.metadata[KEY] = {"work": str(ready.found.folder)}
        self.saving = Saving(self, name, pump)
        self._connect()
        if earlier is not None:
            self.prompts.show(self.work.annotations.prompts)
        elif points is not None or boxes is not None:
            self.read_prompts()
        self.set_current(min(self.work.objects, default=1))
        self.work.refresh()
        self._look_at(self.work.unseen())
        self._told_damage: str | None = None
        self._told_refused = ()
        self.pump.later("damage", 100, self._tell_damage)  # when its listeners are connected
        self.pump.later("refused", 100, self._tell_refused)
        self.labels.events.metadata()  # for readers of the layer's metadata

    # -- life ----------------------------------------------------------------------------------

    def _connect(self) -> None:
        self.work.annotations_changed.connect(self._on_annotations)
        self.work.labels_changed.connect(self._on_labels)
        self.work.grid_changed.connect(self._on_grid)
        self.prompts.clicked.connect(self.read_prompts)
        self.prompts.edited.connect(self._on_prompts)
        self._listen()

    @property
    def layers(self) -> tuple[Any, ...]:
        """The layers without which there is no work."""
        return self.image, self.labels, self.prompts.points, self.prompts.boxes

    def close(self) -> None:
        """Stop active tasks, save, and disconnect from all events; all layers stay."""
        if not self.is_open:
            return
        self._let_go()
        self.prompts.close()
        self.background.close()
        if self.work.busy and self._run is not None:
            self._ended(True)
        self.saving.close()
        self.colours.close()
        self.labels.metadata[KEY] = {"parents": dict(self.work.state.parents)}
        self.closed.emit()

    def _on_removed(self, event: Any) -> None:
        if any(event.value == layer for layer in self.layers):
            text = (
                f"The layer {event.value.name!r} was deleted: work on {self.image.name!r} is "
                "closed and saved. Choose the image and press Go on to have it back"
            )
            # not while a whole window closes: then a later report reaches no one
            self.pump.later("deleted", 100, partial(self.tell, "warning", text))
            self.close()

    def _on_data(self, event: Any = None) -> None:
        if self.labels.data is self._data:
            return
        text = (
            f"The labels {self.labels.name!r} have other data now (another type, or a script): "
            f"work on {self.image.name!r} is closed and saved. Choose the image and press Go on to "
            "have it back"
        )
        self.pump.later("deleted", 100, partial(self.tell, "warning", text))
        self.close()

    # -- display -------------------------------------------------------------------------------

    def _on_annotations(self, annotations: Annotations) -> None:
        self.prompts.show(annotations.prompts)
        self.saving.later()

    def _on_labels(self, frames: frozenset[int]) -> None:
        self.saving.dirty(frames)
        if self.place.frame in frames:
            self.pump.later("refresh", 0, self.labels.refresh)

    @property
    def here(self) -> str:
        """The selected object and the shown frame, in words."""
        grid, i, t = self.work.grid, self.current, self.frame
        name = f" “{self.names[i]}”" if i in self.names else ""
        text = f"Object {i}{name} · frame {t} of {self.work.frames.n_frames - 1}"
        if i in grid.ids:
            k = grid.ids.index(i)
            text += f" · {STATES[grid.states[k, t]]}"
            if np.isfinite(grid.scores[k, t]):
                text += f" · score {grid.scores[k, t]:.2f}"
        return text

    # -- objects -------------------------------------------------------------------------------

    @property
    def current(self) -> int:
        """The object that is prompted, painted, accepted."""
        return self.prompts.current

    def set_current(self, object_id: int) -> None:
        """Choose an object."""
        if object_id < 1:
            return
        self.prompts.set_current(object_id, self.prompts.label)
        if int(self.labels.selected_label) != object_id:
            self.labels.selected_label = object_id
        self.current_changed.emit(object_id)

    def next_object(self) -> int:
        """Choose an id that no object has, nor had if the labels can hold such a one."""
        new, most = self.work.next_id, self.plane.max_id
        if new > most:
            taken = {*self.work.objects, self.current}
            new = next((i for i in range(1, len(taken) + 2) if i not in taken), new)
        if new > most:
            text = f"these labels hold ids up to {most}, and all are taken: use labels of uint32"
            self.tell("warning", text)
        else:
            self.set_current(new)
        return self.current

    def _on_colormap(self, event: Any = None) -> None:
        self.prompts.recolour()
        self.changed.emit(None)

    def set_label(self, positive: bool) -> None:
        """Set whether the next point is a positive or a negative click."""
        self.prompts.set_current(self.current, LABELS[0] if positive else LABELS[1])
        self.current_changed.emit(self.current)

    def toggle_label(self) -> None:
        """Switch the next point, and those that are selected, between positive and negative."""
        chosen = sorted(self.prompts.points.selected_data)
        positive = self.prompts.label == LABELS[0]
        self.set_label(not positive)
        if chosen:
            self.prompts.relabel(chosen, LABELS[1] if positive else LABELS[0])

    def rename(self, object_id: int, name: str) -> None:
        """Rename an object; an empty name removes it."""
        self.names = {**self.names, object_id: name.strip()}
        if not name.strip():
            del self.names[object_id]
        self.saving.later()
        self.changed.emit(None)

    def delete(self, objects: Iterable[int]) -> None:
        """Delete objects: their pixels, their prompts and their results."""
        try:
            self.work.delete(objects)
        except Sam2TrackError as error:
            self.fail(error)
        self.touched()

    # -- prompts -------------------------------------------------------------------------------

    def _on_prompts(self) -> None:
        self.pump.later("prompts", 0, self.read_prompts)  # several changes are read once

    def read_prompts(self) -> None:
        """Read the prompts in the layers, without waiting for a pause in changes."""
        if not self.is_open:
            return
        keys = self.work.set_prompts(self.prompts.read(self.work.annotations.prompts), "prompts")
        self._look_at(keys)
        self._tell_refused()

    def _tell_refused(self) -> None:
        """Report points and shapes that do not count, once."""
        found, told = self.prompts.refused, self._told_refused
        self._told_refused = found
        if found and found != told:
            more = f" (and {len(found) - 1} more)" if len(found) > 1 else ""
            self.tell("warning", found[0] + more)

    def say_prompts(self, prompts: PromptSet) -> None:
        """Replace all prompts at once."""
        self._look_at(self.work.set_prompts(prompts))

    def _look_at(self, keys: Iterable[Key]) -> None:
        for key in keys:
            prompt, see = self.work.looker(key)

            def steps(see: Callable[[], Any] = see) -> Generator[Any, None, None]:
                _leave_one_core()
                yield see()

            def show(result: Any, key: Key = key, prompt: Any = prompt) -> None:
                if self.work.accept_look(key, prompt, result) and not result.patch:
                    self.tell("warning", f"Nothing was found at the prompts of object {key[0]}")

            job = Job(steps, show, on_error=self.fail, key=key)
            self.background.submit(job, urgent=True)

    def segment(self) -> None:
        """Preview all prompts on this frame again."""
        self.read_prompts()
        keys = [key for key in self.work.annotations.prompts if key[1] == self.frame]
        if not keys:
            self.tell("info", "There is no prompt on this frame: click on an object first")
        self._look_at(keys)

    def clear(self) -> None:
        """Take away the prompts of the current object on this frame."""
        key = self.current, self.frame
        self.read_prompts()
        if key not in self.work.annotations.prompts:
            self.tell("info", f"Object {key[0]} has no prompt on frame {key[1]}")
            return
        self.work.set_prompts(self.work.annotations.prompts.remove(*key), "clear prompts")

    def take_layer(self, layer: Any) -> None:
        """Take every label of a Labels layer on this frame as the mask of an object there."""
        geometry, t = self.found.geometry, self.frame
        try:
            if layer == self.labels:
                raise UsageError("these labels are worked on already; choose another layer")
            check_labels(layer, geometry)
            given = masks_from_labels(PlaneLabels(layer.data, geometry).read(t), t)
        except Sam2TrackError as error:
            self.fail(error)
            return
        if void_in(given.objects):
            self.tell(
                "warning",
                f"the value {VOID} of {layer.name!r} is taken for object {VOID}; if it is no "
                "object, as in DAVIS, delete that one",
            )
        self._look_at(self.work.put_prompts(given, "masks"))

    def accept(self, frames: Iterable[int] | None = None) -> None:
        """Accept the current object on frames (None: this one), or reopen them."""
        wanted = [self.frame] if frames is None else list(frames)
        if not self.work.accept(self.current, wanted):
            i = self.current
            self.tell("info", f"Object {i} is not on this frame, so there is nothing to accept")

    # -- runs ----------------------------------------------------------------------------------

    def configure(self, model: ModelInfo, engine: EngineParams, device: str) -> None:
        """Follow with another model or other parameters."""
        now = self.work.session
        if (now.model, now.engine, now.device) != (model, engine, device):
            self.work.configure(model, engine, device)
            self.saving.later()
            self.work.refresh()
            self._tell_damage()

    def _tell_damage(self) -> None:
        """Report damage of the stored run, once."""
        found = self.work.store.damage()
        if found is not None and found != self._told_damage:
            self.tell("warning", found)
        self._told_damage = found

    def propagate(
        self,
        only: Iterable[int] | None = None,
        start: int = 0,
        stop: int | None = None,
        direction: str = "both",
        until_lost: bool = False,
    ) -> bool:
        """Follow objects in the background; return False, with a message, if not possible."""
        self._told_refused = ()  # so that it is said again, before it takes long
        self.read_prompts()
        try:
            ids = None if only is None else list(only)
            steps = self.work.begin_run(ids, start, stop, direction)
        except Sam2TrackError as error:
            self.fail(error)
            return False
        self.status = RunStatus.begun()
        self._lost = RunLost() if until_lost else None

        def make() -> Generator[RunStep, None, None]:
            _leave_one_core()
            return steps

        self._run = Job(make, self._received, self._ended, self._failed)
        self.background.submit(self._run)
        self.run_changed.emit(self.status)
        return True

    def stop(self) -> None:
        """Stop tasks after the current frame; finished frames stay."""
        if self._run is not None:
            self._run.stop()
            self.status = self.status.stopping()
            self.run_changed.emit(self.status)

    def _received(self, progress: RunStep) -> None:
        self.work.receive(progress)
        self.status = self.status.after(progress.done, progress.total)
        self.run_changed.emit(self.status)
        if self._lost is not None and self._lost.all_lost(progress) and self._run is not None:
            self.tell("info", f"All objects are lost on frame {progress.frame}: stopped")
            self._run.stop()
            self._lost = None

    def _ended(self, stopped: bool) -> None:
        self._run = None
        self.work.end_run()
        self._tell_damage()
        self.status = self.status.ended(stopped)
        self.saving.later()
        self.run_changed.emit(self.status)

    def _failed(self, error: BaseException) -> None:
        self._ended(True)
        self.fail(error)

    # -- steps ---------------------------------------------------------------------------------

    def touched(self) -> None:
        """Schedule a save."""
        self.saving.later()

    def _before_step(self) -> None:
        self.read_prompts()

    def _after_step(self) -> None:
        self._look_at(self.work.unseen())

    def next_problem(self) -> tuple[int, int] | None:
        """Go to the next frame that should be checked."""
        found = self.work.grid.next_problem((self.frame, self.current))
        if found is None:
            self.tell("info", "There is no problem that is known of")
            return None
        t, i = found
        self.go_to(i, t)
        return i, t
