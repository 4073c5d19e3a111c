"""Rows of tracks: nothing overlaps, whatever the lineage."""

import time
from itertools import combinations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from napari_sam2track._widgets.lineage_layout import known_parents, layout


@st.composite
def forests(draw, broken=False):
    """Spans and parents; valid ones have daughters begin after their parent's end."""
    n = draw(st.integers(0, 25))
    spans, parents = {}, {}
    for track in range(1, n + 1):
        parent = draw(st.none() | st.integers(1, n if broken else track))
        begin = draw(st.integers(0, 30))
        if parent is not None and (broken or parent < track):
            parents[track] = parent
            if not broken:
                begin = spans[parent][1] + 1 + begin // 10
        spans[track] = (begin, begin + draw(st.integers(0, 12)))
    return spans, parents


def check(spans, rows, gap=0):
    assert rows.keys() == spans.keys()
    assert min(rows.values(), default=0) == 0
    for a, b in combinations(spans, 2):
        meet = spans[a][0] <= spans[b][1] and spans[b][0] <= spans[a][1]
        if meet:
            assert abs(rows[a] - rows[b]) >= 1, (a, b)


@given(forest=forests(), gap=st.integers(0, 9))
def test_valid_lineages(forest, gap):
    spans, parents = forest
    rows = layout(spans, parents, gap)
    check(spans, rows)
    daughters = {}
    for child, parent in parents.items():
        daughters.setdefault(parent, []).append(rows[child])
    for parent, found in daughters.items():
        assert rows[parent] == (min(found) + max(found)) / 2
        assert len(set(found)) == len(found)


@given(forest=forests(broken=True))
def test_broken_lineages(forest):
    # Circles, own parents, daughters before their parents.
    spans, parents = forest
    check(spans, layout(spans, parents))


def test_a_division():
    assert layout({1: (0, 4), 2: (5, 9), 3: (5, 9)}, {2: 1, 3: 1}) == {1: 0.5, 2: 0, 3: 1}


def test_families_share_rows_in_time_but_for_a_gap():
    spans = {1: (0, 4), 2: (8, 9), 3: (2, 6)}
    assert layout(spans, {}) == {1: 0, 3: 1, 2: 0}
    assert layout(spans, {}, gap=3) == {1: 0, 3: 1, 2: 0}
    assert layout(spans, {}, gap=4) == {1: 0, 3: 1, 2: 2}


def test_a_family_fits_between_others():
    # Rows 1 and 2 are free from frame 5 on, row 0 is not.
    spans = {1: (0, 20), 2: (0, 4), 3: (0, 4), 4: (6, 7), 5: (8, 9), 6: (8, 9)}
    rows = layout(spans, {5: 4, 6: 4})
    assert max(rows.values()) == 2
    assert {rows[5], rows[6]} == {1, 2}


def test_parents_that_are_not_there():
    assert known_parents({1: (0, 1), 2: (2, 3)}, {1: 9, 2: 2, 7: 1}) == {}
    assert known_parents({1: (0, 1), 2: (2, 3)}, {1: 2, 2: 1}) == {2: 1}


def test_a_parent_that_goes_on_has_its_own_row():
    rows = layout({1: (0, 9), 2: (5, 9), 3: (5, 9)}, {2: 1, 3: 1})
    assert rows == {2: 0, 1: 1, 3: 2}


def test_deep_and_large_lineages():
    deep = {t: (t, t) for t in range(5000)}
    begin = time.perf_counter()
    rows = layout(deep, {t: t - 1 for t in range(1, 5000)})
    assert set(rows.values()) == {0}
    assert time.perf_counter() - begin < 5  # no recursion, nothing quadratic


@pytest.mark.parametrize("n", [0, 1])
def test_little(n):
    assert layout(dict.fromkeys(range(n), (0, 0)), {}) == dict.fromkeys(range(n), 0)
