"""Layout of a lineage tree: the row of each track, by pure functions."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from napari_sam2track.tracks.lineage import Parents, Spans, children, lineage_ids


@dataclass(frozen=True, slots=True)
class _Family:
    """A root with all its descendants, on rows of its own from 0 on."""

    root: int
    rows: Mapping[int, float]
    height: int
    first: int
    last: int


def layout(spans: Spans, parents: Parents, gap: int = 0) -> dict[int, float]:
    """Return the rows of tracks in a lineage tree.

    Daughters are beside each other, a parent is midway between its first and its last daughter.
    Families that do not meet in time share rows. Two tracks that meet in time are one row apart or
    more, also where a lineage is broken (daughters that begin before their parent ends, circles).

    Parameters
    ----------
    spans
        First and last frame of each track, both included.
    parents
        Daughter to parent. Tracks not in ``spans`` are left out.
    gap
        Least number of frames between two families on one row.

    Returns
    -------
    dict
        Track to row, from 0 on; parents may be between rows.
    """
    known = known_parents(spans, parents)
    daughters = children(known)
    families = [_family(root, daughters, spans) for root in spans if root not in known]
    families.sort(key=lambda f: (f.first, -f.height, f.root))
    rows: dict[int, float] = {}
    free_from = np.zeros(0, np.int64)  # of each row, the frame from which on it is free
    for family in families:
        top = _lowest(free_from <= family.first, family.height)
        missing = top + family.height - len(free_from)
        if missing > 0:
            free_from = np.concatenate([free_from, np.zeros(missing, np.int64)])
        free_from[top : top + family.height] = family.last + 1 + gap
        rows.update((track, top + row) for track, row in family.rows.items())
    return rows


def known_parents(spans: Spans, parents: Parents) -> dict[int, int]:
    """Return parents among the existing tracks; a circle is opened at its smallest id."""
    known = {c: p for c, p in parents.items() if c in spans and p in spans and c != p}
    roots = lineage_ids(known, known)
    # The root of a lineage has a parent only if it is in a circle.
    return {c: p for c, p in known.items() if roots[c] != c}


def _family(root: int, daughters: Mapping[int, list[int]], spans: Spans) -> _Family:
    order = [root]
    for track in order:  # grows while it is gone through: parents before daughters
        order += daughters.get(track, ())
    # The earliest frame below each track. One that lasts longer needs a row of its own.
    earliest: dict[int, int] = {}
    for track in reversed(order):
        below = [min(earliest.get(d, spans[d][0]), spans[d][0]) for d in daughters.get(track, ())]
        if below:
            earliest[track] = min(below)
    rows: dict[int, float] = {}
    height = 0
    todo: list[tuple[int, bool]] = [(root, False)]
    while todo:
        track, now = todo.pop()
        below = daughters.get(track, [])
        if now or not below:
            rows[track] = height
            height += 1
        elif earliest[track] <= spans[track][1]:
            half = (len(below) + 1) // 2
            steps = [(d, False) for d in below]
            todo += reversed([*steps[:half], (track, True), *steps[half:]])
        else:
            todo += [(d, False) for d in reversed(below)]
    for track in reversed(order):
        if track not in rows:
            below = daughters[track]
            rows[track] = (rows[below[0]] + rows[below[-1]]) / 2
    first, last = min(spans[t][0] for t in order), max(spans[t][1] for t in order)
    return _Family(root, rows, height, first, last)


def _lowest(free: np.ndarray, height: int) -> int:
    """Return the lowest row from which on so many are free; rows beyond the last are."""
    taken = np.flatnonzero(~free)
    edges = np.concatenate([[-1], taken])
    room = np.diff(np.concatenate([edges, [len(free) + height]])) - 1
    return int(edges[int(np.argmax(room >= height))]) + 1
