"""States of all objects on all frames: one code and one score each."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from napari_sam2track.engine.results import State
from napari_sam2track.session.stale import Plan
from napari_sam2track.session.stored_frame import STORED_STATES, StoredFrame
from napari_sam2track.tracks.editing.track_index import Places
from napari_sam2track.workspace.annotations import Annotations

#: A code is an index into this.
STATES = ("none", "prompted", "propagated", "corrected", "stale", "absent", "approved")
NONE, PROMPTED, PROPAGATED, CORRECTED, STALE, ABSENT, APPROVED = range(len(STATES))

#: Scores below this are worth a look.
LOW_SCORE = 0.5
_SEEN = (State.PROMPTED, State.PROPAGATED)
_CODES = np.array([PROPAGATED if s in _SEEN else ABSENT for s in STORED_STATES], np.uint8)


@dataclass(eq=False)
class Results:
    """Results of runs, by object and frame: small enough to be kept in memory.

    Attributes
    ----------
    n_frames
        Of the movie.
    """

    n_frames: int
    _rows: dict[int, int] = field(default_factory=dict)
    _codes: NDArray[np.uint8] = field(init=False)
    _scores: NDArray[np.float32] = field(init=False)
    _keys: NDArray[np.uint64] = field(init=False)

    def __post_init__(self) -> None:
        shape = 0, self.n_frames
        self._codes = np.zeros(shape, np.uint8)
        self._scores, self._keys = np.zeros(shape, np.float32), np.zeros(shape, np.uint64)

    def enter(self, t: int, frame: StoredFrame | None) -> None:
        """Replace the results of a frame; None: there are none."""
        self._codes[:, t] = NONE
        if frame is None:
            return
        ids = frame.rows["id"].tolist()
        new = [i for i in ids if i not in self._rows]
        if new:
            self._grow(new)
        at = [self._rows[i] for i in ids]
        self._codes[at, t] = _CODES[frame.rows["state"]]
        self._scores[at, t] = frame.rows["score"]
        self._keys[at, t] = frame.rows["key"]

    def _grow(self, ids: list[int]) -> None:
        room = max(len(ids), len(self._codes), 8)
        if len(self._rows) + len(ids) > len(self._codes):
            more = ((0, room), (0, 0))
            self._codes = np.pad(self._codes, more)
            self._scores, self._keys = np.pad(self._scores, more), np.pad(self._keys, more)
        for i in ids:
            self._rows[i] = len(self._rows)

    def of(
        self, object_id: int
    ) -> tuple[NDArray[np.uint8], NDArray[np.float32], NDArray[np.uint64]] | None:
        """Return (codes, scores, keys) of an object by frame; None if it has no results."""
        k = self._rows.get(object_id)
        return None if k is None else (self._codes[k], self._scores[k], self._keys[k])


@dataclass(frozen=True, eq=False)
class Grid:
    """States of some objects on all frames.

    Attributes
    ----------
    ids
        Object ids, ascending.
    states
        (n_objects, n_frames) uint8, index into `STATES`.
    scores
        (n_objects, n_frames) float32, probability that the object is there; NaN: unknown.
    """

    ids: tuple[int, ...]
    states: NDArray[np.uint8]
    scores: NDArray[np.float32]

    @classmethod
    def empty(cls, ids: Sequence[int], n_frames: int) -> Grid:
        """Return a grid without any states."""
        shape = len(ids), n_frames
        return cls(tuple(ids), np.zeros(shape, np.uint8), np.full(shape, np.nan, np.float32))

    def for_objects(self, ids: Sequence[int]) -> Grid:
        """Return the grid for other objects; new ones have no states yet."""
        new = Grid.empty(ids, self.states.shape[1])
        row = {i: k for k, i in enumerate(self.ids)}
        both = [(k, row[i]) for k, i in enumerate(ids) if i in row]
        if both:
            into, rows = (list(part) for part in zip(*both, strict=True))
            new.states[into], new.scores[into] = self.states[rows], self.scores[rows]
        return new

    def problems(self) -> NDArray[np.bool_]:
        """Return (n_objects, n_frames) bool: places that a person should check.

        Stale frames, the first of frames on which an object is missing, and low scores.
        """
        absent = self.states == ABSENT
        lost = absent.copy()
        lost[:, 1:] &= ~absent[:, :-1] & (self.states[:, :-1] != NONE)
        lost[:, :1] = False
        low = (self.states == PROPAGATED) & (np.nan_to_num(self.scores, nan=1.0) < LOW_SCORE)
        found: NDArray[np.bool_] = (self.states == STALE) | lost | low
        return found

    def next_problem(self, after: tuple[int, int]) -> tuple[int, int] | None:
        """Return (frame, object) of the next cell to check, around the end; None: no problem."""
        at = np.argwhere(self.problems())
        keys = sorted((int(t), self.ids[k]) for k, t in at)
        return next((key for key in keys if key > after), keys[0]) if keys else None


def fill(
    grid: Grid,
    objects: Collection[int],
    annotations: Annotations,
    places: Places,
    results: Results,
    plan: Plan | None,
    frame: int | None = None,
) -> None:
    """Enter the present states of some objects.

    Parameters
    ----------
    grid
        Changed in place.
    objects
        The objects whose rows are filled.
    annotations
        Annotations of a person.
    places
        Where the labels have pixels.
    results, plan
        Results of runs, and the plan that says which of them are stale; no plan: no results.
    frame
        The column; None: all. A run writes frame after frame, and one costs next to nothing.
    """
    first, end = (0, grid.states.shape[1]) if frame is None else (frame, frame + 1)
    part, frames = slice(first, end), range(first, end)
    for k, i in enumerate(grid.ids):
        if i not in objects:
            continue
        codes, scores = grid.states[k, part], grid.scores[k, part]
        there = places.present(i, frames)
        codes[:], scores[:] = np.where(there, PROPAGATED, NONE), np.nan
        found = results.of(i) if plan is not None else None
        if found is not None and plan is not None:
            states, probable, keys = (values[part] for values in found)
            has, holds = states != NONE, np.zeros(len(codes), bool)
            for s in plan.segments(i):
                low, high = sorted((s.frames[0], s.frames[-1]))  # min of a range would walk it
                inside = slice(max(low - first, 0), max(high + 1 - first, 0))
                holds[inside] = keys[inside] == s.key
            codes[has] = np.where(holds, states, STALE)[has]
            scores[has] = probable[has]
        kept = _within(annotations.kept.of(i), frames)
        codes[kept] = np.where(there[kept], CORRECTED, ABSENT)
        given = annotations.prompts.of_object(i)
        codes[_within(given, frames)] = CORRECTED
        codes[_within(list(given)[:1], frames)] = PROMPTED
        codes[_within(annotations.approved.of(i), frames)] = APPROVED


def _within(some: Collection[int], frames: range) -> list[int]:
    """Return frames within a range, as indices into it."""
    if len(some) > len(frames):
        return [t - frames.start for t in frames if t in some]
    return [t - frames.start for t in some if t in frames]
