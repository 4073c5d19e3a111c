import csv
import json
import os
import re
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest
import tifffile

from napari_sam2track import samples
from napari_sam2track.formats.labels.open_labels import open_labels
from napari_sam2track.frames import open_frames
from napari_sam2track.session.run_store import RunStore


def labels_of(folder, name="labels.tif"):
    with open_labels(folder / name) as stack:
        return np.stack([stack.read(t) for t in range(stack.n_frames)])


def test_a_movie_from_masks(sam2track, sample, movie_path, labels_path, tmp_path):
    out = tmp_path / "results"
    result = sam2track(
        *("video", "--video", movie_path, "--out-dir", out, "--mask-prompts", labels_path),
        *("--overlay", "both"),
    )
    assert result.exit_code == 0, result.output
    labels = labels_of(out)
    np.testing.assert_array_equal(labels[0], sample.labels_tyx[0])
    assert samples.mean_overlap(sample.labels_tyx, labels) > 0.6
    with open_frames(out / "overlay.mp4") as overlay:
        assert overlay.n_frames == 6
    assert len(list((out / "overlays").glob("*.png"))) == 6
    assert (out / ".run" / "session.json").exists()  # so that it can be corrected
    with (out / "tracks.csv").open() as file:
        rows = list(csv.DictReader(file))
    assert len(rows) == 3 * 6
    assert rows[0]["state"] == "prompted"
    assert int(rows[0]["area"]) == (sample.labels_tyx[0] == 1).sum()
    with tifffile.TiffFile(out / "labels.tif") as tiff:
        assert '"name": "bundled"' in tiff.imagej_metadata["Info"]


def test_the_session_file_replays_the_run(sam2track, movie_path, labels_path, tmp_path):
    first, again = tmp_path / "first", tmp_path / "again"
    args = ("--overlay", "none", "--direction", "forward", "--stop", 4)
    done = sam2track(
        *("video", "--video", movie_path, "--out-dir", first),
        *("--mask-prompts", labels_path, *args),
    )
    assert done.exit_code == 0, done.output
    replay = sam2track(
        *("video", "--session", first / "session.json", "--out-dir", again),
        *("--save", "zarr", "--overlay", "none"),
    )
    assert replay.exit_code == 0, replay.output
    np.testing.assert_array_equal(labels_of(again, "labels.zarr"), labels_of(first))
    session = json.loads((again / "session.json").read_text())
    assert session["engine"]["stop"] == 4
    clash = sam2track(
        *("video", "--session", first / "session.json", "--out-dir", tmp_path / "x"),
        *("--points", "3,3"),
    )
    assert clash.exit_code == 2
    assert "brings its own prompts" in clash.stderr


def test_prompts_from_a_file_and_one_tiff_a_frame(sam2track, sample, movie_path, tmp_path):
    y, x = samples.centre_pixels(sample.labels_tyx[2])[3]
    (tmp_path / "points.csv").write_text(f"index,axis-0,axis-1,axis-2,object_id\n0,2,{y},{x},9\n")
    out = tmp_path / "results"
    result = sam2track(
        *("video", "--video", movie_path, "--out-dir", out, "--overlay", "none"),
        *("--prompts", tmp_path / "points.csv", "--save", "frames"),
    )
    assert result.exit_code == 0, result.output
    assert np.unique(labels_of(out, "labels")).tolist() == [0, 9]


def test_ctrl_c_keeps_what_is_finished_and_resume_gives_the_same(sam2track, tmp_path):
    sample = samples.moving_cells(40, 120, 150, 3, seed=2)
    movie = tmp_path / "movie.tif"
    tifffile.imwrite(movie, sample.images_tyx, photometric="minisblack", metadata={"axes": "TYX"})
    y, x = samples.centre_pixels(sample.labels_tyx[0])[1]
    args = ["video", "--video", str(movie), "--points", f"{x},{y}", "--overlay", "none"]
    args += ["--threads", "1"]
    whole = tmp_path / "whole"
    assert sam2track(*args, "--out-dir", whole).exit_code == 0

    part = tmp_path / "part"
    process = subprocess.Popen(
        [sys.executable, "-m", "napari_sam2track", *args, "--out-dir", str(part)],
        stderr=subprocess.PIPE,
        text=True,
        env={**os.environ, "OMP_NUM_THREADS": "1"},
    )
    frames = part / ".run" / "frames"
    for _ in range(1200):
        if frames.exists() and len(list(frames.glob("*.frame"))) >= 3:
            break
        time.sleep(0.05)
    process.send_signal(signal.SIGINT)
    _, errors = process.communicate(timeout=120)
    if process.returncode == 0:
        pytest.skip("the run was over before it could be interrupted")
    assert process.returncode == 130
    assert "go on with --resume" in errors
    assert "Traceback" not in errors
    n = len(RunStore(part / ".run", (40, 120, 150)).finished())
    assert 3 <= n < 40
    np.testing.assert_array_equal(labels_of(part)[:n], labels_of(whole)[:n])

    refused = sam2track(*args, "--out-dir", part)
    assert refused.exit_code == 1
    assert "--resume" in refused.stderr
    other = sam2track(*args, "--out-dir", part, "--resume", "--min-part", 3)
    assert other.exit_code == 1
    assert re.search(r"engine\.\w+ differ", other.stderr)
    resumed = sam2track(*args, "--out-dir", part, "--resume")
    assert resumed.exit_code == 0, resumed.output
    np.testing.assert_array_equal(labels_of(part), labels_of(whole))


