import json

import numpy as np
import pandas as pd
import pytest
import tifffile

from napari_sam2track.formats.tracks_files import open_tracks, write_tracks
from napari_sam2track.labels import ArrayLabels, Scale
from napari_sam2track.tracks.tracked_movie import TrackedMovie, table_of

SCALE = Scale(time=60.0, y=0.5, x=0.5, time_unit="second", space_unit="micrometer")


@pytest.fixture
def labels(sample, tmp_path):
    """Labels of the sample with the size of a pixel, as labels.tif."""
    frames = ArrayLabels(sample.labels_tyx.astype(np.uint32))
    movie = TrackedMovie(table_of(frames, {}), frames, SCALE)
    write_tracks(tmp_path / "labels.tif", movie)
    return tmp_path / "labels.tif"


def test_objects_and_tracks(sam2track, labels, movie_path, sample, tmp_path):
    out, tracks = tmp_path / "objects.csv", tmp_path / "tracks.csv"
    result = sam2track("measure", labels, "--image", movie_path, "--out", out, "--tracks", tracks)
    assert result.exit_code == 0, result.output
    assert result.stdout == f"18 objects in 6 frames: {out}\n3 tracks: {tracks}\n"
    table = pd.read_csv(out)
    assert len(table) == 18
    for row in table.to_dict("records"):
        mask = sample.labels_tyx[row["t"]] == row["track_id"]
        values = sample.images_tyx[row["t"]][mask]
        assert (row["area"], row["intensity_max_0"]) == (mask.sum(), values.max())
        assert row["intensity_mean_0"] == pytest.approx(values.mean(), rel=1e-8)
        assert row["intensity_sum_0"] == values.sum()
        assert (row["world_t"], row["world_area"]) == (60 * row["t"], mask.sum() / 4)
    summary = pd.read_csv(tracks)
    assert summary["track_id"].tolist() == [1, 2, 3]
    assert (summary["end"] == 5).all()
    first = table[table.track_id == 1].sort_values("t")
    steps = np.hypot(np.diff(first.world_y), np.diff(first.world_x))
    assert summary["world_path_length"][0] == pytest.approx(steps.sum())
    assert summary["world_speed_mean"][0] == pytest.approx(steps.sum() / 300)
    note = json.loads((tmp_path / "objects.csv.json").read_text())
    assert note["scale"]["space_unit"] == "micrometer"
    assert note["provenance"]["parameters"] == {"shape": "basic", "image": str(movie_path)}
    assert (tmp_path / "tracks.csv.json").exists()


def test_shapes_are_a_choice(sam2track, labels, tmp_path):
    columns = {}
    for shape in ("none", "basic", "all"):
        out = tmp_path / f"{shape}.csv"
        assert sam2track("measure", labels, "--out", out, "--shape", shape).exit_code == 0
        columns[shape] = set(pd.read_csv(out).columns)
    assert columns["none"] < columns["basic"] < columns["all"]
    assert "solidity" in columns["all"] - columns["basic"]


def test_frames_without_objects(sam2track, tmp_path):
    array = np.zeros((3, 10, 10), np.uint8)
    array[1, 2:5, 2:5] = 7
    path = tmp_path / "l.tif"
    tifffile.imwrite(path, array, photometric="minisblack", metadata={"axes": "TYX"})
    assert sam2track("measure", path, "--out", tmp_path / "o.csv").exit_code == 0
    table = pd.read_csv(tmp_path / "o.csv")
    assert table[["track_id", "t", "area"]].to_numpy().tolist() == [[7, 1, 9]]


def test_tracks_of_places(sam2track, labels, tmp_path):
    with open_tracks(labels) as movie:
        write_tracks(tmp_path / "t.json", movie)
    result = sam2track("measure", tmp_path / "t.json", "--tracks", tmp_path / "t.csv")
    assert result.exit_code == 0, result.output
    assert len(pd.read_csv(tmp_path / "t.csv")) == 3
    result = sam2track("measure", tmp_path / "t.json", "--out", tmp_path / "o.csv")
    assert result.exit_code == 1
    assert "holds places of tracks and no masks" in result.stderr


@pytest.mark.parametrize(
    ("args", "code", "message"),
    [
        ([], 2, "Say where to write: --out for objects"),
        (["--tracks", "t.csv", "--image", "movie.tif"], 2, "--image is measured object by object"),
        (["--out", "o.xlsx"], 2, "unknown suffix '.xlsx'; use .csv"),
        (["--out", "o.csv", "--tracks", "o.csv"], 2, "are both o.csv; choose two names"),
        (["--out", "full.csv"], 1, "exists already"),
        (["--out", "o.csv", "--image", "gone.tif"], 1, "gone.tif does not exist"),
        (["--out", "o.csv", "--image", "short.tif"], 1, "The image has 2 frames of shape"),
        (["--out", "o.csv", "--image", "small.tif"], 1, "has 20 x 20 pixels, and the labels have"),
        (["--out", "o.csv", "--shape", "round"], 2, "Invalid value for '--shape'"),
    ],
)
def test_bad_input(
    sam2track, labels, movie_path, sample, tmp_path, monkeypatch, args, code, message
):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "full.csv").write_text("mine")
    tifffile.imwrite(tmp_path / "short.tif", sample.images_tyx[:2], metadata={"axes": "TYX"})
    small = sample.images_tyx[:, :20, :20]
    tifffile.imwrite(tmp_path / "small.tif", small, metadata={"axes": "TYX"})
    before = sorted(p.name for p in tmp_path.iterdir())
    result = sam2track("measure", "labels.tif", *args)
    assert result.exit_code == code, result.output
    assert message in result.stderr
    assert "Traceback" not in result.stderr
    assert sorted(p.name for p in tmp_path.iterdir()) == before
    assert (tmp_path / "full.csv").read_text() == "mine"


def test_real_bacteria(sam2track, shared_data, tmp_path):
    folder, out = shared_data / "bacteria", tmp_path / "o.csv"
    args = ("--image", folder / "01", "--out", out, "--tracks", tmp_path / "t.csv")
    result = sam2track("measure", folder / "01_GT", *args)
    assert result.exit_code == 0, result.output
    table, tracks = pd.read_csv(out), pd.read_csv(tmp_path / "t.csv")
    assert (len(table), len(tracks)) == (328, 62)
    frame = tifffile.imread(folder / "01" / "t010.tif")
    mask = tifffile.imread(folder / "01_GT" / "TRA" / "man_track010.tif")
    for row in table[table.t == 10].to_dict("records"):
        assert row["intensity_mean_0"] == pytest.approx(frame[mask == row["track_id"]].mean())
    assert tracks["generation"].max() >= 3
