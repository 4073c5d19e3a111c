"""The Python API, as a script uses it."""

from __future__ import annotations

import ast
import doctest
import importlib
import subprocess
import sys
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import tifffile

import napari_sam2track as st
from napari_sam2track import api
from napari_sam2track.formats import editable_tracks
from napari_sam2track.samples import centre_pixels, dividing_nuclei, mean_overlap, moving_cells
from napari_sam2track.session import run as run_module


@pytest.fixture(scope="module")
def sample():
    return moving_cells(n_frames=6, height=96, width=112, n_cells=3)


@pytest.fixture(scope="module")
def clicks(sample):
    return {i: [(0, y, x)] for i, (y, x) in centre_pixels(sample.labels_tyx[0]).items()}


@pytest.mark.parametrize("module", [api, editable_tracks, run_module])
def test_examples_in_docstrings(module):
    options = doctest.ELLIPSIS | doctest.NORMALIZE_WHITESPACE
    failed, tried = doctest.testmod(module, optionflags=options)
    assert tried > 0
    assert failed == 0


def test_every_name_is_there_and_documented():
    for name in st.__all__:
        one = getattr(st, name)
        assert one.__doc__, name
    wanted = {"follow", "segment", "link", "open_movie", "open_tracks", "Run", "History", "Merge"}
    assert wanted <= set(dir(st))


def test_the_stub_names_what_is_there():
    """Type checkers read the stub; mypy itself checks that its modules hold the names."""
    stub = ast.parse(Path(st.__file__).with_suffix(".pyi").read_text())
    for node in ast.walk(stub):
        if isinstance(node, ast.ImportFrom):
            module = importlib.import_module(f"napari_sam2track.{node.module}")
            for alias in node.names:
                assert alias.name == alias.asname
                assert getattr(st, alias.name) is getattr(module, alias.name)


def test_follow_an_array(sample, clicks):
    seen = []

    def progress(steps, total, doing):
        for step in steps:
            seen.append((doing, total))
            yield step

    with st.follow(sample.images_tyx, points=clicks, progress=progress) as run:
        labels = np.asarray(run.labels)
        assert labels.dtype == np.uint32
        assert labels.shape == sample.labels_tyx.shape
        assert mean_overlap(sample.labels_tyx, labels, 0) > 0.7
        assert {doing for doing, _ in seen} == {"Following"}
        table = run.table
        assert isinstance(table, pd.DataFrame)
        assert len(table) == 3 * 6
        assert set(table["state"]) == {"prompted", "propagated"}
        assert run.states.shape == (3, 6)
        assert (run.states[0] == "prompted").all()
        assert set(run.tracks.table["track_id"]) == {1, 2, 3}


@pytest.mark.parametrize("kind", ["numpy", "dask", "zarr", "tif"])
def test_movies_of_all_kinds_give_the_same(sample, clicks, tmp_path, kind):
    import dask.array
    import zarr

    images = sample.images_tyx[:3]
    tifffile.imwrite(tmp_path / "a.tif", images, photometric="minisblack", metadata={"axes": "TYX"})
    store = zarr.create_array(str(tmp_path / "a.zarr"), data=images)
    movie = {
        "numpy": images,
        "dask": dask.array.from_array(images, chunks=(1, 96, 112)),
        "zarr": store,
        "tif": tmp_path / "a.tif",
    }[kind]
    with st.follow(movie, clicks) as run, st.follow(images, clicks) as other:
        np.testing.assert_array_equal(run.labels, other.labels)


def test_corrections_compute_what_is_stale(sample, clicks):
    with st.follow(sample.images_tyx, {1: clicks[1], 2: clicks[2]}) as run:
        before = np.asarray(run.labels)
        truth = sample.labels_tyx[3] == 1
        run.correct(1, 3, mask=truth)
        after = np.asarray(run.labels)
        np.testing.assert_array_equal(before[:3], after[:3])
        np.testing.assert_array_equal(after[3] == 1, truth)
        np.testing.assert_array_equal(before == 2, after == 2)
        assert run.undo() == [3, 4, 5]
        np.testing.assert_array_equal(run.labels, before)
        y, x = centre_pixels(sample.labels_tyx[2])[3]
        run.correct(3, 2, points=[(y, x)])  # a new object, on another frame
        assert run.prompts.objects == (1, 2, 3)
        run.forget(3)
        np.testing.assert_array_equal(run.labels, before)