@pytest.mark.parametrize(
    ("args", "code", "message"),
    [
        (("--points", "3,3:neg"), 2, "negative"),
        (("--points", "77@3,3"), 2, "frame 77"),
        (("--points", "3000,3"), 2, "outside the image"),
        (("--mask-prompts", "{labels}@4"), 0, ""),
        (("--points", "3,3", "--axes", "TCYX"), 1, "axes 'TCYX'"),
        (("--points", "3,3", "--channel", "7"), 1, "channel"),
        (("--points", "3,3", "--intensity", "9,2"), 2, "9"),
        (("--points", "3,3", "--stop", "99"), 2, "frame 99 is outside"),
        (("--points", "3,3", "--batch", "0"), 2, "batch"),
        (("--points", "3,3", "--resume"), 1, "no unfinished run"),
    ],
)
def test_bad_input_is_one_sentence(
    sam2track, movie_path, labels_path, tmp_path, args, code, message
):
    args = [a.format(labels=labels_path) for a in args]
    result = sam2track(
        *("video", "--video", movie_path, "--out-dir", tmp_path / "out", "--overlay", "none"), *args
    )
    assert result.exit_code == code, result.output
    assert message.lower() in result.stderr.lower()
    assert "Traceback" not in result.stderr


def test_folders_that_exist(sam2track, movie_path, labels_path, tmp_path):
    out = tmp_path / "out"
    out.mkdir()
    (out / "notes.txt").write_text("mine")
    args = ("video", "--video", movie_path, "--out-dir", out, "--mask-prompts", labels_path)
    args += ("--overlay", "none", "--stop", 1)
    refused = sam2track(*args)
    assert refused.exit_code == 1
    assert "is not empty" in refused.stderr
    assert sam2track(*args, "--overwrite").exit_code == 0
    assert (out / "notes.txt").read_text() == "mine"
    (tmp_path / "file").write_text("x")
    assert "is a file" in sam2track(*args[:4], tmp_path / "file", *args[5:]).stderr


def test_movies_that_cannot_be_read(sam2track, sample, tmp_path):
    out = tmp_path / "out"

    def message(path):
        result = sam2track("video", "--video", path, "--out-dir", out, "--points", "3,3")
        assert result.exit_code == 1, result.output
        assert "Traceback" not in result.stderr
        return result.stderr

    assert "no.tif" in message(tmp_path / "no.tif")
    (tmp_path / "empty").mkdir()
    assert "empty" in message(tmp_path / "empty")


def test_pixels_without_a_value_are_black_and_noted(sam2track, sample, labels_path, tmp_path):
    nan = sample.images_tyx.astype(np.float32)
    nan[2, 5, :7] = np.nan
    tifffile.imwrite(tmp_path / "nan.tif", nan, photometric="minisblack")
    args = ("video", "--video", tmp_path / "nan.tif", "--out-dir", tmp_path / "out")
    result = sam2track(*args, "--mask-prompts", labels_path, "--overlay", "none")
    assert result.exit_code == 0, result.output
    assert result.stderr.count("7 pixels of frame 2 are not finite") == 1


def test_a_frame_that_cannot_be_read_leaves_those_before_it(
    sam2track, sample, labels_path, tmp_path
):
    path = tmp_path / "damaged.tif"
    tifffile.imwrite(path, sample.images_tyx, photometric="minisblack", compression="zlib")
    with tifffile.TiffFile(path) as tiff:
        begin = tiff.pages[4].dataoffsets[0]
    content = bytearray(path.read_bytes())
    content[begin : begin + 40] = bytes(40)
    path.write_bytes(content)
    out = tmp_path / "out"
    args = ("video", "--video", path, "--out-dir", out, "--intensity", "400,9000")
    args += ("--mask-prompts", labels_path, "--overlay", "frames")
    failed = sam2track(*args)
    assert failed.exit_code == 1
    assert "frame 4 of damaged.tif cannot be read" in failed.stderr.lower()
    assert "4 of 6 frames have results" in failed.stderr
    assert labels_of(out)[2].any()
    assert len(list((out / "overlays").iterdir())) == 4
    around = sam2track(*args, "--stop", 2, "--resume")
    assert around.exit_code == 0, around.output
    assert (out / ".run" / "session.json").exists()  # so that it can be corrected


