"""The Python API, as a script uses it."""

from __future__ import annotations

import ast
import doctest
import gc
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


class _Tensor:
    """Like one of torch, whose types are its own."""

    shape, dtype = (4, 96, 112), "torch.uint16"

    def __getitem__(self, index):
        raise AssertionError("nothing is read")


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
        assert seen == [("Following", 18)] * 18  # as many steps as were announced
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
        st.follow(sample.images_tyx, clicks, out=out, progress=interrupt, keep_run=False)
    kept = sorted(path.name for path in (out / ".run").rglob("*"))
    gc.collect()  # the generator, which the traceback held, ends here
    assert sorted(path.name for path in (out / ".run").rglob("*")) == kept
    assert any(name.endswith(".frame") for name in kept)
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
        (lambda m: st.follow(m, {1: [(0, 1)]}), r"point of object 1 is \(0, 1\); give \(t, y, x"),
        (lambda m: st.follow(m, {1: [(0, 3, 3, -1)]}), "last number says whether .* 1 or 0"),
        (lambda m: st.follow(m, {1: 5}), "points of object 1 are 5; give"),
        (lambda m: st.follow(m, [(0, 3, 3)]), "points is a list; give a dictionary of object ids"),
        (lambda m: st.follow(m, {1: []}), "prompts that were given are empty"),
        (lambda m: st.follow(m, masks={0: np.zeros((96, 112), int)}), "were given are empty"),
        (lambda m: st.follow(m, masks=np.ones((96, 112))), "masks is a ndarray; give a dictionary"),
        (lambda m: st.follow(m, masks={0: np.ones((48, 56), int)}), r"\(48, 56\), but frames of"),
        (lambda m: st.follow(m, masks={1.5: np.ones((96, 112), int)}), "frame 1.5 is not a whole"),
        (lambda m: st.follow(m, prompts={}), "prompts is a dict; give a PromptSet"),
        (lambda m: st.follow(m, boxes={1: (0, 1, 2, 3)}), r"box of object 1 is .*\(t, y0, x0"),
        (lambda m: st.follow(m, boxes={1: [(0, 1, 1, 9, 9)] * 2}), "two boxes on frame 0"),
        (lambda m: st.follow(m, {1: [(0.5, 3, 3)]}), "frame 0.5 is not a whole number"),
        (lambda m: st.follow(m, {0: [(0, 3, 3)]}), "object id is 0"),
        (lambda m: st.follow(m, {1: [(99, 3, 3)]}), "frame 99, prompted for object 1"),
        (lambda m: st.follow(m, {1: [(0, 3, 3)]}, direktion="x"), "no parameter 'direktion'; kn"),
        (lambda m: st.follow(m, {1: [(0, 3, 3)]}, direction="x"), "direction='x': Input should"),
        (lambda m: st.follow(m, {1: [(0, 3, 3)]}, overlay="none"), "overlay is about the results"),
        (lambda m: st.follow(m, {1: [(0, 3, 3)]}, progress=5), "progress is 5; give a function"),
        (lambda m: st.follow(m, {1: [(0, 3, 3)]}, out=5), "out is 5, not a path"),
        (lambda m: st.follow("nowhere.tif", {1: [(0, 3, 3)]}), "nowhere.tif does not exist"),
        (lambda m: st.follow(3, {1: [(0, 3, 3)]}), "movie of type int cannot be read"),
        (lambda m: st.follow(_Tensor(), {1: [(0, 3, 3)]}), "which numpy does not know"),
        (lambda m: st.follow(m, {1: [(0, 3, 3)]}, model="gpt"), "gpt"),
        (lambda m: st.open_run("nowhere"), "no run in nowhere to open"),
        (lambda m: st.open_run(5), "folder is 5, not a path"),
        (lambda m: st.segment(m[0]), "there are no prompts"),
        (lambda m: st.segment(m, {1: [(3, 3)]}), r"\(6, 96, 112\) is no image"),
        (lambda m: st.segment(m[0], {1: [(500, 3)]}), "outside the image"),
        (lambda m: st.segment(m[0], {1: [(0, 28, 24)]}), "last number says whether"),
        (lambda m: st.segment(m[0], {1: (28, 24)}), "a point of object 1 is 28; give"),
        (lambda m: st.link(m[0, 0]), "holds no label images"),
        (lambda m: st.link(None), "masks of type NoneType cannot be linked"),
        (lambda m: st.link(m.astype(int), min_iuo=1), "no parameter 'min_iuo'; known are min_iou"),
        (lambda m: st.open_tracks("nowhere.geff"), "nowhere.geff does not exist"),
        (lambda m: st.open_tracks(None), "path is None, not a path"),
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