def test_a_run_in_a_folder_is_that_of_the_command(sample, clicks, tmp_path):
    movie, out = tmp_path / "movie.tif", tmp_path / "out"
    tifffile.imwrite(movie, sample.images_tyx, photometric="minisblack", metadata={"axes": "TYX"})
    with st.follow(movie, clicks, out=out, overlay="none") as run:
        labels = np.asarray(run.labels)
    np.testing.assert_array_equal(tifffile.imread(out / "labels.tif"), labels)
    table = pd.read_csv(out / "tracks.csv")
    with st.open_run(out) as run:
        assert run.table.columns.tolist() == table.columns.tolist()
        np.testing.assert_array_equal(run.table["area"], table["area"])
        np.testing.assert_array_equal(run.labels, labels)
        run.forget(3)
        assert set(np.unique(run.labels)) == {0, 1, 2}
    assert set(np.unique(tifffile.imread(out / "labels.tif"))) == {0, 1, 2}
    done = subprocess.run(
        [sys.executable, "-m", "napari_sam2track", "video", "--out-dir", str(out), "--undo"],
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stderr
    np.testing.assert_array_equal(tifffile.imread(out / "labels.tif"), labels)
    with pytest.raises(st.Sam2TrackError, match="is not empty"):
        st.follow(movie, clicks, out=out)


def test_an_interrupted_run_goes_on(sample, clicks, tmp_path):
    def interrupt(steps, total, doing):
        for k, step in enumerate(steps):
            if k == 3 and doing == "Following":
                raise KeyboardInterrupt
            yield step

    out = tmp_path / "out"
    with pytest.raises(KeyboardInterrupt):
        st.follow(sample.images_tyx, clicks, out=out, progress=interrupt)
    with st.open_run(out, sample.images_tyx) as run:
        assert "none" in set(run.states.to_numpy().ravel())
        run.resume()
        resumed = np.asarray(run.labels)
    with st.follow(sample.images_tyx, clicks) as whole:
        np.testing.assert_array_equal(resumed, whole.labels)
    assert (out / "labels.tif").exists()


def test_objects_are_found_where_nothing_is_said(sample):
    with st.follow(sample.images_tyx[:2], max_objects=5) as run:
        assert 1 <= len(run.states) <= 5


def test_what_is_closed_does_not_give_empty_labels(sample, clicks):
    with st.follow(sample.images_tyx[:2], clicks) as run:
        labels, tracks = run.labels, run.tracks
        first = labels[0]
    np.testing.assert_array_equal(labels[0], first)  # it was read before
    for late in (
        lambda: labels[1],
        lambda: np.asarray(tracks.labels),
        lambda: run.labels,
        lambda: run.table,
        lambda: run.states,
        lambda: run.correct(1, 0, points=[(3, 3)]),
        lambda: run.save("x.json"),
    ):
        with pytest.raises(st.Sam2TrackError, match="the run is closed; read what you need"):
            late()


def test_a_temporary_run_is_gone_with_its_run(sample, clicks):
    run = st.follow(sample.images_tyx[:2], clicks)
    folder = run._folder.folder
    assert folder.exists()
    run.close()
    assert not folder.exists()
    run.close()  # twice does no harm


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda m: st.follow(m, {1: [(0, 1)]}), r"point of object 1 is \(0, 1\); give .*t, y, x"),
        (lambda m: st.follow(m, boxes={1: (0, 1, 2, 3)}), "box of object 1 is .*t, y0, x0"),
        (lambda m: st.follow(m, {1: [(0.5, 3, 3)]}), "frame 0.5 is not a whole number"),
        (lambda m: st.follow(m, {0: [(0, 3, 3)]}), "object id is 0"),
        (lambda m: st.follow(m, {1: [(99, 3, 3)]}), "frame 99, prompted for object 1"),
        (lambda m: st.follow(m, {1: [(0, 3, 3)]}, direktion="x"), "no parameter 'direktion'; kn"),
        (lambda m: st.follow(m, {1: [(0, 3, 3)]}, direction="x"), "direction='x': Input should"),
        (lambda m: st.follow("nowhere.tif", {1: [(0, 3, 3)]}), "nowhere.tif does not exist"),
        (lambda m: st.follow(3, {1: [(0, 3, 3)]}), "movie of type int cannot be read"),
        (lambda m: st.follow(m, {1: [(0, 3, 3)]}, model="gpt"), "gpt"),
        (lambda m: st.open_run("nowhere"), "no run in nowhere to open"),
        (lambda m: st.segment(m[0]), "there are no prompts"),
        (lambda m: st.segment(m[0], {1: [(500, 3)]}), "outside the image"),
        (lambda m: st.link(m[0, 0]), "holds no label images"),
        (lambda m: st.link(m.astype(int), min_iuo=1), "no parameter 'min_iuo'; known are min_iou"),
        (lambda m: st.open_tracks("nowhere.geff"), "nowhere.geff does not exist"),
    ],
)
def test_errors_are_ours_and_say_what_is_wrong(sample, call, message):
    with pytest.raises(st.Sam2TrackError, match=message):
        call(sample.images_tyx)


