"""J, the mean IoU of objects over time, as video segmentation has it (DAVIS, Perazzi 2016)."""

from __future__ import annotations

from collections import Counter

import numpy as np
from numpy.typing import NDArray

from napari_sam2track.labels import LabelFrames
from napari_sam2track.progress import ProgressHook


def mean_j(found: LabelFrames, truth: LabelFrames, progress: ProgressHook) -> tuple[float, int]:
    """Return the mean IoU over all objects of the truth and all frames they are in.

    Each true track is compared with one track of the result, so that a change of identity costs:
    the pairs of tracks are chosen one to one such that their IoUs add up to the most.

    Parameters
    ----------
    found, truth
        Labels of the same size whose values are track ids, read once, frame by frame.
    progress
        Shows progress.

    Returns
    -------
    tuple
        J, 0 to 1 (NaN if there is no object), and the number of objects in frames.
    """
    sums: Counter[tuple[int, int]] = Counter()
    n = 0
    for t in progress(range(truth.n_frames), truth.n_frames, "Comparing masks"):
        ious, n_objects = _frame_ious(truth.read(t), found.read(t))
        sums.update(ious)
        n += n_objects
    return (_best(sums) / n if n else float("nan")), n


def _frame_ious(
    truth: NDArray[np.uint32], found: NDArray[np.uint32]
) -> tuple[dict[tuple[int, int], float], int]:
    """Return the IoU of each pair of labels that share a pixel, and the number of true objects."""
    true_ids, true_areas = np.unique(truth[truth > 0], return_counts=True)
    areas = dict(zip(true_ids.tolist(), true_areas.tolist(), strict=True))
    found_ids, found_areas = np.unique(found[found > 0], return_counts=True)
    others = dict(zip(found_ids.tolist(), found_areas.tolist(), strict=True))
    both = (truth > 0) & (found > 0)
    pairs, shared = np.unique(np.stack([truth[both], found[both]]), axis=1, return_counts=True)
    ious = {
        (a, b): n / (areas[a] + others[b] - n)
        for a, b, n in zip(*pairs.tolist(), shared.tolist(), strict=True)
    }
    return ious, len(areas)


def _best(sums: Counter[tuple[int, int]]) -> float:
    """Return the highest total of one-to-one pairs."""
    from scipy.optimize import linear_sum_assignment

    if not sums:
        return 0.0
    pairs = np.array(list(sums), np.int64)
    _, first = np.unique(pairs[:, 0], return_inverse=True)
    _, second = np.unique(pairs[:, 1], return_inverse=True)
    gains = np.zeros((first.max() + 1, second.max() + 1))
    gains[first, second] = list(sums.values())
    return float(gains[linear_sum_assignment(gains, maximize=True)].sum())
