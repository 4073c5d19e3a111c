"""Synthetic movies: repeatable, with true truth, and visible."""

from __future__ import annotations

from itertools import pairwise

import numpy as np
import pytest
from scipy import ndimage as ndi

from napari_sam2track.training.synthetic import rendering
from napari_sam2track.training.synthetic.clips import ClipSet, make_clip, open_clips
from napari_sam2track.training.synthetic.rendering import (
    LOOKS,
    UNSEEN_LOOKS,
    render,
    render_cells,
    render_things,
)
from napari_sam2track.training.synthetic.scene import MAX_OBJECTS, Canvas, harmonic_depth, outlined
from napari_sam2track.training.synthetic.shapes import (
    _grow_arms,
    _Stage,
    blobs,
    filaments,
    make_scene,
    rods,
    tiling,
)

FAMILIES = {
    "blobs": blobs,
    "things": lambda rng, n, size: blobs(rng, n, size, things=True),
    "rods": rods,
    "filaments": filaments,
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
    if name not in ("rods", "blobs"):
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


def test_nuclei_divide():
    """A mother ends, and most often both daughters lie where she was, with about her area."""
    both, areas = [], []
    for seed in range(80):
        scene = blobs(np.random.default_rng(seed), 6, 160)
        for i in np.flatnonzero(scene.ended_n < 6):
            end = int(scene.ended_n[i])
            before = scene.labels_tyx[end - 1] == i
            edge = np.ones_like(before)
            edge[12:-12, 12:-12] = False
            if before.sum() < 100 or (before & edge).any():
                continue
            after = scene.labels_tyx[end]
            heirs = np.bincount(after[ndi.binary_dilation(before)], minlength=256)
            new = [k for k in range(1, 256) if heirs[k] > 15 and k not in scene.labels_tyx[end - 1]]
            both.append(len(new) == 2)
            if len(new) == 2:
                areas.append(np.isin(after, new).sum() / before.sum())
    assert len(both) >= 20
    assert np.mean(both) > 0.8
    assert 0.7 < np.median(areas) < 1.3


def test_some_vanish_and_some_return():
    gone = back = 0
    for seed in range(30):
        scene = blobs(np.random.default_rng(seed), 8, 160)
        for i in range(1, len(scene.ended_n)):
            seen = (scene.labels_tyx[: scene.ended_n[i]] == i).any((1, 2))
            gone += bool(seen[0] and not seen.all())
            back += bool((~seen[:-1] & seen[1:]).any() and seen[0])
    assert gone > 20
    assert back > 5


def test_a_stage_moves_all_alike():
    stage = _Stage(np.array([1.0, 2.0]), 0.0, 0.0, np.array([[0.0, 0.0], [5.0, -3.0]]))
    pos = np.random.default_rng(0).uniform(0, 100, (7, 2))
    np.testing.assert_allclose(stage.move(pos, 0, 100), pos + np.array([1, 2]))
    np.testing.assert_allclose(stage.move(pos, 1, 100), pos + np.array([6, -1]))
    still = np.zeros(2), np.zeros((1, 2))
    turned = _Stage(still[0], 0.3, 0.0, still[1]).move(pos, 0, 100) - 50
    np.testing.assert_allclose(np.hypot(*turned.T), np.hypot(*(pos - 50).T))
    # the angle of a shape is that of its long axis (sin, cos) in (y, x); it turns with the stage
    axis = np.array([[np.sin(0.7), np.cos(0.7)]])
    was, now = (_Stage(still[0], 0.3, 0.0, still[1]).move(p, 0, 0) for p in (0 * axis, axis))
    np.testing.assert_allclose(now - was, [[np.sin(0.7 - 0.3), np.cos(0.7 - 0.3)]])
    grown = _Stage(still[0], 0.0, 0.1, still[1]).move(pos, 0, 100) - 50
    np.testing.assert_allclose(grown, 1.1 * (pos - 50))


@pytest.fixture(scope="module")
def scene():
    scene = blobs(np.random.default_rng(2), 3, 96)
    assert scene.labels_tyx.any((1, 2)).all()
    return scene


ALL_LOOKS = {name: look for name, (look, _) in LOOKS.items()} | UNSEEN_LOOKS


@pytest.mark.parametrize("name", ALL_LOOKS)
def test_every_look_shows_something(name, scene):
    look = ALL_LOOKS[name]
    for seed in range(3):
        images = render_cells(np.random.default_rng(seed), scene, look)
        assert images.dtype == np.uint8
        assert images.shape == scene.labels_tyx.shape
        assert all(frame.std() > 2 for frame in images)
    rng = np.random.default_rng(0)
    noise = rendering.smooth_noise(rng, 96, 5)
    flat = np.ones(256, np.float32)
    paint = rendering.Paint(
        scene.labels_tyx[0], scene.depth_tyx[0], noise, noise, flat, flat, scene.radius
    )
    assert np.isfinite(look(paint, rendering._knobs(rng, scene.radius))).all()


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
    tables = (rendering.ROD_LOOKS, rendering.TILE_LOOKS, rendering.FILAMENT_LOOKS)
    assert {name for table in tables for name in table} <= set(LOOKS)
    assert not set(UNSEEN_LOOKS) & set(LOOKS)
    rng = np.random.default_rng(0)
    chosen = {rendering.choose_look(rng, rods(rng, 1, 64)) for _ in range(20)}
    assert chosen <= set(rendering.ROD_LOOKS)
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
    from napari_sam2track.training.synthetic import clips

    made = []
    monkeypatch.setattr(clips, "_make", lambda folder, spec, workers: made.append(spec))
    open_clips(tmp_path / "set", spec)
    assert made == []
    open_clips(tmp_path / "set", ClipSet(3, n_frames=2, size=64, seed=2))
    assert len(made) == 1  # another seed is another set


def test_depth_is_a_distance():
    """In a lone disc it is the distance to the outline."""
    canvas = Canvas(1, 64)
    crop = canvas.crop(32, 32, 40)
    depth = harmonic_depth(*canvas.grid(crop), 32, 32, 12, 1.0, 0.3, np.zeros((3, 2)))
    canvas.put(0, crop, depth, 1, over=False)
    yy, xx = np.mgrid[:64, :64]
    np.testing.assert_allclose(canvas.depth[0], 12 - np.hypot(yy - 32, xx - 32), atol=1e-4)
    assert ((canvas.labels[0] == 1) == (np.hypot(yy - 32, xx - 32) < 12)).all()
    for label, over, expected in ((2, False, 1), (3, True, 3)):
        shallow = np.where(depth > 8, np.float32(1), np.float32(-5))
        canvas.put(0, crop, shallow, label, over)
        assert canvas.labels[0, 32, 32] == expected


@pytest.mark.parametrize("name", FAMILIES)
def test_outlines_are_those_of_the_scene_or_a_little_inside(name):
    kept = []
    for seed in range(12):
        rng = np.random.default_rng(seed)
        scene = FAMILIES[name](rng, 2, 128)
        labels = outlined(rng, scene)
        assert labels.dtype == np.uint8
        changed = labels != scene.labels_tyx
        assert (labels[changed] == 0).all()
        assert (scene.depth_tyx[changed] <= 0.125 * scene.radius).all()
        kept.append(not changed.any())
    assert any(kept)
    assert all(kept) == (name not in ("blobs", "rods"))


@pytest.mark.parametrize("name", ["fluorescence", "bright field"])
def test_outlines_are_at_half_the_height_of_the_edge_or_above(name):
    """Where people draw them: a model that learnt them at its foot paints too much."""
    yy, xx = np.mgrid[:64, :64]
    depth = (16 - np.hypot(yy - 32, xx - 32)).astype(np.float32)
    labels, flat = (depth > 0).astype(np.uint8), np.ones(256, np.float32)
    paint = rendering.Paint(labels, depth, np.zeros((64, 64)), np.zeros((64, 64)), flat, flat, 16.0)
    for seed in range(20):
        knobs = rendering._knobs(np.random.default_rng(seed), 16.0) | {"glow": 0, "rim": 0}
        image = LOOKS[name][0](paint, knobs)
        outside, edge, middle = (
            image[where].mean() for where in (depth < -8, (depth > 0) & (depth < 1), depth > 14)
        )
        assert 0.45 < (edge - outside) / (middle - outside) < 1.05


def test_cells_with_arms_are_in_one_piece():
    longest = []
    for seed in range(20):
        rng = np.random.default_rng(seed)
        amps = np.zeros((1, 5, 2))
        _grow_arms(rng, amps)
        canvas = Canvas(1, 128)
        crop = canvas.crop(64, 64, 64)
        depth = harmonic_depth(*canvas.grid(crop), 64, 64, 20, 1.0, 0.3, amps[0])
        canvas.put(0, crop, depth, 1, over=False)
        assert ndi.label(canvas.labels[0])[1] == 1
        ys, xs = np.nonzero(canvas.labels[0])
        longest.append(np.hypot(ys - 64, xs - 64).max() / 20)
    assert min(longest) > 1.15  # of a disc it is 1
    assert max(longest) < 2.1  # what is drawn reaches 2.2 radii


def test_objects_of_a_field_are_alike_or_very_different():
    spreads = [np.log(rendering._gains(np.random.default_rng(seed))).std() for seed in range(60)]
    assert min(spreads) < 0.1
    assert max(spreads) > 0.5


def test_layers_always_have_a_body_a_core_or_grains():
    """Only outlines and spots would be dark field, which is kept for the test."""
    names = ("body", "line", "core", "grains", "spots", "around", "litter")
    drawn = [rendering._layers(np.random.default_rng(seed), 20.0) for seed in range(200)]
    assert all(k["body"] or k["core"] or k["grains"] for k in drawn)
    for name in names:
        values = np.array([k[name] for k in drawn])
        assert (values > 0).any()  # brighter than the ground in some,
        assert (values < 0).any()  # darker in others,
        assert (values == 0).any()  # not there in others
    assert min(k["core_at"] for k in drawn) > max(k["line_at"] for k in drawn)


@pytest.fixture
def objects():
    ys, xs = np.mgrid[:96, :96]
    return np.hypot(ys - 30, xs - 30) < 12


def debris(specks=(), shift=(0, 0), ghosts=0.0, stripes=0.0):
    return rendering._Debris(np.reshape(specks, (-1, 4)).astype(float), shift, ghosts, stripes)


def added(what, objects):
    grey = np.full((96, 96), 0.5, np.float32)
    out = what.on(grey, objects, 12.0, np.random.default_rng(0))
    assert (grey == 0.5).all()
    return out - grey


def test_specks_are_where_they_were_drawn(objects):
    got = added(debris([(70, 40, 2, 0.3), (95, 0, 5, -0.4)]), objects)
    assert got[70, 40] == pytest.approx(0.3, abs=1e-3)
    assert got[95, 0] == pytest.approx(-0.4, abs=1e-3)
    assert got[72, 40] == pytest.approx(0.3 * np.exp(-0.5), abs=1e-3)
    assert not got[objects].any()
    assert not added(debris(), objects).any()


def test_another_plane_is_out_of_focus(objects):
    got = added(debris(shift=(10, 20), ghosts=0.4), objects)
    y, x = np.unravel_index(got.argmax(), got.shape)
    assert abs(y - (95 - 30 + 10)) <= 1  # upside down, so that the shapes are not those of here
    assert abs(x - (30 + 20)) <= 1
    assert got.max() < 0.4
    assert 1.3 * (got > 0.05).sum() > objects.sum()
    assert np.abs(np.diff(got, axis=0)).max() < 0.05


def test_stripes_are_lines_of_the_camera(objects):
    got = added(debris(stripes=0.1), objects)
    np.testing.assert_allclose(got, got[:, :1] * np.ones((1, 96)), atol=1e-6)
    assert got[:, 0].std() == pytest.approx(0.1, rel=0.3)


def test_debris_is_in_some_clips():
    drawn = [rendering._debris(np.random.default_rng(seed), 96, 12.0, 0.5) for seed in range(200)]
    for part in (
        [len(d.specks) for d in drawn],
        [d.ghosts for d in drawn],
        [d.stripes for d in drawn],
    ):
        assert 0 < np.count_nonzero(part) < 100
    strongest = max(np.abs(d.specks[:, 3]).max() for d in drawn if len(d.specks))
    assert strongest <= 1.2 * 0.5
