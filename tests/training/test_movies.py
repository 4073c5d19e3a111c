"""Synthetic movies: repeatable, with true truth, and visible."""

from __future__ import annotations

from itertools import pairwise

import numpy as np
import pytest
from scipy import ndimage as ndi

from napari_sam2track.training import looks, shapes
from napari_sam2track.training.looks import LOOKS, render, render_cells, render_things
from napari_sam2track.training.movies import ClipSet, make_clip, open_clips
from napari_sam2track.training.shapes import MAX_OBJECTS, blobs, make_scene, rods, tiling

FAMILIES = {
    "blobs": blobs,
    "things": lambda rng, n, size: blobs(rng, n, size, things=True),
    "rods": rods,
    "tiling": tiling,
}


def test_a_clip_is_made_by_its_seed(spec):
    a, b = make_clip(2, spec), make_clip(2, spec)
    assert all((x == y).all() for x, y in zip(a[:3], b[:3], strict=True))
    assert a[3] == b[3]
    other = make_clip(3, spec)
    assert (a[0] != other[0]).any()
    assert (a[1] != other[1]).any()
    seed = make_clip(2, ClipSet(6, n_frames=5, size=160, seed=4))
    assert (a[0] != seed[0]).any()


@pytest.mark.parametrize("name", FAMILIES)
@pytest.mark.parametrize("seed", range(4))
def test_truth(name, seed):
    n_frames, size = 5, 128
    scene = FAMILIES[name](np.random.default_rng(seed), n_frames, size)
    assert scene.kind == name
    assert scene.labels_tyx.shape == scene.depth_tyx.shape == (n_frames, size, size)
    assert scene.labels_tyx.dtype == np.uint8
    assert scene.depth_tyx.dtype == np.float32
    assert np.isfinite(scene.depth_tyx).all()
    assert ((scene.depth_tyx > 0) == (scene.labels_tyx > 0)).all()
    assert scene.labels_tyx.any()
    assert scene.labels_tyx.max() <= MAX_OBJECTS
    assert scene.labels_tyx.max() < len(scene.ended_n)
    assert (scene.ended_n <= n_frames).all()
    if name != "rods":
        assert (scene.ended_n == n_frames).all()
    for i in np.flatnonzero(scene.ended_n < n_frames):
        end = scene.ended_n[i]
        assert not (scene.labels_tyx[end:] == i).any()  # a parent is gone when it has divided
    assert scene.radius > 1


@pytest.mark.parametrize("name", ["blobs", "tiling", "rods"])
def test_an_id_is_one_object(name):
    """Objects move on: the same id is near where it was."""
    for seed in range(3):
        scene = FAMILIES[name](np.random.default_rng(seed), 4, 160)
        for i in np.unique(scene.labels_tyx)[1:]:
            there = [np.argwhere(frame == i) for frame in scene.labels_tyx]
            for a, b in pairwise(there):
                if len(a) > 20 and len(b) > 20 and min(len(a), len(b)) > 0.7 * max(len(a), len(b)):
                    moved = np.hypot(*(a.mean(0) - b.mean(0)))
                    assert moved < 2.5 * scene.radius + 12


def test_rods_divide():
    """Some parents end, and two new ids begin where each was."""
    heirs_of = []
    for seed in range(12):
        scene = rods(np.random.default_rng(seed), 8, 160)
        for i in np.flatnonzero(scene.ended_n < 8):
            end = int(scene.ended_n[i])
            before = scene.labels_tyx[end - 1] == i if end else np.zeros((160, 160), bool)
            if before.sum() < 60:
                continue
            heirs = np.bincount(scene.labels_tyx[end][ndi.binary_dilation(before)], minlength=256)
            new = [k for k in range(1, 256) if heirs[k] > 15 and k not in scene.labels_tyx[end - 1]]
            heirs_of.append(len(new))
    assert len(heirs_of) >= 10
    assert min(heirs_of) >= 1  # a neighbour can hide one
    assert np.mean([n >= 2 for n in heirs_of]) > 0.8


