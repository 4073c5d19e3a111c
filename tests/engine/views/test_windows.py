"""Windows and views against direct computations."""

from __future__ import annotations

import math
import tracemalloc
from itertools import pairwise

import numpy as np
import pytest
import torch
from hypothesis import assume, given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp
from PIL import Image
from scipy import ndimage as ndi

from napari_sam2track.engine.views import windows
from napari_sam2track.engine.views.views import FrameView, WindowView
from napari_sam2track.engine.views.windows import (
    MIN_SIDE,
    MaskExtent,
    Window,
    WindowMotion,
    cut_mask,
    cut_window,
    reference_side,
)
from napari_sam2track.engine.window_search import FILL, sensible, sides
from napari_sam2track.masks import Mask, resample_logits

SIZE = 32
WINDOWS = st.builds(Window, st.floats(-40, 110), st.floats(-40, 140), st.floats(MIN_SIDE, 200))


@pytest.fixture(scope="module")
def movie(counting_movie):
    rng = np.random.default_rng(0)
    smooth = ndi.gaussian_filter(rng.normal(size=(2, 71, 97)), (0, 2, 2))
    frames = (smooth - smooth.min()) / np.ptp(smooth) * 255
    return counting_movie(frames.astype(np.uint8))


def cut_directly(frame_yxc, window, size):
    """Pad the whole frame far enough, then resample the box."""
    pad = 400
    padded = np.pad(frame_yxc, ((pad, pad), (pad, pad), (0, 0)), mode="edge")
    box = (
        window.x0 + pad,
        window.y0 + pad,
        window.x0 + pad + window.side,
        window.y0 + pad + window.side,
    )
    return np.asarray(
        Image.fromarray(padded).resize((size, size), Image.Resampling.BILINEAR, box=box)
    )


@given(window=WINDOWS)
def test_cut_window(movie, window):
    got = cut_window(movie, 1, window, SIZE)
    assert got.shape == (SIZE, SIZE, 3)
    expected = cut_directly(movie.movie[1], window, SIZE).astype(int)
    assert np.abs(got.astype(int) - expected).max() <= 1


def padded_square(image, window, size, mode):
    """A window of an image that is padded to all sides at once: the square exists."""
    margin = math.ceil(max(window.side / size, 1)) + 1
    begins, ends = [], []
    for start in (window.y0, window.x0):
        begins.append(math.floor(start) - margin)
        reach = math.ceil(window.side) + 2 * margin + 1  # what cut_mask takes, wherever it is
        end = begins[-1] + reach if mode == "constant" else math.ceil(start + window.side) + margin
        ends.append(end)
    pad = [
        (max(-begin, 0), max(end - n, 0))
        for begin, end, n in zip(begins, ends, image.shape, strict=False)
    ]
    padded = np.pad(image, [*pad, (0, 0)][: image.ndim], mode=mode)
    (y0, x0), (y1, x1) = begins, ends
    part = padded[max(y0, 0) : y1 + pad[0][0], max(x0, 0) : x1 + pad[1][0]]
    y, x = window.y0 - y0, window.x0 - x0
    box = x, y, x + window.side, y + window.side
    return np.asarray(
        Image.fromarray(part).resize((size, size), Image.Resampling.BILINEAR, box=box)
    )


INSIDE = st.builds(Window, st.floats(0, 70), st.floats(0, 96), st.floats(MIN_SIDE, 200))


@given(window=INSIDE, size=st.sampled_from([SIZE, 64]))
def test_ordinary_windows_are_one_resize(movie, window, size):
    mask = Mask.from_frame(movie.movie[1, ..., 0] > 128)
    image, seen = cut_window(movie, 1, window, size), cut_mask(mask, window, size)
    np.testing.assert_array_equal(image, padded_square(movie.movie[1], window, size, "edge"))
    full = mask.to_frame(71, 97) * np.uint8(255)
    np.testing.assert_array_equal(seen, padded_square(full, window, size, "constant") >= 128)


