"""Objects of a frame as linking uses them: some points of each, which can be moved.

Moving whole masks costs a pass over the frame for every motion that is tried. A few hundred
points of each object give its overlap with the next frame as well, at a fraction of the cost.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from napari_sam2track.tracks.regions import Regions, Runs, find_runs, measure_runs

#: Points of an object, at most; smaller objects are all of their pixels.
MAX_POINTS = 192
_GOLDEN = 0.6180339887498949


@dataclass(frozen=True, eq=False, slots=True)
class Objects:
    """Objects as they lie in one frame; row k of each array is one.

    Attributes
    ----------
    areas
        Shape (n,), float64, in pixels.
    centres
        Shape (n, d), float64: centroids along the axes of the frame, d = 2 or 3, in pixels.
    at_border
        Shape (n,), bool: whether it touches the border of the frame, where it may be cut off.
    points
        Shape (p, d), float64: points of the objects, in pixels.
    owner
        Shape (p,), int64, ascending: whose each point is.
    weight
        Shape (n,), float64: pixels that a point of the object stands for.
    age
        Shape (n,), float64: how many frames ago it was seen, from the frame that it is compared
        with; 1 for the frame before.
    """

    areas: NDArray[np.float64]
    centres: NDArray[np.float64]
    at_border: NDArray[np.bool_]
    points: NDArray[np.float64]
    owner: NDArray[np.int64]
    weight: NDArray[np.float64]
    age: NDArray[np.float64]

    def __len__(self) -> int:
        return len(self.areas)

    @property
    def ndim(self) -> int:
        """Axes of the frame, 2 or 3."""
        return int(self.centres.shape[1])

    def take(self, which: NDArray[np.intp]) -> Objects:
        """Return some of them, in the order of `which`, shape (m,)."""
        sizes = np.bincount(self.owner, minlength=len(self))
        begins = np.cumsum(sizes) - sizes
        owner = np.repeat(np.arange(len(which)), sizes[which])
        points = self.points[begins[which][owner] + _ranks(sizes[which])]
        return Objects(
            self.areas[which],
            self.centres[which],
            self.at_border[which],
            points,
            owner,
            self.weight[which],
            self.age[which],
        )


def together(first: Objects, second: Objects) -> Objects:
    """Join objects of two sets, those of the first before those of the second."""
    return Objects(
        np.concatenate([first.areas, second.areas]),
        np.concatenate([first.centres, second.centres]),
        np.concatenate([first.at_border, second.at_border]),
        np.concatenate([first.points, second.points]),
        np.concatenate([first.owner, second.owner + len(first)]),
        np.concatenate([first.weight, second.weight]),
        np.concatenate([first.age, second.age]),
    )


def thinned(objects: Objects, step: int) -> Objects:
    """Return the objects with every `step`-th of their points, and at least one each."""
    sizes = np.bincount(objects.owner, minlength=len(objects))
    keep = _ranks(sizes) % step == 0
    left = np.bincount(objects.owner[keep], minlength=len(objects))
    weight = objects.weight * sizes / np.maximum(left, 1)
    return replace(objects, points=objects.points[keep], owner=objects.owner[keep], weight=weight)


@dataclass(frozen=True, eq=False, slots=True)
class ObjectFrame:
    """A frame and its objects.

    Attributes
    ----------
    regions
        Labels, areas, centroids, boxes.
    objects
        The same objects, in the same order.
    index
        The frame with the positions of the objects in `regions`, counted from 1, as values;
        int32, 0 is the background.
    """

    regions: Regions
    objects: Objects
    index: NDArray[np.int32]


def describe(labels: NDArray[np.uint32]) -> ObjectFrame:
    """Measure a frame (Y, X) or (Z, Y, X) of labels and choose points of its objects."""
    runs = find_runs(labels)
    regions, owner = measure_runs(runs, labels.shape)
    index = np.zeros(labels.size, np.int32)
    _fill(index, runs, owner + 1)
    n = len(regions)
    ndim = labels.ndim
    low, high = regions.boxes[:, 3 - ndim : 3], regions.boxes[:, 6 - ndim :]
    # A movie of few planes is all border along z; a cut there is the rule, not an event.
    yx_low, yx_high, yx = low[:, -2:], high[:, -2:], labels.shape[-2:]
    at_border = (yx_low == 0).any(axis=1) | (yx_high == yx).any(axis=1)

    counts = np.minimum(regions.areas, MAX_POINTS)
    whose = np.repeat(np.arange(n), counts)
    # The k-th point lies in the k-th of equal parts of the object's pixels, row by row; shifting
    # it within the part keeps the points of a rectangle from lining up.
    k = _ranks(counts)
    step = regions.areas / np.maximum(counts, 1)
    place = ((k + (k * _GOLDEN) % 1.0) * step[whose]).astype(np.int64)
    flat = _pixels(runs, owner, place, whose)
    points = np.stack(np.unravel_index(flat, labels.shape), axis=1).astype(np.float64)
    centres = regions.centroids[:, 3 - ndim :]
    areas = regions.areas.astype(np.float64)
    objects = Objects(areas, centres, at_border, points, whose, step, np.ones(n))
    return ObjectFrame(regions, objects, index.reshape(labels.shape))


def _ranks(sizes: NDArray[np.int64]) -> NDArray[np.int64]:
    """Return 0, 1, ... within each of groups of these sizes, one after another."""
    begins = np.cumsum(sizes) - sizes
    return np.arange(int(sizes.sum())) - np.repeat(begins, sizes)


def _fill(flat: NDArray[np.int32], runs: Runs, values: NDArray[np.intp]) -> None:
    """Paint runs into a flat frame of zeros."""
    edges = np.zeros(len(flat) + 1, np.int32)
    np.add.at(edges, runs.begins, values)
    np.subtract.at(edges, runs.begins + runs.lengths, values)
    np.cumsum(edges[:-1], out=flat)


def _pixels(
    runs: Runs, owner: NDArray[np.intp], place: NDArray[np.int64], whose: NDArray[np.int64]
) -> NDArray[np.int64]:
    """Return the flat position of the `place`-th pixel of object `whose`, for each point."""
    order = np.argsort(owner, kind="stable")
    ends = np.cumsum(runs.lengths[order])
    first_run = np.searchsorted(owner[order], np.arange(int(owner.max(initial=-1)) + 2))
    before = np.concatenate([[0], ends])[first_run]  # pixels of the objects before
    at = place + before[whose]
    run = np.searchsorted(ends, at, side="right")
    within = at - (ends[run] - runs.lengths[order][run])
    flat: NDArray[np.int64] = runs.begins[order][run] + within
    return flat
