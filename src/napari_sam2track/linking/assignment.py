"""The hypotheses that hold together and explain the most: no object is used twice.

Objects touch a few neighbours each, so the hypotheses fall apart into groups which are solved on
their own: the result is that of one big problem. Groups of pairs alone are assignment problems;
a division ties three objects together, and such a group is a small integer program.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from napari_sam2track.linking.hypotheses import Hypotheses


def solve(hypotheses: Hypotheses) -> NDArray[np.intp]:
    """Choose hypotheses such that each object is in one at most and the gains add up to the most.

    Parameters
    ----------
    hypotheses
        Those with a gain of 0 or less are never chosen.

    Returns
    -------
    ndarray
        Indices of the chosen ones, ascending.
    """
    useful = np.flatnonzero(hypotheses.gain > 0)
    if len(useful) == 0:
        return np.zeros(0, np.intp)
    h = hypotheses.take(useful)
    group = _groups(h)
    order = np.argsort(group, kind="stable")
    bounds = np.flatnonzero(np.diff(group[order], prepend=-1, append=-1))
    sizes = np.diff(bounds)
    chosen = [order[bounds[:-1][sizes == 1]]]  # without rivals: nothing to solve
    for begin, size in zip(bounds[:-1][sizes > 1], sizes[sizes > 1], strict=True):
        rows = order[begin : begin + size]
        part = h.take(rows)
        best = _integer_program(part) if (part.sibling >= 0).any() else _pairs(part)
        chosen.append(rows[best])
    return np.sort(useful[np.concatenate(chosen)])


def solve_greedily(hypotheses: Hypotheses) -> NDArray[np.intp]:
    """The same, one after another by their gain: quick, and right where there is no doubt."""
    order = np.argsort(-hypotheses.gain, kind="stable")
    order = order[hypotheses.gain[order] > 0]
    parents: set[int] = set()
    children: set[int] = {-1}
    chosen = []
    rows = zip(
        order.tolist(),
        hypotheses.parent[order].tolist(),
        hypotheses.child[order].tolist(),
        hypotheses.sibling[order].tolist(),
        strict=True,
    )
    for row, parent, child, sibling in rows:
        if parent in parents or child in children or (sibling >= 0 and sibling in children):
            continue
        parents.add(parent)
        children.update((child, sibling))
        chosen.append(row)
    return np.sort(np.array(chosen, np.intp))


def _groups(h: Hypotheses) -> NDArray[np.intp]:
    """A number for each hypothesis; those that share an object, directly or not, have the same."""
    from scipy.sparse import coo_array
    from scipy.sparse.csgraph import connected_components

    n = int(h.parent.max()) + 1
    total = n + int(max(h.child.max(), h.sibling.max())) + 1
    both = h.sibling >= 0
    a = np.concatenate([h.parent, h.parent[both]])
    b = np.concatenate([h.child, h.sibling[both]]) + n
    graph = coo_array((np.ones(len(a)), (a, b)), shape=(total, total))
    _, component = connected_components(graph.tocsr(), directed=False)
    return np.asarray(component[h.parent], np.intp)


def _pairs(h: Hypotheses) -> NDArray[np.intp]:
    """Solve a group without divisions."""
    from scipy.optimize import linear_sum_assignment

    rows, i = np.unique(h.parent, return_inverse=True)
    columns, j = np.unique(h.child, return_inverse=True)
    gain = np.zeros((len(rows), len(columns)))
    which = np.full(gain.shape, -1, np.intp)
    best_last = np.argsort(h.gain, kind="stable")  # of equal pairs, the better one stays
    gain[i[best_last], j[best_last]] = h.gain[best_last]
    which[i[best_last], j[best_last]] = best_last
    matched = which[linear_sum_assignment(gain, maximize=True)]
    return matched[matched >= 0]  # zeros stand for "no pair" and can be matched


def _integer_program(h: Hypotheses) -> NDArray[np.intp]:
    """Solve a group with divisions: weighted set packing."""
    from scipy.optimize import Bounds, LinearConstraint, milp
    from scipy.sparse import csr_array

    both = h.sibling >= 0
    n = int(h.parent.max()) + 1
    row = np.concatenate([h.parent, h.child + n, h.sibling[both] + n])
    column = np.concatenate([np.arange(len(h)), np.arange(len(h)), np.flatnonzero(both)])
    _, row = np.unique(row, return_inverse=True)
    matrix = csr_array((np.ones(len(row)), (row, column)), shape=(int(row.max()) + 1, len(h)))
    result = milp(
        -h.gain,
        constraints=LinearConstraint(matrix, ub=1.0),
        integrality=np.ones(len(h), np.int64),
        bounds=Bounds(0, 1),
    )
    if result.x is None:  # only if the solver gives up
        return solve_greedily(h)
    return np.flatnonzero(result.x > 0.5)
