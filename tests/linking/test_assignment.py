import itertools

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from napari_sam2track.linking.assignment import solve, solve_greedily
from napari_sam2track.linking.hypotheses import Hypotheses

ROWS = st.lists(
    st.tuples(
        st.integers(0, 3), st.integers(0, 4), st.integers(-1, 4), st.integers(-20, 100)
    ).filter(lambda row: row[1] != row[2]),
    max_size=9,
)


def hypotheses(rows) -> Hypotheses:
    parent, child, sibling, gain = np.array(rows, np.int64).reshape(-1, 4).T
    return Hypotheses(parent, child, sibling, gain.astype(float), np.ones(len(rows)))


def hold_together(rows) -> bool:
    parents = [r[0] for r in rows]
    children = [c for r in rows for c in r[1:3] if c >= 0]
    return len(set(parents)) == len(parents) and len(set(children)) == len(children)


def best_by_trying(rows) -> float:
    return max(
        sum(r[3] for r in some)
        for n in range(len(rows) + 1)
        for some in itertools.combinations(rows, n)
        if hold_together(some)
    )


@settings(deadline=None)
@given(ROWS)
def test_total_is_the_highest_there_is(rows):
    chosen = [rows[k] for k in solve(hypotheses(rows))]
    assert hold_together(chosen)
    assert all(r[3] > 0 for r in chosen)
    assert sum(r[3] for r in chosen) == best_by_trying(rows)


@settings(deadline=None)
@given(ROWS)
def test_one_after_another_holds_together_and_leaves_nothing_out(rows):
    kept = solve_greedily(hypotheses(rows)).tolist()
    chosen = [rows[k] for k in kept]
    assert hold_together(chosen)
    for k, row in enumerate(rows):
        if row[3] > 0 and k not in kept:
            assert not hold_together([*chosen, row])


def test_a_division_is_weighed_against_all_that_it_rules_out():
    # The division of 0 explains the most alone, but the two that go on explain more together.
    rows = [(0, 0, 1, 50), (0, 0, -1, 40), (1, 1, -1, 20)]
    assert solve(hypotheses(rows)).tolist() == [1, 2]
    assert solve_greedily(hypotheses(rows)).tolist() == [0]


def test_zeros_in_the_matrix_are_not_matches():
    # 0-0 and 1-0 compete; the solver has to give the loser something, which is nothing here.
    assert solve(hypotheses([(0, 0, -1, 4), (1, 0, -1, 6)])).tolist() == [1]


@pytest.mark.parametrize("n", [3_000])
def test_thousands_of_groups_are_solved_one_by_one(n):
    k = np.arange(n)
    rows = np.concatenate(
        [np.stack([k, k, np.full(n, -1), k + 1], 1), np.stack([k, k ^ 1, np.full(n, -1), k], 1)]
    )
    chosen = solve(hypotheses(rows))
    assert len(chosen) == n
    assert (chosen < n).all()
