import json
import re

import numpy as np
import pytest
import tifffile

from napari_sam2track.formats.tracks_files import FORMATS, open_tracks


@pytest.fixture
def folder(tmp_path):
    """A mother and two daughters, as a Cell Tracking Challenge folder."""
    path = tmp_path / "01_RES"
    path.mkdir()
    for t in range(3):
        labels = np.zeros((8, 10), np.uint16)
        if t < 2:
            labels[2:5, 2:5] = 1
        else:
            labels[1:3, 1:4], labels[5:7, 5:8] = 2, 3
        tifffile.imwrite(path / f"mask{t:03d}.tif", labels)
    (path / "res_track.txt").write_text("1 0 1 0\n2 2 2 1\n3 2 2 1\n")
    return path


def test_convert(sam2track, folder, tmp_path):
    result = sam2track("convert", folder, tmp_path / "a.geff")
    assert result.exit_code == 0, result.output
    assert result.output.splitlines() == [
        f"3 tracks, 4 objects, 2 parents in 3 frames: {tmp_path / 'a.geff'} "
        "(GEFF (graph exchange file format) with labels)"
    ]
    with open_tracks(tmp_path / "a.geff") as movie:
        assert movie.table.parents == {2: 1, 3: 1}
        assert movie.provenance["source"] == str(folder)
        assert movie.provenance["software"] == "napari-sam2track"
        assert movie.provenance["frame_range"] == [0, 2]
    # and on: where it first came from stays known
    assert sam2track("convert", tmp_path / "a.geff", tmp_path / "b.tif").exit_code == 0
    with open_tracks(tmp_path / "b.tif") as movie:
        assert movie.provenance["source"] == str(folder)


def test_what_is_lost_is_said(sam2track, folder, tmp_path):
    result = sam2track("convert", folder, tmp_path / "d", "--to", "davis")
    assert result.exit_code == 0, result.output
    assert "Not kept: the parents of 2 tracks are not written" in result.output.splitlines()
    result = sam2track("convert", folder, tmp_path / "a.csv", "--format", "napari")
    assert "Not kept: the masks are not written" in result.output
    assert json.loads((tmp_path / "a_graph.json").read_text()) == {"2": [1], "3": [1]}


def test_what_was_decided_on_reading_is_said(sam2track, folder, tmp_path):
    (folder / "res_track.txt").write_text("1 0 0 0\n2 2 2 1\n3 2 2 1\n")
    result = sam2track("convert", folder, tmp_path / "a.json")
    assert "Note: " in result.output
    assert "1 tracks are in other frames in the masks than in the text" in result.output


def test_points_become_discs(sam2track, folder, tmp_path):
    assert sam2track("convert", folder, tmp_path / "a.csv").exit_code == 0
    result = sam2track("convert", tmp_path / "a.csv", tmp_path / "02_RES")
    assert result.exit_code == 1
    assert "needs masks, and only the places of these tracks are known" in result.stderr
    assert not (tmp_path / "02_RES").exists()
    result = sam2track("convert", tmp_path / "a.csv", tmp_path / "02_RES", "--radius", "1.5")
    assert result.exit_code == 0, result.output
    with open_tracks(tmp_path / "02_RES") as movie:
        assert movie.table.parents == {2: 1, 3: 1}
        assert movie.labels.read(0)[3, 3] == 1


@pytest.mark.parametrize(
    ("arguments", "exit_code", "message"),
    [
        (("IN", "a.xyz"), 2, "a.xyz has the unknown suffix '.xyz'; use"),
        (("IN", "a.geff", "--to", "avi"), 2, "there is no format 'avi'; choose one of ctc"),
        (("IN", "a.geff", "--from", "avi"), 2, "there is no format 'avi'"),
        (("IN", "a.geff", "--from", "mots"), 2, "mots can be written, not read"),
        (("IN", "a.npy", "--to", "array"), 2, "array can be read, not written"),
        (("gone", "a.geff"), 1, "gone does not exist: give a file or a folder"),
        (("IN", "IN"), 2, "is the input; choose another name"),
        (("IN", "there.json"), 1, "there.json exists already; choose another name"),
        (("IN", "a.geff", "--join", "some"), 2, "some"),
        (("IN", "a.geff", "--radius", "-1"), 2, "--radius -1"),
        (("IN", "a.geff", "--from", "trackmate"), 1, "Is a directory"),
    ],
)
def test_what_cannot_be_meant(sam2track, folder, tmp_path, arguments, exit_code, message):
    (tmp_path / "there.json").write_text("{}")
    places = [folder if a == "IN" else a for a in arguments]
    places[:2] = [tmp_path / place for place in places[:2]]
    result = sam2track("convert", *places)
    assert result.exit_code == exit_code
    said = " ".join(re.sub(r"[│╭╰─╮╯]", " ", result.stderr).split())
    assert message.lower() in said.lower()  # a sentence begins with a capital
    assert "Traceback" not in result.output
    assert sorted(p.name for p in tmp_path.iterdir()) == ["01_RES", "there.json"]


