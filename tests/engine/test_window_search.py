import math

import numpy as np
import pytest
import torch

from napari_sam2track.engine.clicks import Clicks
from napari_sam2track.engine.modes import choose_mode
from napari_sam2track.engine.network.network import Network
from napari_sam2track.engine.views.windows import MaskExtent, Window
from napari_sam2track.engine.window_search import (
    _believed,
    _Look,
    containing,
    first_look,
    first_peak,
    overlaps,
    sensible,
    sides,
    window_of,
)
from napari_sam2track.frames import open_frames
from napari_sam2track.masks import Mask
from napari_sam2track.prompts import Point, Prompt, PromptSet
from napari_sam2track.samples import centre_pixels, crowd


def clicks(*points):
    return Clicks.of(Prompt(points=tuple(Point(*p) for p in points)))


def disc(radius, size=128, cy=64, cx=64):
    yy, xx = np.mgrid[:size, :size]
    return np.hypot(yy - cy, xx - cx) < radius


def test_sides_are_half_octaves_up_to_the_frame():
    found = sides(400, 600, 0)
    assert found[-1] == 600
    np.testing.assert_allclose(np.array(found[1:-1]) / found[:-2], math.sqrt(2))
    assert sides(100, 100, 500) == [750]  # the clicks must fit in
    assert sides(363, 200, 0)[-2:] == pytest.approx([256, 363])  # 362 would see what 363 sees


def test_an_object_of_a_third_of_the_window_is_the_most_sensible():
    masks = np.stack([disc(r) for r in (4, 21, 55)])[:, None]
    small, right, large = sensible(masks)[:, 0]
    assert right > 0.98
    assert right > small
    assert right > large


def test_what_touches_the_edge_is_worth_half():
    whole, cut = disc(21), disc(21, cy=21)
    cut[0, 60:70] = True
    a, b = sensible(np.stack([whole, cut])[:, None])[:, 0]
    assert b == pytest.approx(0.5 * a, rel=0.05)


def test_empty_masks_are_not_sensible():
    assert sensible(np.zeros((1, 1, 8, 8), bool))[0, 0] == 0


@pytest.mark.parametrize(
    ("scores", "peak"),
    [
        ((0.3, 0.44, 0.67, 0.58, 0.47, 0.36, 0.51, 0.78, 0.74), 2),  # a cell in a clump
        ((0.1, 0.35, 0.3, 0.2, 0.9, 0.4), 4),  # a part of a cell is not a cell
        ((0.9, 0.5, 0.2), 0),
        ((0.2, 0.5, 0.9), 2),
        ((0.6, 0.7, 0.8, 0.9), 3),  # on the way up is not a peak
        ((0.4,), 0),
        ((0.0, 0.0), 0),
    ],
)
def test_the_smallest_peak_that_is_nearly_the_highest(scores, peak):
    assert first_peak(scores) == peak


@torch.inference_mode()
def test_a_click_in_a_clump_means_the_cell(bundled_predictor):
    sample = crowd(1, 256, n_cells=40, clumps=1, seed=4)
    labels = sample.labels_tyx[0]
    centres = centre_pixels(labels)
    movie = open_frames(sample.images_tyx, axes="TYX")
    chosen = [clicks(yx) for yx in centres.values()]
    found = first_look(Network(bundled_predictor), movie, 0, chosen, 32)
    asked = [shape.window().side for i in centres if (shape := MaskExtent.of(labels == i))]
    ratios = np.array([w.side for w in found]) / asked
    assert np.mean((ratios > 0.7) & (ratios < 1.4)) > 0.9


def test_masks_and_boxes_give_their_window_and_clicks_do_not():
    mask = Mask.from_frame(disc(10, 100, 50, 40))
    window = window_of(Prompt(mask=mask))
    assert (window.cy, window.cx) == pytest.approx((50, 40))
    box = window_of(Prompt(box=(40.5, 30.5, 59.5, 49.5)))
    assert (box.cy, box.cx) == (50, 40)
    assert box.side == pytest.approx(window.side, rel=0.05)
    assert window_of(Prompt(points=(Point(1, 2),))) is None


def test_a_correction_inside_leaves_the_window_and_one_far_away_moves_it():
    window = Window(50, 50, 40)
    assert containing(window, clicks((55, 45), (90, 90, False))) == window
    moved = containing(window, clicks((200, 300)))
    assert (moved.cy, moved.cx, moved.side) == (200, 300, 40)
    wide = containing(window, clicks((10, 10), (110, 10)))
    assert (wide.cy, wide.cx) == (60, 10)
    assert wide.side == pytest.approx(125)


