import errno
import json
import os
import re
import shutil
from dataclasses import replace

import numpy as np
import pytest
import tifffile
import zarr

from napari_sam2track.formats.tracks_files import open_tracks, write_tracks
from napari_sam2track.labels import ArrayLabels, Scale
from napari_sam2track.tracks.editing.edited_copy import EditedCopy
from napari_sam2track.tracks.tracked_movie import TrackedMovie, table_of

SCALE = Scale(time=60.0, y=0.5, x=0.5, time_unit="second", space_unit="micrometer")


@pytest.fixture
def labels():
    """Mother 1 in frames 0 to 3, daughters 2 and 3 in 4 to 7; 4 is everywhere but in frame 3."""
    array = np.zeros((8, 40, 60), np.uint32)
    for t in range(8):
        if t < 4:
            array[t, 5:11, 5:11] = 1
        else:
            array[t, 3:7, 5:11] = 2
            array[t, 9:13, 5:11] = 3
        if t != 3:
            array[t, 20:30, 10 + t : 20 + t] = 4
    return array


@pytest.fixture
def movie(labels):
    frames = ArrayLabels(labels)
    return TrackedMovie(table_of(frames, {2: 1, 3: 1}), frames, SCALE)


@pytest.fixture
def path(movie, tmp_path):
    write_tracks(tmp_path / "in.tif", movie)
    return tmp_path / "in.tif"


def content(path):
    with open_tracks(path) as movie:
        assert movie.labels is not None
        frames = np.stack([movie.labels.read(t) for t in range(movie.labels.n_frames)])
        return frames, dict(movie.table.parents), movie.scale, movie.provenance


def test_edits_are_made_and_told(sam2track, path, labels, tmp_path):
    out = tmp_path / "out.tif"
    result = sam2track("edit", path, "--out", out, "--split", "4@4", "--no-parent", "2,3")
    assert result.exit_code == 0, result.output
    assert result.stdout.splitlines() == [
        "split 4@4: 400 pixels in 4 frames (4 to 7) of tracks 4, 5",
        "no-parent 2: parents of tracks 1, 2",
        "no-parent 3: parents of tracks 1, 3",
        f"5 tracks, 19 objects, 0 parents in 8 frames: {out}",
    ]
    frames, parents, scale, note = content(out)
    expected = labels.copy()
    expected[4:][expected[4:] == 4] = 5
    np.testing.assert_array_equal(frames, expected)
    assert (parents, scale) == ({}, SCALE)
    assert note["edits"] == ["split 4@4", "no-parent 2", "no-parent 3"]
    np.testing.assert_array_equal(content(path)[0], labels)
    again = tmp_path / "again.tif"
    assert sam2track("edit", out, "--out", again, "--delete", "5").exit_code == 0
    assert content(again)[3]["edits"] == [*note["edits"], "delete 5"]


@pytest.mark.parametrize(
    ("args", "texts"),
    [
        (["--relabel", "4=9", "--relabel", "2=4"], ["relabel 4=9", "relabel 2=4"]),
        (
            ["--relabel=1=7", "--delete", "7@0", "--relabel", "7=1", "--delete=1@1"],
            ["relabel 1=7", "delete 7@0", "relabel 7=1", "delete 1@1"],
        ),
        (
            ["--delete", "2", "--script", "SCRIPT", "--relabel", "3=2"],
            ["delete 2", "split 4@4", "fill 4@3", "relabel 3=2"],
        ),
    ],
)
def test_the_order_is_that_of_the_command_line(sam2track, path, tmp_path, args, texts):
    (tmp_path / "edits.txt").write_text("split 4@4\n", encoding="utf-8")
    if "SCRIPT" in args:  # a gap is none any more after the split: fill before it
        (tmp_path / "edits.txt").write_text("split 4@4 # a remark\nfill 4@3\n", encoding="utf-8")
        args = [str(tmp_path / "edits.txt") if a == "SCRIPT" else a for a in args]
        result = sam2track("edit", path, "--dry-run", *args)
        assert "fill 4@3: cannot be made: track 4 has no gap to fill" in result.stdout
        (tmp_path / "edits.txt").write_text("fill 4@3\nsplit 4@4\n", encoding="utf-8")
        texts = ["delete 2", "fill 4@3", "split 4@4", "relabel 3=2"]
    out = tmp_path / "out.tif"
    result = sam2track("edit", *args, path, "--out", out)
    assert result.exit_code == 0, result.output
    assert content(out)[3]["edits"] == texts


