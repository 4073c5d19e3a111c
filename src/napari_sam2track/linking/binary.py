"""Masks that are only foreground and background: connected parts become the objects."""

from __future__ import annotations

from typing import Literal

import numpy as np
from numpy.typing import NDArray

from napari_sam2track.labels import LabelFrames, MappedFrames


def connected_parts(masks: NDArray[np.uint32]) -> NDArray[np.uint32]:
    """Number the connected parts of everything but 0, corners included, from 1; uint32."""
    from scipy import ndimage

    mask = masks != 0
    parts, _ = ndimage.label(mask, structure=np.ones((3,) * mask.ndim, bool))
    return np.asarray(parts, np.uint32)


def is_binary(frames: LabelFrames) -> bool:
    """Return whether all frames together hold a single value beside 0.

    Stops at the first frame with another one, which for label images is nearly always the first.
    Masks that are empty throughout are not called binary.
    """
    value = 0
    for t in range(frames.n_frames):
        labels = frames.read(t)
        largest = int(labels.max())
        if largest == 0:
            continue
        if value not in (0, largest) or ((labels != 0) & (labels != largest)).any():
            return False
        value = largest
    return value != 0


def separate(frames: LabelFrames, binary: Literal["auto", "yes", "no"]) -> tuple[LabelFrames, bool]:
    """Split binary masks into objects if told to, or if they look like binary masks.

    Parameters
    ----------
    frames
        Masks.
    binary
        As `LinkParams.binary`.

    Returns
    -------
    tuple
        The frames to link, and whether they were split.
    """
    if binary == "yes" or (binary == "auto" and is_binary(frames)):
        return MappedFrames(frames, lambda t, masks: connected_parts(masks)), True
    return frames, False
