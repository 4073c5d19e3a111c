"""What is written comes back, in every format that is read and written."""

import tempfile
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from napari_sam2track.formats.tracks_files import (
    FORMATS,
    MASKS,
    PARENTS,
    SCALE,
    format_named,
    format_of_output,
    losses,
    open_tracks,
    write_tracks,
)
from napari_sam2track.labels import ArrayLabels, Scale
from napari_sam2track.tracks.lineage import children, spans
from napari_sam2track.tracks.tracked_movie import TrackedMovie, table_of

NAMES = {
    "ctc": "01_RES",
    "geff": "a.geff",
    "napari": "a.csv",
    "json": "a.json",
    "csv": "a.csv",
    "tiff": "a.tif",
    "tiff-folder": "a",
    "ome-zarr": "a.zarr",
    "trackmate": "a.xml",
    "davis": "d",
}
#: Room that is left for parts of tracks in a Cell Tracking Challenge folder.
MAX_ID = {"ctc": 65_000, "davis": 254}
#: Decimals that a table keeps.
DIGITS = {"json": 3, "csv": 3}
FLAT = {"davis"}


def test_every_format_that_is_read_and_written_is_tested():
    assert set(NAMES) == {entry.name for entry in FORMATS if entry.read and entry.write}


def same(back, movie, name):
    """Compare what a format holds; a table is compared row by row."""
    entry = format_named(name)
    rows, wanted = back.table.detections, movie.table.detections
    np.testing.assert_array_equal(rows["track"], wanted["track"])
    np.testing.assert_array_equal(rows["frame"], wanted["frame"])
    np.testing.assert_allclose(
        rows["centroid"], wanted["centroid"], atol=0.51 * 10.0 ** -DIGITS.get(name, 9)
    )
    assert dict(back.table.parents) == (dict(movie.table.parents) if PARENTS in entry.holds else {})
    if SCALE in entry.holds:
        assert back.scale == movie.scale
    balls = name == "trackmate" and movie.ndim == 4  # no masks in 3D
    if not balls:
        np.testing.assert_array_equal(rows["area"], wanted["area"])
    if name != "napari":
        assert back.table.n_frames == movie.table.n_frames
        assert back.table.frame_shape == movie.table.frame_shape
        assert {**back.provenance, "notes": []} == {**movie.provenance, "notes": []}
        if not balls:
            assert "notes" not in back.provenance
            np.testing.assert_array_equal(rows["bbox"], wanted["bbox"])
    if MASKS in entry.holds or (name == "trackmate" and not balls):
        assert back.labels is not None
        for t in range(movie.table.n_frames):
            np.testing.assert_array_equal(back.labels.read(t), movie.labels.read(t))


@pytest.mark.parametrize("name", NAMES)
@settings(max_examples=12)
@given(seed=st.integers(0, 10**6), deep=st.booleans(), high=st.booleans())
def test_round_trip(make_movie, name, seed, deep, high):
    limit = MAX_ID.get(name, 2**32 - 1 if high else 65_535)
    movie = make_movie(seed, deep=deep and name not in FLAT, max_id=limit)
    if name == "ctc":
        movie = without_lone_children(movie)
        if len(movie.table) == 0:
            return
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / NAMES[name]
        write_tracks(path, movie, format=name)
        assert {p.name for p in Path(folder).iterdir()} <= {
            path.name,
            "a.csv.json",
            "a_graph.json",
        }
        with open_tracks(path) as back:  # the format is found
            same(back, movie, name)


def without_lone_children(movie):
    """Leave out parents that a Cell Tracking Challenge folder cannot tell from a gap."""
    when, lone = spans(movie.table), set()
    for parent, brood in children(movie.table.parents).items():
        if len(brood) == 1 and when[brood[0]][0] > when[parent][1] + 1:
            lone.add(brood[0])
    parents = {a: b for a, b in movie.table.parents.items() if a not in lone}
    return replace(movie, table=replace(movie.table, parents=parents))


