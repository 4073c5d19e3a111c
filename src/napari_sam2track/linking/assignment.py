"""Chooses hypotheses that hold together and explain the most: no object is used twice.

Objects touch a few neighbours each, so most hypotheses are settled by looking at their rivals, and
the rest fall apart into groups. Groups of pairs alone are assignment problems; a division ties
three objects together, and all groups with divisions are one integer program.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from napari_sam2track.linking.hypotheses import Hypotheses

#: Pairs up to which a group is solved by a dense matrix.
_MOST_PAIRS = 20_000
#: After so many seconds the best solution so far is taken.
_MOST_SECONDS = 20.0


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
    sure, open_ = _settle(hypotheses.take(useful))
    chosen = [useful[sure]]
    rest = useful[open_]
    if len(rest):
        h = hypotheses.take(rest)
        group = _groups(h)
        order = np.argsort(group, kind="stable")
        hard = []  # one program of many groups costs less than many programs
        for rows in np.split(order, np.flatnonzero(np.diff(group[order])) + 1):
            part = h.take(rows)
            if (part.sibling >= 0).any() or len(rows) > _MOST_PAIRS:
                hard.append(rows)
            else:
                chosen.append(rest[rows[_pairs(part)]])
        if hard:
            rows = np.concatenate(hard)
            chosen.append(rest[rows[_integer_program(h.take(rows))]])
    return np.sort(np.concatenate(chosen))


def _settle(h: Hypotheses) -> tuple[NDArray[np.intp], NDArray[np.intp]]:
    """Choose the hypotheses that are best whatever is chosen among the others.

    A hypothesis whose gain is at least that of the best rivals for all its objects together is in
    a best solution. Its rivals drop out, which may settle others. Most of a frame goes this way.

    Returns
    -------
    tuple
        Indices of those that are chosen, and of those that are still open.
    """
    n = int(h.parent.max(initial=-1)) + 1
    n_objects = n + int(max(h.child.max(initial=-1), h.sibling.max(initial=-1))) + 1
    # A hypothesis without a sibling has an object of its own in that place.
    own = n_objects + np.arange(len(h))
    objects = np.stack([h.parent, h.child + n, np.where(h.sibling >= 0, h.sibling + n, own)], 1)
    chosen: list[NDArray[np.intp]] = []
    open_ = np.arange(len(h))
    while len(open_):
        mine, gain = objects[open_], h.gain[open_]
        flat = mine.ravel()
        gains = np.repeat(gain, 3)
        order = np.lexsort((-gains, flat))
        begins = np.flatnonzero(np.diff(flat[order], prepend=-1))
        best, rival = np.zeros(n_objects + len(h)), np.zeros(n_objects + len(h))
        names = flat[order[begins]]
        best[names] = gains[order[begins]]
        more = begins[np.diff(begins, append=len(order)) > 1]
        rival[flat[order[more]]] = gains[order[more + 1]]
        against = np.where(best[mine] > gain[:, None], best[mine], rival[mine]).sum(axis=1)
        wins = np.flatnonzero(gain >= against)
        if len(wins) == 0:
            break
        # Of two that win against each other, equal as they are, the first does.
        _, first = np.unique(mine[wins], return_index=True)
        wins = wins[np.bincount(first // 3, minlength=len(wins)) == 3]
        chosen.append(open_[wins])
        taken = np.zeros(n_objects + len(h), bool)
        taken[mine[wins]] = True
        open_ = open_[~taken[mine].any(axis=1)]
    return np.concatenate([np.zeros(0, np.intp), *chosen]), open_


def solve_greedily(hypotheses: Hypotheses) -> NDArray[np.intp]:
    """Choose one after another by their gain: quick, and right where there is no doubt."""
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
    """Return a number for each hypothesis, the same for those that share an object in a chain."""
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
    """Solve groups with divisions: weighted set packing."""
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
        options={"mip_rel_gap": 0.0, "time_limit": _MOST_SECONDS},
    )
    if result.x is None:  # not even a first solution in that time
        return solve_greedily(h)
    return np.flatnonzero(result.x > 0.5)