@pytest.mark.parametrize(
    ("correction", "message"),
    [
        ({}, "nothing is corrected"),
        ({"points": []}, "nothing is corrected"),
        ({"points": [(3, 40, 50)]}, "last number says whether it is on the object"),
        ({"mask": np.zeros((96, 112))}, "the mask is empty"),
        ({"mask": np.ones((48, 56))}, r"shape \(48, 56\), but frames of this movie have"),
        ({"mask": np.full((96, 112), np.nan)}, "holds NaN"),
        ({"mask": np.ones((96, 112)), "points": [(3, 3)]}, "a mask stands alone"),
        ({"t": 5, "points": [(3, 3)]}, "frame 5 is outside frames 0 to 2 of this run"),
    ],
)
def test_a_correction_that_says_nothing_or_too_much(sample, clicks, correction, message):
    with st.follow(sample.images_tyx, clicks, stop=2) as run:
        before = np.asarray(run.labels)
        with pytest.raises(st.Sam2TrackError, match=message):
            run.correct(**{"object_id": 1, "t": 2, **correction})
        np.testing.assert_array_equal(run.labels, before)


@pytest.mark.parametrize(
    ("edit", "message"),
    [
        (st.Merge(1, 2, "foo"), "overlap of Merge is 'foo'; give 'refuse' or 'union'"),
        (st.Split(1, 1.5), "frame of Split is 1.5; give a whole number"),
        (st.Relabel(1, "b"), "new of Relabel is 'b'; give a whole number"),
        ("merge 1,2", "'merge 1,2' is no edit"),
        (None, "None is no edit"),
    ],
)
def test_edits_that_are_none(edit, message):
    with st.link(dividing_nuclei().labels_tyx[:4]) as tracks:
        with pytest.raises(st.Sam2TrackError, match=message):
            tracks.history.do(edit)
        with pytest.raises(st.Sam2TrackError, match="are no edits; give a list"):
            tracks.history.do_all(st.Delete(1))


def test_labels_compare_as_arrays_do(sample, clicks):
    with st.follow(sample.images_tyx[:2], clicks) as run:
        stack = np.asarray(run.labels)
        np.testing.assert_array_equal(run.labels == 1, stack == 1)
        np.testing.assert_array_equal(np.where(run.labels != 0, 7, 0), np.where(stack, 7, 0))
        assert "shape (2, 96, 112)" in repr(run.labels)
        assert repr(run) == "<Run of 3 objects through 2 x 96 x 112 (t, y, x)>"
    assert repr(run) == "<Run, closed>"


def test_masks_in_zarr_are_linked(tmp_path):
    import zarr

    masks = dividing_nuclei().labels_tyx[:4]
    stored = zarr.create_array(str(tmp_path / "m.zarr"), data=masks)
    with st.link(stored) as tracks, st.link(masks) as others:
        np.testing.assert_array_equal(tracks.labels, others.labels)
        assert repr(tracks).startswith("<Tracks: ")
    with pytest.raises(st.Sam2TrackError, match="these tracks are closed"):
        _ = tracks.labels
    with pytest.raises(st.Sam2TrackError, match="these tracks are closed"):
        _ = tracks.history


def test_a_run_that_is_not_kept_is_gone_when_it_is_closed(sample, clicks, tmp_path):
    with st.follow(
        sample.images_tyx[:2], clicks, out=tmp_path / "o", overlay="none", keep_run=False
    ) as run:
        run.correct(1, 1, mask=sample.labels_tyx[1] == 1)
    assert (tmp_path / "o" / "labels.tif").exists()
    with pytest.raises(st.Sam2TrackError, match="no run in"):
        st.open_run(tmp_path / "o", sample.images_tyx[:2])


