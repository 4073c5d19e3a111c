import numpy as np
import pytest
import tifffile
from PIL import Image

from napari_sam2track.samples import centre_pixels


@pytest.fixture
def png(sample, tmp_path):
    path = tmp_path / "cells.png"
    image = sample.images_tyx[0].astype(float)
    Image.fromarray((image / image.max() * 255).astype(np.uint8)).save(path)
    return path


def click(sample, label, t=0):
    y, x = centre_pixels(sample.labels_tyx[t])[label]
    return f"{x},{y}:pos"


def test_one_object_gives_a_binary_mask(sam2track, sample, png, tmp_path):
    out = tmp_path / "mask.png"
    result = sam2track("image", "--image", png, "--points", click(sample, 1), "--out", out)
    assert result.exit_code == 0, result.output
    mask = np.asarray(Image.open(out))
    assert mask.dtype == np.uint8
    assert set(np.unique(mask)) == {0, 255}
    truth = sample.labels_tyx[0] == 1
    assert ((mask > 0) & truth).sum() / ((mask > 0) | truth).sum() > 0.6
    assert "1 objects, window mode (the model was made for windows of 128 px)" in result.stdout


def test_several_objects_give_labels_an_overlay_and_candidates(sam2track, sample, png, tmp_path):
    out, look, every = tmp_path / "m.tif", tmp_path / "o.png", tmp_path / "candidates"
    result = sam2track(
        *("image", "--image", png, "--out", out, "--overlay", look, "--candidates", every),
        *("--points", click(sample, 1), "--points", click(sample, 3)),
    )
    assert result.exit_code == 0, result.output
    assert np.unique(tifffile.imread(out)).tolist() == [0, 1, 2]
    assert np.asarray(Image.open(look)).shape == (120, 150, 3)
    assert len(list(every.iterdir())) == 6
    assert result.stdout.count("candidate") == 6


def test_a_frame_of_a_stack_from_mask_prompts(sam2track, sample, movie_path, tmp_path):
    labels = tmp_path / "labels.tif"
    tifffile.imwrite(labels, sample.labels_tyx, photometric="minisblack")
    out = tmp_path / "mask.tif"
    result = sam2track(
        *("image", "--image", movie_path, "--frame", 3, "--out", out),
        *("--mask-prompts", labels),
    )
    assert result.exit_code == 0, result.output
    np.testing.assert_array_equal(tifffile.imread(out), sample.labels_tyx[3])


def test_points_without_a_frame_belong_to_the_chosen_one(sam2track, sample, movie_path, tmp_path):
    out = tmp_path / "mask.png"
    points = click(sample, 2, t=4)
    args = ("image", "--image", movie_path, "--frame", 4, "--points", points, "--out", out)
    assert sam2track(*args).exit_code == 0
    mask, truth = np.asarray(Image.open(out)) > 0, sample.labels_tyx[4] == 2
    assert (mask & truth).sum() / (mask | truth).sum() > 0.6


@pytest.mark.parametrize(
    ("args", "code", "message"),
    [
        (("--points", "500,3:pos"), 2, "outside the image"),
        (("--points", "5,3:neg"), 2, "negative"),
        (("--points", "5;3"), 2, "5"),
        ((), 2, "there are no prompts"),
        (("--points", "5,3", "--frame", "2"), 2, "--frame 2 is outside"),
        (("--points", "3@5,3"), 2, "there are prompts on frame 3, but the image is frame 0"),
        (("--points", "5,3", "--model", "sam2.1_hiera_tinny"), 2, "sam2.1_hiera_tiny"),
        (("--points", "5,3", "--model", "sam2.1_hiera_large"), 1, "sam2track models download"),
        (("--points", "5,3", "--mask-prompts", "no.tif"), 1, "no.tif does not exist"),
        (("--points", "5,3", "--device", "cuda"), 1, "cuda"),
        (("--points", "5,3", "--out", "mask.bmp"), 2, "--out mask.bmp: use one of"),
    ],
)
def test_bad_input_is_one_sentence(sam2track, png, tmp_path, monkeypatch, args, code, message):
    monkeypatch.setenv("SAM2TRACK_CACHE", str(tmp_path / "cache"))
    if "cuda" in args:
        monkeypatch.setattr("torch.cuda.is_available", lambda: False)
    out = () if "--out" in args else ("--out", tmp_path / "mask.png")
    result = sam2track("image", "--image", png, *out, *args)
    assert result.exit_code == code, result.output
    assert message.lower() in result.stderr.lower()
    assert "Traceback" not in result.stderr
    assert not (tmp_path / "mask.png").exists()


def test_missing_unreadable_and_existing_files(sam2track, png, tmp_path):
    args = ("--points", "5,3")
    result = sam2track("image", "--image", tmp_path / "no.png", "--out", tmp_path / "m.png", *args)
    assert (result.exit_code, "no.png" in result.stderr) == (1, True)
    (tmp_path / "bad.png").write_bytes(b"not an image")
    result = sam2track("image", "--image", tmp_path / "bad.png", "--out", tmp_path / "m.png", *args)
    assert (result.exit_code, "bad.png" in result.stderr) == (1, True)
    (tmp_path / "m.png").write_text("precious")
    result = sam2track("image", "--image", png, "--out", tmp_path / "m.png", *args)
    assert (result.exit_code, "--overwrite" in result.stderr) == (1, True)
    assert (tmp_path / "m.png").read_text() == "precious"
    assert sam2track("image", "--image", png, "--out", png, *args, "--overwrite").exit_code == 2
