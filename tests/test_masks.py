"""Masks: painting, resampling, tidying."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from napari_sam2track import masks
from napari_sam2track.masks import (
    LEAST_LOGIT,
    Mask,
    Patch,
    compose_labels,
    cut_across,
    paint,
    resample_logits,
    tidy,
)

H, W = 9, 11


@given(hnp.arrays(bool, hnp.array_shapes(min_dims=2, max_dims=2, min_side=1, max_side=12)))
def test_round_trip(full):
    mask = Mask.from_frame(full)
    assert (mask.to_frame(*full.shape) == full).all()
    assert mask.area == full.sum()
    y0, x0, y1, x1 = mask.box
    if full.any():
        ys, xs = np.nonzero(full)
        assert (y0, x0, y1, x1) == (ys.min(), xs.min(), ys.max() + 1, xs.max() + 1)
    else:
        assert mask.crop.shape == (0, 0)


@given(st.integers(-8, 16), st.integers(-8, 16))
def test_parts_outside_are_cut_off(y0, x0):
    got = Mask(np.ones((4, 5), bool), y0, x0).to_frame(H, W)
    yy, xx = np.mgrid[:H, :W]
    expected = (yy >= y0) & (yy < y0 + 4) & (xx >= x0) & (xx < x0 + 5)
    assert (got == expected).all()


def test_a_mask_is_a_copy():
    full = np.zeros((4, 4), bool)
    full[1, 1] = True
    mask = Mask.from_frame(full)
    full[:] = False
    assert mask.area == 1


# few values, so that there are many ties; thirds are not exact
LOGITS = st.sampled_from([-1.0, 0.0, 1 / 3, 0.5, 1.0, 7.0]).map(np.float32)


@st.composite
def patches(draw):
    shape = draw(st.tuples(st.integers(0, H), st.integers(0, W)))
    y0, x0 = draw(st.integers(0, H - shape[0])), draw(st.integers(0, W - shape[1]))
    return draw(hnp.arrays(np.float32, shape, elements=LOGITS)), y0, x0


@given(
    data=st.dictionaries(st.integers(1, 2**32 - 1), patches(), min_size=1, max_size=5),
    order=st.randoms(use_true_random=False),
)
def test_paint_is_the_argmax_in_any_order(data, order):
    """The highest logit wins, ties go to the lower id, nothing below zero is painted."""
    ids = sorted(data)
    dense = np.zeros((len(ids), H, W), np.float32)
    for n, i in enumerate(ids):
        patch, y0, x0 = data[i]
        dense[n, y0 : y0 + patch.shape[0], x0 : x0 + patch.shape[1]] = patch
    best = dense.max(0)
    expected = np.where(best > 0, np.array(ids, np.uint32)[dense.argmax(0)], 0)
    labels, logits = np.zeros((H, W), np.uint32), np.zeros((H, W), np.float32)
    order.shuffle(ids)
    for i in ids:
        paint(labels, logits, i, *data[i])
    shuffled = [(i, Patch(*data[i])) for i in ids]
    np.testing.assert_array_equal(compose_labels(shuffled, H, W), expected)
    assert (labels == expected).all()
    assert (logits == np.maximum(best, 0)).all()


def interpolated(logits, height, width):
    import torch
    import torch.nn.functional as F

    low = torch.from_numpy(logits)[None, None]
    return F.interpolate(low, (height, width), mode="bilinear", align_corners=False)[0, 0].numpy()


def placed(patch, y0, x0, height, width, empty=-99.0):
    out = np.full((height, width), empty, np.float32)
    out[y0 : y0 + patch.shape[0], x0 : x0 + patch.shape[1]] = patch
    return out


@given(
    size=st.integers(2, 17),
    height=st.integers(1, 70),
    width=st.integers(1, 70),
    seed=st.integers(0, 10**6),
    level=st.floats(-8, 8),
)
def test_resample_is_torchs_on_a_whole_frame(size, height, width, seed, level):
    rng = np.random.default_rng(seed)
    logits = (rng.normal(0, 4, (size, size)) + level).astype(np.float32)
    patch, y0, x0 = resample_logits(logits, (0.0, 0.0, float(height), float(width)), height, width)
    assert patch.dtype == np.float32
    expected = interpolated(logits, height, width)
    got = placed(patch, y0, x0, height, width)
    inside = got > -99
    np.testing.assert_allclose(got[inside], expected[inside], atol=1e-5)
    assert (expected[~inside] <= 0).all()  # nothing of the object is left out


def test_many_pixels_are_resampled_a_few_rows_at_a_time(monkeypatch):
    logits = np.random.default_rng(0).normal(0, 4, (8, 8)).astype(np.float32)
    region = (-3.0, 2.0, 90.0, 70.0)
    whole, *corner = resample_logits(logits, region, 61, 67)
    monkeypatch.setattr(masks, "_AT_ONCE", 300)
    parts, *same = resample_logits(logits, region, 61, 67)
    assert same == corner
    np.testing.assert_array_equal(parts, whole)


@given(
    side=st.integers(10, 80),
    top=st.integers(-60, 60),
    left=st.integers(-60, 60),
    seed=st.integers(0, 10**6),
)
def test_resample_of_a_region_that_sticks_out(side, top, left, seed):
    """A region on whole pixels, anywhere: the same as cutting the frame out of the region."""
    rng = np.random.default_rng(seed)
    logits = rng.normal(-2, 4, (8, 8)).astype(np.float32)
    height, width = 50, 45
    patch, y0, x0 = resample_logits(
        logits, (float(top), float(left), float(side), float(side)), height, width
    )
    expected = np.full((height, width), -1.0, np.float32)
    region = interpolated(logits, side, side)
    ys = slice(min(max(top, 0), height), min(max(top + side, 0), height))
    xs = slice(min(max(left, 0), width), min(max(left + side, 0), width))
    expected[ys, xs] = region[ys.start - top : ys.stop - top, xs.start - left : xs.stop - left]
    got = placed(patch, y0, x0, height, width, -1.0)
    wanted = expected > 1e-4
    assert ((got > 1e-4) == wanted).all()
    np.testing.assert_allclose(got[wanted], expected[wanted], atol=1e-4)
    labels, best = np.zeros((height, width), np.uint32), np.zeros((height, width), np.float32)
    paint(labels, best, 1, patch, y0, x0)  # what does not lie in the frame can be painted, too
    assert ((labels > 0) == (got > 0)).all()


def test_resample_of_nothing():
    patch, y0, x0 = resample_logits(np.full((8, 8), -1024, np.float32), (0, 0, 50, 60), 50, 60)
    assert patch.shape == (0, 0)
    labels, best = np.zeros((50, 60), np.uint32), np.zeros((50, 60), np.float32)
    paint(labels, best, 3, patch, y0, x0)
    assert not labels.any()


def test_resample_is_bounded_by_the_object():
    logits = np.full((64, 64), -5, np.float32)
    logits[10:14, 20:25] = 5
    patch, y0, x0 = resample_logits(logits, (0, 0, 6400, 6400), 6400, 6400)
    assert patch.shape[0] <= 700
    assert patch.shape[1] <= 800
    assert (900 <= y0 <= 1000, 1900 <= x0 <= 2000) == (True, True)


def shape_of(rows):
    return np.array([[5.0 if c == "#" else -5.0 for c in row] for row in rows], np.float32)


def drawn(patch):
    return ["".join("#" if v > 0 else "." for v in row) for row in patch]


ART = [
    "........##",
    ".####...##",
    ".#..#.....",
    ".#..#..###",
    ".####..#.#",
    ".......###",
    "#.........",
]


@pytest.mark.parametrize(
    ("fill_holes", "min_part", "expected"),
    [
        (0, 0, ART),
        (0, 1, ART),
        (1, 0, [*ART[:4], ".####..###", *ART[5:]]),
        (3, 0, [*ART[:4], ".####..###", *ART[5:]]),
        (4, 0, [*ART[:2], ".####.....", ".####..###", ".####..###", *ART[5:]]),
        (0, 2, [*ART[:6], ".........."]),
        (0, 5, ["..........", ".####.....", *ART[2:6], ".........."]),
        (
            0,
            9,
            [
                "..........",
                ".####.....",
                ".#..#.....",
                ".#..#.....",
                ".####.....",
                *[".........."] * 2,
            ],
        ),
        (
            0,
            99,
            [
                "..........",
                ".####.....",
                ".#..#.....",
                ".#..#.....",
                ".####.....",
                *[".........."] * 2,
            ],
        ),
        # a hole is filled before parts are weighed
        (
            1,
            9,
            [
                "..........",
                ".####.....",
                ".#..#.....",
                ".#..#..###",
                ".####..###",
                ".......###",
                "..........",
            ],
        ),
    ],
)
def test_tidy(fill_holes, min_part, expected):
    patch = shape_of(ART)
    got = tidy(patch, fill_holes, min_part)
    assert drawn(got) == expected
    assert (patch == shape_of(ART)).all()  # not in place
    same = (got > 0) == (patch > 0)
    assert (got[same] == patch[same]).all()  # only what changed gets another logit
    assert (np.abs(got[~same]) == np.float32(0.1)).all()
    assert got.dtype == np.float32


def test_tidy_keeps_what_touches_diagonally_and_the_open_bay():
    diagonal = shape_of(["##...", "##...", "..##.", "..##."])
    assert drawn(tidy(diagonal, 0, 5)) == drawn(diagonal)
    bay = shape_of(["###", "#.#", "#.#"])  # open to the patch's edge: not a hole
    assert drawn(tidy(bay, 8, 0)) == drawn(bay)


def test_tidy_of_nothing():
    empty = np.zeros((0, 0), np.float32)
    assert tidy(empty, 8, 8).shape == (0, 0)
    nothing = np.full((3, 3), -1, np.float32)
    assert (tidy(nothing, 8, 8) == nothing).all()
    full = np.full((3, 3), 1, np.float32)
    assert (tidy(full, 8, 8) == full).all()


def test_logits_that_float16_cannot_hold_stay_finite():
    """A network that diverges while it is tuned gives such; they are no reason to stop."""
    patch = Patch(np.array([[1e6, 1e-9, 0.0, 2.5]], np.float32), 3, 4).half()
    assert patch.logits_yx.dtype == np.float16
    assert patch.logits_yx.tolist() == [[65504.0, float(LEAST_LOGIT), 0.0, 2.5]]
    assert (patch.y0, patch.x0) == (3, 4)


@given(
    hnp.arrays(bool, hnp.array_shapes(min_dims=2, max_dims=3, min_side=1, max_side=9)),
    st.booleans(),
)
def test_a_cut_across_leaves_two_parts_that_make_up_the_mask(mask, stretched):
    if stretched:
        mask = np.repeat(mask, 4, axis=0)
    cut = cut_across(mask)
    if cut is None:
        return
    assert ((cut > 0) == mask).all()
    one, two = (np.argwhere(cut == k) for k in (1, 2))
    assert len(one) and len(two)


@pytest.mark.parametrize("turn", range(4))
def test_the_side_with_smaller_coordinates_is_the_first(turn):
    ys, xs = np.mgrid[:40, :40]
    across = [ys, xs, ys + 0.5 * xs, xs - 0.5 * ys][turn] - [20, 20, 30, 10][turn]
    along = [xs, ys, xs - 0.5 * ys, ys + 0.5 * xs][turn] - [20, 20, 10, 30][turn]
    cut = cut_across((np.abs(across) < 16) & (np.abs(along) < 5))
    one, two = (np.argwhere(cut == k).mean(axis=0) for k in (1, 2))
    axis = np.abs(two - one).argmax()
    assert one[axis] < two[axis]


def test_what_is_round_is_not_cut():
    ys, xs = np.mgrid[:40, :40]
    assert cut_across(np.hypot(ys - 20, xs - 20) < 12) is None
    assert cut_across(np.hypot((ys - 20) / 1.2, xs - 20) < 12) is None
    assert cut_across(np.hypot(ys - 20, (xs - 20) / 2) < 6) is not None
    assert cut_across(np.ones((1, 5), bool)) is None