def test_overwriting_keeps_what_others_put_there_and_old_results_until_new_ones(
    sam2track, movie_path, labels_path, tmp_path
):
    out = tmp_path / "out"
    args = ("video", "--video", movie_path, "--out-dir", out, "--mask-prompts", labels_path)
    args += ("--stop", 1)
    assert sam2track(*args, "--save", "frames").exit_code == 0
    before = labels_of(out, "labels")
    failed = sam2track(*args, "--overwrite", "--device", "nonsense")
    assert failed.exit_code != 0
    np.testing.assert_array_equal(labels_of(out, "labels"), before)
    assert sam2track(*args, "--overwrite", "--overlay", "none").exit_code == 0
    assert sorted(p.name for p in out.iterdir() if p.name != ".run") == [
        "labels.tif",
        "session.json",
        "tracks.csv",
    ]
    (out / "labels").mkdir()
    (out / "labels" / "my_annotation.tif").write_text("mine")
    again = sam2track(*args, "--overwrite", "--save", "frames")
    assert again.exit_code == 0, again.output
    assert "labels is not as a run of sam2track wrote it here, so it is kept" in again.stderr
    assert (out / "labels" / "my_annotation.tif").read_text() == "mine"
    np.testing.assert_array_equal(labels_of(out, "labels-2"), before)
    assert not (out / "labels.tif").exists()  # of the run before, and as that had left it


def test_a_session_is_not_replayed_on_another_movie(
    sam2track, sample, movie_path, labels_path, tmp_path
):
    out = tmp_path / "out"
    args = ("--stop", 1, "--overlay", "none")
    done = sam2track(
        *("video", "--video", movie_path, "--out-dir", out, "--mask-prompts", labels_path), *args
    )
    assert done.exit_code == 0
    other = tmp_path / "other.tif"
    tifffile.imwrite(other, sample.images_tyx + 1, photometric="minisblack")
    again = ("video", "--session", out / "session.json", "--out-dir", tmp_path / "again")
    assert "its pixels differ" in sam2track(*again, "--video", other).stderr
    movie_path.rename(tmp_path / "moved.tif")
    assert "say where it is with --video" in sam2track(*again).stderr
    assert sam2track(*again, "--video", tmp_path / "moved.tif").exit_code == 0


def test_prompts_that_hold_nothing_do_not_start_a_search(sam2track, movie_path, tmp_path):
    empty = tmp_path / "empty.tif"
    tifffile.imwrite(empty, np.zeros((120, 150), np.uint16))
    args = ("video", "--video", movie_path, "--out-dir", tmp_path / "out")
    result = sam2track(*args, "--mask-prompts", empty)
    assert result.exit_code == 2
    assert "no prompts" in result.stderr


