"""Codes and colours of cells."""

from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from napari_sam2track._widgets.strip_image import (
    FIRST_PROBLEM,
    cell_codes,
    colour_table,
    hatched,
    pooled,
)
from napari_sam2track.workspace.state_grid import (
    ABSENT,
    APPROVED,
    CORRECTED,
    NONE,
    PROMPTED,
    PROPAGATED,
    STALE,
)


def code(state, score=np.nan):
    return int(cell_codes(np.array([state], np.uint8), np.array([score], np.float32))[0])


def test_what_wants_to_be_seen_more_has_the_larger_code():
    order = [
        code(NONE),
        code(APPROVED),
        code(PROPAGATED, 0.95),
        code(PROPAGATED, 0.6),
        code(CORRECTED),
        code(PROMPTED),
        code(ABSENT),
        code(PROPAGATED, 0.45),
        code(PROPAGATED, 0.0),
        code(STALE),
    ]
    assert order == sorted(set(order))


def test_what_is_a_problem():
    assert min(code(STALE), code(ABSENT), code(PROPAGATED, 0.49)) >= FIRST_PROBLEM
    assert max(code(PROMPTED), code(CORRECTED), code(PROPAGATED, 0.5)) < FIRST_PROBLEM


def test_an_unknown_score_is_a_good_one_and_other_states_have_none():
    assert code(PROPAGATED) == code(PROPAGATED, 1.0)
    assert code(APPROVED, 0.1) == code(APPROVED, 0.9)


@given(a=st.floats(0, 1), b=st.floats(0, 1))
def test_lower_scores_have_larger_codes(a, b):
    low, high = sorted((a, b))
    assert code(PROPAGATED, low) >= code(PROPAGATED, high)


def test_bad_states_are_refused():
    with pytest.raises(ValueError, match="state 7 has no name; there are 7"):
        cell_codes(np.array([[7]], np.uint8), np.ones((1, 1), np.float32))
    with pytest.raises(ValueError, match=r"states have shape \(1, 2\), scores \(2, 1\)"):
        cell_codes(np.zeros((1, 2), np.uint8), np.ones((2, 1), np.float32))


@given(
    codes=arrays(np.uint8, (3, 40), elements=st.integers(0, 13)),
    cuts=st.sets(st.integers(1, 39)),
)
def test_pooling_keeps_the_worst(codes, cuts):
    edges = np.array([0, *sorted(cuts), 40])
    small = pooled(codes, edges)
    expected = [codes[:, a:b].max(axis=1) for a, b in pairwise(edges)]
    np.testing.assert_array_equal(small, np.stack(expected, axis=1))


def test_pooling_of_nothing():
    assert pooled(np.zeros((0, 9), np.uint8), np.array([0, 4, 9])).shape == (0, 2)


def test_colours_differ_as_far_as_they_have_to():
    table = colour_table()
    assert table[code(NONE)][3] == 0
    used = [table[code(s)] for s in (PROMPTED, PROPAGATED, CORRECTED, STALE, ABSENT, APPROVED)] + [
        table[code(PROPAGATED, 0.1)]
    ]
    for i, a in enumerate(used):
        assert a[3] == 255
        for b in used[:i]:
            assert sum(abs(x - y) for x, y in zip(a, b, strict=True)) > 90
    red = [table[code(PROPAGATED, s)] for s in (0.0, 0.3)]
    assert all(r > 200 and r > b + 80 for r, _, b, _ in red)


def test_stale_is_hatched_and_nothing_else():
    codes = np.full((2, 4), code(STALE), np.uint8)
    assert hatched(codes).tolist() == [[13, 14, 13, 14], [14, 13, 14, 13]]
    # The pattern stays in place when only a part is drawn.
    np.testing.assert_array_equal(hatched(codes)[1:, 1:], hatched(codes[1:, 1:], 1, 1))
    others = np.arange(13, dtype=np.uint8)[None]
    np.testing.assert_array_equal(hatched(others), others)
