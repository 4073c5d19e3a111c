"""A folder of results that 0.1.0 wrote (before its files of memories changed) is gone on with."""

from __future__ import annotations

import zipfile
from pathlib import Path

import numpy as np
import pytest
import tifffile

import napari_sam2track as st

OLD = Path(__file__).parents[1] / "data" / "results_0.1.0.zip"


@pytest.fixture
def results(tmp_path):
    """Two objects, six frames, the second corrected on frame 3; the movie lies beside it."""
    with zipfile.ZipFile(OLD) as file:
        file.extractall(tmp_path)
    return tmp_path / "results"


def test_it_opens_and_nothing_is_stale(results):
    before = tifffile.imread(results / "labels.tif")
    assert len(np.unique(before)) == 3
    with st.open_run(results) as run:
        np.testing.assert_array_equal(run.labels, before)
        assert set(run.states.to_numpy().ravel()) == {"prompted", "propagated"}
        assert run.prompts.objects == (1, 2)
        run.resume()
        np.testing.assert_array_equal(run.labels, before)


def test_a_correction_goes_on_from_its_memories(results):
    store = results / ".run" / "memories"
    assert len(list(store.glob("*/*.pt"))) >= 2
    before = tifffile.imread(results / "labels.tif")
    with st.open_run(results) as run:
        run.correct(1, 4, points=[(26, 29)])
        after = np.asarray(run.labels)
        np.testing.assert_array_equal(after[:4], before[:4])
        np.testing.assert_array_equal(after == 2, before == 2)
        assert run.undo() == [4, 5]
        np.testing.assert_array_equal(run.labels, before)
    np.testing.assert_array_equal(tifffile.imread(results / "labels.tif"), before)


def test_the_command_resumes_and_undoes_it(results):
    from typer.testing import CliRunner

    from napari_sam2track.cli import app

    arguments = ["video", "--out-dir", str(results)]
    done = CliRunner().invoke(app, [*arguments, "--resume"])
    assert done.exit_code == 0, done.output
    assert "To compute: 0 object-frames" in done.output
    done = CliRunner().invoke(app, [*arguments, "--undo"])
    assert done.exit_code == 0, done.output
    assert "3 frames are as they were before the last run" in done.output