def test_a_video_cut_in_half(sam2track, shared_data, tmp_path):
    whole = (shared_data / "video" / "carphone_pristine.mp4").read_bytes()
    (tmp_path / "cut.mp4").write_bytes(whole[: len(whole) // 2])
    result = sam2track(
        *("video", "--video", tmp_path / "cut.mp4", "--out-dir", tmp_path / "out"),
        *("--points", "3,3"),
    )
    assert result.exit_code == 1
    assert "cut.mp4" in result.stderr
    assert "Traceback" not in result.stderr


def test_a_full_disk_keeps_the_run(sam2track, movie_path, labels_path, tmp_path, monkeypatch):
    out = tmp_path / "out"
    args = ("video", "--video", movie_path, "--out-dir", out, "--mask-prompts", labels_path)
    args += ("--overlay", "none")
    save, calls = Path.write_bytes, []

    def full(*a, **k):
        calls.append(1)
        if len(calls) > 3:
            raise OSError(28, "No space left on device")
        save(*a, **k)

    monkeypatch.setattr(Path, "write_bytes", full)
    result = sam2track(*args)
    assert result.exit_code == 1
    assert "No space left on device" in result.stderr
    assert "--resume" in result.stderr
    monkeypatch.undo()
    assert sam2track(*args, "--resume").exit_code == 0
    assert len(labels_of(out)) == 6


def test_a_correction_computes_what_it_touches(sam2track, movie_path, labels_path, tmp_path):
    out = tmp_path / "out"
    args = ("--out-dir", out, "--overlay", "none")
    begun = sam2track("video", "--video", movie_path, *args, "--mask-prompts", labels_path)
    assert begun.exit_code == 0, begun.stderr
    assert "To compute: 18 object-frames (3 objects, 6 frames)" in begun.stderr
    before = tifffile.imread(out / "labels.tif")
    at = tuple(int(v) for v in np.argwhere(before[3] == 2).mean(axis=0))
    click = f"2=3@{at[1]},{at[0]}:pos"
    result = sam2track("video", *args, "--resume", "--correct", click)
    assert result.exit_code == 0, result.stderr
    assert "To compute: 3 object-frames (1 objects, 3 frames)" in result.stderr
    after = tifffile.imread(out / "labels.tif")
    np.testing.assert_array_equal(before[:3], after[:3])
    others = (before != 2) & (after != 2)
    np.testing.assert_array_equal(before[others], after[others])
    undone = sam2track("video", *args, "--undo")
    assert undone.exit_code == 0, undone.stderr
    np.testing.assert_array_equal(before, tifffile.imread(out / "labels.tif"))
    assert "3 frames are as they were" in undone.stdout
    # the click is undone as well as the masks: nothing is stale, and it is not there to forget
    again = sam2track("video", *args, "--resume")
    assert "To compute: 0 object-frames" in again.stderr, again.stderr
    np.testing.assert_array_equal(before, tifffile.imread(out / "labels.tif"))
    assert sam2track("video", *args, "--resume", "--forget", "2@3").exit_code == 2
    redone = sam2track("video", *args, "--undo")
    assert redone.exit_code == 0, redone.stderr
    np.testing.assert_array_equal(after, tifffile.imread(out / "labels.tif"))
    forgotten = sam2track("video", *args, "--resume", "--forget", "2@3")
    assert "To compute: 3 object-frames" in forgotten.stderr, forgotten.stderr
    np.testing.assert_array_equal(before, tifffile.imread(out / "labels.tif"))


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (("--correct", "2=3@4,5"), "say --resume as well"),
        (("--resume", "--correct", "2:3@4,5"), "write ID=t@x,y:pos"),
        (("--resume", "--forget", "x"), "write ID@FRAME"),
        (("--resume", "--forget", "²"), "write ID@FRAME"),
        (("--resume", "--forget", "1@²"), "write ID@FRAME"),
        (("--resume", "--forget", "1" * 5000), "write ID@FRAME"),
        (("--resume", "--correct", "²=3@4,5"), "write ID=t@x,y:pos"),
        (("--resume", "--forget", "9"), "bject 9 has no prompt"),
        (("--undo", "--resume"), "--undo goes alone"),
        (("--undo", "--estimate"), "--undo goes alone"),
        (("--resume", "--points", "3,3"), "brings its own prompts"),
    ],
)
def test_corrections_that_cannot_be_meant(sam2track, movie_path, tmp_path, options, message):
    out = tmp_path / "out"
    args = ("--out-dir", out, "--overlay", "none", "--stop", "0")
    sam2track("video", "--video", movie_path, *args, "--points", "40,40")
    result = sam2track("video", "--out-dir", out, *options)
    assert result.exit_code == 2, result.output
    assert message in result.stderr


def test_prompts_of_a_run_are_not_lost(sam2track, movie_path, tmp_path):
    """Neither by an estimate of a correction, nor where only the movie is given again."""
    out = tmp_path / "out"
    args = ("--out-dir", out, "--overlay", "none", "--stop", "0")
    begun = sam2track("video", "--video", movie_path, *args, "--points", "40,40")
    assert begun.exit_code == 0, begun.stderr
    note = (out / ".run" / "session.json").read_text()
    told = sam2track("video", *args, "--resume", "--correct", "1=0@45,45:neg", "--estimate")
    assert "To compute: 1 object-frames" in told.stderr, told.stderr
    assert (out / ".run" / "session.json").read_text() == note
    again = sam2track("video", "--video", movie_path, *args, "--resume")
    assert "To compute: 0 object-frames" in again.stderr, again.stderr
    undone = sam2track("video", "--video", movie_path, *args, "--undo")
    assert undone.exit_code == 0, undone.stderr
    assert (out / ".run" / "session.json").read_text() == note


def test_options_that_are_given_count_on_going_on(sam2track, movie_path, tmp_path):
    args = ("--out-dir", tmp_path / "out", "--overlay", "none", "--direction", "forward")
    begun = sam2track("video", "--video", movie_path, *args, "--points", "0@40,40 4@40,40")
    assert begun.exit_code == 0, begun.stderr
    for option, pairs in (((), 0), (("--before", "halfway"), 1)):
        told = sam2track("video", *args[:4], "--resume", "--estimate", *option)
        assert f"To compute: {pairs} object-frames" in told.stderr, told.stderr
    refused = sam2track("video", *args[:4], "--resume", "--give-up", "3")
    assert refused.exit_code == 1
    assert re.search(r"engine\.\w+ differ", refused.stderr)


def test_there_is_nothing_to_go_on_with(sam2track, tmp_path):
    result = sam2track("video", "--out-dir", tmp_path, "--resume")
    assert result.exit_code == 1
    assert "no run in" in result.stderr


