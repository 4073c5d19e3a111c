"""History of edits, to be undone and redone."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field, replace

from napari_sam2track.errors import EditError
from napari_sam2track.tracks.editing.change_builder import Draft
from napari_sam2track.tracks.editing.changes import Change, Changed
from napari_sam2track.tracks.editing.strokes import Atom, patches_of
from napari_sam2track.tracks.editing.track_state import Edit, TrackState

#: Sparse differences are small: some ten thousand edits of cells fit.
LIMIT_BYTES = 256 * 2**20


@dataclass(frozen=True, eq=False)
class Step:
    """Changes that are undone at once.

    Attributes
    ----------
    edits
        The edits; none where pixels were painted by others.
    changes
        The changes that they made.
    note
        Anything else that an undo restores; the history passes it on.
    """

    edits: tuple[Edit, ...]
    changes: tuple[Change, ...] = field(repr=False)
    note: object = field(default=None, repr=False)

    @property
    def nbytes(self) -> int:
        """Approximate memory in bytes."""
        return sum(change.nbytes for change in self.changes)

    def summary(self) -> Changed:
        """Return the frames, tracks and pixels that it touched."""
        return Changed.by(self.changes)


class History:
    """Edits of a `TrackState`, to be undone and redone.

    Parameters
    ----------
    state
        The tracks that are edited.
    limit_bytes
        Most memory that the steps may take; the oldest are dropped beyond it. The last one is
        always kept.
    """

    def __init__(self, state: TrackState, limit_bytes: int = LIMIT_BYTES) -> None:
        self.state = state
        self._limit = limit_bytes
        self._done: list[Step] = []
        self._undone: list[Step] = []

    @property
    def can_undo(self) -> bool:
        """True if a step can be undone."""
        return bool(self._done)

    @property
    def can_redo(self) -> bool:
        """True if a step can be redone."""
        return bool(self._undone)

    @property
    def steps(self) -> tuple[Step, ...]:
        """Steps that can be undone, oldest first."""
        return tuple(self._done)

    @property
    def nbytes(self) -> int:
        """Approximate memory of all steps, in bytes."""
        return sum(step.nbytes for step in (*self._done, *self._undone))

    def do(self, edit: Edit) -> Step:
        """Make an edit; steps that were undone before cannot be redone afterwards.

        Raises
        ------
        EditError
            If it cannot be made; nothing is changed then.
        """
        return self.do_all([edit])

    def do_all(self, edits: Iterable[Edit]) -> Step:
        """Make edits one after the other, as one step: all of them, or none.

        Raises
        ------
        EditError
            If there are none, or one cannot be made; nothing is changed then.
        """
        if not isinstance(edits, Iterable):
            raise EditError(f"{edits!r:.60} are no edits; give a list of them, or use do()")
        asked = tuple(edits)
        if not asked:
            raise EditError("there are no edits to make; name at least one")
        return self._add(Step(asked, self.state.run(asked)))

    def adopt(self, atoms: Iterable[Atom]) -> Step | None:
        """Adopt pixels that were painted into the labels already, as a step that can be undone.

        Parameters
        ----------
        atoms
            The value of an event of napari's ``layer.events.paint``; see `strokes.Atom`.

        Returns
        -------
        Step or None
            None if nothing has changed.

        Raises
        ------
        EditError
            If the labels do not hold the painted values.
        """
        patches = patches_of(atoms)
        if not patches:
            return None
        draft = Draft(self.state)
        draft.add(patches)
        change = draft.finish("")
        self.state.adopt(change)
        return self._add(Step((), (change,)))

    def mark(self, note: object) -> Step:
        """Add a step that changes neither labels nor parents (yet)."""
        return self._add(Step((), (), note))

    def annotate(self, step: Step, note: object) -> Step:
        """Replace the note of a step that was done; return the new step."""
        noted = replace(step, note=note)
        self._done = [noted if s is step else s for s in self._done]
        return noted

    def extend(self, change: Change) -> None:
        """Make one more change as a part of the last step, or without one if there is none.

        Undone steps can be redone as long as they still fit.

        Raises
        ------
        EditError
            If the labels are not what the change expects.
        """
        self.state.apply([change])
        if self._done:
            last = self._done[-1]
            self._done[-1] = replace(last, changes=(*last.changes, change))

    @property
    def undone(self) -> tuple[Step, ...]:
        """Steps that can be redone, the next one last."""
        return tuple(self._undone)

    def forget(self, step: Step) -> None:
        """Remove a step: it cannot be undone any more."""
        self._done = [s for s in self._done if s is not step]
        self._undone = [s for s in self._undone if s is not step]

    def _add(self, step: Step) -> Step:
        """Put a step on top, and drop the oldest beyond the limit."""
        self._done.append(step)
        self._undone.clear()
        while len(self._done) > 1 and self.nbytes > self._limit:
            del self._done[0]
        return step

    def undo(self) -> Step:
        """Undo the last step: labels and parents are as before it, bit for bit.

        Raises
        ------
        EditError
            If there is none, or the labels were changed by something else since.
        """
        if not self._done:
            raise EditError("there is nothing to undo")
        step = self._done[-1]
        self.state.apply(change.inverse() for change in reversed(step.changes))
        self._undone.append(self._done.pop())
        return step

    def redo(self) -> Step:
        """Redo the step that was undone last.

        Raises
        ------
        EditError
            If nothing was undone, or the labels were changed by something else since.
        """
        if not self._undone:
            raise EditError("there is nothing to do again")
        step = self._undone[-1]
        self.state.apply(step.changes)
        self._done.append(self._undone.pop())
        return step

    def clear(self) -> None:
        """Drop all steps; the state stays as it is."""
        self._done.clear()
        self._undone.clear()
