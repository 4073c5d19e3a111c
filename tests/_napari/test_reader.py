"""What is ours, and what it becomes."""

import gc
import subprocess
import sys

import numpy as np
import pytest
from napari.layers import Labels, Layer, Tracks

from napari_sam2track._napari import tracks_to_layers
from napari_sam2track._napari.reader import get_reader
from napari_sam2track.errors import FormatError
from napari_sam2track.formats.tracks_files import write_tracks
from napari_sam2track.frames.lazy_array import LazyFrames
from napari_sam2track.labels import ArrayLabels
from napari_sam2track.samples import dividing_nuclei
from napari_sam2track.tracks.tracked_movie import TrackedMovie, table_of

SAMPLE = dividing_nuclei(10, 80, n_cells=5, divisions=0.1, seed=2)


def movie():
    labels = ArrayLabels(SAMPLE.labels_tyx)
    return TrackedMovie(table_of(labels, SAMPLE.parents), labels)


def read(path):
    layers = get_reader(str(path))(str(path))
    return [Layer.create(*each) for each in layers]


@pytest.fixture
def files(tmp_path):
    """One of each kind that we write and read."""
    names = {
        "01_RES": "ctc",
        "a.geff": "geff",
        "a.tracks.json": "json",
        "a.tracks.csv": "csv",
        "napari": "napari",
        "a.xml": "trackmate",
        "a.tracks.tif": "tiff",
        "a.zarr": "ome-zarr",
        "frames": "tiff-folder",
    }
    for name, format in names.items():
        write_tracks(tmp_path / name, movie(), format=format)
    return {format: tmp_path / name for name, format in names.items()}


def test_ours_is_taken_and_has_the_lineage(files):
    for format, path in files.items():
        layers = {type(layer): layer for layer in read(path)}
        tracks = layers[Tracks]
        assert tracks.graph == {c: [p] for c, p in SAMPLE.parents.items()}, format
        if format not in ("json", "csv", "napari"):
            assert Labels in layers, format
            ours = layers[Labels].metadata["sam2track"]
            assert ours["parents"] == SAMPLE.parents, format
            assert layers[Labels].name == f"{tracks_to_layers.name_of(path)} [labels]"
            if format != "trackmate":  # outlines are not pixels
                np.testing.assert_array_equal(layers[Labels].data, SAMPLE.labels_tyx)


def test_a_file_of_a_challenge_folder_stands_for_it(files):
    layers = read(files["ctc"] / "res_track.txt")
    assert [layer.name for layer in layers] == ["01_RES [labels]", "01_RES [tracks]"]


def test_a_stack_of_one_is_one(files):
    assert get_reader([str(files["geff"])]) is not None
    assert get_reader([str(files["geff"]), str(files["ctc"])]) is None


def test_others_are_left_alone(tmp_path):
    (tmp_path / "plain").mkdir()
    (tmp_path / "plain" / "a.tif").write_bytes(b"II*\0")
    (tmp_path / "foreign.zarr").mkdir()
    (tmp_path / "foreign.zarr" / ".zattrs").write_text('{"multiscales": []}')
    (tmp_path / "broken.geff").mkdir()
    (tmp_path / "elsewhere").mkdir()
    for name, text in {
        "session.json": '{"cookies": []}',
        "tracks.json": '{"tracks": []}',
        "tracks.csv": "artist,title\n",
        "notes.xml": "<?xml version='1.0'?><html/>",
        "elsewhere/session.json": "{}",
        "empty.tracks.csv": "",
    }.items():
        (tmp_path / name).write_text(text)
    left = {path.name: get_reader(str(path)) for path in tmp_path.iterdir()}
    assert len(left) == 9
    assert set(left.values()) == {None}
    assert get_reader(str(tmp_path / "missing.geff")) is None
    assert get_reader("https://example.org/a.geff") is None


def test_a_large_movie_stays_in_its_file(files, monkeypatch):
    monkeypatch.setattr(tracks_to_layers, "IN_MEMORY", 1000)
    labels, tracks = read(files["tiff"])
    assert isinstance(labels.data, LazyFrames)
    assert "not painted" in labels.metadata["sam2track"]["note"]
    np.testing.assert_array_equal(np.asarray(labels.data), SAMPLE.labels_tyx)
    assert len(tracks.data)
    del labels
    gc.collect()  # an unclosed file would warn, and a warning is an error