def test_the_cost_alone(sam2track, movie_path, labels_path, tmp_path):
    out = tmp_path / "out"
    args = ("video", "--video", movie_path, "--out-dir", out, "--mask-prompts", labels_path)
    result = sam2track(*args, "--estimate")
    assert result.exit_code == 0
    assert "To compute: 18 object-frames (3 objects, 6 frames)" in result.stderr
    told = re.search(
        r"Estimate: 18 object-frames, about (.+) of memory, (.+) on disk", result.stderr
    )
    assert told, result.stderr
    assert not out.exists()


def test_a_run_with_divisions_and_found_objects_replays(sam2track, tmp_path):
    """The session file holds what was decided: the same labels come out again."""
    yy, xx = np.mgrid[:120, :140]
    rng = np.random.default_rng(1)
    images = rng.normal(50, 5, (12, 120, 140))
    for t in range(12):
        for sign in (-1, 1):
            images[t][np.hypot(yy - 60, xx - 70 - sign * (4 + max(0, t - 3) * 2.5)) < 10] += 100
        images[t][np.hypot(yy - 100, xx - 20) < 9] += 90
    tifffile.imwrite(tmp_path / "movie.tif", images.clip(0, 255).astype(np.uint8))
    first = np.hypot(yy - 60, xx - 70) < 12
    tifffile.imwrite(tmp_path / "first.tif", first.astype(np.uint16))
    out, again = tmp_path / "out", tmp_path / "again"
    made = sam2track(
        *("video", "--video", tmp_path / "movie.tif", "--out-dir", out, "--overlay", "none"),
        *("--mask-prompts", tmp_path / "first.tif", "--divisions", "apply", "--discover", 6),
    )
    assert made.exit_code == 0, made.stderr
    assert "1 divisions, of which 1 were applied" in made.stdout
    rows = list(csv.DictReader((out / "divisions.csv").read_text().splitlines()))
    assert rows[0]["parent_id"] == "1"
    daughters = rows[0]["daughters"].split()
    table = list(csv.DictReader((out / "tracks.csv").read_text().splitlines()))
    assert {r["parent_id"] for r in table if r["track_id"] in daughters} == {"1"}
    replayed = sam2track(
        *("video", "--session", out / "session.json", "--out-dir", again, "--overlay", "none")
    )
    assert replayed.exit_code == 0, replayed.stderr
    np.testing.assert_array_equal(labels_of(out), labels_of(again))
    assert (out / "divisions.csv").read_text() == (again / "divisions.csv").read_text()
    tracks = sam2track("convert", again / "labels.tif", tmp_path / "01_RES", "--to", "ctc")
    assert tracks.exit_code == 0, tracks.stderr
    man = (tmp_path / "01_RES" / "res_track.txt").read_text()
    assert sum(line.split()[3] == "1" for line in man.splitlines()) == 2


def seen(folder):
    """What a person sees of a run."""
    return sorted(p.name for p in folder.iterdir() if p.name != ".run")


@pytest.fixture
def run_in(sam2track, movie_path, labels_path, tmp_path):
    """A finished run in a folder; gives it back."""

    def run(*options, name="out"):
        out = tmp_path / name
        done = sam2track(
            *("video", "--video", movie_path, "--out-dir", out, "--mask-prompts", labels_path),
            *("--stop", 2, *options),
        )
        assert done.exit_code == 0, done.output
        return out

    return run


@pytest.mark.parametrize("source", ["C:\\data\\movie.tif", "/home/somebody/movie.tif", "movie.tif"])
def test_the_movie_of_a_session_is_found_beside_it(
    sam2track, run_in, tmp_path, monkeypatch, source
):
    """Also one of another system; a relative path means the session's folder, not this one."""
    out = run_in("--overlay", "none")
    moved, elsewhere = tmp_path / "moved", tmp_path / "elsewhere"
    moved.mkdir()
    elsewhere.mkdir()
    (moved / "movie.tif").write_bytes((tmp_path / "movie.tif").read_bytes())
    (tmp_path / "movie.tif").unlink()
    session = json.loads((out / "session.json").read_text())
    (moved / "session.json").write_text(json.dumps({**session, "source": source}))
    monkeypatch.chdir(elsewhere)
    (elsewhere / "movie.tif").write_text("another file of that name")
    again = sam2track("video", "--session", moved / "session.json", "--out-dir", tmp_path / "again")
    assert again.exit_code == 0, again.output
    np.testing.assert_array_equal(labels_of(out), labels_of(tmp_path / "again"))


