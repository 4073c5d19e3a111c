"""Labels that a person and the linker edit, with one undo for both; no movie is needed."""

from __future__ import annotations

from collections.abc import Callable, Collection, Generator, Iterable, Mapping
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from psygnal import Signal

from napari_sam2track.errors import EditError, UsageError
from napari_sam2track.labels import EditableLabels
from napari_sam2track.prompts import Prompt
from napari_sam2track.prompts.values import Key
from napari_sam2track.session.decisions import Division
from napari_sam2track.session.run_store import RunStore
from napari_sam2track.tracks.editing.changes import Change
from napari_sam2track.tracks.editing.edits import Delete
from napari_sam2track.tracks.editing.history import History, Step
from napari_sam2track.tracks.editing.strokes import Atom
from napari_sam2track.tracks.editing.track_state import Edit, TrackState
from napari_sam2track.tracks.table import TrackTable
from napari_sam2track.workspace.annotations import Annotations
from napari_sam2track.workspace.annotations_after_edits import follow
from napari_sam2track.workspace.frame_journal import FrameJournal

#: (object, frame).


@dataclass(frozen=True)
class UndoNote:
    """Values that are restored together with the labels when a step is undone.

    Attributes
    ----------
    title
        Name of the step, for people.
    before, after
        Annotations before and after the step.
    journal
        Step of the `FrameJournal`, for changes too large to be kept in memory.
    run
        Of a run: the store of its results, and the number of its journal there.
    tables
        All tracks before and after, for a step that replaced them.
    """

    title: str
    before: Annotations
    after: Annotations
    journal: int | None = None
    run: tuple[RunStore, int] | None = None
    tables: tuple[TrackTable, TrackTable] | None = None