def test_what_cannot_be_shown_is_told(tmp_path, capsys, monkeypatch):
    texts = []
    monkeypatch.setattr(tracks_to_layers, "tell", texts.append)
    far = np.where(SAMPLE.labels_tyx > 0, SAMPLE.labels_tyx + 3_000_000_000, 0).astype(np.uint32)
    labels = ArrayLabels(far)
    write_tracks(tmp_path / "a.geff", TrackedMovie(table_of(labels), labels))
    assert [type(layer) for layer in read(tmp_path / "a.geff")] == [Labels]
    assert "napari would need very much memory" in texts[0]
    empty = ArrayLabels(np.zeros((2, 4, 4), np.uint32))
    write_tracks(tmp_path / "b.tracks.json", TrackedMovie(table_of(empty)))
    with pytest.raises(FormatError, match="holds no tracks and no masks"):
        read(tmp_path / "b.tracks.json")


def test_merges_are_cut_and_told(tmp_path, monkeypatch):
    texts = []
    monkeypatch.setattr(tracks_to_layers, "tell", texts.append)
    (tmp_path / "tracks.csv").write_text("ID,t,y,x\n1,0,2,2\n2,0,5,5\n2,1,5,5\n3,2,4,4\n")
    (tmp_path / "graph.json").write_text('{"3": [1, 2]}')
    (tracks,) = read(tmp_path / "tracks.csv")
    assert tracks.graph == {3: [2]}
    assert len(texts) == 2
    assert "read as napari: 3 tracks, 1 parents" in texts[0]
    assert "1 links where tracks merge were cut" in texts[1]
    (same,) = read(tmp_path)
    np.testing.assert_array_equal(same.data, tracks.data)


def test_a_table_of_another_program_is_known_by_its_columns(tmp_path, monkeypatch):
    texts = []
    monkeypatch.setattr(tracks_to_layers, "tell", texts.append)
    table = "TrackID\tt\tx\ty\tz\tparentTrackID\n1\t0\t9\t8\t0\t-1\n2\t1\t9\t8\t0\t1\n"
    (tmp_path / "cells.tsv").write_text(table)
    (tracks,) = read(tmp_path / "cells.tsv")
    assert tracks.graph == {2: [1]}
    assert tracks.data.tolist() == [[1, 0, 8, 9], [2, 1, 8, 9]]
    assert "read as inTRACKtive: 2 tracks, 1 parents" in texts[0]
    points = "index,axis-0,axis-1,axis-2,track_id\n0,0,8,9,1\n"
    (tmp_path / "points.csv").write_text(points)
    assert get_reader(str(tmp_path / "points.csv")) is None


@pytest.mark.parametrize("place", ["bacteria/01_GT", "bacteria/01_GT/TRA"])
def test_the_truth_of_a_challenge_movie(shared_data, place):
    labels, tracks = read(shared_data / place)
    assert labels.name == "01_GT [labels]"
    assert labels.data.shape[0] == len(list((shared_data / "bacteria/01").glob("t*.tif")))
    assert len(tracks.graph) > 10
    assert set(np.unique(labels.data)) - {0} == set(tracks.data[:, 0].astype(int))


def test_trackmate_and_napari_of_others(shared_data):
    (tracks,) = read(shared_data / "trackmate/FakeTracks.xml")[-1:]
    assert tracks.name == "FakeTracks [tracks]"
    (of_napari,) = read(shared_data / "napari_tracks")
    assert of_napari.graph


def test_napari_opens_it(viewer, files):
    for format in ("geff", "ctc", "csv", "tiff"):
        viewer.layers.clear()
        layers = viewer.open(files[format], plugin="napari-sam2track")
        assert type(layers[-1]).__name__ == "Tracks"
        assert "napari-sam2track" in str(layers[-1].source.reader_plugin)


def test_napari_saves_and_opens_again(viewer, tmp_path):
    viewer.open_sample("napari-sam2track", "dividing_nuclei")
    _, labels, tracks = viewer.layers
    for name in ("a.geff", "b.tracks.tif", "c.ome.zarr"):
        viewer.layers.selection = {labels, tracks}
        (path,) = viewer.layers.save(str(tmp_path / name), selected=True)
        assert path == str(tmp_path / name)
        other, lines = viewer.open(path, plugin="napari-sam2track")
        np.testing.assert_array_equal(other.data, labels.data)
        assert lines.graph == tracks.graph


@pytest.mark.parametrize(
    "module", ["reader", "writer", "sample_data", "settings", "session_layers"]
)
def test_importing_loads_neither_torch_nor_a_toolkit(module):
    """napari imports them in its own thread, when a file is opened."""
    code = (
        f"import sys, napari_sam2track._napari.{module}\n"
        "print(*(m for m in ('torch', 'qtpy', 'vispy', 'napari') if m in sys.modules))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.split() == []
