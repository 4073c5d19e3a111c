"""Pixels that were painted already, as a change that can be undone.

napari's Labels layer writes to its array and reports it afterwards, as a list for each
stroke (``layer.events.paint``). `History.adopt` takes that.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from napari_sam2track.errors import EditError
from napari_sam2track.labels import checked_ids
from napari_sam2track.tracks.editing.changes import PixelEdit

#: Some pixels: index arrays (t, [z,] y, x), old values, and new value or values; or, from napari
#: 0.9 on, slices (t, [z,] y, x), a mask of that shape or None for all, old values, new value.
Atom = Sequence[Any]


def patches_of(atoms: Iterable[Atom]) -> tuple[PixelEdit, ...]:
    """Return one patch for each frame that was painted.

    Parameters
    ----------
    atoms
        The painted pixels, in order; a pixel may be in several of them. Of such a pixel the first
        old value and the last new one count.

    Returns
    -------
    tuple
        Ascending by frame, without pixels that have not changed.

    Raises
    ------
    EditError
        If a value is no id: below 0, or over 32 bits.
    """
    places: list[NDArray[np.int64]] = []
    olds: list[NDArray[np.uint32]] = []
    news: list[NDArray[np.uint32]] = []
    for *where, old, new in atoms:
        at = _pixels(*where)
        places.append(at)
        for values, given in ((olds, old), (news, new)):
            ids = checked_ids(np.ravel(given), "a painted label", EditError, least=0)
            values.append(np.broadcast_to(ids, len(at)))
    if not places:
        return ()
    at, old_ids, new_ids = np.concatenate(places), np.concatenate(olds), np.concatenate(news)
    pixels, first = np.unique(at, axis=0, return_index=True)
    _, from_end = np.unique(at[::-1], axis=0, return_index=True)
    before, after = old_ids[first], new_ids[::-1][from_end]
    differ = before != after
    pixels, before, after = pixels[differ], before[differ], after[differ]
    bounds = np.flatnonzero(np.diff(pixels[:, 0])) + 1
    parts = zip(*(np.split(a, bounds) for a in (pixels, before, after)), strict=True)
    return tuple(_patch(*part) for part in parts if len(part[0]))


def _pixels(where: Sequence[Any], mask: NDArray[np.bool_] | None = None) -> NDArray[np.int64]:
    """Return the places of the pixels of an atom, shape (n, axes)."""
    if not all(isinstance(axis, slice) for axis in where):
        return np.stack([np.ravel(axis) for axis in where], axis=1).astype(np.int64)
    if mask is None:
        mask = np.ones([axis.stop - axis.start for axis in where], bool)
    start = np.array([axis.start for axis in where], np.int64)
    return np.argwhere(mask).astype(np.int64) + start


def _patch(
    pixels: NDArray[np.int64], before: NDArray[np.uint32], after: NDArray[np.uint32]
) -> PixelEdit:
    """Return a patch of the pixels of one frame, sorted in C order."""
    inside = pixels[:, 1:]
    low, high = inside.min(axis=0), inside.max(axis=0) + 1
    box = tuple(slice(int(a), int(b)) for a, b in zip(low, high, strict=True))
    mask = np.zeros(tuple(high - low), bool)
    mask[tuple((inside - low).T)] = True
    return PixelEdit.of(int(pixels[0, 0]), box, mask, before, after)
