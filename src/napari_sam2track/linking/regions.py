"""Areas, centroids and bounding boxes of labelled objects, in one pass over the frame.

Label images are made of long horizontal runs of equal values. Finding the runs takes one
comparison per pixel; all that follows works on the runs, of which there are far fewer. Ids may
be any uint32: nothing here has a table as long as the largest id.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from napari_sam2track.masks import Mask


@dataclass(frozen=True, eq=False, slots=True)
class Regions:
    """The objects of one frame, sorted by label.

    Attributes
    ----------
    labels
        Shape (n,), uint32, ascending, without the background 0.
    areas
        Shape (n,), int64, in pixels.
    centroids
        Shape (n, 2), float64, (y, x) in pixels; the centre of a pixel is at the integer.
    boxes
        Shape (n, 4), int64, (y0, x0, y1, x1), the ends excluded.
    """

    labels: NDArray[np.uint32]
    areas: NDArray[np.int64]
    centroids: NDArray[np.float64]
    boxes: NDArray[np.int64]

    def __len__(self) -> int:
        return len(self.labels)


def measure_regions(labels_yx: NDArray[np.uint32]) -> Regions:
    """Measure every object of a frame.

    Parameters
    ----------
    labels_yx
        Shape (Y, X), uint32, 0 is the background.

    Returns
    -------
    Regions
        One entry for each label that occurs; an object need not be connected.
    """
    rows, starts, ends, values = _runs(labels_yx)
    keep = values != 0
    rows, starts, ends, values = rows[keep], starts[keep], ends[keep], values[keep]
    labels, index = np.unique(values, return_inverse=True)
    n, lengths = len(labels), ends - starts

    # Sums of integers below 2**53 are exact in float64, which is what bincount adds in.
    areas = np.bincount(index, weights=lengths, minlength=n)
    sum_y = np.bincount(index, weights=rows * lengths, minlength=n)
    sum_x = np.bincount(index, weights=(starts + ends - 1) * lengths / 2, minlength=n)
    boxes = np.empty((n, 4), np.int64)
    boxes[:, :2] = labels_yx.shape
    boxes[:, 2:] = 0
    np.minimum.at(boxes[:, 0], index, rows)
    np.minimum.at(boxes[:, 1], index, starts)
    np.maximum.at(boxes[:, 2], index, rows + 1)
    np.maximum.at(boxes[:, 3], index, ends)
    centroids = np.stack([sum_y, sum_x], axis=1) / np.maximum(areas, 1)[:, None]
    return Regions(labels, areas.astype(np.int64), centroids, boxes)


def cut_mask(labels_yx: NDArray[np.uint32], regions: Regions, k: int) -> Mask:
    """The mask of the k-th object of `regions`, copied out of its frame (Y, X)."""
    y0, x0, y1, x1 = (int(v) for v in regions.boxes[k])
    return Mask(labels_yx[y0:y1, x0:x1] == regions.labels[k], y0, x0)


def _runs(
    labels_yx: NDArray[np.uint32],
) -> tuple[NDArray[np.intp], NDArray[np.intp], NDArray[np.intp], NDArray[np.uint32]]:
    """Runs of equal values within rows: row, first column, column after the last, value."""
    height, width = labels_yx.shape
    begins = np.ones((height, width), bool)
    np.not_equal(labels_yx[:, 1:], labels_yx[:, :-1], out=begins[:, 1:])
    at = np.flatnonzero(begins)
    lengths = np.diff(at, append=labels_yx.size)
    rows, starts = np.divmod(at, width)
    return rows, starts, starts + lengths, labels_yx[rows, starts]
