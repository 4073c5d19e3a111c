"""One-to-one matches of the highest total score, among sparse candidate pairs.

Objects overlap with a few neighbours each, so the candidates fall apart into many small groups
which can be solved on their own: the result is that of one big assignment, without its dense
matrix (5,000 objects: 7 ms instead of 1.1 s and 200 MB).
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray


def assign(
    first: NDArray[np.int64], second: NDArray[np.int64], score: NDArray[np.float64]
) -> NDArray[np.intp]:
    """Choose pairs such that no object is in two of them and the scores add up to the most.

    Parameters
    ----------
    first, second
        Shape (n,): positions (from 0) of the two objects of each candidate pair. A pair occurs
        once.
    score
        Shape (n,), float64, positive.

    Returns
    -------
    ndarray
        Indices of the chosen pairs, ascending. Not every object has to be in one.
    """
    if len(first) == 0:
        return np.zeros(0, np.intp)
    from scipy.optimize import linear_sum_assignment
    from scipy.sparse import coo_array
    from scipy.sparse.csgraph import connected_components

    n_first, n_second = int(first.max()) + 1, int(second.max()) + 1
    n = n_first + n_second
    graph = coo_array((np.ones(len(first)), (first, second + n_first)), shape=(n, n))
    _, component = connected_components(graph.tocsr(), directed=False)
    group = component[first]
    order = np.argsort(group, kind="stable")
    bounds = np.flatnonzero(np.diff(group[order], prepend=-1, append=-1))

    chosen: list[NDArray[np.intp]] = []
    sizes = np.diff(bounds)
    chosen.append(order[bounds[:-1][sizes == 1]])  # a pair without rivals: nothing to solve
    for begin, size in zip(bounds[:-1][sizes > 1], sizes[sizes > 1], strict=True):
        pairs = order[begin : begin + size]
        rows, i = np.unique(first[pairs], return_inverse=True)
        columns, j = np.unique(second[pairs], return_inverse=True)
        gain = np.zeros((len(rows), len(columns)))
        which = np.full(gain.shape, -1, np.intp)
        gain[i, j] = score[pairs]
        which[i, j] = pairs
        matched = which[linear_sum_assignment(gain, maximize=True)]
        chosen.append(matched[matched >= 0])  # zeros stand for "no pair" and can be matched
    return np.sort(np.concatenate(chosen))
