"""Frames and pixels."""

from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from napari_sam2track._widgets.time_axis import TimeAxis


@st.composite
def axes(draw):
    n = draw(st.integers(0, 5000))
    a, b = draw(st.floats(-50, 5050)), draw(st.floats(-50, 5050))
    axis = TimeAxis(n).placed(draw(st.integers(0, 60)), draw(st.integers(1, 2000)))
    return axis.shown(min(a, b), max(a, b))


def sound(axis):
    assert -1e-6 <= axis.start < axis.stop <= max(axis.n_frames, 1) + 1e-6
    assert axis.span >= min(8, max(axis.n_frames, 1)) - 1e-6


@given(axis=axes(), t=st.floats(0, 5000))
def test_there_and_back(axis, t):
    sound(axis)
    assert axis.frame(axis.position(t)) == pytest.approx(t, abs=1e-6)


@given(axis=axes(), factor=st.floats(0.05, 20), at=st.floats(0, 1), way=st.floats(-9999, 9999))
def test_whatever_is_done_it_stays_inside(axis, factor, at, way):
    at = axis.start + at * axis.span
    for changed in (axis.zoomed(factor, at), axis.moved(way), axis.including(axis.n_frames // 2)):
        sound(changed)
    assert axis.moved(way).span == pytest.approx(axis.span)


def test_zooming_keeps_the_frame_below_the_mouse():
    axis = TimeAxis(1000).placed(40, 500).shown(200, 600)
    closer = axis.zoomed(2, 300)
    assert closer.span == pytest.approx(200)
    assert closer.position(300) == pytest.approx(axis.position(300))


@given(axis=axes())
def test_pixels_cover_all_frames_once_or_more(axis):
    pixels = range(int(axis.origin), int(axis.origin + axis.length))
    seen = [t for u in pixels for t in axis.frames(u)]
    whole = range(int(axis.start) + 1, min(int(axis.stop), axis.n_frames))
    assert set(whole) <= set(seen)
    assert seen == sorted(seen)
    if axis.scale < 1:  # no frame belongs to two pixels
        assert len(seen) == len(set(seen))


def test_including_moves_as_little_as_needed():
    axis = TimeAxis(100).shown(20, 40)
    assert (axis.including(39).start, axis.including(39).stop) == (20, 40)
    assert axis.including(45).stop == 46
    assert axis.including(3).start == 3


@given(axis=axes(), spacing=st.integers(5, 200))
def test_ticks_are_round_and_apart(axis, spacing):
    ticks = list(axis.ticks(spacing))
    assert all(0 <= t < axis.n_frames for t in ticks)
    for a, b in pairwise(ticks):
        assert (b - a) * axis.scale >= spacing - 1e-6
        assert str(b - a).rstrip("0") in ("1", "2", "5")
