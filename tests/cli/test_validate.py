import json
import subprocess
import sys

import numpy as np
import pytest
import tifffile

from napari_sam2track.formats.labels.label_writers import write_labels


@pytest.fixture
def ctc(tmp_path):
    path = tmp_path / "01_RES"
    path.mkdir()
    for t in range(3):
        labels = np.zeros((8, 10), np.uint16)
        labels[2:5, 2:5] = 1
        tifffile.imwrite(path / f"mask{t:03d}.tif", labels)
    (path / "res_track.txt").write_text("1 0 2 0\n")
    return path


def test_a_good_folder(sam2track, ctc):
    result = sam2track("validate", ctc)
    assert (result.exit_code, result.output) == (0, f"{ctc}: no problems\n")


def test_everything_at_once_errors_first(sam2track, ctc):
    (ctc / "res_track.txt").write_text("1 0 1 0\n1 0 1 0\n4 2 2 9\n")
    labels = np.zeros((8, 10), np.uint16)
    labels[0, 0] = labels[7, 9] = 1
    tifffile.imwrite(ctc / "mask001.tif", labels)
    result = sam2track("validate", ctc)
    assert result.exit_code == 1
    lines = result.output.splitlines()
    assert lines == [
        "error: track 1 has two lines in res_track.txt",
        "error: the parent 9 of track 4 does not exist",
        "error: track 1 (0 to 1) has masks in frames 2 too",
        "error: track 4 (2 to 2) has no mask in frames 2",
        "warning: label 1 in mask001.tif is in 2 parts",
        f"{ctc}: 4 errors, 1 warning",
    ]


def test_warnings_are_no_failure(sam2track, ctc):
    tifffile.imwrite(ctc / "mask003.tif", np.zeros((8, 10), np.uint16))
    result = sam2track("validate", ctc)
    assert result.exit_code == 0
    assert result.output.splitlines() == [
        "warning: mask003.tif is empty",
        f"{ctc}: 0 errors, 1 warning",
    ]


def converted(sam2track, ctc, name):
    out = ctc.with_name(name)
    assert sam2track("convert", ctc, out).exit_code == 0
    return out


def test_json(sam2track, ctc):
    path = converted(sam2track, ctc, "a.json")
    assert sam2track("validate", path).exit_code == 0
    content = json.loads(path.read_text())
    (track,) = content["tracks"]
    track["end"], track["parent"] = 7, 1
    track["detections"][1]["frame"] = 0
    content["tracks"].append({**track, "id": 2, "parent": 5})
    path.write_text(json.dumps(content))
    result = sam2track("validate", path)
    assert result.exit_code == 1
    for text in (
        "error: track 1 says 0 to 7, but has detections from 0 to 2",
        "error: track 1 is more than once in frames 0",
        "error: track 1 is its own parent",
        "error: the parent 5 of track 2 does not exist",
    ):
        assert text in result.output.splitlines()
    content["tracks"][0]["id"] = 0
    del content["size"]["height"]
    path.write_text(json.dumps(content))
    lines = sam2track("validate", path).output.splitlines()
    assert sum(line.startswith("error: ") for line in lines) == 2
    path.write_text("{")
    assert "cannot be read as JSON" in sam2track("validate", path).output


def test_geff(sam2track, ctc):
    import zarr

    path = converted(sam2track, ctc, "a.geff")
    assert sam2track("validate", path).output == f"{path}: no problems\n"
    group = zarr.open_group(str(path), mode="a")
    group["nodes/props/tracklet_id/values"][:] = [1, 2, 2]
    result = sam2track("validate", path)
    assert result.exit_code == 1
    assert "error: geff's validator: Found invalid tracklets" in result.output


def test_labels_with_parents(sam2track, ctc, tmp_path):
    from napari_sam2track.formats.labels.label_notes import make_note
    from napari_sam2track.labels import Scale

    path = converted(sam2track, ctc, "a.zarr")
    content = json.loads((path / "zarr.json").read_text())
    note = make_note({}, {}, Scale(), (3, 8, 10))
    note["sam2track_tracks"]["parents"] = {"1": 1}
    content["attributes"].update(note)
    (path / "zarr.json").write_text(json.dumps(content))
    result = sam2track("validate", path)
    assert result.exit_code == 1
    assert "track 1 is its own parent" in result.output


def test_the_folder_of_a_run(sam2track, tmp_path):
    labels = np.zeros((3, 8, 10), np.uint32)
    labels[:, 2:5, 2:5] = 4
    write_labels(tmp_path / "run" / "labels.tif", labels, 3, {}, max_id=4)
    table = "track_id,frame,state,score,iou,area,y,x\n" + "".join(
        f"4,{t},propagated,1,1,{9 if t < 2 else 8},3,3\n" for t in range(3)
    )
    (tmp_path / "run" / "tracks.csv").write_text(table)
    (tmp_path / "run" / "session.json").write_text("{}")
    result = sam2track("validate", tmp_path / "run")
    assert result.exit_code == 1
    assert "session.json is not a session file" in result.output
    assert "track 4 has 9 pixels in frame 2 of the labels, and 8 in tracks.csv" in result.output
    assert "2 errors" in result.output


def test_what_is_not_there(sam2track, tmp_path):
    result = sam2track("validate", tmp_path / "gone")
    assert result.exit_code == 1
    assert "gone does not exist" in result.stderr
    (tmp_path / "a.xyz").write_text("x")
    result = sam2track("validate", tmp_path / "a.xyz")
    assert result.exit_code == 1
    assert "is no kind of file with tracks" in result.output


def test_a_result_without_its_text(sam2track, ctc):
    (ctc / "res_track.txt").unlink()
    result = sam2track("validate", ctc)
    assert result.exit_code == 1
    assert f"error: {ctc} has the masks of a result, but no res_track.txt" in result.output


def test_tifffile_does_not_speak_beside_us(ctc):
    (ctc / "mask001.tif").write_bytes(b"II*\0junkjunk")
    command = [sys.executable, "-m", "napari_sam2track", "validate", str(ctc)]
    result = subprocess.run(command, capture_output=True, text=True, check=False)
    assert (result.returncode, result.stderr) == (1, "")
    assert "mask001.tif" in result.stdout


def test_a_geff_that_is_spoiled(sam2track, ctc):
    path = ctc.parent / "a.geff"
    assert sam2track("convert", ctc, path).exit_code == 0
    notes = path / ".zattrs"
    content = json.loads(notes.read_text())
    notes.write_text(json.dumps(content | {"geff": content["geff"] | {"directed": "x"}}))
    for command in (("validate", path), ("convert", path, ctc.parent / "b.json")):
        result = sam2track(*command)
        assert result.exit_code == 1
        assert "directed: Input should be a valid boolean" in result.output
    notes.unlink()
    result = sam2track("validate", path)
    assert (result.exit_code, "error: " in result.stdout) == (1, True), result.output


def test_what_a_good_table_was_taken_for_is_no_warning(sam2track, tmp_path):
    path = tmp_path / "tracks.csv"
    path.write_text("TrackID,t,x,y,z,parentTrackID\n1,0,10,10,0,-1\n1,1,11,10,0,-1\n")
    result = sam2track("validate", path)
    assert result.exit_code == 0, result.output
    assert "note: " in result.stdout
    assert "read as inTRACKtive: 1 tracks, 0 parents" in result.stdout
    assert "no problems" in result.stdout