def test_overwrite_and_renumber(sam2track, folder, tmp_path):
    labels = np.zeros((2, 4, 5), np.uint32)
    labels[:, 1:3, 1:3] = 3_000_000_000
    np.save(tmp_path / "big.npy", labels)
    out = tmp_path / "02_RES"
    result = sam2track("convert", tmp_path / "big.npy", out)
    assert result.exit_code == 1
    assert "the track id 3000000000 is over 65535" in result.stderr
    result = sam2track("convert", tmp_path / "big.npy", out, "--renumber")
    assert result.exit_code == 0, result.output
    assert "Not kept: ids go up to 65535 only: tracks are numbered anew from 1" in result.output
    assert (out / "res_track.txt").read_text() == "1 0 1 0\n"
    assert sam2track("convert", folder, out).exit_code == 1
    assert sam2track("convert", folder, out, "--overwrite").exit_code == 0
    assert (out / "res_track.txt").read_text() == (folder / "res_track.txt").read_text()


def test_axes_of_labels(sam2track, tmp_path):
    np.save(tmp_path / "a.npy", np.ones((3, 4, 5), np.uint8))
    assert "in 3 frames" in sam2track("convert", tmp_path / "a.npy", tmp_path / "a.json").output
    result = sam2track("convert", tmp_path / "a.npy", tmp_path / "b.json", "--axes", "ZYX")
    assert "in 1 frame:" in result.output


def test_help_names_all_formats(sam2track):
    text = sam2track("convert", "--help").output
    for entry in FORMATS:
        if entry.write is not None:
            assert re.search(rf"\b{entry.name.split('-')[0]}\b", text), entry.name


def test_a_tiff_without_a_suffix(sam2track, folder, tmp_path):
    assert sam2track("convert", folder, tmp_path / "plain", "--to", "tiff").exit_code == 0
    with open_tracks(tmp_path / "plain") as movie:
        assert movie.table.parents == {2: 1, 3: 1}


def test_outputs_do_not_go_among_the_files_of_the_input(sam2track, folder, tmp_path):
    message = "would lie among the files of the input"
    assert sam2track("convert", folder, tmp_path / "a.zarr").exit_code == 0
    assert sam2track("convert", folder, tmp_path / "labels").exit_code == 0
    for source, out in [("a.zarr", "a.zarr/b.json"), ("labels", "labels/b.tif")]:
        result = sam2track("convert", tmp_path / source, tmp_path / out)
        assert (result.exit_code, message in result.stderr) == (2, True), result.output
    (tmp_path / "link").symlink_to(tmp_path / "labels")
    result = sam2track("convert", tmp_path / "labels", tmp_path / "link", "--overwrite")
    assert (result.exit_code, "is the input" in result.stderr) == (2, True)
    table = tmp_path / "labels" / "tracks.csv"
    for command in (("measure", "--tracks"), ("suspects", "--out")):
        result = sam2track(command[0], tmp_path / "labels", command[1], table)
        assert (result.exit_code, message in result.stderr) == (2, True), result.output
    result = sam2track("convert", tmp_path / "labels", tmp_path / "labels" / "b.json")
    assert (result.exit_code, message in result.stderr) == (2, True), result.output


def test_files_beside_an_input_are_inputs(sam2track, folder, tmp_path):
    table = tmp_path / "x.csv"
    assert sam2track("convert", folder, table).exit_code == 0
    before = {p: p.read_bytes() for p in tmp_path.iterdir() if p.is_file()}
    for command in (
        ("convert", table, tmp_path / "x.csv.json", "--to", "json"),
        ("suspects", table, "--out", tmp_path / "x.csv.json"),
        ("convert", tmp_path / "x.csv.json", table, "--from", "json"),
    ):
        result = sam2track(*command, "--overwrite")
        assert result.exit_code == 2, result.output
        assert "is the input" in result.stderr
    assert {p: p.read_bytes() for p in tmp_path.iterdir() if p.is_file()} == before
