import math

import numpy as np
import pytest
import torch

from napari_sam2track.engine.looking import (
    containing,
    first_look,
    first_peak,
    overlaps,
    sensible,
    sides,
    window_of,
)
from napari_sam2track.engine.modes import choose_mode
from napari_sam2track.engine.network import Network
from napari_sam2track.engine.prompting import Clicks
from napari_sam2track.engine.windows import Shape, Window
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
    asked = [shape.window().side for i in centres if (shape := Shape.of(labels == i))]
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


def test_overlaps_of_windows_around_the_same_point():
    """Discs of known radii, seen through a window and one that is twice as wide."""
    seen = torch.from_numpy(np.stack([disc(20), disc(30), disc(40)]) * 20.0 - 10).float()
    twice = torch.from_numpy(np.stack([disc(10), disc(40)]) * 20.0 - 10).float()
    found = overlaps(seen, twice, 2.0)
    asked = np.array([[20, 20], [30, 30], [40, 40]]), np.array([[20, 80]] * 3)
    expected = (np.minimum(*asked) / np.maximum(*asked)) ** 2.0
    assert found == pytest.approx(expected, abs=0.06)
    alone = overlaps(seen, seen, 1.0)
    np.testing.assert_allclose(np.diag(alone), 1)
    assert overlaps(torch.full((1, 8, 8), -1.0), torch.full((1, 8, 8), -1.0), 1.4) == 0
