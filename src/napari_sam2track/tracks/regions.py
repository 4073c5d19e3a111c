"""Areas, centroids and bounding boxes of labelled objects, in one pass over the frame.

Label images are made of long horizontal runs of equal values. Finding the runs takes one
comparison per pixel; all that follows works on the runs, of which there are far fewer. Ids may
be any uint32: nothing here has a table as long as the largest id.

Places are (z, y, x) whatever the frame; z is 0 in a frame of (Y, X).
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray


@dataclass(frozen=True, eq=False, slots=True)
class Regions:
    """The objects of one frame, sorted by label.

    Attributes
    ----------
    labels
        Shape (n,), uint32, ascending, without the background 0.
    areas
        Shape (n,), int64, in pixels (in 3D: voxels).
    centroids
        Shape (n, 3), float64, (z, y, x) in pixels; the centre of a pixel is at the integer.
    boxes
        Shape (n, 6), int64, (z0, y0, x0, z1, y1, x1), the ends excluded.
    """

    labels: NDArray[np.uint32]
    areas: NDArray[np.int64]
    centroids: NDArray[np.float64]
    boxes: NDArray[np.int64]

    def __len__(self) -> int:
        return len(self.labels)

    def box(self, k: int, ndim: int) -> tuple[slice, ...]:
        """The bounding box of the k-th object as an index into a frame of `ndim` axes."""
        begin, end = self.boxes[k, 3 - ndim : 3].tolist(), self.boxes[k, 6 - ndim :].tolist()
        return tuple(slice(a, b) for a, b in zip(begin, end, strict=True))

    def positions(self, labels: NDArray[np.uint32]) -> NDArray[np.intp]:
        """Return the positions of `labels`, all of which must be there, in the list."""
        return np.searchsorted(self.labels, labels)


@dataclass(frozen=True, eq=False, slots=True)
class Runs:
    """Runs of equal values within rows, in the order of the pixels, without the background.

    Attributes
    ----------
    begins, lengths
        Shape (r,), int64: position of the first pixel in the flat frame, and number of pixels.
    values
        Shape (r,), uint32: the label.
    """

    begins: NDArray[np.int64]
    lengths: NDArray[np.int64]
    values: NDArray[np.uint32]


def find_runs(labels: NDArray[np.uint32]) -> Runs:
    """The runs of a frame (Y, X) or (Z, Y, X) of uint32 labels."""
    lines = np.ascontiguousarray(labels).reshape(-1, labels.shape[-1])
    begins = np.ones(lines.shape, bool)
    np.not_equal(lines[:, 1:], lines[:, :-1], out=begins[:, 1:])
    at = np.flatnonzero(begins)
    lengths = np.diff(at, append=lines.size)
    values = lines.ravel()[at]
    keep = values != 0
    return Runs(at[keep], lengths[keep], values[keep])


def measure_regions(labels: NDArray[np.uint32]) -> Regions:
    """Measure every object of a frame.

    Parameters
    ----------
    labels
        Shape (Y, X) or (Z, Y, X), uint32, 0 is the background.

    Returns
    -------
    Regions
        One entry for each label that occurs; an object need not be connected.
    """
    return measure_runs(find_runs(labels), labels.shape)[0]


def measure_runs(runs: Runs, shape: tuple[int, ...]) -> tuple[Regions, NDArray[np.intp]]:
    """Measure the objects of the runs of a frame of `shape`.

    Returns
    -------
    tuple
        The objects, and the position of its object for each run, shape (r,).
    """
    height, width = shape[-2:]
    lines, starts = np.divmod(runs.begins, width)
    ends = starts + runs.lengths
    planes, rows = np.divmod(lines, height)
    names, index = np.unique(runs.values, return_inverse=True)
    n, lengths = len(names), runs.lengths

    # Sums of integers below 2**53 are exact in float64, which is what bincount adds in.
    areas = np.bincount(index, weights=lengths, minlength=n)
    sums = [
        np.bincount(index, weights=planes * lengths, minlength=n),
        np.bincount(index, weights=rows * lengths, minlength=n),
        np.bincount(index, weights=(starts + ends - 1) * lengths / 2, minlength=n),
    ]
    boxes = np.empty((n, 6), np.int64)
    boxes[:, :3] = np.iinfo(np.int64).max
    boxes[:, 3:] = 0
    for axis, (low, high) in enumerate(((planes, planes + 1), (rows, rows + 1), (starts, ends))):
        np.minimum.at(boxes[:, axis], index, low)
        np.maximum.at(boxes[:, axis + 3], index, high)
    centroids = np.stack(sums, axis=1) / np.maximum(areas, 1)[:, None]
    return Regions(names, areas.astype(np.int64), centroids, boxes), index


def cut_mask(labels: NDArray[np.uint32], regions: Regions, k: int) -> NDArray[np.bool_]:
    """The mask of the k-th object of `regions` within its bounding box, bool; a copy."""
    mask: NDArray[np.bool_] = labels[regions.box(k, labels.ndim)] == regions.labels[k]
    return mask