@given(
    height=st.integers(1, 400),
    width=st.integers(1, 400),
    y=st.floats(0, 1),
    x=st.floats(0, 1),
    side=st.floats(MIN_SIDE, 400),
)
def test_one_axis_after_the_other(counting_movie, height, width, y, x, side):
    """In steps and in blocks, by at most one grey level off: rounding depends on the order."""
    frame = np.random.default_rng(height).integers(0, 256, (1, height, width)).astype(np.uint8)
    movie, window = counting_movie(frame), Window(y * (height - 1), x * (width - 1), side)
    mask = Mask.from_frame(frame[0] > 128)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(windows, "MOST_PIXELS", 2**10)
        got, seen = cut_window(movie, 0, window, SIZE), cut_mask(mask, window, SIZE)
    expected = padded_square(movie.movie[0], window, SIZE, "edge")
    assert np.abs(got.astype(int) - expected).max() <= 1
    full = mask.to_frame(height, width) * np.uint8(255)
    grey = padded_square(full, window, SIZE, "constant").astype(int)
    sure = np.abs(grey - 127.5) > 1
    np.testing.assert_array_equal(seen[sure], grey[sure] >= 128)


@pytest.mark.parametrize("shape", [(20, 30_000), (30_000, 20), (500, 16_000), (1, 70_000)])
def test_a_window_costs_what_it_shows(counting_movie, shape):
    """Not the square of the longer side, which would be up to 15 GB."""
    movie = counting_movie(np.zeros((1, *shape), np.uint8))
    mask = Mask.from_frame(np.ones(shape, bool))
    window = Window(shape[0] / 2, shape[1] / 2, max(shape))
    pixels = shape[0] * shape[1]
    for cut, each in ((lambda: cut_window(movie, 0, window, 128), 3), (cut_whole(mask, window), 1)):
        tracemalloc.start()
        cut()
        peak = tracemalloc.get_traced_memory()[1]
        tracemalloc.stop()
        assert peak < each * pixels + 24 * 2**20


def cut_whole(mask, window):
    return lambda: cut_mask(mask, window, 128)


@given(window=WINDOWS)
def test_only_the_window_and_a_margin_is_read(movie, window):
    before = movie.pixels
    cut_window(movie, 0, window, SIZE)
    margin = 2 * (math.ceil(max(window.side / SIZE, 1)) + 1) + 2
    assert 0 < movie.pixels - before <= (window.side + margin) ** 2
    assert movie.reads == {}  # never the whole frame


def test_windows_outside_repeat_the_border(movie):
    far = cut_window(movie, 0, Window(-500, 40, 30), SIZE)
    assert (far == far[:1]).all()
    corner = cut_window(movie, 0, Window(500, 700, 30), SIZE)
    assert (corner == movie.movie[0, -1, -1]).all()
    two = [cut_window(movie, 0, w, SIZE) for w in (Window(-500, 40, 30), Window(500, 700, 30))]
    assert (two[0] == far).all()
    assert (two[1] == corner).all()


def test_a_window_at_full_size_is_the_frame(movie):
    window = Window(35.5, 47.5, 32)
    assert (cut_window(movie, 0, window, 32) == movie.movie[0, 20:52, 32:64]).all()


@given(
    window=WINDOWS,
    points=st.lists(st.tuples(st.floats(-100, 200), st.floats(-100, 200)), min_size=1, max_size=5),
)
def test_points_go_there_and_back(window, points):
    view = WindowView(window)
    p = np.array(points)
    there = view.points(p, SIZE)
    y0, x0, height, width = view.region
    back = np.stack([there[:, 1] / SIZE * height + y0, there[:, 0] / SIZE * width + x0], 1) - 0.5
    np.testing.assert_allclose(back, p, atol=1e-9)
    middle = view.points(np.array([[window.cy, window.cx]]), SIZE)
    np.testing.assert_allclose(middle, [[SIZE / 2, SIZE / 2]], atol=1e-9)


def test_a_point_marks_the_pixel_that_is_cut_there(counting_movie):
    """One bright pixel comes out where its point goes."""
    frame = np.zeros((1, 60, 80), np.uint8)
    frame[0, 31, 47] = 255
    view = WindowView(Window(28.25, 51.5, 24))
    image = view.image(counting_movie(frame), 0, 96)[..., 0].astype(float)
    x, y = view.points(np.array([[31.0, 47.0]]), 96)[0]
    cy, cx = ndi.center_of_mass(image)
    assert (cy + 0.5, cx + 0.5) == pytest.approx((y, x), abs=0.3)