@pytest.mark.parametrize("name", NAMES)
def test_points_without_masks(family, name, tmp_path):
    """Tables and graphs take them; formats of labels refuse, or draw discs."""
    from napari_sam2track.errors import OutputError
    from napari_sam2track.params import WriteParams

    rows = family.table.detections.copy()
    rows["area"] = 0
    points = replace(family, labels=None, table=replace(family.table, detections=rows))
    path = tmp_path / NAMES[name]
    if not format_named(name).needs_labels:
        write_tracks(path, points, format=name)
        with open_tracks(path) as back:
            assert back.labels is None
            np.testing.assert_array_equal(back.table.detections["track"], rows["track"])
            np.testing.assert_array_equal(back.table.detections["area"], 0)
            assert back.table.parents == points.table.parents
        return
    with pytest.raises(OutputError, match=r"needs masks, .* or draw discs with --radius"):
        write_tracks(path, points, format=name)
    assert list(tmp_path.iterdir()) == []
    write_tracks(path, points, format=name, options=WriteParams(radius=1.5))
    with open_tracks(path) as back:
        np.testing.assert_array_equal(back.table.detections["track"], rows["track"])
        np.testing.assert_allclose(back.table.detections["centroid"], rows["centroid"], atol=0.6)


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("deep", [False, True])
def test_no_tracks_at_all(as_movie, name, deep, tmp_path):
    from napari_sam2track.errors import OutputError

    if deep and name in FLAT:
        return
    movie = as_movie(np.zeros((3, 2, 5, 6) if deep else (3, 5, 6), np.uint32))
    path = tmp_path / NAMES[name]
    if name == "ctc":
        with pytest.raises(OutputError, match="there are no tracks, and a result without tracks"):
            write_tracks(path, movie, format=name)
        assert list(tmp_path.iterdir()) == []
        return
    write_tracks(path, movie, format=name)
    with open_tracks(path) as back:
        assert len(back.table) == 0
        if name != "napari":
            assert (back.table.n_frames, back.table.frame_shape) == (3, movie.table.frame_shape)


@pytest.mark.parametrize("name", NAMES)
def test_an_output_is_refused_and_replaced_when_asked(family, name, tmp_path):
    from napari_sam2track.errors import OutputError

    path = tmp_path / NAMES[name]
    write_tracks(path, family, format=name)
    with pytest.raises(OutputError, match="exists already"):
        write_tracks(path, family, format=name)
    write_tracks(path, family, format=name, overwrite=True)
    with open_tracks(path) as back:
        assert len(back.table) == len(family.table)


@pytest.mark.parametrize("name", ["ctc", "davis", "tiff-folder"])
def test_a_folder_of_somebody_else_is_not_replaced(family, name, tmp_path):
    from napari_sam2track.errors import OutputError

    path = tmp_path / NAMES[name]
    write_tracks(path, family, format=name)
    first = min(p for p in path.iterdir() if p.suffix in (".tif", ".png"))
    if name == "tiff-folder":
        (path / "notes.txt").write_text("mine")
    else:
        first.write_bytes(b"the same names, not our files")
    with pytest.raises(OutputError, match="did not write, so it is not replaced"):
        write_tracks(path, family, format=name, overwrite=True)
    assert first.exists()


@pytest.mark.parametrize("name", [*NAMES, "coco", "mots"])
def test_a_failure_leaves_nothing_behind(family, name, tmp_path):
    class Broken:
        n_frames, frame_shape = family.table.n_frames, family.table.frame_shape

        def read(self, t):
            if t == 2:
                raise OSError(28, "No space left on device")
            return family.labels.read(t)

    from napari_sam2track.errors import OutputError

    if name in ("json", "csv", "napari"):
        return  # they read no masks
    with pytest.raises(OutputError, match="the disk is full"):
        write_tracks(tmp_path / "a.b", replace(family, labels=Broken()), format=name)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("name", NAMES)
def test_real_data(shared_data, name, tmp_path):
    from napari_sam2track.params import WriteParams

    with open_tracks(shared_data / "bacteria" / "01_GT") as movie:
        assert (movie.table.n_tracks, len(movie.table.parents)) == (62, 60)
        path = tmp_path / NAMES[name]
        write_tracks(path, movie, format=name, options=WriteParams(renumber=True))
        with open_tracks(path) as back:
            rows, wanted = back.table.detections, movie.table.detections
            assert len(rows) == len(wanted)
            if name == "davis":
                numbers = {t: k for k, t in enumerate(movie.table.ids.tolist(), start=1)}
                assert rows["track"].tolist() == [numbers[t] for t in wanted["track"].tolist()]
                return
            np.testing.assert_array_equal(rows["track"], wanted["track"])
            np.testing.assert_allclose(rows["centroid"], wanted["centroid"], atol=1e-3)
            assert back.table.parents == movie.table.parents
            if MASKS in format_named(name).holds:
                for t in range(movie.table.n_frames):
                    np.testing.assert_array_equal(back.labels.read(t), movie.labels.read(t))


