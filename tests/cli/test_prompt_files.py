"""Prompts of commands from files: tables, and masks on some frames, with what is said of them."""

import json

import numpy as np
import pytest
import tifffile
from PIL import Image

from napari_sam2track.cli._inputs import collect_prompts
from napari_sam2track.errors import FormatError, UsageError
from napari_sam2track.prompts.prompt_params import MaskPromptParams, PromptParams
from napari_sam2track.samples import centre_pixels

SHAPE = (120, 150)


def collect(*masks, frame=None, **void):
    params = PromptParams(), MaskPromptParams(**void)
    return collect_prompts(None, None, [str(m) for m in masks], None, SHAPE, params, frame=frame)


@pytest.fixture
def folder(sample, tmp_path):
    """Masks on every second frame, as PNG with a palette."""
    path = tmp_path / "Annotations"
    path.mkdir()
    for t in (0, 2, 4):
        image = Image.fromarray(sample.labels_tyx[t].astype(np.uint8), mode="L").convert("P")
        image.putdata(sample.labels_tyx[t].astype(np.uint8).ravel().tolist())
        image.save(path / f"{t:05d}.png")
    return path


def prompted(out):
    """(object, frames) of a session."""
    session = json.loads((out / "session.json").read_text())
    return [(o["id"], [f["frame"] for f in o["frames"]]) for o in session["prompts"]["objects"]]


# --- tables ---------------------------------------------------------------------------------------


def test_points_of_micro_sam_are_their_objects(sam2track, sample, movie_path, tmp_path):
    rows = [
        f"{k},0,{y},{x},positive,{k + 1},track\n"
        for k, (y, x) in enumerate(centre_pixels(sample.labels_tyx[0]).values())
    ]
    table, out = tmp_path / "point_prompts.csv", tmp_path / "out"
    table.write_text("index,axis-0,axis-1,axis-2,label,track_id,state\n" + "".join(rows))
    result = sam2track(
        *("video", "--video", movie_path, "--out-dir", out, "--overlay", "none", "--stop", 1),
        *("--prompts", table),
    )
    assert result.exit_code == 0, result.output
    assert prompted(out) == [(1, [0]), (2, [0]), (3, [0])]
    said = [line for line in result.stderr.splitlines() if line.startswith("Note: ")]
    assert said == [
        f"Note: {table}: read as points of napari with columns of micro-sam: 3 points, 3 objects "
        "(track_id); columns not used: state"
    ]


def test_shapes_on_an_image(sam2track, sample, movie_path, tmp_path):
    ys, xs = np.nonzero(sample.labels_tyx[0] == 1)
    y0, x0, y1, x1 = ys.min(), xs.min(), ys.max(), xs.max()
    corners = [(y0, x0), (y0, x1), (y1, x1), (y1, x0)]
    table, out = tmp_path / "ellipse.csv", tmp_path / "mask.tif"
    lines = (f"0,ellipse,{k},{y},{x}\n" for k, (y, x) in enumerate(corners))
    table.write_text("index,shape-type,vertex-index,axis-0,axis-1\n" + "".join(lines))
    result = sam2track("image", "--image", movie_path, "--prompts", table, "--out", out)
    assert result.exit_code == 0, result.output
    assert "read as shapes of napari: 1 mask, 1 object (one a shape)" in result.stderr
    mask, truth = tifffile.imread(out) > 0, sample.labels_tyx[0] == 1
    assert (mask & truth).sum() / (mask | truth).sum() > 0.6


def test_units_are_in_one_option(sam2track, sample, movie_path, tmp_path):
    y, x = centre_pixels(sample.labels_tyx[0])[1]
    table, out = tmp_path / "um.csv", tmp_path / "mask.png"
    table.write_text(f"axis-0,axis-1\n{y * 0.01},{x * 0.01}\n" + f"{y * 0.01},{x * 0.01}\n" * 2)
    args = ("image", "--image", movie_path, "--prompts", table, "--out", out)
    good = sam2track(*args, "--pixel-size", 0.01)
    assert good.exit_code == 0, good.output
    assert "micrometers" not in good.stderr
    odd = sam2track(*args, "--overwrite")
    assert "they may be in micrometers, not in pixels; --pixel-size" in odd.stderr


