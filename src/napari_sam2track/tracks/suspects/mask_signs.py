"""Signs that need the pixels of a track: overlap of masks in time, parts, holes.

Two frames are in memory. Everything is measured within bounding boxes.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from napari_sam2track.labels import LabelFrames
from napari_sam2track.progress import ProgressHook
from napari_sam2track.tracks.table import TrackTable


@dataclass(frozen=True, eq=False, slots=True)
class MaskSigns:
    """Measures of each row of a table; shape (N,), float64.

    Attributes
    ----------
    overlap
        IoU with the mask in the frame before, moved by the guess that gives most; NaN where the
        track has no mask in the frame before, or in this one.
    apart
        Part of the pixels that is not connected with the largest part, 0 to 1.
    holes
        Pixels enclosed by the mask, over those of the mask.
    """

    overlap: NDArray[np.float64]
    apart: NDArray[np.float64]
    holes: NDArray[np.float64]


def look(
    labels: LabelFrames, table: TrackTable, guesses: NDArray[np.float64], progress: ProgressHook
) -> MaskSigns:
    """Look at all masks, frame by frame.

    Parameters
    ----------
    labels
        The masks; values are track ids.
    table
        Places of the masks.
    guesses
        Shape (G, N, 3): how far (z, y, x) each row may have moved since the frame before, in
        pixels.
    progress
        Shows progress.
    """
    rows = table.detections
    ndim = len(table.frame_shape)
    n = len(rows)
    looks = MaskSigns(np.full(n, np.nan), np.zeros(n), np.zeros(n))
    order = np.argsort(rows["frame"], kind="stable")
    bounds = np.searchsorted(rows["frame"][order], np.arange(table.n_frames + 1))
    shifts = np.rint(guesses).astype(np.int64)[:, :, 3 - ndim :]
    last: dict[int, tuple[NDArray[np.int64], NDArray[np.bool_]]] = {}
    for t in progress(range(table.n_frames), table.n_frames, "Looking"):
        frame = labels.read(t)
        now: dict[int, tuple[NDArray[np.int64], NDArray[np.bool_]]] = {}
        for i in order[bounds[t] : bounds[t + 1]].tolist():
            if rows["area"][i] == 0:  # only its place is known, so there is no mask
                continue
            track = int(rows["track"][i])
            low, high = rows["bbox"][i, 3 - ndim : 3], rows["bbox"][i, 6 - ndim :]
            mask = frame[tuple(map(slice, low, high))] == track
            now[track] = low, mask
            looks.apart[i], looks.holes[i] = _parts(mask)
            before = last.get(track)
            if before is not None:
                looks.overlap[i] = max(
                    _iou(before[0] + shift, before[1], low, mask)
                    for shift in set(map(tuple, shifts[:, i].tolist()))
                )
        last = now
    return looks


def _parts(mask: NDArray[np.bool_]) -> tuple[float, float]:
    """Part of a mask outside its largest part, and the size of its holes relative to it."""
    from scipy import ndimage as ndi

    area = int(mask.sum())
    if area == 0 or area == mask.size:
        return 0.0, 0.0
    parts, n = ndi.label(mask, structure=np.ones((3,) * mask.ndim))
    apart = 1 - np.bincount(parts.ravel())[1:].max() / area if n > 1 else 0.0
    outside, n = ndi.label(np.pad(~mask, 1, constant_values=True))
    holes = (outside > 0).sum() - (outside == outside.flat[0]).sum() if n > 1 else 0
    return float(apart), float(holes / area)


def _iou(
    low_a: NDArray[np.int64], a: NDArray[np.bool_], low_b: NDArray[np.int64], b: NDArray[np.bool_]
) -> float:
    """IoU of two masks that lie at two places."""
    start = np.maximum(low_a, low_b)
    stop = np.minimum(low_a + a.shape, low_b + b.shape)
    if (start >= stop).any():
        return 0.0
    part_a = a[tuple(map(slice, start - low_a, stop - low_a))]
    part_b = b[tuple(map(slice, start - low_b, stop - low_b))]
    shared = int((part_a & part_b).sum())
    return shared / (int(a.sum()) + int(b.sum()) - shared)