def test_every_verb(sam2track, path, labels, tmp_path):
    out = tmp_path / "out.zarr"
    result = sam2track(
        *("edit", path, "--out", out, "--fill", "4", "--merge", "1,2", "--divide", "1,3@4"),
        *("--swap", "4,3@6", "--delete", "4@0:1", "--relabel", "3=33"),
        *("--no-parent", "33", "--parent", "33=1"),
    )
    assert result.exit_code == 0, result.output
    frames, parents, scale, _ = content(out)
    assert parents == {5: 1, 33: 1}
    assert scale == SCALE
    assert [np.unique(f).tolist() for f in frames] == [
        *([0, 1], [0, 1], [0, 1, 4], [0, 1, 4]),
        *[[0, 4, 5, 33]] * 4,
    ]
    filled = np.argwhere(frames[3] == 4)
    assert filled.min(axis=0).tolist() == [20, 13]
    assert len(filled) == 100
    np.testing.assert_array_equal(frames[6:] == 33, labels[6:] == 4)


@pytest.mark.parametrize("name", ["out.tif", "out.zarr", "out", "01_RES", "out.geff"])
def test_formats_with_masks(sam2track, path, labels, tmp_path, name):
    out = tmp_path / name
    result = sam2track("edit", path, "--out", out, "--fill", "4", "--relabel", "4=8")
    assert result.exit_code == 0, result.output
    frames, parents, _, _ = content(out)
    np.testing.assert_array_equal(frames[3] == 8, np.roll(labels[2] == 4, 1, axis=1))
    assert parents == {2: 1, 3: 1}
    assert sam2track("edit", out, "--in-place", "--delete", "8").exit_code == 0
    assert np.unique(content(out)[0]).tolist() == [0, 1, 2, 3]


def test_volumes(sam2track, labels, tmp_path):
    deep = ArrayLabels(np.repeat(labels[:, None], 3, axis=1))
    write_tracks(tmp_path / "in.zarr", TrackedMovie(table_of(deep, {2: 1}), deep))
    result = sam2track(
        *("edit", tmp_path / "in.zarr", "--out", tmp_path / "out.tif", "--fill", "4"),
        *("--split", "4@2"),
    )
    assert result.exit_code == 0, result.output
    frames, parents, _, _ = content(tmp_path / "out.tif")
    assert frames.shape == (8, 3, 40, 60)
    assert (frames[3] == 5).sum() == 300
    assert parents == {2: 1}


def test_dry_run(sam2track, path, labels, tmp_path):
    before = path.read_bytes()
    result = sam2track("edit", path, "--dry-run", "--merge", "2,3", "--split", "4@4")
    assert result.exit_code == 2
    assert "merge 2,3: cannot be made: tracks 2 and 3 are both in frame 4 to 7" in result.stdout
    assert "split 4@4: 400 pixels" in result.stdout
    assert "1 of 2 edits cannot be made; nothing is written" in result.stderr
    result = sam2track("edit", path, "--dry-run", "--no-parent", "3")
    assert result.exit_code == 0
    assert result.stdout.splitlines()[1:] == [
        "Note: track 1 has only one child, 2: a division has two",
        "Nothing is written (--dry-run)",
    ]
    assert path.read_bytes() == before
    assert [p.name for p in tmp_path.iterdir()] == ["in.tif"]


def test_nothing_is_written_if_one_edit_fails(sam2track, path, tmp_path):
    out = tmp_path / "out.tif"
    result = sam2track("edit", path, "--out", out, "--delete", "4", "--split", "4@4")
    assert result.exit_code == 2
    assert "split 4@4: there is no track 4; tracks are 1 to 3" in result.stderr.lower()
    assert not out.exists()
    before = path.read_bytes()
    assert sam2track("edit", path, "--in-place", "--split", "9@4").exit_code == 2
    assert path.read_bytes() == before


def zarr_image(tmp_path):
    group = zarr.create_group(tmp_path / "image.zarr", attributes={"ome": {"version": "0.5"}})
    group.create_array("0", shape=(2, 4, 4), dtype=np.uint16)
    return tmp_path / "image.zarr"


