"""A frame of labels, merged from results of runs and what a person keeps."""

from __future__ import annotations

from collections.abc import Collection

import numpy as np
from numpy.typing import NDArray

from napari_sam2track.tracks.editing.changes import Change, PixelEdit


def merge_frame(
    old_yx: NDArray[np.uint32],
    found_yx: NDArray[np.uint32],
    owned: Collection[int],
    kept: Collection[int],
) -> NDArray[np.uint32]:
    """Return the new labels of a frame.

    Parameters
    ----------
    old_yx
        (Y, X) labels at present.
    found_yx
        (Y, X) labels of the results, by the overlap rule.
    owned
        Ids that come from runs: where the results do not have them they vanish.
    kept
        Ids whose pixels stay as they are, on this frame.

    Returns
    -------
    (Y, X) uint32. Pixels of ids that are not owned, or are kept, stay; others are as found.
    """
    ours = np.array(sorted(set(owned) - set(kept)), np.uint32)
    new = old_yx.copy()
    if len(ours):
        np.copyto(new, 0, where=np.isin(old_yx, ours))
    if kept:
        theirs = np.isin(found_yx, np.array(sorted(kept), np.uint32))
        found_yx = np.where(theirs, 0, found_yx)
    np.copyto(new, found_yx, where=new == 0)
    return new


def change_between(t: int, old_yx: NDArray[np.uint32], new_yx: NDArray[np.uint32]) -> Change:
    """Return the change from one frame of labels to another; empty if they are the same."""
    differ = old_yx != new_yx
    if not differ.any():
        return Change()
    whole = tuple(slice(0, n) for n in old_yx.shape)
    return Change((PixelEdit.of(t, whole, differ, old_yx[differ], new_yx[differ]),))