def outline_distance(mask):
    """Per pixel, how far it is from the outline of a mask."""
    padded = np.pad(mask, 1)
    inside = ndi.distance_transform_edt(padded)
    outside = ndi.distance_transform_edt(~padded)
    return (inside + outside)[1:-1, 1:-1]


@given(
    cy=st.floats(20, 50),
    cx=st.floats(20, 70),
    r=st.floats(5, 18),
    zoom=st.floats(0.7, 1.6),
    dy=st.floats(-6, 6),
    dx=st.floats(-6, 6),
)
def test_a_mask_goes_there_and_back(cy, cx, r, zoom, dy, dx):
    yy, xx = np.mgrid[:71, :97]
    truth = np.hypot(yy - cy, (xx - cx) * 0.8) < r
    mask = Mask.from_frame(truth)
    shape = MaskExtent.of(truth)
    assert shape is not None
    window = Window(shape.cy + dy, shape.cx + dx, shape.window().side * zoom)
    assume(window.y0 < cy - r and window.y0 + window.side > cy + r)
    low = cut_mask(mask, window, 128)
    patch, y0, x0 = resample_logits(
        np.where(low, 1.0, -1.0).astype(np.float32), WindowView(window).region, 71, 97
    )
    back = np.zeros_like(truth)
    back[y0 : y0 + patch.shape[0], x0 : x0 + patch.shape[1]] = patch > 0
    wrong = back != truth
    assert not (wrong & (outline_distance(truth) > 1.5)).any()


@given(window=WINDOWS)
def test_cut_mask_at_borders(window):
    """The mask of the whole frame, seen from anywhere, is where the frame is."""
    whole = Mask.from_frame(np.ones((71, 97), bool))
    got = cut_mask(whole, window, SIZE)
    step = window.side / SIZE
    ys = window.y0 + (np.arange(SIZE) + 0.5) * step
    xs = window.x0 + (np.arange(SIZE) + 0.5) * step
    sure = 1.01 * max(step, 1)
    inside = np.outer((ys > sure) & (ys < 71 - sure), (xs > sure) & (xs < 97 - sure))
    outside = ~np.outer((ys > -sure) & (ys < 71 + sure), (xs > -sure) & (xs < 97 + sure))
    assert got[inside].all()
    assert not got[outside].any()


def test_frame_view_is_sams(movie):
    from napari_sam2track.engine.official_predictor import load_as_sam2

    view = FrameView(71, 97)
    x = torch.from_numpy(view.image(movie, 0, SIZE).copy()).permute(2, 0, 1).float() / 255
    mean = torch.tensor((0.485, 0.456, 0.406))[:, None, None]
    std = torch.tensor((0.229, 0.224, 0.225))[:, None, None]
    assert torch.equal((x - mean) / std, load_as_sam2(movie.movie[0], SIZE))
    np.testing.assert_allclose(view.points(np.array([[71.0, 48.5]]), SIZE), [[16, 32]])
    mask = view.mask(Mask.from_frame(np.ones((71, 97), bool)), SIZE)
    assert mask.shape == (SIZE, SIZE)
    assert mask.all()


def test_reference_side():
    disc = 40.0
    assert reference_side(disc, math.pi * 400) == pytest.approx(120)  # three diameters
    assert reference_side(100, 400) == pytest.approx(180)  # a rod: by its length
    assert reference_side(2, 4) == MIN_SIDE


def test_shape():
    mask = np.zeros((20, 30), bool)
    mask[4:8, 10:22] = True
    assert MaskExtent.of(mask, 100, 200) == MaskExtent(105.5, 215.5, 12.0, 48.0)
    assert MaskExtent.of(np.zeros((3, 3), bool)) is None
    assert MaskExtent.of(np.zeros((0, 0), bool)) is None


@given(hnp.arrays(bool, (7, 9)))
def test_the_shape_is_that_of_the_pixels(mask):
    ys, xs = np.nonzero(mask)
    shape = MaskExtent.of(mask, 3, 4)
    if len(ys) == 0:
        assert shape is None
    else:
        extent = max(np.ptp(ys), np.ptp(xs)) + 1
        assert shape == MaskExtent(3 + ys.mean(), 4 + xs.mean(), extent, len(ys))