def test_undo_takes_back_other_settings_too(sample, clicks, tmp_path):
    movie = sample.images_tyx
    st.follow(movie, clicks, out=tmp_path / "o", overlay="none", stop=2).close()
    with st.open_run(tmp_path / "o", movie, stop=4) as run:
        run.resume()
        assert run.states.to_numpy()[0, 4] == "propagated"
        run.undo()
        assert run.session.engine.stop == 2
        assert set(run.states.to_numpy()[:, 3:].ravel()) == {"none"}
    with pytest.raises(st.Sam2TrackError, match="frame 20 is outside"):
        st.open_run(tmp_path / "o", movie, stop=20)


def test_a_run_opened_with_its_movie_in_memory_keeps_its_path(sample, clicks, tmp_path):
    path = tmp_path / "movie.tif"
    tifffile.imwrite(path, sample.images_tyx[:2], photometric="minisblack")
    st.follow(path, clicks, out=tmp_path / "o", overlay="none", axes="TYX").close()
    st.open_run(tmp_path / "o", sample.images_tyx[:2]).close()
    with st.open_run(tmp_path / "o") as run:
        assert run.prompts.objects == (1, 2, 3)


def test_edited_labels_do_not_become_empty_when_they_are_closed(tmp_path):
    with st.link(dividing_nuclei().labels_tyx[:4]) as tracks:
        tracks.history.do(st.Delete(1))
        labels, history = tracks.labels, tracks.history
        assert labels[2].any()
    for late in (lambda: labels[1], lambda: history.state.labels.read(1)):
        with pytest.raises(st.Sam2TrackError, match="closed"):
            late()

    def only_labels():
        tracks = st.link(dividing_nuclei().labels_tyx[:4])
        tracks.history.do(st.Delete(1))
        return tracks.labels

    alive = only_labels()
    gc.collect()
    assert alive[1].any()  # they hold their tracks


# --- prompts in files -----------------------------------------------------------------------------


@pytest.fixture
def table(clicks, tmp_path):
    """Clicks in micrometers, with columns of another program."""
    path = tmp_path / "clicks.csv"
    rows = [f"{y / 2},{x / 2},{i},fg\n" for i, ((_, y, x),) in clicks.items()]
    path.write_text("axis-0,axis-1,cell,label\n" + "".join(rows))
    return path


def test_a_file_of_prompts_is_followed(sample, clicks, table):
    with (
        pytest.warns(UserWarning, match=r"clicks\.csv: read as points of napari: 3 points, 3 obj"),
        st.follow(sample.images_tyx[:2], prompts=table, pixel_size=0.5) as run,
    ):
        assert run.prompts.objects == tuple(clicks)
        points = {i: (0, p.y, p.x) for (i, _), q in run.prompts.items() for p in q.points}
        assert {i: [place] for i, place in points.items()} == clicks


def test_a_file_of_prompts_outlines_an_image(sample, clicks, table):
    with pytest.warns(UserWarning, match=r"3 objects \(cell\)"):
        labels = st.segment(sample.images_tyx[0], prompts=str(table), pixel_size="0.5")
    assert set(np.unique(labels)) == {0, *clicks}
    np.testing.assert_array_equal(
        labels, st.segment(sample.images_tyx[0], {i: [p[1:]] for i, (p,) in clicks.items()})
    )


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ({"prompts": "nowhere.csv"}, r"nowhere\.csv does not exist; check the spelling"),
        ({"points": {1: [(0, 3, 3)]}, "pixel_size": 2}, "pixel_size is about a file of prompts"),
        ({"pixel_size": -1}, "pixel_size=.*a pixel size is one number above 0"),
    ],
)
def test_files_of_prompts_that_are_none(sample, given, message):
    with pytest.raises(st.Sam2TrackError, match=message):
        st.follow(sample.images_tyx[:2], **given)


def test_what_of_a_movie_is_not_used_is_warned_of(tmp_path):
    import tifffile

    path = tmp_path / "a.ome.tif"
    movie = np.random.default_rng(0).integers(0, 200, (1, 40, 50)).astype(np.uint8)
    with tifffile.TiffWriter(path, ome=True) as writer:
        for name in ("left", "right"):
            metadata = {"axes": "TYX", "Name": name}
            writer.write(movie, photometric="minisblack", metadata=metadata)
    with pytest.warns(
        UserWarning, match=r"a\.ome\.tif: it holds 2 images: 0 \(left\), 1 \(right\)"
    ):
        st.segment(path, points={1: [(20, 20)]})
    st.segment(path, points={1: [(20, 20)]}, series="right")
