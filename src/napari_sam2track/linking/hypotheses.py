"""Hypotheses of each object's next frame: it continued, or it divided; and how well that fits.

The gain of a hypothesis is a log-likelihood ratio in nats: the observation, if it is true, against
that of objects that have nothing to do with each other. Two things are observed: how
much the moved mask overlaps, and the change in area. In most movies objects hardly change their
area from one frame to the next, or all by the same factor; how narrowly they keep to it is
measured in the movie itself (`Growth`).
"""

from __future__ import annotations

import itertools
from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from napari_sam2track.linking.objects import Objects
from napari_sam2track.linking.overlap import Overlaps

#: Gain per unit of IoU, and the IoU at which it is zero: that of chance neighbours.
_PER_IOU, _CHANCE_IOU = 8.0, 0.15
#: Standard deviation of the log area ratio of unrelated objects, and of two daughters.
_UNRELATED, _DAUGHTERS = 0.7, 0.25
#: Probability that an area is meaningless: a bad outline, an object half hidden.
_ODD = 0.05
#: Log prior odds of a division against a continuation.
_DIVISION = -1.5
#: Gain of an object that need not be explained as one that appeared (or vanished) on its own:
#: inside the frame, and at its border.
_APPEARS, _APPEARS_AT_BORDER = 2.0, 0.3
#: How far an object without overlap is searched, in its diameters, and the cost at that distance.
_REACH, _FAR = 1.5, 4.0
#: Number of those that are considered.
_NEAREST = 8
#: Daughters that are considered: covered by the moved parent at least so far, at most so many.
_COVERED, _MOST_DAUGHTERS = 0.1, 4


@dataclass(frozen=True, slots=True)
class Growth:
    """Change of areas from frame to frame: the log of their ratio.

    Attributes
    ----------
    mean, spread
        Of the log area ratio of objects that continued.
    count
        Number of objects behind it, weighted by how recent they are.
    """

    mean: float = 0.0
    spread: float = 0.25
    count: float = 4.0

    def after(self, log_ratios: NDArray[np.float64], memory: float = 60.0) -> Growth:
        """Return the growth after a further frame's ratios, shape (n,); older frames fade."""
        if len(log_ratios) == 0:
            return self
        centre = float(np.median(log_ratios))
        spread = 1.48 * float(np.median(np.abs(log_ratios - centre)))
        n = float(len(log_ratios))
        kept = min(self.count, memory)
        total = kept + n
        mean = (kept * self.mean + n * centre) / total
        apart = kept * n / total**2 * (centre - self.mean) ** 2
        variance = (kept * self.spread**2 + n * spread**2) / total + apart
        return Growth(mean, max(float(np.sqrt(variance)), 0.03), total)


@dataclass(frozen=True, eq=False, slots=True)
class Hypotheses:
    """Hypotheses of links between two frames; row k of each array is one.

    Attributes
    ----------
    parent, child, sibling
        Shape (m,), int64: positions in the first and in the second frame; sibling is the other
        daughter of a division, -1 where the object continued.
    gain
        Shape (m,), float64, in nats.
    iou
        Shape (m,), float64: of the moved mask with the child, or with both daughters; 0 where
        they do not touch.
    """

    parent: NDArray[np.int64]
    child: NDArray[np.int64]
    sibling: NDArray[np.int64]
    gain: NDArray[np.float64]
    iou: NDArray[np.float64]

    def __len__(self) -> int:
        return len(self.parent)

    def take(self, which: NDArray[np.intp] | NDArray[np.bool_]) -> Hypotheses:
        """Return some of them."""
        return Hypotheses(
            self.parent[which],
            self.child[which],
            self.sibling[which],
            self.gain[which],
            self.iou[which],
        )


def join(parts: Iterable[Hypotheses]) -> Hypotheses:
    """Join all hypotheses of some sets, in their order."""
    sets = list(parts)
    columns = zip(*((h.parent, h.child, h.sibling, h.gain, h.iou) for h in sets), strict=True)
    return Hypotheses(*(np.concatenate(column) for column in columns))


_NONE = np.zeros(0, np.int64)
NO_HYPOTHESES = Hypotheses(_NONE, _NONE, _NONE, np.zeros(0), np.zeros(0))


def going_on(first: Objects, second: Objects, overlaps: Overlaps, growth: Growth) -> Hypotheses:
    """Return each overlap as an object that continued."""
    i, j = overlaps.first, overlaps.second
    gain = _of_iou(overlaps.iou) + _of_area(first, second, growth, i, second.areas[j], j)
    gain += _appears(first)[i] + _appears(second)[j]
    return Hypotheses(i, j, np.full(len(i), -1), gain, overlaps.iou)


