import errno
import json
import subprocess
import sys

import numpy as np
import pytest
import tifffile
from typer.testing import CliRunner

from napari_sam2track.cli import app
from napari_sam2track.formats.labels import open_labels
from napari_sam2track.formats.tracks_csv import read_tracks_csv
from napari_sam2track.formats.tracks_json import read_tracks_json


@pytest.fixture
def masks(tmp_path):
    """Four frames, two squares that move, with new ids in every frame."""
    folder = tmp_path / "masks"
    folder.mkdir()
    for t in range(4):
        frame = np.zeros((30, 40), np.uint16)
        frame[2 + t : 10 + t, 2:10] = 40 - t
        frame[15:22, 10 + t : 20 + t] = 3 + t
        tifffile.imwrite(folder / f"m{t}.tif", frame)
    return folder


def track(masks, out, *args):
    return CliRunner().invoke(app, ["track", "--pred-dir", str(masks), "--out", str(out), *args])


@pytest.mark.parametrize("name", ["t.json", "t.csv", "t.tif", "t.zarr", "folder"])
def test_every_output(masks, tmp_path, name):
    out = tmp_path / name
    result = track(masks, out)
    assert result.exit_code == 0, result.output
    assert result.stdout == (
        "4 frames, 8 objects, 2 tracks of 4.0 frames on average, 6 links: " + f"{out}\n"
    )
    if name in ("t.json", "t.csv"):
        read = read_tracks_json if name == "t.json" else read_tracks_csv
        table, note = read(out)
        assert (table.n_tracks, table.n_frames, table.frame_shape) == (2, 4, (30, 40))
        assert note["parameters"] == {
            "min_iou": 0.3,
            "max_gap": 1,
            "binary": "auto",
            "split_binary": False,
        }
        assert note["source"] == str(masks)
        assert note["frame_range"] == [0, 3]
    else:
        with open_labels(out) as stack:
            frames = [stack.read(t) for t in range(4)]
        assert [np.unique(f).tolist() for f in frames] == [[0, 1, 2]] * 4
        assert frames[3][6, 5] == frames[0][3, 5]


def test_options_reach_the_linker(masks, tmp_path):
    out = tmp_path / "t.json"
    assert track(masks, out, "--min-iou", "0.99", "--max-gap", "0").exit_code == 0
    table, note = read_tracks_json(out)
    assert table.n_tracks == 8
    assert (note["parameters"]["min_iou"], note["parameters"]["max_gap"]) == (0.99, 0)


def test_binary_masks_are_said_to_be_split(masks, tmp_path):
    for path in masks.iterdir():
        frame = tifffile.imread(path)
        tifffile.imwrite(path, np.where(frame > 0, 255, 0).astype(np.uint8))
    result = track(masks, tmp_path / "t.json")
    assert "8 objects (binary masks, split into connected parts), 2 tracks" in result.stdout
    assert track(masks, tmp_path / "u.json", "--binary", "no").stdout.count("1 tracks") == 1


def test_existing_output(masks, tmp_path):
    out = tmp_path / "t.json"
    out.write_text("mine")
    result = track(masks, out)
    assert result.exit_code == 1
    assert "exists already; choose another name, or say --overwrite" in result.stderr
    assert out.read_text() == "mine"
    assert track(masks, out, "--overwrite").exit_code == 0
    assert json.loads(out.read_text())["version"] == 1


def test_the_input_is_not_overwritten(masks):
    result = track(masks, masks, "--overwrite")
    assert (result.exit_code, len(list(masks.iterdir()))) == (2, 4)
    assert "is the input; choose another name" in result.stderr


def empty(masks):
    for path in masks.iterdir():
        path.unlink()


def missing(masks):
    (masks / "m2.tif").unlink()


def other_size(masks):
    tifffile.imwrite(masks / "m3.tif", np.zeros((5, 5), np.uint8))


def gone(masks):
    empty(masks)
    masks.rmdir()


def fractions(masks):
    tifffile.imwrite(masks / "m3.tif", np.full((30, 40), 0.5, np.float32))


@pytest.mark.parametrize(
    ("spoil", "message"),
    [
        (gone, "does not exist: give a folder or a file of label images"),
        (empty, "holds no TIFF or PNG files"),
        (missing, "has frames 0 to 3, but 2 is missing"),
        (other_size, "m3.tif has 5 x 5 pixels, but m0.tif has 40 x 30"),
        (fractions, "m3.tif holds fractions"),
    ],
)
def test_bad_masks_are_one_sentence(masks, tmp_path, spoil, message):
    spoil(masks)
    result = track(masks, tmp_path / "t.tif")
    assert result.exit_code == 1
    assert message in result.stderr
    assert len(result.stderr.splitlines()) == 1
    assert not (tmp_path / "t.tif").exists()


@pytest.mark.parametrize("name", ["t.xml", "t.png", "t.h5"])
def test_unknown_outputs_are_usage_errors(masks, tmp_path, name):
    result = track(masks, tmp_path / name)
    assert result.exit_code == 2
    assert f"unknown suffix '.{name[2:]}'; use .json or .csv" in result.stderr


def test_a_full_disk(masks, tmp_path, monkeypatch):
    def full(*args, **kwargs):
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr("tifffile.TiffWriter.write", full)
    result = track(masks, tmp_path / "t.tif")
    assert result.exit_code == 1
    assert "t.tif: the disk is full; free some space" in result.stderr
    assert [p.name for p in tmp_path.iterdir()] == ["masks"]


def test_masks_without_objects(masks, tmp_path):
    for path in masks.iterdir():
        tifffile.imwrite(path, np.zeros((30, 40), np.uint8))
    result = track(masks, tmp_path / "t.tif")
    assert result.exit_code == 0
    assert "4 frames, 0 objects, 0 tracks of 0.0 frames" in result.stdout


@pytest.mark.parametrize(
    ("args", "code"),
    [
        (["--out", "t.json"], 0),
        (["--out", "t.xml"], 2),
        (["--out", "t.json", "--min-iou", "0"], 2),
        (["--out", "t.json", "--max-gap", "-1"], 2),
        ([], 2),
        (["--out", "t.json", "--pred-dir", "nowhere"], 1),
    ],
)
def test_exit_codes_of_the_program(masks, tmp_path, args, code):
    command = [sys.executable, "-m", "napari_sam2track", "track", "--pred-dir", str(masks), *args]
    done = subprocess.run(command, capture_output=True, text=True, cwd=tmp_path, check=False)
    assert done.returncode == code, done.stderr
    assert "Traceback" not in done.stderr
    assert bool(done.stderr) == bool(code)  # no progress bar where there is no terminal


def test_real_cells(shared_data, tmp_path):
    out = tmp_path / "tracked.tif"
    result = track(shared_data / "cellseg" / "data_small.npz", out)
    assert result.exit_code == 0, result.output
    assert "10 frames, 103 objects" in result.stdout
    with open_labels(out) as stack:
        assert stack.n_frames == 10
