"""Pictures of the training set, to look at."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from napari_sam2track.formats.overlay import draw_overlay
from napari_sam2track.training.synthetic.clips import Clips


def sheet(clips: Clips, n_clips: int = 16, n_times: int = 4) -> NDArray[np.uint8]:
    """Draw some frames of some clips: a clip a row, its last frame once more with the truth.

    Returns
    -------
    ndarray
        Shape (Y, X, 3), uint8; two columns of clips.
    """
    rows = []
    for k in range(min(n_clips, len(clips)) // 2 * 2):
        images, labels = np.asarray(clips.images[k]), np.asarray(clips.labels[k])
        times = np.linspace(0, len(images) - 1, n_times).astype(int)
        truth = draw_overlay(images[-1], labels[-1].astype(np.uint32))
        row = np.concatenate([*images[times], truth], axis=1)
        rows.append(np.pad(row, ((0, 4), (0, 4), (0, 0))))
    half = len(rows) // 2
    return np.concatenate([np.concatenate(rows[:half]), np.concatenate(rows[half:])], axis=1)
