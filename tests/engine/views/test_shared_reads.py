"""Shared reads: the same pixels in fewer reads, and never much more of the movie."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from napari_sam2track.engine.views.shared_reads import MOST_MORE, box_of, merge, share_reads
from napari_sam2track.engine.views.views import FrameView, WindowView
from napari_sam2track.engine.views.windows import Window, cut_window


class Movie:
    """Pixels that are a function of their place, made when they are read."""

    n_frames = 3

    def __init__(self, height, width):
        self.height, self.width, self.calls, self.pixels = height, width, 0, 0

    def read(self, t):
        raise AssertionError("a whole frame was read")

    def read_window(self, t, y0, y1, x0, x1):
        assert 0 <= y0 < y1 <= self.height and 0 <= x0 < x1 <= self.width
        self.calls += 1
        self.pixels += (y1 - y0) * (x1 - x0)
        yy, xx = np.mgrid[y0:y1, x0:x1]
        grey = (yy * 31 + xx * 17 + (yy * xx) % 101 + 50 * t) % 256
        return np.repeat(grey[..., None], 3, axis=-1).astype(np.uint8)


windows = st.builds(
    Window, st.floats(-20, 220), st.floats(-20, 320), st.floats(24, 300).filter(np.isfinite)
)


@given(st.lists(windows, min_size=1, max_size=12), st.sampled_from([64, 128]))
def test_pixels_are_those_of_windows_cut_alone(many, size):
    movie, plain = Movie(200, 300), Movie(200, 300)
    views = [WindowView(w) for w in many]
    shared = share_reads(movie, 1, views, size)
    for view in views:
        want = cut_window(plain, 1, view.window, size)
        assert np.array_equal(view.image(shared, 1, size), want)
    assert movie.calls <= plain.calls
    assert movie.pixels <= MOST_MORE * plain.pixels


@given(st.lists(windows, min_size=1, max_size=12))
def test_every_box_lies_in_a_block(many):
    boxes = [box_of(w, 64, 200, 300) for w in many]
    blocks = merge(boxes)
    assert sum(n for _, n in blocks) == len(boxes)
    for a0, a1, b0, b1 in boxes:
        assert any(
            y0 <= a0 and a1 <= y1 and x0 <= b0 and b1 <= x1 for (y0, y1, x0, x1), _ in blocks
        )


def test_other_frames_are_not_mixed_up():
    movie = Movie(200, 300)
    views = [WindowView(Window(50.0, 50.0 + k, 40.0)) for k in range(2)]
    shared = share_reads(movie, 1, views, 64)
    want = cut_window(Movie(200, 300), 2, views[0].window, 64)
    assert np.array_equal(views[0].image(shared, 2, 64), want)


def test_a_crowd_takes_few_reads():
    movie = Movie(2000, 2000)
    crowd = [
        WindowView(Window(400 + 20.0 * i, 700 + 20.0 * j, 60.0))
        for i in range(10)
        for j in range(10)
    ]
    shared = share_reads(movie, 0, crowd, 128)
    for view in crowd:
        view.image(shared, 0, 128)
    assert movie.calls <= 10


@pytest.mark.parametrize("n", [0, 1])
def test_one_view_needs_no_sharing(n):
    movie = Movie(200, 300)
    views = [WindowView(Window(50.0, 50.0, 40.0))][:n]
    assert share_reads(movie, 0, [*views, FrameView(200, 300)], 64) is movie
    assert movie.calls == 0


def test_a_huge_frame_is_touched_where_objects_are():
    movie = Movie(20_000, 20_000)
    at = [
        (10.0, 10.0),
        (19_990.0, 19_990.0),
        (30.0, 40.0),
        (9_000.0, 12_000.0),
        (9_020.0, 12_000.0),
    ]
    views = [WindowView(Window(y, x, 60.0)) for y, x in at]
    shared = share_reads(movie, 0, views, 128)
    for view in views:
        view.image(shared, 0, 128)
    assert movie.calls == 3
    assert movie.pixels < 5 * 64**2 * MOST_MORE
