"""Lineage of tracks: a parent for some of them, and what can be wrong with it.

A parent's track ends before its daughter's begins. A broken lineage is accepted here: cycles
and unknown parents are reported by `lineage_problems`, and all other functions end on them too.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Literal

from napari_sam2track.tracks.table import TrackTable

#: First and last frame of each track, both included.
Spans = Mapping[int, tuple[int, int]]
#: Track id of a daughter to the track id of its parent.
Parents = Mapping[int, int]

Kind = Literal[
    "own parent",
    "cycle",
    "unknown track",
    "unknown parent",
    "begins too early",
    "long wait",
    "one child",
    "many children",
]

#: These break the lineage; the other kinds are allowed, but seldom meant.
ERRORS: frozenset[Kind] = frozenset(
    ("own parent", "cycle", "unknown track", "unknown parent", "begins too early")
)


@dataclass(frozen=True, slots=True)
class Problem:
    """A problem of a lineage, or something that looks like one.

    Attributes
    ----------
    track
        The track to look at: the daughter, or the parent where its children are too few or many.
    frame
        Frame of the problem; None where no frame says more than another.
    kind
        Name of the problem, for programs.
    text
        Description for people: one sentence with the ids and frames.
    """

    track: int
    frame: int | None
    kind: Kind
    text: str

    @property
    def severity(self) -> Literal["error", "warning"]:
        """Severity: a broken lineage is an error, an unusual one a warning."""
        return "error" if self.kind in ERRORS else "warning"


def problems(table: TrackTable, long_wait: int = 3) -> list[Problem]:
    """Return all problems of the lineage of a table; see `lineage_problems`."""
    return lineage_problems(spans(table), table.parents, long_wait)


def lineage_problems(spans: Spans, parents: Parents, long_wait: int = 3) -> list[Problem]:
    """Return all problems of a lineage, sorted by track.

    Parameters
    ----------
    spans
        First and last frame of every track.
    parents
        Parent of each daughter.
    long_wait
        Most frames in a row between a parent's end and its child's begin that go unremarked;
        truth of the Cell Tracking Challenge leaves some out at divisions.

    Returns
    -------
    list
        Errors and warnings; empty for a lineage without either.
    """
    found: list[Problem] = []
    for child, parent in parents.items():
        frame = spans[child][0] if child in spans else None
        if child == parent:
            found.append(Problem(child, frame, "own parent", f"track {child} is its own parent"))
            continue
        if child not in spans:
            text = f"track {child}, child of {parent}, does not exist"
            found.append(Problem(child, None, "unknown track", text))
        if parent not in spans:
            text = f"the parent {parent} of track {child} does not exist"
            found.append(Problem(child, frame, "unknown parent", text))
        if child in spans and parent in spans:
            found += _order(child, parent, spans, long_wait)
    for ring in _cycles(parents):
        names = " -> ".join(str(track) for track in (*ring, ring[0]))
        text = f"the parents go in a circle: {names}"
        found.append(Problem(ring[0], spans.get(ring[0], (None,))[0], "cycle", text))
    for parent, brood in children(parents).items():
        frame = spans[parent][1] if parent in spans else None
        if len(brood) == 1 and brood[0] != parent:
            text = f"track {parent} has only one child, {brood[0]}: a division has two"
            found.append(Problem(parent, frame, "one child", text))
        elif len(brood) > 2:
            text = f"track {parent} has {len(brood)} children: {', '.join(map(str, brood))}"
            found.append(Problem(parent, frame, "many children", text))
    return sorted(found, key=lambda p: (p.track, p.kind))


def _order(child: int, parent: int, spans: Spans, long_wait: int) -> list[Problem]:
    """Return the problems of the frame in which a child begins."""
    begin, end = spans[child][0], spans[parent][1]
    if begin <= end:
        text = (
            f"track {child} begins in frame {begin}, but its parent {parent} goes on to frame "
            f"{end}: a parent ends before its children begin"
        )
        return [Problem(child, begin, "begins too early", text)]
    if begin - end - 1 > long_wait:
        text = (
            f"track {child} begins in frame {begin}, {begin - end - 1} frames after its parent "
            f"{parent} was last there"
        )
        return [Problem(child, begin, "long wait", text)]
    return []


def _cycles(parents: Parents) -> list[list[int]]:
    """Return circles of two tracks or more, each from its smallest id on, child before parent."""
    rings: list[list[int]] = []
    done: set[int] = set()
    for start in sorted(parents):
        path: list[int] = []
        at: dict[int, int] = {}
        track: int | None = start
        while track is not None and track not in done and track not in at:
            at[track] = len(path)
            path.append(track)
            track = parents.get(track)
        if track in at:
            ring = path[at[track] :]
            if len(ring) > 1:
                first = ring.index(min(ring))
                rings.append(ring[first:] + ring[:first])
        done.update(path)
    return rings


def spans(table: TrackTable) -> dict[int, tuple[int, int]]:
    """Return the first and last frame of every track of a table, both included."""
    return {
        int(rows["track"][0]): (int(rows["frame"][0]), int(rows["frame"][-1]))
        for rows in table.tracks()
    }


def children(parents: Parents) -> dict[int, list[int]]:
    """Return the children of every track that has some, ascending."""
    found: dict[int, list[int]] = {}
    for child in sorted(parents):
        found.setdefault(parents[child], []).append(child)
    return found


def descendants(track: int, parents: Parents) -> list[int]:
    """Return children, grandchildren and so on of a track: nearest first, without itself."""
    below = children(parents)
    seen = {track}
    found: list[int] = []
    generation = [track]
    while generation:
        generation = [c for t in generation for c in below.get(t, ()) if c not in seen]
        seen.update(generation)
        found += generation
    return found


def ancestors(track: int, parents: Parents) -> list[int]:
    """Return parent, grandparent and so on of a track, without itself."""
    found: list[int] = []
    seen = {track}
    while (parent := parents.get(track)) is not None and parent not in seen:
        found.append(parent)
        seen.add(parent)
        track = parent
    return found


def lineage_ids(tracks: Iterable[int], parents: Parents) -> dict[int, int]:
    """Return the lineage of each track: the id of its first ancestor, its own without a parent.

    GEFF's definition of a lineage: tracks connected by parents. In a circle the smallest id
    stands for all.
    """
    return {track: root for track, (root, _) in _places(tracks, parents).items()}


def generations(tracks: Iterable[int], parents: Parents) -> dict[int, int]:
    """Return the number of ancestors of each track; 0 without a parent. In a circle all have 0."""
    return {track: depth for track, (_, depth) in _places(tracks, parents).items()}


def _places(tracks: Iterable[int], parents: Parents) -> dict[int, tuple[int, int]]:
    """Return root and number of ancestors of each track, each visited once."""
    known: dict[int, tuple[int, int]] = {}
    for ring in _cycles(parents):
        known.update(dict.fromkeys(ring, (ring[0], 0)))
    tracks = list(tracks)
    for track in tracks:
        path: list[int] = []
        while track not in known:
            parent = parents.get(track)
            if parent is None or parent == track:
                known[track] = (track, 0)
            else:
                path.append(track)
                track = parent
        root, depth = known[track]
        for below in reversed(path):
            depth += 1
            known[below] = (root, depth)
    return {track: known[track] for track in tracks}
