"""How much the objects of two frames overlap: a sparse table, in one pass over the pixels."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

_LOW = np.uint64(0xFFFFFFFF)


@dataclass(frozen=True, eq=False, slots=True)
class Overlaps:
    """Pairs of objects that share pixels; row k of each array is one pair.

    Attributes
    ----------
    first, second
        Shape (n,), int64: positions of the two objects in the lists of labels that the table
        was made for.
    pixels
        Shape (n,), int64: how many pixels they share, at least 1.
    iou
        Shape (n,), float64: intersection over union, in (0, 1].
    """

    first: NDArray[np.int64]
    second: NDArray[np.int64]
    pixels: NDArray[np.int64]
    iou: NDArray[np.float64]

    def __len__(self) -> int:
        return len(self.first)

    def at_least(self, min_iou: float) -> Overlaps:
        """The pairs whose IoU is `min_iou` or more."""
        keep = self.iou >= min_iou
        return Overlaps(self.first[keep], self.second[keep], self.pixels[keep], self.iou[keep])


def count_pairs(
    first_yx: NDArray[np.uint32], second_yx: NDArray[np.uint32]
) -> tuple[NDArray[np.uint32], NDArray[np.uint32], NDArray[np.int64]]:
    """Count the pixels of each pair of values that occurs, the background 0 included.

    Parameters
    ----------
    first_yx, second_yx
        Shape (Y, X), uint32, of the same size.

    Returns
    -------
    tuple
        Values in the first, values in the second (uint32) and pixel counts (int64), each of
        shape (n,), sorted by the pair.

    Raises
    ------
    ValueError
        If the shapes differ.
    """
    if first_yx.shape != second_yx.shape:
        raise ValueError(f"frames of {first_yx.shape} and {second_yx.shape} pixels do not match")
    # One 64-bit key for a pair of 32-bit ids: products of ids in their own type would wrap.
    key = first_yx.astype(np.uint64).ravel()
    key <<= np.uint64(32)
    key |= second_yx.ravel()
    # Equal neighbours first, so that what is sorted is runs, not pixels.
    begins = np.flatnonzero(np.diff(key, prepend=~key[:1]))
    lengths = np.diff(begins, append=key.size)
    pairs, index = np.unique(key[begins], return_inverse=True)
    pixels = np.bincount(index, weights=lengths, minlength=len(pairs)).astype(np.int64)
    return (pairs >> np.uint64(32)).astype(np.uint32), (pairs & _LOW).astype(np.uint32), pixels


def overlap_table(
    first_yx: NDArray[np.uint32],
    second_yx: NDArray[np.uint32],
    first_labels: NDArray[np.uint32],
    second_labels: NDArray[np.uint32],
) -> Overlaps:
    """Overlaps of the objects of two frames. Work and memory grow with the pairs that touch.

    Parameters
    ----------
    first_yx, second_yx
        Shape (Y, X), uint32, 0 is the background.
    first_labels, second_labels
        Labels of the two frames, ascending, uint32; the pairs are given as positions in these.

    Returns
    -------
    Overlaps
        Sorted by (first, second).

    Raises
    ------
    ValueError
        If the shapes differ.
    """
    a, b, pixels = count_pairs(first_yx, second_yx)
    size_a = _sums(a, pixels, first_labels)
    size_b = _sums(b, pixels, second_labels)
    both = (a != 0) & (b != 0)
    i = np.searchsorted(first_labels, a[both])
    j = np.searchsorted(second_labels, b[both])
    shared = pixels[both]
    return Overlaps(i, j, shared, shared / (size_a[i] + size_b[j] - shared))


def _sums(
    values: NDArray[np.uint32], pixels: NDArray[np.int64], labels: NDArray[np.uint32]
) -> NDArray[np.int64]:
    """Pixels of each label, added over the pairs it is in."""
    keep = values != 0
    index = np.searchsorted(labels, values[keep])
    return np.bincount(index, weights=pixels[keep], minlength=len(labels)).astype(np.int64)