@pytest.fixture(scope="module")
def scene():
    return blobs(np.random.default_rng(5), 3, 96)


@pytest.mark.parametrize("name", LOOKS)
def test_every_look_shows_something(name, scene, monkeypatch):
    monkeypatch.setattr(looks, "choose_look", lambda rng, scene: name)
    for seed in range(3):
        images = render_cells(np.random.default_rng(seed), scene)
        assert images.dtype == np.uint8
        assert images.shape == scene.labels_tyx.shape
        assert all(frame.std() > 2 for frame in images)
    look = LOOKS[name][0]
    rng = np.random.default_rng(0)
    noise = looks.smooth_noise(rng, 96, 5)
    flat = np.ones(256, np.float32)
    paint = looks.Paint(
        scene.labels_tyx[0], scene.depth_tyx[0], noise, noise, flat, flat, scene.radius
    )
    assert np.isfinite(look(paint, looks._knobs(rng, scene.radius))).all()


def test_things_are_in_colour():
    scene = blobs(np.random.default_rng(1), 2, 96, things=True)
    images = render_things(np.random.default_rng(1), scene)
    assert images.shape == (2, 96, 96, 3)
    assert images.dtype == np.uint8
    assert images.std() > 5
    assert (images[..., 0] != images[..., 1]).any()


def test_render_gives_rgb_for_all_families():
    for seed in range(6):
        rng = np.random.default_rng(seed)
        images = render(rng, make_scene(rng, 2, 80))
        assert images.shape == (2, 80, 80, 3)
        assert images.dtype == np.uint8
        assert images.std() > 1


def test_looks_suit_shapes():
    assert set(looks.ROD_LOOKS) | set(looks.TILE_LOOKS) <= set(LOOKS)
    rng = np.random.default_rng(0)
    chosen = {looks.choose_look(rng, rods(rng, 1, 64)) for _ in range(20)}
    assert chosen <= set(looks.ROD_LOOKS)
    assert len(chosen) > 1


def test_clips_are_kept_on_disk(tmp_path, monkeypatch):
    spec = ClipSet(3, n_frames=2, size=64, seed=1)
    clips = open_clips(tmp_path / "set", spec)
    assert len(clips) == 3
    for k in range(3):
        images, labels, ended, _ = make_clip(k, spec)
        assert (clips.images[k] == images).all()
        assert (clips.labels[k] == labels).all()
        assert (clips.ended[k] == ended).all()
    from napari_sam2track.training import movies

    made = []
    monkeypatch.setattr(movies, "_make", lambda folder, spec, workers: made.append(spec))
    open_clips(tmp_path / "set", spec)
    assert made == []
    open_clips(tmp_path / "set", ClipSet(3, n_frames=2, size=64, seed=2))
    assert len(made) == 1  # another seed is another set


def test_depth_is_a_distance():
    """In a lone disc it is the distance to the outline."""
    canvas = shapes._Canvas(1, 64)
    crop = canvas.crop(32, 32, 40)
    depth = shapes._harmonic_depth(*canvas.grid(crop), 32, 32, 12, 1.0, 0.3, np.zeros((3, 2)))
    canvas.put(0, crop, depth, 1, over=False)
    yy, xx = np.mgrid[:64, :64]
    np.testing.assert_allclose(canvas.depth[0], 12 - np.hypot(yy - 32, xx - 32), atol=1e-4)
    assert ((canvas.labels[0] == 1) == (np.hypot(yy - 32, xx - 32) < 12)).all()
    for label, over, expected in ((2, False, 1), (3, True, 3)):
        shallow = np.where(depth > 8, np.float32(1), np.float32(-5))
        canvas.put(0, crop, shallow, label, over)
        assert canvas.labels[0, 32, 32] == expected