def test_segment_in_colour_and_from_a_file(sample, tmp_path):
    from PIL import Image

    grey = (sample.images_tyx[0] / 16).clip(0, 255).astype(np.uint8)
    rgb = np.stack([grey] * 3, -1)
    (y, x) = centre_pixels(sample.labels_tyx[0])[2]
    Image.fromarray(rgb).save(tmp_path / "a.png")
    labels = st.segment(rgb, {2: [(y, x)]})
    assert labels[y, x] == 2
    np.testing.assert_array_equal(labels, st.segment(tmp_path / "a.png", {2: [(y, x)]}))
    box = st.segment(grey, boxes={7: (y - 14, x - 14, y + 14, x + 14)})
    assert box[y, x] == 7


def test_link_edit_save_open(tmp_path):
    masks = dividing_nuclei().labels_tyx[:8]
    tracks = st.link(masks)
    before = np.asarray(tracks.labels)
    a, b = tracks.table["track_id"].unique()[:2].tolist()
    tracks.history.do(st.Swap(a, b, 4))
    swapped = np.asarray(tracks.labels)
    np.testing.assert_array_equal(swapped[:4], before[:4])
    np.testing.assert_array_equal(swapped[4:] == a, before[4:] == b)
    for name in ("t.geff", "t.json", "t.csv", "t.tif", "t.zarr", "01_RES"):
        tracks.save(tmp_path / name)
        with st.open_tracks(tmp_path / name) as again:
            assert again.parents == tracks.parents, name
            assert len(again.table) == len(tracks.table), name
    with pytest.raises(st.Sam2TrackError, match="exists"):
        tracks.save(tmp_path / "t.geff")
    tracks.history.undo()
    np.testing.assert_array_equal(tracks.labels, before)


def test_what_a_format_cannot_hold_is_said(tmp_path):
    tracks = st.link(dividing_nuclei().labels_tyx[:4])
    with pytest.warns(UserWarning, match=r"not kept in .*t.csv"):
        tracks.save(tmp_path / "t.csv", format="napari")


def test_tracks_without_masks_say_so(tmp_path):
    tracks = st.link(dividing_nuclei().labels_tyx[:4])
    tracks.save(tmp_path / "t.json")
    with (
        st.open_tracks(tmp_path / "t.json") as places,
        pytest.raises(st.Sam2TrackError, match="places and no masks"),
    ):
        _ = places.labels
