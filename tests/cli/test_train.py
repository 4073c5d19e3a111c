import re

import numpy as np
import pytest
import tifffile
from skimage.segmentation import expand_labels
from typer.testing import CliRunner

from napari_sam2track.cli import app
from napari_sam2track.models.registry import all_models, find_model
from napari_sam2track.samples import moving_cells


@pytest.fixture(scope="module")
def data(tmp_path_factory):
    folder = tmp_path_factory.mktemp("data")
    sample = moving_cells(10, 160, 160, n_cells=6, seed=5)
    wide = np.stack([expand_labels(labels, 6) for labels in sample.labels_tyx])  # a taste to learn
    tifffile.imwrite(folder / "a.tif", sample.images_tyx, photometric="minisblack")
    tifffile.imwrite(folder / "a_labels.tif", wide, photometric="minisblack")
    return folder


@pytest.fixture(scope="module")
def trained(data, tmp_path_factory):
    """A short training under a name, its folder of models and what it printed."""
    folder = tmp_path_factory.mktemp("models")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("SAM2TRACK_MODELS", str(folder))
        return folder, train(data, "my-cells", *SHORT)


@pytest.fixture
def unscored(monkeypatch):
    """The real ones follow objects through movies, before and after."""
    from napari_sam2track.cli import train as module

    monkeypatch.setattr(module, "_engine_scores", lambda *args: {"J": 0.5})


@pytest.fixture(autouse=True)
def models(tmp_path, monkeypatch):
    monkeypatch.setenv("SAM2TRACK_MODELS", str(tmp_path / "models"))
    return tmp_path / "models"


def train(data, out, *more):
    args = ["train", "--data", str(data), "--out", str(out), "--threads", "1", *more]
    return CliRunner().invoke(app, args)


SHORT = ("--steps", "30", "--windows", "2", "--frames", "2", "--every", "0.5", "--rate", "5e-4")


def test_a_model_with_a_name_is_known_everywhere(data, trained, monkeypatch):
    models, done = trained
    monkeypatch.setenv("SAM2TRACK_MODELS", str(models))
    assert done.exit_code == 0, done.output
    assert "Training on: a.tif, frames 0 to 7 (48 masks)" in done.stdout
    assert "step 30: loss" in done.stdout and "one click: " in done.stdout
    assert (models / "my-cells.pt").is_file() and "--model my-cells" in done.stdout
    assert "my-cells" in [m.name for m in all_models()]
    assert find_model("my_cells").path == models / "my-cells.pt"
    told = CliRunner().invoke(app, ["models", "info", "my-cells"])
    assert re.search(r"licence +BSD-3-Clause", told.stdout)
    assert re.search(r"parameters +2\d{6}", told.stdout)
    assert "base" in told.stdout and "bundled" in told.stdout and "judged_by" in told.stdout
    listed = CliRunner().invoke(app, ["models", "list"])
    assert "my-cells" in listed.stdout
    image = data / "frame.tif"
    tifffile.imwrite(image, tifffile.imread(data / "a.tif")[0])
    args = ["image", "--image", str(image), "--points", "80,80", "--model", "my-cells"]
    used = CliRunner().invoke(app, [*args, "--out", str(models / "mask.png"), "--threads", "1"])
    assert used.exit_code == 0, used.output
    again = train(data, "my-cells", *SHORT)
    assert again.exit_code == 2 and "There is a model my-cells already" in again.stderr


@pytest.mark.parametrize("name", ["bundled", "tiny"])
def test_a_base_is_never_overwritten(data, name):
    done = train(data, name)
    assert done.exit_code == 2 and "already; choose another name" in done.stderr


def test_a_file_is_never_overwritten(data, tmp_path):
    path = tmp_path / "a.pt"
    path.write_bytes(b"mine")
    done = train(data, path)
    assert done.exit_code in (1, 2) and "exists" in done.stderr
    assert path.read_bytes() == b"mine"
    assert train(data, tmp_path / "a.npz").exit_code == 2


def test_nothing_better_is_nothing_written(data, tmp_path):
    path = tmp_path / "worse.pt"
    done = train(data, path, "--steps", "4", "--windows", "1", "--frames", "2", "--rate", "10")
    assert done.exit_code == 1
    assert "nothing is better on what was held out than bundled was" in done.stderr
    assert not path.exists()


def test_too_little_and_nothing(data, tmp_path):
    done = train(tmp_path / "none", tmp_path / "a.pt")
    assert done.exit_code == 2 and "is no folder" in done.stderr
    few = tmp_path / "few"
    few.mkdir()
    for name in ("a.tif", "a_labels.tif"):
        tifffile.imwrite(few / name, tifffile.imread(data / name)[:3], photometric="minisblack")
    done = train(few, tmp_path / "a.pt")
    assert done.exit_code == 2 and "too few to train on" in done.stderr


def test_a_movie_does_not_judge_what_learnt_from_it(data, tmp_path):
    done = train(data, tmp_path / "a.pt", "--data", str(data))
    assert done.exit_code == 2 and "show the same movie" in done.stderr


def test_looks_say_whether_they_are_the_best(data, tmp_path, trained, unscored):
    assert "(best)" in trained[1].stdout
    worse = train(data, tmp_path / "b.pt", *SHORT, "--rate", "10", "--patience", "1")
    assert "(worse than at 0)" in worse.stdout
    assert "Stopped: 1 looks in a row brought nothing better" in worse.stdout


def test_what_was_learnt_is_written_even_if_it_cannot_be_scored(data, tmp_path, monkeypatch):
    from napari_sam2track.cli import train as module
    from napari_sam2track.models.loading import read_checkpoint

    calls = []

    def once(*args):
        calls.append(args)
        if len(calls) > 1:
            raise MemoryError
        return {"J": 0.5}

    monkeypatch.setattr(module, "_engine_scores", once)
    path = tmp_path / "a.pt"
    assert train(data, path, *SHORT).exit_code != 0
    assert set(read_checkpoint(path)["card"]["engine"]) == {"before"}


def test_windows_are_as_large_as_the_engine_shows_them(data, monkeypatch):
    from napari_sam2track.cli.train import _tuning
    from napari_sam2track.training.data_folders import open_labelled
    from napari_sam2track.training.labelled import Examples, split
    from napari_sam2track.training.tune_params import TuneParams

    monkeypatch.setattr(
        "napari_sam2track.engine.modes.choose_window_size", lambda *args: (64, "a test")
    )
    (movie,) = open_labelled(data)
    (kept,), (held,) = split([movie], 0.2)
    work = _tuning(find_model("bundled"), Examples([kept]), Examples([held]), TuneParams(), "cpu")
    assert work._size == 64
    assert 0 < next(work.run()).scores["J"] <= 1
    movie.close()
