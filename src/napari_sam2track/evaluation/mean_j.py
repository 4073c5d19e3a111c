"""J, the mean IoU of objects over time, as video segmentation has it (DAVIS, Perazzi 2016)."""

from __future__ import annotations

from collections import Counter

import numpy as np

from napari_sam2track.labels import LabelFrames
from napari_sam2track.linking.assignment import solve
from napari_sam2track.linking.hypotheses import Hypotheses
from napari_sam2track.linking.objects import describe
from napari_sam2track.linking.overlap import overlap_table
from napari_sam2track.progress import ProgressHook


def mean_j(found: LabelFrames, truth: LabelFrames, progress: ProgressHook) -> tuple[float, int]:
    """Mean IoU over all objects of the truth and all frames they are in.

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
        J, 0 to 1 (NaN if there is no object), and over how many objects in frames it is a mean.
    """
    sums: Counter[tuple[int, int]] = Counter()
    n = 0
    for t in progress(range(truth.n_frames), truth.n_frames, "Comparing masks"):
        a, b = describe(truth.read(t)), describe(found.read(t))
        n += len(a.objects)
        table = overlap_table(a, b)
        names = a.regions.labels[table.first].tolist(), b.regions.labels[table.second].tolist()
        for pair, iou in zip(zip(*names, strict=True), table.iou.tolist(), strict=True):
            sums[pair] += iou
    return (_best(sums) / n if n else float("nan")), n


def _best(sums: Counter[tuple[int, int]]) -> float:
    """The highest total of one-to-one pairs."""
    if not sums:
        return 0.0
    pairs = np.array(list(sums), np.int64)
    gain = np.array(list(sums.values()))
    _, first = np.unique(pairs[:, 0], return_inverse=True)
    _, second = np.unique(pairs[:, 1], return_inverse=True)
    h = Hypotheses(first, second, np.full(len(gain), -1), gain, gain)
    return float(gain[solve(h)].sum())
