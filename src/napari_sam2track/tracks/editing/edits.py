"""Edits of tracks and of their lineage, as values.

Each has ``plan(state)``, which gives the `Change` it makes, or an `EditError` that says why it
cannot be made. `painting` has those that draw pixels; `history.History` makes and undoes them.

Lineage follows the edits: children belong to the end of a track, its parent to the begin.
A track without pixels is none, so links from and to it go with it. Where an edit makes a track so
long that a link does not hold any more (a parent ends before its children begin), that link is
dropped; undo brings it back.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from napari_sam2track.errors import EditError
from napari_sam2track.tracks.editing.change_builder import (
    Draft,
    check_id,
    listed,
    need,
    need_two,
    new_id,
)
from napari_sam2track.tracks.editing.changes import Change
from napari_sam2track.tracks.editing.track_state import TrackState


@dataclass(frozen=True)
class Relabel:
    """Give a track another id, which no track has.

    Attributes
    ----------
    old, new
        Its id now, and afterwards.
    """

    old: int
    new: int

    def plan(self, state: TrackState) -> Change:
        """Return the change; raise EditError if there is no such track or the new id is taken."""
        need(state, self.old)
        check_id(state, self.new)
        if self.new in state.places:
            raise EditError(
                f"track {self.old} cannot become {self.new}, which is a track already; merge "
                "them, or choose another id"
            )
        draft = Draft(state)
        draft.recolour(self.old, state.places.frames(self.old), self.new)
        draft.rename(self.old, self.new)
        return draft.finish(f"track {self.old} is {self.new} already")


@dataclass(frozen=True)
class Merge:
    """Make one track of two: the second's pixels get the id of the first.

    The parent is that of the one that begins first. Children that begin before the whole ends
    lose their parent.

    Attributes
    ----------
    a, b
        The track that stays, and the one that becomes part of it.
    overlap
        Whether frames in which both are make it an error, or both masks become one.
    """

    a: int
    b: int
    overlap: Literal["refuse", "union"] = "refuse"

    def plan(self, state: TrackState) -> Change:
        """Return the change; raise EditError if a track is missing, or both are in one frame."""
        if self.overlap not in ("refuse", "union"):
            raise EditError(f"overlap of Merge is {self.overlap!r}; give 'refuse' or 'union'")
        need_two(self.a, self.b)
        need(state, self.a, self.b)
        places = state.places
        frames_a, frames_b = places.frames(self.a), places.frames(self.b)
        both = sorted(set(frames_a) & set(frames_b))
        if both and self.overlap == "refuse":
            raise EditError(
                f"tracks {self.a} and {self.b} are both in frame {listed(both)}, where they would "
                "become one mask; ask for the union if that is meant (merge "
                f"{self.a},{self.b} union), or split one of them first"
            )
        draft = Draft(state)
        draft.recolour(self.b, frames_b, self.a)
        first = self.a if frames_a[0] <= frames_b[0] else self.b
        later = self.b if first == self.a else self.a
        draft.parents.pop(later, None)
        draft.rename(self.b, self.a)
        span = min(frames_a[0], frames_b[0]), max(frames_a[-1], frames_b[-1])
        draft.settle({self.a: span})
        return draft.finish("")


@dataclass(frozen=True)
class Split:
    """Make two tracks of one: from a frame on it gets a new id, and its children go with it.

    The two are not linked: use it where a track jumps to another object. For a
    division see `Divide`.

    Attributes
    ----------
    track
        The track; its parent stays its parent.
    frame
        The first frame of the new track.
    """

    track: int
    frame: int

    def plan(self, state: TrackState) -> Change:
        """Return the change; raise EditError if the track does not exist before and after it."""
        draft = Draft(state)
        split_off(draft, self.track, self.frame)
        return draft.finish("")


@dataclass(frozen=True)
class Divide:
    """Let a track divide: from a frame on it gets a new id, a daughter beside another one.

    Use it where a parent's track continues as one of its daughters. The children from
    before become those of the new daughter.

    Attributes
    ----------
    track
        The parent.
    other
        The other daughter; a parent that it has is replaced.
    frame
        The first frame after the division.
    """

    track: int
    other: int
    frame: int

    def plan(self, state: TrackState) -> Change:
        """Return the change; raise EditError if the other one begins before the parent ends."""
        need_two(self.track, self.other)
        need(state, self.track, self.other)
        draft = Draft(state)
        new = split_off(draft, self.track, self.frame)
        frames = state.places.frames(self.track)
        end = max(t for t in frames if t < self.frame)
        draft.link(new, self.track, min(t for t in frames if t >= self.frame), end)
        draft.link(self.other, self.track, state.places.span(self.other)[0], end)
        return draft.finish("")


def split_off(draft: Draft, track: int, frame: int) -> int:
    """Give a track a new id from a frame on, and its children to it; return the new id."""
    state = draft.state
    need(state, track)
    frames = state.places.frames(track)
    later = [t for t in frames if t >= frame]
    if not later or len(later) == len(frames):
        begin, end = frames[0], frames[-1]
        where = f"it is in frame {begin} only" if begin == end else f"choose {begin + 1} to {end}"
        raise EditError(
            f"track {track} cannot be split at frame {frame}: nothing of it would be left on one "
            f"side; {where}"
        )
    new = new_id(state)
    draft.recolour(track, later, new)
    draft.hand_over(track, new, frame)
    return new


@dataclass(frozen=True)
class Swap:
    """Exchange two tracks from a frame on, where their ids were mixed up.

    Children that begin from that frame on are exchanged as well; parents stay.

    Attributes
    ----------
    a, b
        The two tracks.
    frame
        The first frame in which they are exchanged.
    """

    a: int
    b: int
    frame: int

    def plan(self, state: TrackState) -> Change:
        """Return the change; raise EditError if neither of them is there from the frame on."""
        need_two(self.a, self.b)
        need(state, self.a, self.b)
        places = state.places
        frames = {track: places.frames(track) for track in (self.a, self.b)}
        early = {track: [t for t in found if t < self.frame] for track, found in frames.items()}
        late = {track: found[len(early[track]) :] for track, found in frames.items()}
        if not (late[self.a] or late[self.b]):
            end = max(frames[self.a][-1], frames[self.b][-1])
            raise EditError(
                f"tracks {self.a} and {self.b} cannot be exchanged from frame {self.frame} on: "
                f"they end in frame {frames[self.a][-1]} and {frames[self.b][-1]}; choose a frame "
                f"up to {end}"
            )
        draft = Draft(state)
        spans: dict[int, tuple[int, int]] = {}
        for track, other in ((self.a, self.b), (self.b, self.a)):
            draft.recolour(track, late[track], other)
            draft.hand_over(track, other, self.frame - 1)
            whole = early[track] + late[other]
            if whole:
                spans[track] = whole[0], whole[-1]
        draft.settle(spans)
        return draft.finish("")


@dataclass(frozen=True)
class Delete:
    """Remove a track, or its pixels in some frames.

    Attributes
    ----------
    track
        The track. If nothing of it is left, its children have no parent.
    start, stop
        First and last frame, both included; None: from its begin, to its end.
    """

    track: int
    start: int | None = None
    stop: int | None = None

    def plan(self, state: TrackState) -> Change:
        """Return the change; raise EditError if the track is not there, or not in these frames."""
        need(state, self.track)
        draft = Draft(state)
        frames = within(state.places.frames(self.track), self.start, self.stop)
        draft.recolour(self.track, frames, 0)
        begin, end = state.places.span(self.track)
        return draft.finish(
            f"track {self.track} is in no frame from {begin if self.start is None else self.start} "
            f"to {end if self.stop is None else self.stop}; it goes from {begin} to {end}"
        )


def within(frames: list[int], start: int | None, stop: int | None) -> list[int]:
    """The frames from `start` to `stop`, both included; None is no bound.

    Raises
    ------
    EditError
        If the range is empty.
    """
    if start is not None and stop is not None and stop < start:
        raise EditError(
            f"the range of frames from {start} to {stop} is empty; the last frame is not before "
            "the first"
        )
    return [t for t in frames if (start or 0) <= t and (stop is None or t <= stop)]


@dataclass(frozen=True)
class SetParent:
    """Set the parent of a track; a parent that it has is replaced.

    Attributes
    ----------
    child, parent
        Daughter and parent.
    """

    child: int
    parent: int

    def plan(self, state: TrackState) -> Change:
        """Return the change; raise EditError if the parent ends too late, or descends from it."""
        if self.child == self.parent:
            raise EditError(f"track {self.child} cannot be its own parent; name two tracks")
        need(state, self.child, self.parent)
        draft = Draft(state)
        begin, end = state.places.span(self.child)[0], state.places.span(self.parent)[1]
        draft.link(self.child, self.parent, begin, end)
        return draft.finish(f"track {self.parent} is the parent of {self.child} already")


@dataclass(frozen=True)
class UnsetParent:
    """Remove the parent of a track.

    Attributes
    ----------
    child
        The track.
    """

    child: int

    def plan(self, state: TrackState) -> Change:
        """Return the change; raise EditError if it has none."""
        need(state, self.child)
        draft = Draft(state)
        draft.parents.pop(self.child, None)
        return draft.finish(f"track {self.child} has no parent that could be taken away")