def test_save_and_overlay_are_remembered(sam2track, run_in):
    out = run_in("--save", "frames", "--overlay", "frames")
    names = ["labels", "overlays", "session.json", "tracks.csv"]
    assert seen(out) == names
    assert sam2track("video", "--out-dir", out, "--resume", "--correct", "1=1@40,40").exit_code == 0
    assert seen(out) == names
    again = sam2track("video", "--out-dir", out, "--resume", "--save", "tif", "--overlay", "none")
    assert again.exit_code == 0, again.output
    assert seen(out) == ["labels.tif", "session.json", "tracks.csv"]
    assert sam2track("video", "--out-dir", out, "--resume").exit_code == 0
    assert seen(out) == ["labels.tif", "session.json", "tracks.csv"]
    undone = sam2track("video", "--out-dir", out, "--undo")
    assert undone.exit_code == 0, undone.output
    replay = sam2track("video", "--session", out / "session.json", "--out-dir", out.parent / "two")
    assert replay.exit_code == 0, replay.output
    assert seen(out.parent / "two") == seen(out)


def test_labels_that_a_person_corrected_are_kept(sam2track, run_in):
    out = run_in("--save", "frames", "--overlay", "none")
    page = out / "labels" / "labels_0001.tif"
    mine = tifffile.imread(page)
    mine[:5] = 1
    tifffile.imwrite(page, mine)
    for options in (("--resume", "--correct", "1=1@40,40"), ("--undo",), ("--resume",)):
        done = sam2track("video", "--out-dir", out, *options)
        assert done.exit_code == 0, done.output
        assert "labels is not as a run of sam2track wrote it here, so it is kept" in done.stderr
        assert seen(out) == ["labels", "labels-2", "session.json", "tracks.csv"]
        np.testing.assert_array_equal(tifffile.imread(page), mine)


def test_files_of_others_are_kept_and_told(sam2track, run_in):
    out = run_in("--overlay", "none")
    (out / "labels").mkdir()
    (out / "labels" / "mine.txt").write_text("x")
    (out / "divisions.csv").write_text("mine")
    (out / "overlay.mp4").write_text("mine")
    done = sam2track("video", "--out-dir", out, "--resume", "--overlay", "video")
    assert done.exit_code == 0, done.output
    assert "overlay.mp4 is not as a run of sam2track wrote it" in done.stderr
    assert "the new one is overlay-2.mp4" in done.stderr
    for name in ("labels", "divisions.csv"):
        assert f"{name} is not what this run wrote; it is kept" in done.stderr
    assert (out / "labels" / "mine.txt").read_text() == "x"
    assert (out / "divisions.csv").read_text() == (out / "overlay.mp4").read_text() == "mine"


@pytest.mark.parametrize("name", ["overlay.mp4", "labels.tif", "labels", ".run"])
def test_an_output_that_would_be_the_movie(sam2track, sample, tmp_path, name):
    folder = tmp_path / "d"
    folder.mkdir()
    if name == "overlay.mp4":
        from napari_sam2track.formats.video_writer import video_writer

        rgb = ((np.stack([f, f, f], -1) // 256).astype(np.uint8) for f in sample.images_tyx)
        with video_writer(folder / name, 10) as add:
            for picture in rgb:
                add(picture)
    elif name == "labels.tif":
        tifffile.imwrite(folder / name, sample.images_tyx, photometric="minisblack")
    else:
        (folder / name).mkdir()
        for t, image in enumerate(sample.images_tyx):
            tifffile.imwrite(folder / name / f"{t}.tif", image)
    before = {p: p.read_bytes() for p in folder.rglob("*") if p.is_file()}
    (tmp_path / "link").symlink_to(folder)
    for out in (folder, tmp_path / "link"):
        args = ("--out-dir", out, "--points", "40,40", "--overwrite")
        result = sam2track("video", "--video", folder / name, *args)
        assert result.exit_code == 2, result.output
        assert re.search("is the input; choose another|would lie among the files", result.stderr)
    assert {p: p.read_bytes() for p in folder.rglob("*") if p.is_file()} == before


def test_an_output_among_the_images_of_the_movie(sam2track, sample, tmp_path):
    folder = tmp_path / "imgs"
    folder.mkdir()
    for t, image in enumerate(sample.images_tyx):
        tifffile.imwrite(folder / f"{t}.tif", image)
    for out in (folder, folder / "results"):
        result = sam2track(
            *("video", "--video", folder, "--out-dir", out, "--points", "40,40", "--overwrite")
        )
        assert result.exit_code == 2
        assert "would lie among the files of the input" in result.stderr
    assert len(list(folder.iterdir())) == 6


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (("--window-size", 65), "image size of 65|multiple of 32"),
        (("--model", "damaged.pt"), "is not a checkpoint|damaged"),
        (("--device", "bogus"), "bogus"),
        (("--points", "999,999"), "outside"),
        (("--stop", 99), "outside"),
        (("--prompts", "none.json"), "none.json"),
        (("--session", "bad.json"), "bogus"),
    ],
)
def test_what_fails_early_leaves_nothing(sam2track, movie_path, tmp_path, options, message):
    out = tmp_path / "new" / "out"
    (tmp_path / "damaged.pt").write_bytes(b"PK\3\4 not really")
    begun = ["video", "--video", movie_path, "--out-dir", out]
    if "--session" in options:
        other = tmp_path / "other"
        assert sam2track(*begun[:4], other, "--points", "40,40", "--stop", 1).exit_code == 0
        content = json.loads((other / "session.json").read_text())
        content["decisions"]["mode"] = "bogus"
        (tmp_path / "bad.json").write_text(json.dumps(content))
    elif "--points" not in options:
        begun += ["--points", "40,40"]
    given = [tmp_path / o if str(o).endswith((".pt", ".json")) else o for o in options]
    result = sam2track(*begun, *given)
    assert result.exit_code in (1, 2), result.output
    assert re.search(message, result.stderr), result.stderr
    assert not out.parent.exists()


