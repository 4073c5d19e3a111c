"""Draft of an edit: checks of its ids, pixels that get another id, links that still hold."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence

import numpy as np
from numpy.typing import NDArray

from napari_sam2track.errors import EditError
from napari_sam2track.tracks.editing.changes import Box, Change, PixelEdit
from napari_sam2track.tracks.editing.track_state import TrackState
from napari_sam2track.tracks.lineage import ancestors


class Draft:
    """A change in the making.

    Parameters
    ----------
    state
        Tracks that are edited; nothing is written to them.

    Attributes
    ----------
    parents
        Parent of each daughter after the edit; the edit changes it.
    """

    def __init__(self, state: TrackState) -> None:
        self.state = state
        self.parents = dict(state.parents)
        self._patches: list[PixelEdit] = []

    def add(self, patches: Iterable[PixelEdit]) -> None:
        """Add pixels as they are; no pixel may be in two patches."""
        self._patches += patches

    def recolour(self, track: int, frames: Iterable[int], new: int) -> None:
        """Give all pixels of a track in some of its frames another id; 0 removes them."""
        for t in frames:
            box, mask = self.state.mask(track, t)
            self._patches.append(PixelEdit.of(t, box, mask, track, new))

    def paint(self, track: int, frame: int, box: Box, mask: NDArray[np.bool_], over: bool) -> None:
        """Give the pixels of `mask` to a track; those of other tracks only with `over`."""
        values = self.state.labels.read_box(frame, box)
        target = mask & ((values != track) if over else (values == 0))
        if target.any():
            self._patches.append(PixelEdit.of(frame, box, target, values[target], track))

    def erase(self, track: int, frame: int, box: Box, mask: NDArray[np.bool_]) -> None:
        """Make those pixels of `mask` background that are the track's."""
        target = mask & (self.state.labels.read_box(frame, box) == track)
        if target.any():
            self._patches.append(PixelEdit.of(frame, box, target, track, 0))

    def rename(self, old: int, new: int) -> None:
        """Rename a track in all links."""
        self.parents = {
            new if child == old else child: new if parent == old else parent
            for child, parent in self.parents.items()
        }

    def hand_over(self, track: int, new: int, frame: int) -> None:
        """Give those children of a track that begin after `frame` another parent."""
        for child, parent in self.state.parents.items():
            if parent == track and self.state.places.span(child)[0] > frame:
                self.parents[child] = new

    def link(self, child: int, parent: int, begin: int, end: int) -> None:
        """Set a parent, which ends in frame `end`, of a child that begins in frame `begin`.

        Raises
        ------
        EditError
            If the parent does not end before its child, or descends from it.
        """
        if begin <= end:
            raise EditError(
                f"track {parent} cannot be the parent of {child}: it goes on to frame {end}, and "
                f"{child} begins in frame {begin}; split {parent} there first, or let it divide "
                f"(divide {parent},{child}@{begin})"
            )
        if child in ancestors(parent, self.parents):
            raise EditError(
                f"track {parent} cannot be the parent of {child}, from which it descends; take "
                "its own parent away first"
            )
        self.parents[child] = parent

    def settle(self, spans: Mapping[int, tuple[int, int]]) -> None:
        """Drop the links of tracks with changed spans that do not hold any more."""
        old = self.state.places
        for child, parent in list(self.parents.items()):
            if child in spans or parent in spans:
                begin, _ = spans[child] if child in spans else old.span(child)
                _, end = spans[parent] if parent in spans else old.span(parent)
                if begin <= end:
                    del self.parents[child]

    def finish(self, nothing: str) -> Change:
        """Return the change; links of tracks that will be gone are dropped.

        Raises
        ------
        EditError
            With the sentence `nothing` if it changes nothing.
        """
        gone = self._vanishing()
        self.parents = {c: p for c, p in self.parents.items() if c not in gone and p not in gone}
        before = self.state.parents
        tracks = sorted(
            t for t in before.keys() | self.parents.keys() if before.get(t) != self.parents.get(t)
        )
        links = {t: (before.get(t), self.parents.get(t)) for t in tracks}
        if not (self._patches or links):
            raise EditError(nothing)
        return Change(tuple(self._patches), links)

    def _vanishing(self) -> set[int]:
        """Tracks that lose all their pixels."""
        lost: dict[tuple[int, int], int] = {}
        gaining: set[int] = set()
        for patch in self._patches:
            old = np.broadcast_to(np.asarray(patch.old), patch.count())
            for track, n in zip(*np.unique(old, return_counts=True), strict=True):
                key = int(track), patch.frame
                lost[key] = lost.get(key, 0) + int(n)
            gaining.update(np.unique(patch.new).tolist())
        emptied: dict[int, int] = {}
        places = self.state.places
        for (track, frame), n in lost.items():
            if track and n == places.area(track, frame):
                emptied[track] = emptied.get(track, 0) + 1
        return {t for t, n in emptied.items() if t not in gaining and n == places.n_frames(t)}


def need(state: TrackState, *tracks: int) -> None:
    """Refuse tracks that do not exist.

    Raises
    ------
    EditError
        If one is not.
    """
    for track in tracks:
        if track not in state.places:
            ids = state.places.ids
            there = f"tracks are {listed(ids)}" if ids else "there are no tracks at all"
            raise EditError(f"there is no track {track}; {there}")


def need_two(a: int, b: int) -> None:
    """Refuse a pair that is one track twice.

    Raises
    ------
    EditError
        If it is.
    """
    if a == b:
        raise EditError(f"tracks {a} and {b} are the same; name two")


def new_id(state: TrackState) -> int:
    """Return an id for a new track.

    Raises
    ------
    EditError
        If the labels cannot hold it.
    """
    new = state.next_id
    check_id(state, new)
    return new


def check_id(state: TrackState, track: int) -> None:
    """Refuse a number that cannot be the id of a track in these labels.

    Raises
    ------
    EditError
        If it is below 1, or does not fit.
    """
    if track < 1:
        raise EditError(f"{track} cannot be the id of a track; ids begin at 1")
    if track > state.labels.max_id:
        raise EditError(
            f"the id {track} does not fit these labels, which hold ids up to "
            f"{state.labels.max_id}; convert them to 32 bits, or number the tracks anew"
        )


def listed(numbers: Sequence[int], most: int = 4) -> str:
    """Ascending numbers as text, neighbours together: "1 to 5, 8"; not more than some runs."""
    runs: list[list[int]] = []
    for n in numbers:
        if runs and n == runs[-1][1] + 1:
            runs[-1][1] = n
        else:
            runs.append([n, n])
    texts = [str(a) if a == b else f"{a} to {b}" for a, b in runs[:most]]
    if len(runs) > most:
        texts.append(f"and {sum(b - a + 1 for a, b in runs[most:])} more, up to {runs[-1][1]}")
    return ", ".join(texts)