def test_motion_follows_and_stays():
    motion = WindowMotion.at(Window(50, 50, 60))
    for t in range(1, 6):
        motion = motion.seen(MaskExtent(50 + 4.0 * t, 50, 20, 314))
    assert (motion.vy, motion.vx) == (4, 0)
    assert motion.side == 60  # the size is what it was
    assert motion.expected(1000, 1000) == Window(72, 50, 60)
    assert motion.expected(71, 1000).cy == 70  # stays in the frame
    lost = motion.seen(None)
    assert lost.expected(1000, 1000) == Window(70, 50, 60)


def test_motion_adapts_its_size_slowly():
    motion = WindowMotion.at(Window(0, 0, 60))
    sizes = []
    for _ in range(80):
        motion = motion.seen(MaskExtent(0, 0, 40, math.pi * 400))  # wants 120
        sizes.append(motion.side)
    steps = np.diff([60, *sizes])
    assert (steps >= 0).all()
    assert max(steps / np.array([60, *sizes[:-1]])) < 0.12
    assert 120 / 1.16 < sizes[-1] < 120
    assert (
        WindowMotion.at(Window(0, 0, 60)).seen(MaskExtent(0, 0, 21, 346)).side == 60
    )  # within the dead band


def test_motion_rests_after_a_jump_to_a_prompt():
    """Found again far away by a correction: that jump is not a speed."""
    motion = WindowMotion.at(Window(10, 10, 60))
    found = motion.told(MaskExtent(200, 150, 20, 314), None)
    assert found.expected(1000, 1000) == Window(200, 150, 60)
    assert motion.told(MaskExtent(14, 10, 20, 314), None).vy == 0  # a first click off the middle
    on_track = WindowMotion(10, 10, 0, 0, 60, on_track=True)
    assert on_track.told(MaskExtent(14, 10, 20, 314), None).vy == 4
    assert on_track.seen(None).seen(MaskExtent(14, 10, 20, 314)).vy == 0  # it had been away
    resized = motion.told(MaskExtent(14, 10, 40, 1256), Window(14, 10, 120))
    assert resized.side == 120
    nothing = motion.told(None, Window(300, 300, 90))
    assert nothing.expected(1000, 1000) == Window(300, 300, 90)
    assert motion.told(None, None).expected(1000, 1000) == Window(10, 10, 60)


def test_agreement_is_with_place_and_size():
    motion = WindowMotion(50, 50, 4, 0, 60, on_track=True)  # expected at 52, with a radius of 10
    there = MaskExtent(52, 50, 20, math.pi * 100)

    def agreement(shape):
        return motion.agreement(shape, 1000, 1000)

    assert agreement(there) == pytest.approx(1)
    assert agreement(None) == 0
    assert agreement(MaskExtent(52 + 15, 50, 20, math.pi * 100)) == pytest.approx(math.exp(-0.5))
    larger = math.exp(0.4)  # one standard deviation
    shape = MaskExtent(52, 50, 20 * larger, math.pi * 100 * larger**2)
    assert agreement(shape) == pytest.approx(math.exp(-0.5))
    assert agreement(MaskExtent(52, 80, 40, math.pi * 400)) < 0.05


def test_sides_cover_all_sizes():
    got = sides(500, 700, 0)
    assert got[0] < 40
    assert got[-1] == 700
    assert all(b <= 2 * a for a, b in pairwise(got))
    assert min(sides(500, 700, 100)) >= 150
    assert sides(50, 50, 100) == [150]


def test_sensible_masks():
    size = 90
    yy, xx = np.mgrid[:size, :size] - 44.5
    third = np.hypot(yy, xx) < size / 6
    assert third.mean() == pytest.approx(FILL, rel=0.05)
    masks = np.stack([third, np.hypot(yy, xx) < 3, yy < 0, np.zeros_like(third)])[None]
    good = sensible(masks)[0]
    assert good[0] > 0.99
    assert good.argmax() == 0
    assert good[3] == 0
    moved = np.roll(third, 30, axis=0)
    assert sensible(moved[None, None])[0, 0] == pytest.approx(0.5 * good[0])
