import errno
import json
import subprocess
import sys

import numpy as np
import pytest
import tifffile
from typer.testing import CliRunner

from napari_sam2track.cli import app
from napari_sam2track.formats.labels.open_labels import open_labels
from napari_sam2track.formats.tracks_csv import read_tracks_csv
from napari_sam2track.formats.tracks_json import read_tracks_json
from napari_sam2track.params import LinkParams


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
        "4 frames, 8 objects, 2 tracks of 4.0 frames on average, 6 links, 0 divisions: "
        + f"{out}\n"
    )
    if name in ("t.json", "t.csv"):
        read = read_tracks_json if name == "t.json" else read_tracks_csv
        table, note = read(out)
        assert (table.n_tracks, table.n_frames, table.frame_shape) == (2, 4, (30, 40))
        assert note["parameters"] == {
            **LinkParams().model_dump(),
            "split_binary": False,
            "locked_links": 0,
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


def test_motion_and_divisions_can_be_left_out(tmp_path, sam2track):
    """Three that jump by more than their size, one of which divides."""
    frames = np.zeros((2, 60, 90), np.uint16)
    for k in range(3):
        frames[0, 10:18, 10 + 14 * k : 18 + 14 * k] = k + 1
        frames[1, 30:38, 40 + 14 * k : 48 + 14 * k] = k + 4
    frames[1, 30:38, 43:45] = 0
    frames[1, 30:38, 45:48] = 9
    np.save(tmp_path / "m.npy", frames)
    counts = {}
    for name, args in {
        "all": [],
        "still": ["--motion", "off"],
        "one": ["--divisions", "off"],
    }.items():
        out = tmp_path / f"{name}.json"
        result = sam2track("track", "--pred-dir", tmp_path / "m.npy", "--out", out, *args)
        assert result.exit_code == 0, result.output
        table, _ = read_tracks_json(out)
        counts[name] = table.n_tracks, len(table.parents)
    assert counts == {"all": (5, 2), "still": (7, 0), "one": (4, 0)}


def test_locked_tracks_stay(masks, tmp_path):
    first, again = tmp_path / "first.json", tmp_path / "again.json"
    assert track(masks, first).exit_code == 0
    text = first.read_text()
    swapped = text.replace('"frame": 2, "label": 38', "A").replace('"frame": 2, "label": 5', "B")
    swapped = swapped.replace("A", '"frame": 2, "label": 5').replace("B", '"frame": 2, "label": 38')
    assert swapped != text
    first.write_text(swapped)
    result = track(masks, again, "--lock-from", str(first))
    assert result.exit_code == 0, result.output
    tables = [read_tracks_json(path)[0] for path in (first, again)]
    names = ["track", "frame", "label"]
    np.testing.assert_array_equal(*(t.detections[names] for t in tables))
    free = tmp_path / "free.json"
    assert track(masks, free).exit_code == 0
    assert [r["label"][2] for r in read_tracks_json(free)[0].tracks()] == [5, 38]


@pytest.mark.parametrize(
    ("args", "code", "message"),
    [
        (["--lock", "3"], 2, "names tracks of an earlier result; give it with --lock-from"),
        (["--lock", "a", "--lock-from", "t.json"], 2, "is not a list of track ids"),
        (["--lock-from", "t.json"], 1, "t.json does not exist"),
        (["--max-distance", "-1"], 2, "--max-distance -1"),
        (["--divisions", "many"], 2, "many"),
        (["--format", "excel"], 2, "here is no format 'excel'; choose one of ctc,"),
        (["--axes", "TXX"], 1, "TXX"),
    ],
)
def test_options_that_cannot_be_meant(masks, tmp_path, args, code, message):
    args = [str(tmp_path / a) if a == "t.json" else a for a in args]
    result = track(masks, tmp_path / "out.json", *args)
    assert result.exit_code == code, result.output
    assert message in result.stderr
    assert not (tmp_path / "out.json").exists()


@pytest.mark.parametrize("name", ["01_RES", "t.geff", "t.xml", "t.coco.json"])
def test_formats_by_name(masks, tmp_path, name):
    result = track(masks, tmp_path / name)
    assert result.exit_code == 0, result.output
    assert (tmp_path / name).exists()


def test_volumes(tmp_path):
    frames = np.zeros((3, 4, 20, 20), np.uint16)
    for t in range(3):
        frames[t, 1:3, 4:10, 4 + t : 10 + t] = 9 - t
    np.save(tmp_path / "m.npy", frames)
    result = track(tmp_path / "m.npy", tmp_path / "t.json")
    assert result.exit_code == 0, result.output
    table, _ = read_tracks_json(tmp_path / "t.json")
    assert (table.n_tracks, table.frame_shape) == (1, (4, 20, 20))
    assert table.detections["centroid"][0].tolist() == [1.5, 6.5, 6.5]


def test_binary_masks_are_said_to_be_split(masks, tmp_path):
    for path in masks.iterdir():
        frame = tifffile.imread(path)
        tifffile.imwrite(path, np.where(frame > 0, 255, 0).astype(np.uint8))
    result = track(masks, tmp_path / "t.json")
    assert "8 objects (binary masks, split into connected parts), 2 tracks" in result.stdout
    assert track(masks, tmp_path / "u.json", "--binary", "no").stdout.count("1 track ") == 1


def test_a_stack_that_is_cut_off_is_no_shorter_movie(masks, tmp_path):
    stack = np.stack([tifffile.imread(masks / f"m{t}.tif") for t in range(4)])
    path = tmp_path / "stack.tif"
    tifffile.imwrite(path, stack, compression="zlib", photometric="minisblack")
    with tifffile.TiffFile(path) as tiff:
        third = tiff.pages[2].offset
    path.write_bytes(path.read_bytes()[:third])
    result = track(path, tmp_path / "t.json")
    assert result.exit_code == 1
    assert (
        "stack.tif is cut short: it says 4 images, and only the first 2 are whole" in result.stderr
    )
    assert not (tmp_path / "t.json").exists()


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


@pytest.mark.parametrize("name", ["t.png", "t.h5"])
def test_unknown_outputs_are_usage_errors(masks, tmp_path, name):
    result = track(masks, tmp_path / name)
    assert result.exit_code == 2
    assert f"unknown suffix '.{name[2:]}'; use " in result.stderr
    assert ".json (json)" in result.stderr


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
        (["--out", "t.h5"], 2),
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


def test_locks_come_from_a_result_for_these_masks(masks, tmp_path):
    tracked, earlier = tmp_path / "t.tif", tmp_path / "t.json"
    assert track(masks, tracked).exit_code == track(masks, earlier).exit_code == 0
    # Its labels are 1 and 2, tracks and not values in the masks.
    result = track(masks, tmp_path / "u.json", "--lock-from", str(tracked))
    assert (result.exit_code, (tmp_path / "u.json").exists()) == (2, False)
    assert "give the .json or .csv that sam2track track wrote for these masks" in result.stderr
    (masks / "m3.tif").unlink()
    result = track(masks, tmp_path / "u.json", "--lock-from", str(earlier))
    assert (result.exit_code, (tmp_path / "u.json").exists()) == (2, False)
    assert "is of 4 frames of shape (30, 40), and the masks are 3 of (30, 40)" in result.stderr


def test_the_format_by_either_name_and_numbers_without_end(masks, tmp_path):
    assert track(masks, tmp_path / "a", "--to", "json").exit_code == 0
    assert track(masks, tmp_path / "b", "--format", "json").exit_code == 0
    result = track(masks, tmp_path / "c.json", "--max-distance", "inf")
    assert result.exit_code == 2
    assert "--max-distance inf cannot be used: it should be a finite number" in result.stderr
    result = track(masks, masks / "out.tif")
    assert result.exit_code == 2
    assert "would lie among the files of the input" in result.stderr
