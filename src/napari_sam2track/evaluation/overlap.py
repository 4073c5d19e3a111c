"""J, the mean IoU of objects over time, as video segmentation has it (DAVIS, Perazzi 2016)."""

from __future__ import annotations

from collections import Counter

import numpy as np
from numpy.typing import NDArray

from napari_sam2track.labels import LabelFrames
from napari_sam2track.linking.objects import describe
from napari_sam2track.linking.overlap import overlap_table
from napari_sam2track.watch import Watch


def mean_j(found: LabelFrames, truth: LabelFrames, watch: Watch) -> tuple[float, int]:
    """Mean IoU over all objects of the truth and all frames they are in.

    Each true track is compared with one track of the result, so that a change of identity costs:
    the pairs of tracks are chosen one to one such that their IoUs add up to the most.

    Parameters
    ----------
    found, truth
        Labels of the same size whose values are track ids, read once, frame by frame.
    watch
        Shows progress.

    Returns
    -------
    tuple
        J, 0 to 1 (NaN if there is no object), and over how many objects in frames it is a mean.
    """
    sums: Counter[tuple[int, int]] = Counter()
    n = 0
    for t in watch(range(truth.n_frames), truth.n_frames, "Comparing masks"):
        a, b = describe(truth.read(t)), describe(found.read(t))
        n += len(a.objects)
        table = overlap_table(a, b)
        names = a.regions.labels[table.first].tolist(), b.regions.labels[table.second].tolist()
        for pair, iou in zip(zip(*names, strict=True), table.iou.tolist(), strict=True):
            sums[pair] += iou
    return (_best(sums) / n if n else float("nan")), n


def _best(sums: Counter[tuple[int, int]]) -> float:
    """The highest total of one-to-one pairs."""
    from scipy.optimize import linear_sum_assignment
    from scipy.sparse import coo_array
    from scipy.sparse.csgraph import connected_components

    if not sums:
        return 0.0
    pairs = np.array(list(sums), np.int64)
    value = np.array(list(sums.values()))
    rows, i = np.unique(pairs[:, 0], return_inverse=True)
    columns, j = np.unique(pairs[:, 1], return_inverse=True)
    n = len(rows) + len(columns)
    graph = coo_array((value, (i, j + len(rows))), shape=(n, n)).tocsr()
    _, group = connected_components(graph, directed=False)
    total = 0.0
    for members in _members(np.asarray(group[i], np.intp)):
        a, k = np.unique(i[members], return_inverse=True)
        b, m = np.unique(j[members], return_inverse=True)
        gain = np.zeros((len(a), len(b)))
        gain[k, m] = value[members]
        total += float(gain[linear_sum_assignment(gain, maximize=True)].sum())
    return total


def _members(group: NDArray[np.intp]) -> list[NDArray[np.intp]]:
    """Positions of each group."""
    order = np.argsort(group, kind="stable")
    return np.split(order, np.flatnonzero(np.diff(group[order])) + 1)