def places_only(tmp_path):
    write_tracks(tmp_path / "t.json", open_tracks(tmp_path / "in.tif"))
    return tmp_path / "t.json"


def not_text(tmp_path):
    (tmp_path / "edits.txt").write_bytes(b"\xff\xfe\x00split")
    return tmp_path / "in.tif"


@pytest.mark.parametrize(
    ("make", "args", "code", "message"),
    [
        (None, ["--out", "o.tif"], 2, "There are no edits to make; name at least one"),
        (None, ["--split", "4@4"], 2, "Say where to write with --out, or --in-place"),
        (None, ["--split", "4@4", "--out", "o.xyz"], 2, "unknown suffix '.xyz'"),
        (None, ["--split", "4@4", "--out", "in.tif"], 2, "is the input; choose another name"),
        (None, ["--split", "4@4", "--out", "o.tif", "--in-place"], 2, "leave out --out and --to"),
        (None, ["--split", "4", "--out", "o.tif"], 2, "--split '4' cannot be read; write it as"),
        (None, ["--script", "gone.txt", "--out", "o.tif"], 1, "gone.txt: No such file"),
        (None, ["--swap", "1,9@2", "--out", "o.tif"], 2, "there is no track 9; tracks are 1 to 4"),
        (not_text, ["--script", "edits.txt", "--out", "o.tif"], 2, "is not a text of edits"),
        (zarr_image, ["--split", "4@4", "--in-place"], 2, "is not OME-Zarr labels alone"),
        (places_only, ["--split", "4@4", "--out", "o.tif"], 1, "holds places of tracks and no"),
        (lambda p: p / "gone.tif", ["--split", "4@4", "--out", "o.tif"], 1, "does not exist"),
        (lambda p: p / "gone.tif", ["--split", "4@4", "--in-place"], 1, "does not exist"),
    ],
)
def test_bad_input_is_one_sentence(
    sam2track, path, tmp_path, monkeypatch, make, args, code, message
):
    monkeypatch.chdir(tmp_path)
    source = "in.tif" if make is None else make(tmp_path)
    before = sorted(p.name for p in tmp_path.iterdir())
    result = sam2track("edit", source, *args)
    assert result.exit_code == code, result.output
    assert message in result.stderr
    assert len(result.stderr.splitlines()) == 1
    assert sorted(p.name for p in tmp_path.iterdir()) == before


def test_existing_output(sam2track, path, tmp_path):
    out = tmp_path / "out.tif"
    out.write_text("mine")
    result = sam2track("edit", path, "--out", out, "--delete", "4")
    assert (result.exit_code, out.read_text()) == (1, "mine")
    assert "exists already" in result.stderr
    assert sam2track("edit", path, "--out", out, "--delete", "4", "--overwrite").exit_code == 0
    assert np.unique(content(out)[0]).tolist() == [0, 1, 2, 3]


def test_a_script_in_json(sam2track, path, tmp_path):
    script = tmp_path / "edits.json"
    script.write_text(json.dumps(["delete 4@0", "delete 4@1"]), encoding="utf-8")
    out = tmp_path / "out.tif"
    assert sam2track("edit", path, "--out", out, "--script", script).exit_code == 0
    assert [t for t in range(8) if (content(out)[0][t] == 4).any()] == [2, 4, 5, 6, 7]


def test_real_bacteria(sam2track, shared_data, tmp_path):
    """Ids that were mixed up are put right; the result is the truth again."""
    truth = shared_data / "bacteria" / "01_GT" / "TRA"
    with open_tracks(truth) as movie:
        begin, end = (movie.table.detections[name] for name in ("track", "frame"))
        alive = [i for i in movie.table.ids.tolist() if {4, 5} <= set(end[begin == i].tolist())]
    a, b = alive[:2]
    mixed, right = tmp_path / "mixed_RES", tmp_path / "right_RES"
    assert sam2track("edit", truth, "--out", mixed, "--swap", f"{a},{b}@5").exit_code == 0
    assert sam2track("edit", mixed, "--out", right, "--swap", f"{a},{b}@5").exit_code == 0
    for t in (0, 5, 29):
        np.testing.assert_array_equal(
            tifffile.imread(right / f"mask{t:03d}.tif"),
            tifffile.imread(truth / f"man_track{t:03d}.tif"),
        )
    lines = sorted((right / "res_track.txt").read_text().splitlines())
    assert lines == sorted((truth / "man_track.txt").read_text().splitlines())


