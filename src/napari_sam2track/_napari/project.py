"""Common part of projects, for the docks: edits of labels, undo, and the shown place."""

from __future__ import annotations

import logging
import sys
from collections.abc import Callable, Generator, Iterable, Sequence
from typing import Any

from psygnal import Signal

from napari_sam2track._napari.background import Background
from napari_sam2track._napari.geometry import PlaneLabels
from napari_sam2track._napari.layer_colours import Colours
from napari_sam2track._napari.ui_scheduler import UiScheduler
from napari_sam2track._napari.viewer_position import ViewerPosition
from napari_sam2track.errors import Sam2TrackError, UsageError
from napari_sam2track.tracks.editing.track_state import Edit
from napari_sam2track.workspace.labels_workspace import LabelsWorkspace, UndoNote

logger = logging.getLogger(__name__)

#: Frames of an undo before the window has its turn.
_AT_ONCE = 4


class Project:
    """Work on tracks in a Labels layer: `MovieProject` where SAM2 follows them, or `LabelsProject`.

    Attributes
    ----------
    viewer, labels
        The viewer and the Labels layer.
    plane, place, colours
        The layer's pixels, the shown place, and its colours.
    work
        State of the tracks.
    names
        Names of objects.
    refused
        (parent, frame) of divisions that a person refused.
    pump, background
        Scheduler of calls in the window's thread, and a thread for long tasks.
    """

    #: Objects, their names or states changed; the frame, if only one is concerned.
    changed = Signal(object)
    current_changed = Signal(int)
    frame_changed = Signal(int)
    #: (level, text): "info", "warning" or "error".
    told = Signal(str, str)
    #: Emitted before it closes: active tasks are to be ended now. And afterwards.
    closing = Signal()
    closed = Signal()

    viewer: Any
    labels: Any
    plane: PlaneLabels
    place: ViewerPosition
    colours: Colours
    work: LabelsWorkspace
    names: dict[int, str]
    refused: set[tuple[int, int]]
    pump: UiScheduler
    background: Background
    #: Continues a long undo or redo, for so many frames; None: there is none.
    _later_steps: Callable[[int], None] | None = None
    #: Connections: napari's emitters, and their callbacks; empty once it is closed.
    _connected: Sequence[tuple[Any, Callable[..., Any]]] = ()

    @property
    def is_open(self) -> bool:
        """True until it is closed."""
        return bool(self._connected)

    def _listen(self) -> None:
        """Connect to the layer and to the viewer, until `_let_go`."""
        self._connected = [
            (self.labels.events.paint, self._on_paint),
            (self.labels.events.selected_label, self._on_selected),
            (self.labels.events.colormap, self._on_colormap),
            (self.labels.events.data, self._on_data),
            (self.viewer.dims.events.current_step, self._on_step),
            (self.viewer.layers.events.removed, self._on_removed),
        ]
        for emitter, call in self._connected:
            emitter.connect(call)
        self.labels.mouse_drag_callbacks.append(self._while_drawing)

    def _let_go(self) -> None:
        """Finish an active undo, announce that this closes, and disconnect."""
        self._finish_step()
        connected, self._connected = self._connected, ()  # a listener may close this as well
        self.closing.emit()
        for emitter, call in connected:
            emitter.disconnect(call)
        self.labels.mouse_drag_callbacks.remove(self._while_drawing)
        self.pump.hold(False)

    # -- what each kind does in its own way ----------------------------------------------------

    @property
    def current(self) -> int:
        """The object that is selected."""
        raise NotImplementedError

    def set_current(self, object_id: int) -> None:
        """Choose an object."""
        raise NotImplementedError

    def _on_colormap(self, event: Any = None) -> None:
        """Show objects in their new colours."""
        raise NotImplementedError

    def _on_data(self, event: Any = None) -> None:
        """Handle a replaced array of the layer."""
        raise NotImplementedError

    def _on_removed(self, event: Any) -> None:
        """Close, if a layer is removed without which there is no work."""
        raise NotImplementedError

    def touched(self) -> None:
        """Note a change that is to be saved."""

    def _before_step(self) -> None:
        """Read the annotations of a person, before an undo or redo."""

    def _after_step(self) -> None:
        """Preview prompts that have no result yet, after an undo or redo."""

    # -- display -------------------------------------------------------------------------------

    def tell(self, level: str, text: str) -> None:
        """Show a message to the person."""
        self.told.emit(level, text[:1].upper() + text[1:])

    def fail(self, error: BaseException) -> None:
        """Show an error; one that is not ours with its kind."""
        if isinstance(error, Sam2TrackError):
            self.tell("error", str(error))
            return
        logger.error("work in the background failed", exc_info=error)
        text = str(error) or "no more is known"
        if "out of memory" in text.lower() or isinstance(error, MemoryError):
            self.tell(
                "error",
                f"Memory ran out ({text.splitlines()[0]}). What is finished is kept: lower the "
                "batch size, choose a smaller model, or close other programs, then propagate again",
            )
        else:
            self.tell("error", f"{type(error).__name__}: {text}. What is finished is kept")

    @property
    def frame(self) -> int:
        """The frame that is shown."""
        return self.place.frame

    def go_to(self, object_id: int | None, frame: int) -> None:
        """Show a frame, and an object on it (or where it is nearest in time)."""
        places = self.work.state.places
        centre = None
        if object_id is not None:
            self.set_current(object_id)
            if object_id in places:
                near = min(places.frames(object_id), key=lambda t: abs(t - frame))
                box = places.box(object_id, near)
                assert box is not None
                centre = tuple((s.start + s.stop - 1) / 2 for s in box)
        self.place.go_to(frame, centre)

    def _on_step(self, event: Any = None) -> None:
        self.frame_changed.emit(self.place.frame)

    def _on_grid(self, frame: int | None) -> None:
        self.changed.emit(frame)

    def _on_selected(self, event: Any = None) -> None:
        chosen = int(self.labels.selected_label)
        if chosen >= 1 and chosen != self.current:
            self.set_current(chosen)

    # -- edits and undo -------------------------------------------------------------------------

    def lock(self, object_id: int, locked: bool) -> None:
        """Protect an object from runs, and its links from linking."""
        now = set(self.work.locked)
        self.work.lock(now | {object_id} if locked else now - {object_id})
        self.touched()
        self.changed.emit(None)

    def refuse(self, parent: int, frame: int) -> None:
        """Store that a division was refused."""
        self.refused.add((parent, frame))
        self.touched()

    def _while_drawing(self, layer: Any, event: Any) -> Generator[None, None, None]:
        """Wait with changes of the labels until a stroke has ended.

        napari reports it then, with the values that it found under the brush.
        """
        if str(layer.mode) not in ("paint", "erase"):
            return
        self.pump.hold(True)
        try:
            yield
            while event.type == "mouse_move":
                yield
        finally:
            if self.is_open:
                self.pump.later("drawn", 0, self._drawn)

    def _drawn(self) -> None:
        self.pump.hold(False)

    def _on_paint(self, event: Any) -> None:
        strokes = self.plane.strokes(event.value)
        if not strokes:
            return
        try:
            self.work.paint(strokes)
        except Sam2TrackError as error:
            self.fail(error)

    def edit(self, edits: Iterable[Edit], title: str) -> bool:
        """Edit tracks; return False, with a message, if that is not possible."""
        try:
            self.work.edit(edits, title)
        except Sam2TrackError as error:
            self.fail(error)
            return False
        self.touched()
        return True

    def undo(self, *_: Any) -> None:
        """Undo the last step."""
        self._step(self.work.undo_steps, "Undone")

    def redo(self, *_: Any) -> None:
        """Redo the step that was undone last."""
        self._step(self.work.redo_steps, "Done again")

    def _step(self, make: Callable[[], Generator[Any, None, UndoNote | None]], word: str) -> None:
        if self._later_steps is not None:
            self.fail(UsageError("a step is being taken back; wait until that is done"))
            return
        self._before_step()
        steps = make()

        def some(most: int) -> None:
            self._later_steps = None
            try:
                for _ in range(most):
                    next(steps)
            except StopIteration as end:
                note = end.value
                self.tell("info", f"{word}: {note.title}" if note else word)
                self._after_step()
                self.touched()
            except Sam2TrackError as error:
                self.fail(error)
            else:
                self._later_steps = some
                self.pump.later("steps", 0, self._next_steps)

        some(_AT_ONCE)

    def _next_steps(self, most: int = _AT_ONCE) -> None:
        if self._later_steps is not None:
            self._later_steps(most)

    def _finish_step(self) -> None:
        """Finish an active undo or redo now, before closing or saving."""
        self._next_steps(sys.maxsize)