class LabelsWorkspace:
    """Labels that are edited, and their annotations.

    Parameters
    ----------
    labels
        Written to in place; the value of a label is its object.
    folder
        For data too large to be kept in memory; made if it is missing.
    annotations, parents, table
        Values from earlier work.
    """

    annotations_changed = Signal(Annotations)
    labels_changed = Signal(frozenset)
    #: Whether runs follow objects from their prompts.
    follows = False
    #: Objects that changed in the grid; or, for a frame of a run, that frame.
    grid_changed = Signal(object)

    def __init__(
        self,
        labels: EditableLabels,
        folder: Path,
        annotations: Annotations | None = None,
        parents: Mapping[int, int] | None = None,
        table: TrackTable | None = None,
    ) -> None:
        self.labels, self.folder = labels, folder
        self.annotations = annotations or Annotations()
        self.locked: frozenset[int] = frozenset()
        self.state = TrackState(labels, parents, table)
        self.history = History(self.state)
        self._journal = FrameJournal(folder / "undo")
        self._busy: Step | None = None
        self._relabelling = False
        self.state.changed.connect(self._tell)

    def _tell(self, changed: object) -> None:
        self.labels_changed.emit(changed.frames)  # type: ignore[attr-defined]

    # -- state ---------------------------------------------------------------------------------

    @property
    def objects(self) -> tuple[int, ...]:
        """Ids of all objects, prompted or drawn, ascending."""
        return tuple(sorted({*self.annotations.prompts.objects, *self.state.places.ids}))

    @property
    def next_id(self) -> int:
        """An id that no object has, or had."""
        return max([self.state.next_id, *(i + 1 for i in self.annotations.prompts.objects)])

    @property
    def busy(self) -> bool:
        """True while a run is active, or another task that writes frame by frame."""
        return self._busy is not None

    def suggested(self) -> tuple[Division, ...]:
        """Divisions that runs found and did not apply; there are no runs here."""
        return ()

    def refresh(self, objects: Collection[int] | None = None, frame: int | None = None) -> None:
        """Report changes of some objects (None: all), maybe on one frame."""
        self.grid_changed.emit(frame)

    # -- changes -------------------------------------------------------------------------------

    def paint(self, atoms: Iterable[Atom], title: str = "paint") -> set[int]:
        """Adopt painted pixels of the labels as a correction: a step.

        The object's mask on that frame becomes its prompt there. A track that came from elsewhere
        is only edited.

        Parameters
        ----------
        atoms
            As `History.adopt` takes them.

        Returns
        -------
        set of int
            The objects that were painted.

        Raises
        ------
        EditError
            If the labels do not hold the painted values.
        """
        before = annotations = self.annotations
        step = self.history.adopt(list(atoms))
        if step is None:
            return set()
        touched: set[int] = set()
        for change in step.changes:
            self._note_before(change)
            for patch in change.patches:
                new, old = (set(np.unique(ids).tolist()) - {0} for ids in (patch.new, patch.old))
                for i in new or old:
                    ours = i in annotations.prompts.objects
                    annotations = annotations.painted(i, patch.frame, self._drawn(i, patch.frame))
                    if ours and self.state.places.box(i, patch.frame) is None:
                        # the person removed it there: later prompts do not free that frame again
                        annotations = annotations.accepted(i, [patch.frame])
                    self._forget([(i, patch.frame)])
                touched |= new | old
        self._annotate(annotations)
        self.history.annotate(step, UndoNote(title, before, annotations))
        self.refresh(touched)
        return touched

    def _drawn(self, object_id: int, t: int) -> Prompt | None:
        """Return the prompt for a drawn mask: none, as there are no runs."""
        return None

    def edit(self, edits: Iterable[Edit], title: str) -> Step:
        """Edit tracks: a step; prompts follow the ids.

        Raises
        ------
        EditError
            If an edit cannot be made; nothing is changed then.
        """
        if self._relabelling:
            raise EditError("the labels are being linked; edit them when that is done")
        asked, before = tuple(edits), self.annotations
        step = self.history.do_all(asked)
        for change in step.changes:
            self._note_before(change)
        annotations = follow(before, asked, step.changes, self.state)
        self._annotate(annotations)
        step = self.history.annotate(step, UndoNote(title, before, annotations))
        self.refresh(step.summary().tracks)
        return step

    def delete(self, objects: Iterable[int]) -> None:
        """Delete objects, drawn or only prompted, and all their annotations: a step.

        Raises
        ------
        EditError
            If the labels are not as expected; nothing is changed then.
        """
        ids, before = list(objects), self.annotations
        title = "delete " + ", ".join(map(str, ids))
        drawn = [Delete(i) for i in ids if i in self.state.places]
        step = self.edit(drawn, title) if drawn else None
        annotations = self.annotations
        for i in ids:
            annotations = annotations.without(i)
        if step is None:
            self.say(annotations, title)
        elif annotations != self.annotations:
            self._annotate(annotations)
            self.history.annotate(step, UndoNote(title, before, annotations))
            self.refresh(ids)

    def say(self, annotations: Annotations, title: str) -> None:
        """Change annotations but no pixel, such as approving a frame: a step."""
        before = self.annotations
        if annotations != before:
            self._annotate(annotations)
            self.history.mark(UndoNote(title, before, annotations))
            self.refresh()

    def lock(self, locked: Collection[int]) -> None:
        """Protect objects from runs, in place of those that were locked."""
        self.locked = frozenset(locked)

    # -- undo ----------------------------------------------------------------------------------

    def undo(self) -> UndoNote | None:
        """Undo the last step, all at once; see `undo_steps`."""
        return _exhausted(self.undo_steps())

    def redo(self) -> UndoNote | None:
        """Redo the step that was undone last, all at once; see `redo_steps`."""
        return _exhausted(self.redo_steps())

    def undo_steps(self) -> Generator[tuple[int, int], None, UndoNote | None]:
        """Undo the last step, frame by frame where it is a long one.

        Yields
        ------
        (done, total) frames.

        Raises
        ------
        EditError
            If there is no step, or the labels were changed by something else since; such a step
            is forgotten.
        UsageError
            While a run is active.
        """
        self._not_busy("undo")
        step = self._stepped(self.history.undo, self.history.steps[-1:])
        return (yield from self._carry_out(step, back=True))

    def redo_steps(self) -> Generator[tuple[int, int], None, UndoNote | None]:
        """Redo the step that was undone last; see `undo_steps`."""
        self._not_busy("redo")
        step = self._stepped(self.history.redo, self.history.undone[-1:])
        return (yield from self._carry_out(step, back=False))

    def _stepped(self, go: Callable[[], Step], last: Iterable[Step]) -> Step:
        try:
            return go()
        except EditError:
            for step in last:
                self.history.forget(step)
            raise

    def _carry_out(
        self, step: Step, back: bool
    ) -> Generator[tuple[int, int], None, UndoNote | None]:
        note = step.note
        if not isinstance(note, UndoNote):
            return None
        annotations = note.before if back else note.after
        if note.journal is not None:
            self._busy = step
            try:
                frames = self._journal.frames(note.journal)
                for k, t in enumerate(frames):
                    self._journal.swap(note.journal, t, self.labels)
                    if note.tables is None:
                        self.state.reread([t])
                    yield k + 1, len(frames)
            finally:
                self._busy = None
        if note.tables is not None:
            self.state.assume(note.tables[0 if back else 1])
        before = self.annotations
        self._undone(note, annotations)
        self._annotate(annotations)
        if not step.changes and note.journal is None:
            self._clear(before)
        self.refresh()
        return note

    def _clear(self, before: Annotations) -> None:
        """Remove what only deleted prompts had brought: nothing, as there are no runs."""

    # -- linking -------------------------------------------------------------------------------

    def begin_relabel(self, title: str) -> None:
        """Begin to replace whole frames, as linking does: a step."""
        self._not_busy("link")
        note = UndoNote(title, self.annotations, self.annotations, self._journal.begin())
        self._busy, self._relabelling = self.history.mark(note), True

    def replace_frame(
        self, t: int, labels_yx: NDArray[np.uint32], old_yx: NDArray[np.uint32]
    ) -> None:
        """Write one of the frames, in place of its present labels."""
        self._note_frame(t, old_yx)
        whole = tuple(slice(0, n) for n in self.labels.frame_shape)
        self.labels.write_box(t, whole, labels_yx)
        self.labels_changed.emit(frozenset([t]))

    def end_relabel(self, table: TrackTable, annotations: Annotations) -> None:
        """End the step, after all frames were written.

        Parameters
        ----------
        table
            The tracks of the new labels, with parents.
        annotations
            The annotations, with the new ids.
        """
        step = self._busy
        assert step is not None and isinstance(step.note, UndoNote)
        tables = self.state.table(), table
        self._busy, self._relabelling = None, False
        self.state.assume(table)
        self._forget(None)
        self._annotate(annotations)
        self.history.annotate(step, replace(step.note, after=annotations, tables=tables))
        self.refresh()

    def drop_relabel(self) -> None:
        """Drop the step, as a frame could not be written: all frames are as before."""
        step = self._busy
        assert step is not None and isinstance(step.note, UndoNote)
        assert step.note.journal is not None
        for t in self._journal.frames(step.note.journal):
            self._journal.swap(step.note.journal, t, self.labels)
            self.labels_changed.emit(frozenset([t]))
        self._journal.drop(step.note.journal)
        self.history.forget(step)
        self._busy, self._relabelling = None, False

    # -- inside --------------------------------------------------------------------------------

    def _forget(self, keys: Iterable[Key] | None) -> None:
        """Drop previews of these prompts (None: of all); there are none here."""

    def _undone(self, note: UndoNote, annotations: Annotations) -> None:
        """Take over the annotations after an undo or redo."""

    def _annotate(self, annotations: Annotations) -> None:
        if annotations != self.annotations:
            self.annotations = annotations
            self.annotations_changed.emit(annotations)

    def _not_busy(self, wish: str) -> None:
        if self._busy is not None:
            raise UsageError(f"a run goes on; stop it first, then {wish}")

    def _note_before(self, change: Change) -> None:
        """Keep the earlier content of frames that a person changed while a run is active."""
        if self._busy is None:
            return
        for patch in change.patches:
            before = self.labels.read(patch.frame)
            before[patch.box][patch.mask] = patch.old
            self._note_frame(patch.frame, before)

    def _note_frame(self, t: int, labels_yx: NDArray[np.uint32]) -> None:
        assert self._busy is not None and isinstance(self._busy.note, UndoNote)
        assert self._busy.note.journal is not None
        self._journal.note(self._busy.note.journal, t, labels_yx)


def _exhausted(steps: Generator[tuple[int, int], None, UndoNote | None]) -> UndoNote | None:
    while True:
        try:
            next(steps)
        except StopIteration as end:
            note: UndoNote | None = end.value
            return note
