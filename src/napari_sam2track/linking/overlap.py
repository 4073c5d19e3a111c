"""Overlap of the objects of two frames: a sparse table of the pairs that touch."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from napari_sam2track.linking.motion import Motion, move
from napari_sam2track.linking.objects import ObjectFrame, Objects

#: IoU below which two objects overlap by chance, if at all.
TOUCHING = 0.1


@dataclass(frozen=True, eq=False, slots=True)
class Overlaps:
    """Pairs of objects that share pixels, sorted by (first, second); row k of each array is one.

    Attributes
    ----------
    first, second
        Shape (m,), int64: positions of the objects in their frames.
    pixels
        Shape (m,), float64: pixels that they share.
    first_area, second_area
        Shape (m,), float64: areas of the two as far as both frames show them; that of the first
        is as large as its motion makes it.
    """

    first: NDArray[np.int64]
    second: NDArray[np.int64]
    pixels: NDArray[np.float64]
    first_area: NDArray[np.float64]
    second_area: NDArray[np.float64]

    def __len__(self) -> int:
        return len(self.first)

    @property
    def iou(self) -> NDArray[np.float64]:
        """Intersection over union, 0 to 1."""
        return self.pixels / (self.first_area + self.second_area - self.pixels)

    @property
    def in_first(self) -> NDArray[np.float64]:
        """Share of the first object that lies in the second, 0 to 1."""
        return np.divide(
            self.pixels, self.first_area, out=np.zeros_like(self.pixels), where=self.first_area > 0
        )

    @property
    def in_second(self) -> NDArray[np.float64]:
        """Share of the second object that the first covers, 0 to 1."""
        return np.minimum(self.pixels / self.second_area, 1.0)


def untouched(
    overlaps: Overlaps, n_first: int, n_second: int, min_iou: float
) -> tuple[NDArray[np.bool_], NDArray[np.bool_]]:
    """Return which objects overlap with none that counts: shapes (n_first,) and (n_second,).

    A sliver counts as none (`TOUCHING`), unless pairs with less are taken.
    """
    counts = overlaps.iou >= min(min_iou, TOUCHING)
    first, second = np.ones(n_first, bool), np.ones(n_second, bool)
    first[overlaps.first[counts]] = False
    second[overlaps.second[counts]] = False
    return first, second


def overlap_table(first: ObjectFrame, second: ObjectFrame) -> Overlaps:
    """Return overlaps of two frames as they lie, counted pixel by pixel, in one pass.

    Raises
    ------
    ValueError
        If the frames differ in shape.
    """
    if first.index.shape != second.index.shape:
        raise ValueError(
            f"frames of {first.index.shape} and {second.index.shape} pixels do not match"
        )
    i, j = first.index.ravel(), second.index.ravel()
    both = np.flatnonzero((i > 0) & (j > 0))
    key = (i[both].astype(np.int64) - 1) * len(second.objects) + (j[both] - 1)
    # Equal neighbours first, so that runs are sorted, not pixels.
    begins = np.flatnonzero(np.diff(key, prepend=-1))
    lengths = np.diff(begins, append=len(key)).astype(np.float64)
    pairs, index = np.unique(key[begins], return_inverse=True)
    shared = np.bincount(index, weights=lengths, minlength=len(pairs)).astype(np.float64)
    return _table(pairs, shared, first.objects.areas, second.objects.areas)


def overlap_moved(first: Objects, motion: Motion, second: ObjectFrame) -> Overlaps:
    """Estimate overlaps after the first objects have moved, from their points."""
    at = np.rint(move(first, motion)).astype(np.int64)
    inside = _inside(at, second.index.shape)
    under = second.index[tuple(at[inside].T)].astype(np.int64)
    hit = under > 0
    owner = first.owner[inside]
    key = owner[hit] * len(second.objects) + (under[hit] - 1)
    pairs, counts = np.unique(key, return_counts=True)
    weight = first.weight * motion.stretch()
    visible = np.bincount(owner, minlength=len(first)) * weight
    shared = counts.astype(np.float64) * weight[pairs // max(len(second.objects), 1)]
    table = _table(pairs, shared, visible, second.objects.areas)
    return _seen_in_both(table, first, motion, second)


def _seen_in_both(table: Overlaps, first: Objects, motion: Motion, second: ObjectFrame) -> Overlaps:
    """Leave out the parts of the second objects that have just come in over the border.

    Parts that have just left are not counted either: only the moved points still in the frame are.
    """
    rows = np.flatnonzero(first.at_border[table.first])
    if len(rows) == 0:
        return table
    there = second.objects.take(table.second[rows])
    before = there.points - motion.shift[table.first[rows]][there.owner]
    was_inside = _inside(np.rint(before), second.index.shape)
    share = np.bincount(there.owner, was_inside, len(rows)) / np.bincount(there.owner)
    area = table.second_area.copy()
    area[rows] = np.maximum(area[rows] * share, table.pixels[rows])
    return replace(table, second_area=area)


def _inside(at: NDArray[Any], shape: tuple[int, ...]) -> NDArray[np.bool_]:
    """Return which of some pixels (p, d) lie in a frame."""
    inside = np.ones(len(at), bool)
    for axis, n in enumerate(shape):
        inside &= (at[:, axis] >= 0) & (at[:, axis] < n)
    return inside


def _table(
    pairs: NDArray[np.int64],
    shared: NDArray[np.float64],
    first_area: NDArray[np.float64],
    second_area: NDArray[np.float64],
) -> Overlaps:
    """Return the table of pairs whose keys are ``i * len(second) + j``, ascending."""
    i, j = np.divmod(pairs, max(len(second_area), 1))
    # Moved points can fall together, so that the estimate exceeds what there is.
    shared = np.minimum(shared, np.minimum(first_area[i], second_area[j]))
    return Overlaps(i, j, shared, first_area[i], second_area[j])
