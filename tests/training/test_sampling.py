"""Windows and prompts that training draws."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from napari_sam2track.engine.views.windows import reference_side
from napari_sam2track.training.sampling import (
    Drawing,
    augment,
    boxes,
    corrections,
    deepest_point,
    draw_windows,
    first_clicks,
)
from napari_sam2track.training.synthetic.clips import Clips

HOW = Drawing(3, per_window=2, size=64)


def test_windows_are_drawn_by_the_seed(clips):
    a = draw_windows(np.random.default_rng(7), clips, 4, HOW)
    b = draw_windows(np.random.default_rng(7), clips, 4, HOW)
    assert torch.equal(a.images, b.images)
    assert torch.equal(a.masks, b.masks)
    assert torch.equal(a.known, b.known)
    c = draw_windows(np.random.default_rng(8), clips, 4, HOW)
    assert not torch.equal(a.images, c.images)


def test_the_target_is_visible_in_the_first_frame(clips):
    sample = draw_windows(np.random.default_rng(0), clips, 24, HOW)
    assert sample.images.shape == (3, 24, 64, 64, 3)
    assert sample.images.dtype == torch.uint8
    assert sample.masks.shape == (3, 48, 64, 64)
    assert sample.known.shape == (3, 48)
    assert sample.per_window == 2
    area = sample.masks[0].flatten(1).sum(1)
    assert (area >= 40).all()
    assert (area < 0.7 * 64 * 64).all()
    assert sample.known[0].all()


def test_masks_lie_on_what_the_images_show():
    """A clip whose objects are white: window, flips and transposition agree in both."""
    rng = np.random.default_rng(0)
    labels = np.zeros((1, 4, 120, 120), np.uint8)
    yy, xx = np.mgrid[:120, :120]
    for t in range(4):
        labels[0, t][(np.abs(yy - 40 - 3 * t) < 9) & (np.abs(xx - 50) < 15)] = 1
        labels[0, t][np.hypot(yy - 85, xx - 70 - 4 * t) < 11] = 2
    images = np.repeat((labels > 0)[..., None] * np.uint8(255), 3, -1)
    clips = Clips(images, labels, np.full((1, 256), 4, np.int16))
    sample = draw_windows(rng, clips, 40, Drawing(4, 2, 64))
    shown = sample.images[..., 0] > 127
    masks = sample.masks.unflatten(1, (40, 2))
    agree = (masks & shown[:, :, None]).flatten(3).sum(3) / masks.flatten(3).sum(3).clamp(min=1)
    assert agree[masks.flatten(3).sum(3) > 30].min() > 0.9
    union = masks.any(2)
    assert (shown & ~union).float().mean() < 0.25  # what shows is mostly one of them


def test_what_divided_is_unknown():
    labels = np.zeros((1, 4, 80, 80), np.uint8)
    labels[0, :2, 30:50, 30:50] = 1
    labels[0, 2:, 30:50, 30:39] = 2
    labels[0, 2:, 30:50, 41:50] = 3
    ended = np.full((1, 256), 4, np.int16)
    ended[0, 1] = 2
    clips = Clips(np.repeat(labels[..., None], 3, -1), labels, ended)
    sample = draw_windows(np.random.default_rng(0), clips, 8, Drawing(4, 1, 64))
    assert sample.known.T.tolist() == [[True, True, False, False]] * 8  # and never backwards


def test_windows_of_the_usual_size():
    """A square is seen as large as in the engine's window for it, or in windows of any size."""
    labels = np.zeros((1, 1, 200, 200), np.uint8)
    labels[0, 0, 90:110, 90:110] = 1
    clips = Clips(np.zeros((*labels.shape, 3), np.uint8), labels, np.full((1, 256), 1, np.int16))
    expected = 400 / reference_side(20, 400) ** 2

    def off(usual):
        sample = draw_windows(np.random.default_rng(0), clips, 60, Drawing(1, 1, usual=usual))
        return (sample.masks[0].flatten(1).float().mean(1) / expected).log().abs() / 2

    assert off(1.0).max() < 0.4
    assert (off(0.0) > 0.4).float().mean() > 0.2
    assert 0.05 < (off(0.5) > 0.4).float().mean() < (off(0.0) > 0.4).float().mean()


def test_a_window_that_looks_away_does_not_show_its_object(clips):
    how = Drawing(5, 1, 64, away=1.0, zoom=(0.8, 1.2), jitter=0.1)
    sample = draw_windows(np.random.default_rng(0), clips, 30, how)
    there = sample.masks.flatten(2).any(2)
    assert there[0].all()
    assert (~there[1:]).any(0).float().mean() > 0.8  # a bent object may reach into the window
    plain = draw_windows(np.random.default_rng(0), clips, 30, Drawing(5, 1, 64, zoom=(0.8, 1.2)))
    assert (~plain.masks.flatten(2).any(2)[1:]).any(0).float().mean() < 0.4