@pytest.mark.parametrize(
    ("args", "code", "message"),
    [
        (("--points", "5,3", "--pixel-size", "0.5"), 2, "--pixel-size 0.5 is about a table of pro"),
        (("--prompts", "p.csv", "--pixel-size", "x"), 2, "--pixel-size x cannot be used"),
        (("--prompts", "nowhere.csv"), 1, "nowhere.csv does not exist; check the spelling"),
        (("--prompts", "p.csv"), 1, "p.csv, line 2: label is 'maybe', neither positive nor"),
        (("--points", "1,2" + " " * 9999 + "3"), 2, "oint '3' cannot be read"),
        (("--box", "0,0,1e300,1e300"), 2, "goes beyond any image"),
        (("--points", "1" * 100_000), 2, "cannot be read; write frame@x,y:pos"),
    ],
)
def test_bad_prompts_are_one_sentence(
    sam2track, movie_path, tmp_path, monkeypatch, args, code, message
):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "p.csv").write_text("axis-0,axis-1,label\n1,2,maybe\n")
    result = sam2track("image", "--image", movie_path, "--out", "mask.png", *args)
    assert result.exit_code == code, result.output
    assert message in result.stderr.replace("\n", " ")
    assert len(result.stderr) < 500


def test_forgetting_what_is_no_number(sam2track, movie_path, labels_path, tmp_path):
    args = ("video", "--video", movie_path, "--out-dir", tmp_path / "out", "--overlay", "none")
    assert sam2track(*args, "--mask-prompts", labels_path, "--stop", 1).exit_code == 0
    resumed = ("video", "--out-dir", tmp_path / "out", "--resume")
    for text in ("²", "9" * 5000):
        result = sam2track(*resumed, "--forget", text)
        assert result.exit_code == 2
        assert "write ID@FRAME, such as 2@30, or ID" in result.stderr


# --- masks ----------------------------------------------------------------------------------------


def test_masks_on_some_frames_are_prompts_on_those(sam2track, sample, movie_path, folder, tmp_path):
    out = tmp_path / "out"
    result = sam2track(
        *("video", "--video", movie_path, "--out-dir", out, "--overlay", "none"),
        *("--mask-prompts", folder),
    )
    assert result.exit_code == 0, result.output
    assert prompted(out) == [(1, [0, 2, 4]), (2, [0, 2, 4]), (3, [0, 2, 4])]
    assert f"the masks of 3 frames (0, 2, 4) are prompts; {folder}@0 takes" in result.stderr
    labels = tifffile.imread(out / "labels.tif")
    np.testing.assert_array_equal(labels[[0, 2, 4]], sample.labels_tyx[[0, 2, 4]])


def test_one_frame_of_a_folder_with_gaps(folder, capsys):
    assert collect(f"{folder}@2").frames == (2,)
    assert collect(folder, frame=4).frames == (4,)
    assert capsys.readouterr().err == ""
    with pytest.raises(UsageError, match=r"Annotations@3: the labels have frames 0, 2, 4; choose"):
        collect(f"{folder}@3")


def test_the_only_mask_of_a_folder_has_a_number_too(folder):
    for t in (0, 4):
        (folder / f"{t:05d}.png").unlink()
    assert collect(folder).frames == (2,)
    assert collect(f"{folder}@5").frames == (5,)
    (folder / "00002.png").rename(folder / "first.png")
    assert collect(folder).frames == (0,)


def test_a_stack_of_labels_gives_one_frame(sample, tmp_path, capsys):
    path = tmp_path / "labels.tif"
    tifffile.imwrite(path, sample.labels_tyx, photometric="minisblack")
    assert collect(path).frames == (0,)
    assert collect(f"{path}@5").frames == (5,)
    assert capsys.readouterr().err == ""


def test_void_of_davis_is_no_object(sample, tmp_path, capsys):
    labels = sample.labels_tyx[0].astype(np.uint8)
    labels[:5] = 255
    path = tmp_path / "00000.png"
    Image.fromarray(labels).save(path)
    assert collect(path).objects == (1, 2, 3)
    said = capsys.readouterr().err
    assert said == (
        f"Note: {path}: the value 255 is taken for no object, as in DAVIS, and left out; --void "
        "keep makes it object 255\n"
    )
    assert collect(path, void="keep").objects == (1, 2, 3, 255)
    assert capsys.readouterr().err == ""


def test_a_mask_of_0_and_255_is_one_object(sample, tmp_path, capsys):
    path = tmp_path / "mask.png"
    Image.fromarray((sample.labels_tyx[0] == 2).astype(np.uint8) * 255).save(path)
    assert collect(path).objects == (255,)
    assert "the only value is 255, so there is one object, with the id 255" in (
        capsys.readouterr().err
    )


def test_many_labels_with_255_among_them_are_objects(tmp_path, capsys):
    labels = np.zeros(SHAPE, np.uint16)
    labels[::4, ::4].flat[:300] = np.arange(1, 301)
    path = tmp_path / "cells.tif"
    tifffile.imwrite(path, labels)
    assert 255 in collect(path).objects
    assert capsys.readouterr().err == ""


def test_masks_of_another_size(tmp_path):
    path = tmp_path / "small.png"
    Image.fromarray(np.ones((10, 12), np.uint8)).save(path)
    with pytest.raises(FormatError, match=r"small\.png are 12 x 10 pixels, but the image is 150 x"):
        collect(path)
