import itertools

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from napari_sam2track.linking.assignment import assign

PAIRS = st.dictionaries(
    st.tuples(st.integers(0, 4), st.integers(0, 4)), st.integers(1, 100), max_size=9
)


def best_by_trying(pairs: dict) -> float:
    best = 0.0
    for n in range(len(pairs) + 1):
        for chosen in itertools.combinations(pairs, n):
            first, second = {p[0] for p in chosen}, {p[1] for p in chosen}
            if len(first) == len(second) == n:
                best = max(best, sum(pairs[p] for p in chosen))
    return best


@settings(deadline=None)
@given(PAIRS)
def test_total_is_the_highest_there_is(pairs):
    first, second = np.array(list(pairs) or np.zeros((0, 2)), np.int64).T
    score = np.array(list(pairs.values()), float)
    chosen = assign(first, second, score)
    assert len(set(first[chosen])) == len(set(second[chosen])) == len(chosen)
    assert score[chosen].sum() == best_by_trying(pairs)


def test_zeros_in_the_matrix_are_not_matches():
    # 0-0 and 1-0 compete; the solver has to give the loser something, which is nothing here.
    chosen = assign(np.array([0, 1]), np.array([0, 0]), np.array([0.4, 0.6]))
    assert chosen.tolist() == [1]