def test_looking_away_from_an_object_as_long_as_the_frame():
    """The window still touches the frame: there is nothing to be seen beyond it."""
    labels = np.zeros((1, 3, 64, 64), np.uint8)
    labels[0, :, 6:58, 28:36] = 1
    clips = Clips(np.repeat(labels[..., None], 3, -1), labels, np.full((1, 256), 3, np.int16))
    sample = draw_windows(np.random.default_rng(0), clips, 30, Drawing(3, 1, 64, away=1.0))
    assert sample.masks[0].flatten(1).any(1).all()
    assert not sample.masks[1:].flatten(2).any(2).all()


def test_objects_that_are_cut_by_the_border_are_rarer():
    labels = np.zeros((1, 1, 120, 120), np.uint8)
    labels[0, 0, :14, 40:54] = 1
    labels[0, 0, 60:74, 60:74] = 2
    images = np.repeat((labels * np.uint8(100))[..., None], 3, -1)
    clips = Clips(images, labels, np.full((1, 256), 1, np.int16))
    how = Drawing(1, 1, 64)
    sample = draw_windows(np.random.default_rng(0), clips, 200, how)
    shown = sample.images[0, ..., 0].numpy()[sample.masks[0].numpy()]
    cut = (shown < 130).mean()
    assert 0.1 < cut < 0.4


def test_augment(clips):
    sample = draw_windows(np.random.default_rng(0), clips, 6, HOW)
    a = augment(np.random.default_rng(1), sample.images)
    assert torch.equal(a, augment(np.random.default_rng(1), sample.images))
    assert a.dtype == torch.uint8
    assert a.shape == sample.images.shape
    assert not torch.equal(a, sample.images)
    # one curve per window, for all its frames: equal grey values stay equal
    for b in range(6):
        before, after = sample.images[:, b].flatten(), a[:, b].flatten()
        for value in before.unique()[::16]:
            assert after[before == value].unique().numel() == 1


@pytest.fixture
def masks():
    yy, xx = np.mgrid[:64, :64]
    rng = np.random.default_rng(0)
    out = []
    for _ in range(12):
        cy, cx = rng.uniform(12, 52, 2)
        out.append((np.abs(yy - cy) < rng.uniform(3, 10)) & (np.abs(xx - cx) < rng.uniform(3, 10)))
    return torch.from_numpy(np.stack(out))


def under(masks, points):
    """The pixels below points (x, y) in edge coordinates."""
    x, y = points[..., 0].long(), points[..., 1].long()
    return masks[torch.arange(len(masks))[:, None], y, x]


@pytest.mark.parametrize("rng", [None, np.random.default_rng(0)])
def test_first_clicks_are_on_the_masks(masks, rng):
    points, labels = first_clicks(rng, masks)
    assert points.shape == (12, 1, 2)
    assert under(masks, points).all()
    assert (labels == 1).all()
    assert labels.dtype == torch.int32


def test_the_deepest_point_is_in_the_middle():
    mask = np.zeros((40, 50), bool)
    mask[10:21, 20:27] = True
    x, y = deepest_point(mask)
    assert x == 23.5
    assert 13 <= y <= 18
    edge = np.zeros((40, 50), bool)
    edge[:9, :9] = True
    assert deepest_point(edge) == (4.5, 4.5)  # the border counts as outside


def test_boxes_enclose(masks):
    tight, labels = boxes(None, masks)
    assert labels.tolist() == [[2, 3]] * 12
    for mask, box in zip(masks, tight, strict=True):
        (x0, y0), (x1, y1) = box.int().tolist()
        assert mask[y0:y1, x0:x1].sum() == mask.sum()
        inner = mask[y0:y1, x0:x1]
        assert inner[0].any()
        assert inner[-1].any()
        assert inner[:, 0].any()
        assert inner[:, -1].any()
    loose, _ = boxes(np.random.default_rng(0), masks)
    size = (tight[:, 1] - tight[:, 0])[:, None]
    off = (loose - tight) / size
    assert 0.03 < off.std() < 0.09


@pytest.mark.parametrize("seed", [None, 0, 1, 2])
def test_corrections_are_on_what_is_wrong(masks, seed):
    rng = None if seed is None else np.random.default_rng(seed)
    shifted = torch.roll(masks, (3, -2), (1, 2))
    shifted[0] = False  # all is missed
    shifted[1] = masks[1]  # nothing is wrong
    points, labels = corrections(rng, shifted, masks)
    missed, extra = masks & ~shifted, shifted & ~masks
    assert labels.shape == (12, 1)
    for n in range(12):
        wrong = missed if labels[n] == 1 else extra
        if n == 1:
            wrong = masks
        assert under(wrong[[n]], points[[n]]).all()
    assert labels[0] == 1
    assert labels[1] == 1
    if seed is None:
        larger = missed.flatten(1).sum(1) >= extra.flatten(1).sum(1)
        assert torch.equal(labels[:, 0].bool(), larger)
