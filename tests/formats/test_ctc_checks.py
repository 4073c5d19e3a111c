"""Our validator and py-ctcmetrics' say the same of good and of spoiled folders."""

import shutil
import warnings

import numpy as np
import pytest
import tifffile
from ctc_metrics.scripts.validate import validate_sequence

from napari_sam2track.formats.ctc_checks import check_ctc
from napari_sam2track.formats.tracks_files import write_tracks


@pytest.fixture
def folder(family, tmp_path):
    path = tmp_path / "01_RES"
    write_tracks(path, family)  # 1: 0-1, 2: 2 of 1, 7: 2-5 of 1, 9: 0-5, 10: 4-5 of 2
    return path


def theirs(path):
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        try:
            return bool(validate_sequence(str(path), threads=1)["Valid"])
        except (AssertionError, IndexError, ValueError, TypeError):
            return False


def errors(path):
    return [finding.text for finding in check_ctc(path) if finding.severity == "error"]


def line(old, new):
    def edit(path):
        text = (path / "res_track.txt").read_text()
        assert old in text
        (path / "res_track.txt").write_text(text.replace(old, new))

    return edit


def mask(t, change):
    def edit(path):
        file = path / f"mask{t:03d}.tif"
        labels = tifffile.imread(file)
        change(labels)
        tifffile.imwrite(file, labels, compression="zlib")

    return edit


def put(label, at=(0, 13)):
    return lambda labels: labels.__setitem__(at, label)


def drop(label):
    return lambda labels: labels.__setitem__(labels == label, 0)


SPOILED = {
    "a label twice": (line("9 0 5 0\n", "9 0 5 0\n9 0 5 0\n"), "track 9 has two lines"),
    "an end before the begin": (line("2 2 2 1", "2 2 1 1"), "track 2 ends in frame 1, before"),
    "an unknown parent": (line("7 2 5 1", "7 2 5 3"), "parent 3 of track 7 does not exist"),
    "a negative parent": (line("7 2 5 1", "7 2 5 -1"), "track 7 has the parent -1"),
    "a child too early": (line("10 4 5 2", "10 4 5 9"), "begins in frame 4, but its parent 9"),
    "its own parent": (line("9 0 5 0", "9 0 5 9"), "track 9 is its own parent"),
    "a circle": (line("1 0 1 0", "1 0 1 7"), "the parents go in a circle: 1 -> 7 -> 1"),
    "no such mask": (mask(3, drop(7)), r"track 7 \(2 to 5\) has no mask in frames 3"),
    "a mask too many": (mask(3, put(1)), r"track 1 \(0 to 1\) has masks in frames 3 too"),
    "a mask without line": (mask(3, put(77)), "label 77 has no line, but masks in frames 3"),
    "a gap": (line("2 2 2 1", "2 2 5 1"), r"track 2 \(2 to 5\) has no mask in frames 3, 4, 5"),
    "no tracks": (
        lambda path: (path / "res_track.txt").write_text(""),
        "an empty result is not valid",
    ),
    "no masks": (
        lambda path: [p.unlink() for p in path.glob("*.tif")],
        r"holds no masks \(mask000.tif and so on\)",
    ),
    "words": (line("9 0 5 0", "9 0 five 0"), "line 4 of res_track.txt is '9 0 five 0', not four"),
    "three numbers": (line("9 0 5 0", "9 0 5"), "'9 0 5', not four whole numbers"),
}


def test_a_good_folder(folder):
    assert theirs(folder)
    assert check_ctc(folder) == []


@pytest.mark.parametrize("what", SPOILED)
def test_spoiled_folders(folder, what):
    spoil, message = SPOILED[what]
    spoil(folder)
    assert not theirs(folder)
    with pytest.raises(AssertionError, match=message):
        assert not errors(folder), errors(folder)


@pytest.mark.parametrize("seed", range(8))
def test_at_random(make_movie, seed, tmp_path):
    """A random number of random changes: the same verdict, whatever comes of it."""
    rng = np.random.default_rng(seed)
    movie = make_movie(seed + 20, max_id=1000)
    for k in range(12):
        path = tmp_path / f"{k:02d}_RES"
        write_tracks(path, movie)
        text = (path / "res_track.txt").read_text().splitlines()
        at = int(rng.integers(len(text)))
        numbers = text[at].split()
        kind = rng.integers(4)
        if kind == 0:
            column = int(rng.integers(4))
            numbers[column] = str(max(int(numbers[column]) + int(rng.choice([-1, 1])), 0))
            text[at] = " ".join(numbers)
        elif kind == 1:
            text.append(text[at])
        elif kind == 2:
            rng.shuffle(text)
        if kind == 3:
            file = path / f"mask{rng.integers(movie.table.n_frames):03d}.tif"
            labels = tifffile.imread(file)
            labels[tuple(rng.integers(0, labels.shape))] = int(numbers[0])
            tifffile.imwrite(file, labels)
        if any(int(row.split()[0]) == 0 for row in text):
            continue  # a label 0 they take for the background, and fail to count
        (path / "res_track.txt").write_text("\n".join(text) + "\n")
        found = [t for t in errors(path) if "goes on to frame" not in t]  # see below
        assert theirs(path) == (not found), (text, found)


def test_a_track_that_ends_after_the_movie(folder):
    """py-ctcmetrics 1.3 does not look behind the last mask; the rule says every frame."""
    line("9 0 5 0", "9 0 6 0")(folder)
    assert theirs(folder)
    assert errors(folder) == ["track 9 goes on to frame 6, of 6 frames"]


def test_what_only_we_look_at(folder):
    """Sizes, types, parts, frame numbers."""
    tifffile.imwrite(folder / "mask004.tif", np.zeros((3, 4), np.uint16))
    tifffile.imwrite(folder / "mask005.tif", np.zeros((12, 14), np.float32) + 0.5)
    labels = tifffile.imread(folder / "mask003.tif").astype(np.uint32)
    labels[0, 13] = 7
    tifffile.imwrite(folder / "mask003.tif", labels)
    (folder / "mask000.tif").rename(folder / "mask0006.tif")
    found = {(f.severity, f.text.split(";")[0]) for f in check_ctc(folder)}
    assert ("error", "there is no mask of frames 0") in found
    assert ("warning", "the frame numbers have different numbers of digits") in found
    assert ("warning", "mask003.tif holds uint32") in found
    assert ("warning", "label 7 in mask003.tif is in 2 parts") in found
    assert ("warning", "mask004.tif is empty") in found
    texts = [text for _, text in found]
    assert any("mask004.tif has 4 x 3 pixels, the masks before 14 x 12" in t for t in texts)
    assert any("mask005.tif holds fractions" in t for t in texts)


def test_real_data_is_valid(shared_data, tmp_path):
    truth = shared_data / "bacteria" / "01_GT"
    assert errors(truth) == []
    shutil.copytree(truth / "TRA", tmp_path / "01_RES")
    for path in sorted((tmp_path / "01_RES").glob("man_track*")):
        name = "res_track.txt" if path.suffix == ".txt" else path.name.replace("man_track", "mask")
        path.rename(path.with_name(name))
    assert theirs(tmp_path / "01_RES")
    assert errors(tmp_path / "01_RES") == []


def test_an_empty_folder(tmp_path):
    assert errors(tmp_path) == [f"{tmp_path} holds neither res_track.txt nor man_track.txt"]