@pytest.mark.parametrize(
    ("asked", "image_size", "prompt", "mode", "reason"),
    [
        ("frame", 128, Prompt(points=(Point(1, 1),)), "frame", "as asked"),
        ("auto", 128, Prompt(box=(0, 0, 900, 900)), "window", "windows of 128 px"),
        ("auto", 1024, Prompt(box=(0, 0, 20, 20)), "window", "would be 10 px"),
        ("auto", 1024, Prompt(box=(0, 0, 300, 100)), "frame", "is 150 px"),
        ("auto", 1024, Prompt(points=(Point(1, 1),)), "frame", "not known"),
    ],
)
def test_the_mode_and_why(asked, image_size, prompt, mode, reason):
    found, why = choose_mode(asked, image_size, PromptSet({(1, 0): prompt}), 1024, 2048)
    assert found == mode
    assert reason in why


@pytest.mark.parametrize("size", [32, 64])
@pytest.mark.parametrize("ratio", [1.0, 1.1, math.sqrt(2), 2.0])
def test_overlaps_of_windows_around_the_same_point(size, ratio):
    """Discs, as smooth as a network paints them, in two windows of which one is wider."""
    at = np.arange(size) - (size - 1) / 2
    away = np.hypot(at[:, None], at[None])
    radii = np.array([0.13, 0.18, 0.25]) * size
    small, large = (
        torch.from_numpy(np.stack([r - scale * away for r in radii])).half()
        for scale in (1.0, ratio)
    )
    found = overlaps(small, large, ratio)
    expected = (np.minimum.outer(radii, radii) / np.maximum.outer(radii, radii)) ** 2
    np.testing.assert_allclose(found, expected, atol=0.15)  # some are 6 pixels wide
    assert np.diag(found).min() > 0.85
    nothing = torch.full((1, size, size), -1.0)
    assert overlaps(nothing, nothing, ratio) == 0


def look(score, side, radius, others=()):
    """A disc in the middle, of a radius in pixels of the frame, and other candidates."""
    at = np.arange(64) - 31.5
    away = np.hypot(at[:, None], at[None]) * side / 64
    logits = torch.from_numpy(np.stack([r - away for r in (radius, *others)])).half()
    shape = MaskExtent(50, 50, 2 * radius, math.pi * radius**2)
    return _Look(score, Window(50, 50, side), shape, logits, 0)


SIDES = [40 * 2 ** (n / 2) for n in range(5)]


def test_what_only_one_window_sees_is_worth_little():
    radii = [4, 10, 10, 10, 45]
    scores = [0.5, 0.5, 0.6, 0.5, 0.9]
    looks = [look(*one) for one in zip(scores, SIDES, radii, strict=True)]
    found = _believed(looks)
    assert int(np.argmax(found)) != 4
    assert found[4] < 0.1
    assert found[2] == pytest.approx(0.6 * ((0.4**2 + 1 + 1 + (10 / 45) ** 2) / 4) ** 2, abs=0.03)


def test_any_mask_of_the_neighbours_can_bear_one_out():
    looks = [look(0.5, SIDES[0], 4, (10,)), look(0.5, SIDES[1], 10), look(0.5, SIDES[2], 4, (10,))]
    assert _believed(looks)[1] == pytest.approx(0.5, abs=0.03)
    assert _believed(looks)[0] < 0.3


def test_where_nothing_is_seen_nothing_is_shared():
    alone = [None, None, look(0.8, SIDES[2], 10), None, None]
    assert _believed(alone) == [0.0] * 5
    half = [None, look(0.8, SIDES[1], 10), look(0.8, SIDES[2], 10)]
    assert _believed(half) == pytest.approx([0, 0.2, 0.2], abs=0.03)
    far = [look(0.8, 32, 10), None, None, look(0.8, 8192, 10)]
    assert _believed(far) == [0.0] * 4
    assert _believed([look(0.8, 40, 10)]) == [0.8]
    assert _believed([None]) == [0.0]


def test_the_window_that_the_mask_asks_for_is_taken(monkeypatch):
    """Even if its score is lower; unless nothing is seen in it."""
    monkeypatch.setattr("napari_sam2track.engine.window_search.sides", lambda *_: SIDES)
    movie = open_frames(np.zeros((1, 100, 100), np.uint8), axes="TYX")
    rounds = []

    def seen(network, movie, t, clicks, tried, batch):
        rounds.append([window for _, window in tried])
        if len(rounds) == 1:
            return [look(0.9, side, 10) for side in SIDES]
        return [last]

    monkeypatch.setattr("napari_sam2track.engine.window_search._look", seen)
    last = look(0.1, 60, 10)
    (found,) = first_look(None, movie, 0, [clicks((50, 50))], 8)
    assert found == last.window
    assert rounds[1] == [last.shape.window()]
    rounds.clear()
    last = None
    (found,) = first_look(None, movie, 0, [clicks((50, 50))], 8)
    assert found.side in SIDES
