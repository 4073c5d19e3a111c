"""Masks that fall apart into two."""

from __future__ import annotations

import numpy as np
import pytest

from napari_sam2track.engine.divisions import LASTING, LOOK_BACK, TwoParts, find_split, two_parts
from napari_sam2track.masks import Patch


def discs(*discs, at=(5, 7)):
    """A patch of discs given as (y, x, radius)."""
    yy, xx = np.mgrid[:60, :60]
    mask = np.zeros((60, 60), bool)
    for y, x, r in discs:
        mask |= np.hypot(yy - y, xx - x) < r
    return Patch.of(np.where(mask, np.float32(2), np.float32(-2)), *at)


ONE = discs((30, 30, 10))
TWO = discs((30, 15, 7), (30, 40, 8))
UNEQUAL = discs((30, 15, 3), (30, 40, 10))
CRUMBS = discs((30, 15, 7), (30, 40, 8), (5, 5, 2))
THREE = discs((10, 10, 6), (30, 40, 6), (50, 10, 6))


@pytest.mark.parametrize(
    ("patch", "two"),
    [(ONE, False), (TWO, True), (UNEQUAL, False), (CRUMBS, True), (THREE, False)],
)
def test_two_parts_of_comparable_size(patch, two):
    assert (two_parts(patch) is not None) == two
    assert two_parts(Patch(np.zeros((0, 0), np.float32), 0, 0)) is None


def test_parts_lie_where_they_are():
    right, left = two_parts(TWO).parts  # whichever begins higher comes first
    whole = left.to_frame(80, 80) | right.to_frame(80, 80)
    np.testing.assert_array_equal(whole, TWO.mask.to_frame(80, 80))
    assert not (left.to_frame(80, 80) & right.to_frame(80, 80)).any()
    assert left.area < right.area


def test_a_split_must_last():
    movie = [ONE, ONE, TWO, ONE, TWO, TWO, CRUMBS, TWO]
    for t in range(len(movie)):
        split = find_split(t, 1, lambda u: two_parts(movie[u]))
        lasting = t - 4 + 1 >= LASTING
        assert (split is not None) == lasting, t
        if split is not None:
            assert split.frame == 4
            assert 0.5 < split.score <= 1


def test_it_is_not_looked_for_before_the_prompt():
    """A person who outlined two parts as one object means it."""
    assert find_split(3, 1, lambda t: two_parts(TWO)) is not None
    assert find_split(3, 1, lambda t: two_parts(TWO)).frame == 1
    assert find_split(3, 2, lambda t: two_parts(TWO)) is None
    assert find_split(3, 0, lambda t: None) is None


def test_looks_back_a_bounded_number_of_frames():
    """An object that stays in two parts is not looked at from its beginning on every frame."""
    looked = []

    def two_at(t):
        looked.append(t)
        return two_parts(Patch(np.array([[1.0, 0.0, 1.0]], np.float32), 0, 0))

    assert find_split(5, 0, two_at).frame == 0
    looked.clear()
    assert find_split(1000, 0, two_at) is None
    assert len(looked) == LOOK_BACK + 1


@pytest.mark.parametrize(
    ("evidence", "enough"),
    [([1.2], True), ([0.9], False), ([0.5, 0.6], True), ([1.2, None, 0.3], False), ([0.4], False)],
)
def test_evidence_of_frames_in_a_row_adds_up(evidence, enough):
    parts = two_parts(TWO).parts
    two = [None if e is None else TwoParts(parts, e) for e in evidence]
    split = find_split(len(two), 1, lambda t: two[t - 1])
    assert (split is not None) == enough
    if enough:
        assert split.frame == 1
        assert split.parts is parts