def dividing(first: Objects, second: Objects, overlaps: Overlaps, growth: Growth) -> Hypotheses:
    """Return pairs of objects at the expected place of one object, as its daughters."""
    keep = np.flatnonzero(overlaps.in_second >= _COVERED)
    keep = keep[np.lexsort((-overlaps.pixels[keep], overlaps.first[keep]))]
    i = overlaps.first[keep]
    rank = np.arange(len(i)) - np.searchsorted(i, i)
    rows: list[tuple[NDArray[np.intp], NDArray[np.intp]]] = []
    by_rank = [np.flatnonzero(rank == r) for r in range(_MOST_DAUGHTERS)]
    for a, b in itertools.combinations(range(_MOST_DAUGHTERS), 2):
        with_b = by_rank[b]
        with_a = by_rank[a][np.searchsorted(i[by_rank[a]], i[with_b])]
        rows.append((keep[with_a], keep[with_b]))
    one = np.concatenate([a for a, _ in rows])
    two = np.concatenate([b for _, b in rows])
    i, j, k = overlaps.first[one], overlaps.second[one], overlaps.second[two]
    area_j, area_k = overlaps.second_area[one], overlaps.second_area[two]
    shared = np.minimum(overlaps.pixels[one] + overlaps.pixels[two], overlaps.first_area[one])
    iou = shared / (overlaps.first_area[one] + area_j + area_k - shared)
    both = second.areas[j] + second.areas[k]
    gain = _of_iou(iou) + _of_area(first, second, growth, i, both, j, k)
    whole = ~(second.at_border[j] | second.at_border[k])
    uneven = np.log(second.areas[j] / second.areas[k])
    gain += np.where(whole, _likelihood(uneven, 0.0, _DAUGHTERS), 0.0)
    gain += _DIVISION + _appears(first)[i] + _appears(second)[j] + _appears(second)[k]
    return Hypotheses(i, j, k, gain, iou)


def nearby(
    first: Objects,
    second: Objects,
    expected: NDArray[np.float64],
    free_first: NDArray[np.bool_],
    free_second: NDArray[np.bool_],
    max_distance: float | None,
    growth: Growth,
) -> Hypotheses:
    """Return pairs of objects that touch nothing where they are expected, with those close by.

    Parameters
    ----------
    first, second
        Objects of the two frames.
    expected
        Shape (n, d): where the centres of the first are expected.
    free_first, free_second
        Shape (n,), (m,), bool: which of them touch nothing.
    max_distance
        In pixels; None is one and a half diameters of a disc (ball) of the object's area.
    growth
        Of areas.
    """
    from scipy.spatial import cKDTree

    rows, columns = np.flatnonzero(free_first), np.flatnonzero(free_second)
    if len(rows) == 0 or len(columns) == 0 or max_distance == 0:
        return NO_HYPOTHESES
    if max_distance is None:
        reach = _REACH * _diameters(first.areas[rows], first.ndim)
    else:
        reach = np.full(len(rows), max_distance)
    k = min(_NEAREST, len(columns))
    distances, near = cKDTree(second.centres[columns]).query(expected[rows], k=k)
    distances, near = (np.asarray(a).reshape(len(rows), k) for a in (distances, near))
    row, rank = np.nonzero(distances <= reach[:, None])
    i, j, distance = rows[row], columns[near[row, rank]], distances[row, rank]
    gain = _of_iou(np.zeros(len(i))) - _FAR * (distance / np.maximum(reach[row], 1e-9)) ** 2
    gain += _of_area(first, second, growth, i, second.areas[j], j)
    gain += _appears(first)[i] + _appears(second)[j]
    return Hypotheses(i, j, np.full(len(i), -1), gain, np.zeros(len(i)))


def _diameters(areas: NDArray[np.float64], ndim: int) -> NDArray[np.float64]:
    """Diameters of discs or balls of these areas."""
    disc = np.sqrt(4 * areas / np.pi)
    return disc if ndim == 2 else np.cbrt(6 * areas / np.pi)


def log_ratios(first: Objects, second: Objects, chosen: Hypotheses) -> NDArray[np.float64]:
    """Return log area ratios of the chosen that continued and are not cut off by the border."""
    i, j = chosen.parent, chosen.child
    whole = (chosen.sibling < 0) & ~first.at_border[i] & ~second.at_border[j]
    return np.log(second.areas[j[whole]] / first.areas[i[whole]])


def _of_iou(iou: NDArray[np.float64]) -> NDArray[np.float64]:
    return _PER_IOU * (iou - _CHANCE_IOU)


def _of_area(
    first: Objects,
    second: Objects,
    growth: Growth,
    i: NDArray[np.int64],
    area: NDArray[np.float64],
    *children: NDArray[np.int64],
) -> NDArray[np.float64]:
    """Return the gain of areas; 0 where the border cuts one of the objects off.

    The measured change in a frame holds for as many as have passed.
    """
    age = first.age[i]
    mean, spread = growth.mean * age, growth.spread * np.sqrt(age)
    gain = _likelihood(np.log(area / first.areas[i]), mean, spread)
    whole = ~first.at_border[i]
    for child in children:
        whole &= ~second.at_border[child]
    return np.where(whole, gain, 0.0)


def _likelihood(
    log_ratio: NDArray[np.float64],
    mean: NDArray[np.float64] | float,
    spread: NDArray[np.float64] | float,
) -> NDArray[np.float64]:
    """Return the log-likelihood ratio of a log area ratio, against that of unrelated objects."""
    related = np.exp(-0.5 * ((log_ratio - mean) / spread) ** 2) / spread
    chance = np.exp(-0.5 * (log_ratio / _UNRELATED) ** 2) / _UNRELATED
    return np.log((1 - _ODD) * related / np.maximum(chance, 1e-12) + _ODD)


def _appears(objects: Objects) -> NDArray[np.float64]:
    """Return the cost of an object that appeared or vanished where it is."""
    return np.where(objects.at_border, _APPEARS_AT_BORDER, _APPEARS)