def test_losses_are_told(family):
    family = replace(family, scale=replace(family.scale))
    assert losses(family, "geff") == []
    assert losses(family, "tiff") == []
    assert any("the masks are not written" in text for text in losses(family, "json"))
    assert any("the parents of 2 tracks" in text for text in losses(family, "davis"))
    assert any("size of a pixel" in text for text in losses(family, "napari"))
    assert any("1 parts get labels" in text for text in losses(family, "ctc"))
    assert any("outlines" in text for text in losses(family, "trackmate"))


def test_names_of_outputs():
    from napari_sam2track.errors import UsageError

    wanted = {
        "01_RES": "ctc",
        "01_GT/TRA": "ctc",
        "TRA": "ctc",
        "a.geff": "geff",
        "b/a.JSON": "json",
        "a.coco.json": "coco",
        "a.csv": "csv",
        "a.ome.tif": "tiff",
        "a.tiff": "tiff",
        "a.zarr": "ome-zarr",
        "a.xml": "trackmate",
        "a.txt": "mots",
        "a": "tiff-folder",
    }
    assert {path: format_of_output(path).name for path in wanted} == wanted
    assert format_of_output("a.xyz", "davis").name == "davis"
    with pytest.raises(UsageError, match=r"unknown suffix '.xyz'; use .*\.geff \(geff\)"):
        format_of_output("a.xyz")
    with pytest.raises(UsageError, match="no format 'avi'; choose one of ctc, geff"):
        format_of_output("a.xyz", "avi")
    with pytest.raises(UsageError, match="array can be read, not written"):
        format_of_output("a.npy", "array")


@pytest.mark.parametrize("name", ["ctc", "geff", "trackmate"])
def test_parents_without_sense_are_not_dropped_but_refused(family, name, tmp_path):
    from napari_sam2track.errors import OutputError

    for parents, message in (({1: 7, 7: 1}, "go in a circle"), ({9: 7}, "not after its parent 7")):
        movie = replace(family, table=replace(family.table, parents=parents))
        with pytest.raises(OutputError, match=f"cannot write .*{message}"):
            write_tracks(tmp_path / NAMES[name], movie, format=name)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("name", ["geff", "trackmate", "json", "csv", "napari", "tiff"])
def test_budding(family, name, tmp_path):
    """A mother that goes on beside her daughter stays one track."""
    movie = replace(family, table=replace(family.table, parents={7: 9}))
    write_tracks(tmp_path / NAMES[name], movie, format=name)
    with open_tracks(tmp_path / NAMES[name]) as back:
        np.testing.assert_array_equal(
            back.table.detections["track"], movie.table.detections["track"]
        )
        assert back.table.parents == {7: 9}


def test_budding_in_the_cell_tracking_challenge(family, tmp_path):
    """There a mother ends, and goes on as her own second daughter."""
    movie = replace(family, table=replace(family.table, parents={7: 9}))
    write_tracks(tmp_path / "01_RES", movie)
    assert any("go on beside a child, are split: 2 parts" in t for t in losses(movie, "ctc"))
    text = (tmp_path / "01_RES" / "res_track.txt").read_text()
    assert text == "1 0 1 0\n2 2 2 0\n7 2 5 9\n9 0 1 0\n10 4 5 2\n11 2 5 9\n"


def test_parts_of_tracks_with_the_largest_ids_are_counted():
    array = np.zeros((3, 5, 5), np.uint32)
    array[[0, 2], 1, 1] = 2**32 - 1  # the part after the gap would get an id above it
    movie = TrackedMovie(table_of(ArrayLabels(array)), ArrayLabels(array))
    assert any("1 parts get labels of their own" in text for text in losses(movie, "ctc"))


@pytest.mark.parametrize("largest", [9, 70_000])
@pytest.mark.parametrize(
    ("size", "unit"), [(1e-10, "meter"), (1e10, "nanometer"), (0.1, "ångström")]
)
def test_scales_that_tags_of_a_tiff_cannot_say(tmp_path, largest, size, unit):
    array = np.full((2, 5, 6), largest, np.uint32)
    frames, scale = ArrayLabels(array), Scale(2.0, 1.0, size, size, "second", unit)
    write_tracks(tmp_path / "a.tif", TrackedMovie(table_of(frames), frames, scale))
    with open_tracks(tmp_path / "a.tif") as back:
        assert back.scale == scale
        np.testing.assert_array_equal(back.labels.read(1), array[1])