def test_the_demo_leaves_nothing_either(sam2track, tmp_path):
    assert sam2track("demo", "--out-dir", tmp_path / "d", "--device", "bogus").exit_code != 0
    assert not (tmp_path / "d").exists()


def test_a_folder_that_another_process_writes_to(sam2track, run_in, tmp_path):
    from napari_sam2track.storage.writer_lock import only_writer

    out = run_in("--overlay", "none")
    before = (out / ".run" / "session.json").read_text()
    with only_writer(out / ".run"):
        for options in (("--resume", "--correct", "1=1@40,40"), ("--undo",)):
            refused = sam2track("video", "--out-dir", out, *options)
            assert refused.exit_code == 1
            assert f"process {os.getpid()} on " in refused.stderr
    assert (out / ".run" / "session.json").read_text() == before


def test_damaged_frames_are_computed_again(sam2track, run_in):
    out = run_in("--overlay", "none")
    before = tifffile.imread(out / "labels.tif")
    for name in ("000000", "000002"):
        path = out / ".run" / "frames" / f"{name}.frame"
        content = bytearray(path.read_bytes())
        content[100] ^= 1
        path.write_bytes(content)
    for path in (out / ".run" / "memories").rglob("*.mem"):
        path.write_bytes(path.read_bytes()[:100])
    (out / ".run" / "note.json").write_text("")
    done = sam2track("video", "--out-dir", out, "--resume")
    assert done.exit_code == 0, done.output
    assert re.search(r"2 frames, \d memor(y|ies) and 1 note of decisions of the run", done.stderr)
    assert "damaged: computed again" in done.stderr
    assert "To compute: 6 object-frames" in done.stderr
    np.testing.assert_array_equal(tifffile.imread(out / "labels.tif"), before)
    quiet = sam2track("video", "--out-dir", out, "--resume")
    assert "damaged" not in quiet.stderr


def test_damaged_frames_are_no_change_that_could_be_undone(sam2track, run_in):
    out = run_in("--overlay", "none")
    before = tifffile.imread(out / "labels.tif")
    assert sam2track("video", "--out-dir", out, "--resume", "--correct", "1=1@40,40").exit_code == 0
    path = out / ".run" / "frames" / "000002.frame"
    path.write_bytes(path.read_bytes()[:-1])
    refused = sam2track("video", "--out-dir", out, "--undo")
    assert refused.exit_code == 1
    assert "1 frames of the run" in refused.stderr
    assert "compute them again with --resume first" in refused.stderr
    assert sam2track("video", "--out-dir", out, "--resume").exit_code == 0
    undone = sam2track("video", "--out-dir", out, "--undo")
    assert undone.exit_code == 0, undone.output
    np.testing.assert_array_equal(tifffile.imread(out / "labels.tif"), before)


@pytest.mark.parametrize("name", ["session.json", "note.json"])
def test_a_damaged_journal_changes_nothing(sam2track, run_in, name):
    out = run_in("--overlay", "none")
    assert sam2track("video", "--out-dir", out, "--resume", "--correct", "1=1@40,40").exit_code == 0
    known = (out / ".run" / name).read_bytes()
    (out / ".run" / "journals" / "0001" / name).write_text("")
    assert sam2track("video", "--out-dir", out, "--undo").exit_code == 1
    assert (out / ".run" / name).read_bytes() == known
    assert sam2track("video", "--out-dir", out, "--resume").exit_code == 0


def test_what_lies_in_the_hidden_folder_and_is_not_ours(sam2track, run_in, tmp_path):
    out = run_in("--overlay", "none")
    (out / ".run" / "mine.txt").write_text("x")
    run_in("--overlay", "none", "--overwrite")
    assert (out / ".run" / "mine.txt").read_text() == "x"
    docs, linked = tmp_path / "docs", tmp_path / "linked"
    docs.mkdir()
    (docs / "thesis.tex").write_text("years")
    linked.mkdir()
    (linked / ".run").symlink_to(docs)
    refused = sam2track(
        *("video", "--video", tmp_path / "movie.tif", "--points", "40,40"),
        *("--out-dir", linked, "--overwrite"),
    )
    assert refused.exit_code == 1
    assert "is a link, which no run makes there" in refused.stderr
    assert [p.name for p in docs.iterdir()] == ["thesis.tex"]