def test_a_copy_takes_only_frames_that_are_written_to(labels, tmp_path):
    reads = []

    class Source(ArrayLabels):
        def read(self, t):
            reads.append(t)
            return super().read(t)

    copy = EditedCopy(Source(labels), tmp_path)
    box = np.s_[20:30, 10:20]
    copy.read_box(2, box)
    copy.read_box(2, np.s_[0:3, 0:3])
    assert reads == [2]
    copy.write_box(2, box, np.full((10, 10), 77, np.uint32))
    assert (copy.read(2) == 77).sum() == 100
    assert (labels == 77).sum() == 0
    assert copy.written == {2}
    copy.take(5)
    np.testing.assert_array_equal(copy.read(5), labels[5])
    shutil.rmtree(tmp_path / "labels.zarr")
    np.testing.assert_array_equal(copy.read(0), labels[0])


@pytest.mark.parametrize("name", ["a.geff", "a.xml"])
def test_what_others_wrote_is_not_replaced(sam2track, movie, tmp_path, name):
    theirs, ours = tmp_path / "theirs" / name, tmp_path / name
    write_tracks(theirs, movie)  # without a note of ours
    write_tracks(ours, replace(movie, provenance={"software": "napari-sam2track 1"}))
    result = sam2track("edit", theirs, "--in-place", "--split", "4@4")
    assert (result.exit_code, content(theirs)[1]) == (2, {2: 1, 3: 1})
    assert "was written by another program, and may hold what --in-place" in result.stderr
    assert sam2track("edit", ours, "--in-place", "--split", "4@4").exit_code == 0
    assert 5 in np.unique(content(ours)[0])


@pytest.mark.skipif(os.name == "nt", reason="no links")
def test_in_place_keeps_the_link_and_the_permissions(sam2track, tmp_path):
    labels = np.zeros((2, 6, 8), np.uint16)
    labels[:, 1:3, 1:3], labels[:, 4:6, 4:6] = 1, 2
    tifffile.imwrite(tmp_path / "a.tif", labels, photometric="minisblack")
    (tmp_path / "a.tif").chmod(0o640)
    (tmp_path / "link.tif").symlink_to(tmp_path / "a.tif")
    result = sam2track("edit", tmp_path / "link.tif", "--in-place", "--delete", "1")
    assert result.exit_code == 0, result.output
    assert (tmp_path / "link.tif").is_symlink()
    assert set(np.unique(tifffile.imread(tmp_path / "a.tif"))) == {0, 2}
    assert (tmp_path / "a.tif").stat().st_mode & 0o777 == 0o640


def test_scratch_of_edits_that_were_killed_is_removed(sam2track, tmp_path, monkeypatch):
    from napari_sam2track.storage.processes import temporary_prefix

    scratch = tmp_path / "scratch"
    scratch.mkdir()
    monkeypatch.setattr("tempfile.tempdir", str(scratch))
    mine = temporary_prefix("sam2track-edit")
    old = scratch / mine.replace(f"-{os.getpid()}-", f"-{2**22 + 7}-")  # no process has this number
    old.mkdir()
    labels = np.zeros((2, 6, 8), np.uint16)
    labels[:, 1:3, 1:3] = 1
    tifffile.imwrite(tmp_path / "a.tif", labels, photometric="minisblack")
    result = sam2track("edit", tmp_path / "a.tif", "--out", tmp_path / "b.tif", "--delete", "1@0")
    assert result.exit_code == 0, result.output
    assert list(scratch.iterdir()) == []


def test_a_full_temporary_folder(sam2track, tmp_path, monkeypatch):
    from napari_sam2track.tracks.editing.edited_copy import EditedCopy

    def full(*args, **kwargs):
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    labels = np.zeros((2, 6, 8), np.uint16)
    labels[:, 1:3, 1:3] = 1
    tifffile.imwrite(tmp_path / "a.tif", labels, photometric="minisblack")
    monkeypatch.setattr(EditedCopy, "write_box", full)
    result = sam2track("edit", tmp_path / "a.tif", "--out", tmp_path / "b.tif", "--delete", "1@0")
    assert result.exit_code == 1
    assert re.search(r"temporary folder .*disk is full.*TMPDIR", result.stderr)
