import csv
import json

import numpy as np
import pytest
import tifffile

from napari_sam2track.formats.tracks_files import open_tracks, write_tracks
from napari_sam2track.samples import moving_cells


@pytest.fixture
def path(tmp_path):
    """Cells of which 2 and 5 are exchanged from frame 6 on, and 3 is lost in frame 9."""
    labels = moving_cells(12, 200, 260, 8, seed=4).labels_tyx
    for frame in labels[6:]:
        one, two = frame == 2, frame == 5
        frame[one], frame[two] = 5, 2
    labels[9][labels[9] == 3] = 0
    tifffile.imwrite(tmp_path / "tracked.tif", labels, metadata={"axes": "TYX"})
    return tmp_path / "tracked.tif"


def test_a_table_on_the_terminal(sam2track, path):
    result = sam2track("suspects", path, "--top", "3")
    assert result.exit_code == 0, result.output
    lines = result.stdout.splitlines()
    assert lines[0].split() == ["score", "track", "frame", "why"]
    rows = [line.split() for line in lines if line[:8].strip().startswith("0.")]
    assert {(row[1], row[2]) for row in rows} == {("2", "6"), ("5", "6"), ("3", "9")}
    assert "of 8 tracks" in lines[-1]
    assert sam2track("suspects", path, "--top", "0").stdout.count("\n") == 1


@pytest.mark.parametrize("name", ["s.csv", "s.json"])
def test_all_of_them_in_a_file(sam2track, path, tmp_path, name):
    out = tmp_path / name
    result = sam2track("suspects", path, "--out", out, "--top", "1", "--min-score", "0.5")
    assert result.exit_code == 0, result.output
    if name == "s.csv":
        rows = list(csv.DictReader(out.read_text().splitlines()))
        assert list(rows[0]) == ["track_id", "frame", "score", "kinds", "text"]
        found = {(int(r["track_id"]), int(r["frame"])) for r in rows}
    else:
        content = json.loads(out.read_text())
        assert content["provenance"]["parameters"]["min_score"] == 0.5
        rows = content["suspects"]
        found = {(r["track"], r["frame"]) for r in rows}
    assert found >= {(2, 6), (5, 6), (3, 9)}
    assert [float(r["score"]) for r in rows] == sorted(float(r["score"]) for r in rows)[::-1]
    assert f"{len(rows)} suspects in 3 of 8 tracks, 1 shown: {out}" in result.stdout


def test_places_without_masks(sam2track, path, tmp_path):
    with open_tracks(path) as movie:
        write_tracks(tmp_path / "t.json", movie)
    result = sam2track("suspects", tmp_path / "t.json")
    assert result.exit_code == 0
    assert "holds no masks: overlap, parts and holes are not judged" in result.stderr
    assert "not in frame 9" in result.stdout
    assert "overlaps by" not in result.stdout


def test_nothing_suspicious(sam2track, tmp_path):
    labels = np.zeros((3, 20, 20), np.uint8)
    labels[:, 8:12, 8:12] = 1
    tifffile.imwrite(tmp_path / "l.tif", labels, photometric="minisblack", metadata={"axes": "TYX"})
    result = sam2track("suspects", tmp_path / "l.tif")
    assert (result.exit_code, result.stdout) == (0, "No suspects in 1 tracks of 3 frames\n")


@pytest.mark.parametrize(
    ("args", "code", "message"),
    [
        (["tracked.tif", "--out", "s.txt"], 2, "unknown suffix '.txt'; use .csv or .json"),
        (["tracked.tif", "--out", "full.csv"], 1, "exists already"),
        (["gone.tif"], 1, "gone.tif does not exist"),
        (["tracked.tif", "--area-change", "1"], 2, "--area-change 1.0 cannot be used"),
        (["tracked.tif", "--from", "nothing"], 2, "there is no format 'nothing'"),
    ],
)
def test_bad_input_is_one_sentence(sam2track, path, tmp_path, monkeypatch, args, code, message):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "full.csv").write_text("mine")
    result = sam2track("suspects", *args)
    assert result.exit_code == code, result.output
    assert message.lower() in result.stderr.lower()
    assert len(result.stderr.splitlines()) == 1
    assert (tmp_path / "full.csv").read_text() == "mine"


def test_truth_of_bacteria(sam2track, shared_data):
    result = sam2track("suspects", shared_data / "bacteria" / "01_GT")
    assert result.exit_code == 0, result.output
    assert result.stdout == "No suspects in 62 tracks of 30 frames\n"