def test_an_output_of_a_free_name_is_no_input_either(sam2track, run_in):
    out = run_in("--overlay", "none")
    (out / "labels.tif").write_bytes((out / "labels.tif").read_bytes() + b"x")
    assert sam2track("video", "--out-dir", out, "--resume").exit_code == 0
    args = ("video", "--video", out / "labels-2.tif", "--out-dir", out, "--points", "40,40")
    refused = sam2track(*args, "--overwrite")
    assert refused.exit_code == 2, refused.output
    assert "labels-2.tif is the input" in refused.stderr
    assert (out / "labels-2.tif").exists()


def test_a_run_that_began_meanwhile(sam2track, movie_path, run_in, monkeypatch, tmp_path):
    """Two first runs into one new folder: the one that comes later does not clear the other."""
    from napari_sam2track.session import run_folder

    out, check = tmp_path / "out", run_folder.check_folder

    def then_another_begins(*args, **options):
        check(*args, **options)
        monkeypatch.undo()
        run_in("--overlay", "none")

    monkeypatch.setattr(run_folder, "check_folder", then_another_begins)
    result = sam2track("video", "--video", movie_path, "--out-dir", out, "--points", "40,40")
    assert result.exit_code == 1
    assert "another run has begun in" in result.stderr.lower()
    assert len(np.unique(labels_of(out))) == 4


def test_a_session_of_the_run_that_is_damaged(sam2track, run_in):
    out = run_in("--overlay", "none")
    (out / ".run" / "session.json").write_text("{")
    for options in (("--resume",), ("--undo",)):
        result = sam2track("video", "--out-dir", out, *options)
        assert result.exit_code == 1
        assert f"run it again with --session {out / 'session.json'} into another" in result.stderr


def test_a_movie_that_was_moved_is_no_change_to_undo(sam2track, run_in, movie_path):
    out = run_in("--overlay", "none")
    before = tifffile.imread(out / "labels.tif")
    assert sam2track("video", "--out-dir", out, "--resume", "--correct", "1=1@40,40").exit_code == 0
    after = tifffile.imread(out / "labels.tif")
    assert (before != after).any()
    there = movie_path.rename(movie_path.with_name("moved.tif"))
    args = ("video", "--video", there, "--out-dir", out)
    assert sam2track(*args, "--resume", "--stop", 2).exit_code == 0
    for wanted in (before, after):
        undone = sam2track(*args, "--stop", 2, "--undo")
        assert undone.exit_code == 0, undone.output
        np.testing.assert_array_equal(tifffile.imread(out / "labels.tif"), wanted)


def test_nothing_to_undo(sam2track, run_in):
    out = run_in("--overlay", "none", "--no-keep-run")
    assert "no run in" in sam2track("video", "--out-dir", out, "--undo").stderr
    again = run_in("--overlay", "none", "--overwrite")  # what it wrote is known to be ours
    assert seen(again) == ["labels.tif", "session.json", "tracks.csv"]


@pytest.mark.skipif(os.name == "nt", reason="no such signals")
@pytest.mark.parametrize("name", ["SIGTERM", "SIGHUP"])
def test_told_to_stop(sam2track, tmp_path, name):
    """As a scheduler, a container or a terminal that closes does it."""
    from napari_sam2track.samples import centre_pixels, moving_cells

    long = moving_cells(40, 120, 150, 3, seed=2)
    tifffile.imwrite(tmp_path / "movie.tif", long.images_tyx, photometric="minisblack")
    out = tmp_path / "out"
    command = [sys.executable, "-m", "napari_sam2track", "video", "--overlay", "none"]
    command += ["--video", tmp_path / "movie.tif", "--out-dir", out, "--threads", "1"]
    for y, x in centre_pixels(long.labels_tyx[0]).values():
        command += ["--points", f"{x},{y}"]
    with subprocess.Popen(
        [*map(str, command)],
        stderr=subprocess.PIPE,
        text=True,
        # whoever starts the tests may have it ignored, as nohup does
        preexec_fn=lambda: signal.signal(getattr(signal, name), signal.SIG_DFL),
    ) as process:
        while process.poll() is None and len(list(out.glob(".run/frames/*.frame"))) < 3:
            time.sleep(0.005)
        process.send_signal(getattr(signal, name))
        _, told = process.communicate(timeout=120)
    assert process.returncode == 128 + getattr(signal, name), told
    assert "go on with --resume" in told
    assert labels_of(out)[1].any()
    assert not labels_of(out)[-1].any()
    assert sam2track("video", "--out-dir", out, "--resume").exit_code == 0
    assert labels_of(out)[-1].any()
