import json

import numpy as np
import pytest

from napari_sam2track.formats.tracks_files import write_tracks
from napari_sam2track.labels import ArrayLabels
from napari_sam2track.samples import growing_colony
from napari_sam2track.tracks.tracked_movie import TrackedMovie, table_of

pytest.importorskip("traccuracy", reason="scores need the extra [eval]")


@pytest.fixture
def folders(tmp_path):
    colony = growing_colony(10, 128, width=9, length=40, seed=1)
    labels = ArrayLabels(colony.labels_tyx)
    for name, parents in (("01_RES", {}), ("01_GT/TRA", colony.parents)):
        write_tracks(tmp_path / name, TrackedMovie(table_of(labels, parents), labels), format="ctc")
    return tmp_path


def test_scores_are_shown_with_their_packages_and_written(folders, sam2track):
    out = folders / "scores.json"
    result = sam2track("evaluate", folders / "01_RES", folders / "01_GT", "--out", out)
    assert result.exit_code == 0, result.output
    for text in ("TRA", "py-ctcmetrics", "division F1", "traccuracy", "SEG with the masks of the"):
        assert text in result.stdout
    scores = {s["name"]: s["value"] for s in json.loads(out.read_text())["scores"]}
    assert scores["DET"] == 1
    assert scores["LNK"] < 1
    again = sam2track("evaluate", folders / "01_RES", folders / "01_GT", "--out", out)
    assert again.exit_code == 1
    assert "exists already" in again.stderr


def test_the_masks_for_seg_beside_the_truth_are_used(folders, sam2track):
    import shutil

    seg = folders / "01_GT" / "SEG"
    seg.mkdir()
    shutil.copy(folders / "01_GT" / "TRA" / "man_track003.tif", seg / "man_seg003.tif")
    result = sam2track("evaluate", folders / "01_RES", folders / "01_GT")
    assert result.exit_code == 0, result.output
    assert "SEG with the masks in" in result.stdout


def test_movies_of_two_sizes(folders, tmp_path, sam2track):
    np.save(tmp_path / "small.npy", np.ones((3, 4, 4), np.uint32))
    result = sam2track("evaluate", tmp_path / "small.npy", folders / "01_GT")
    assert result.exit_code == 1
    assert "compare results of the same movie" in result.stderr
    assert len(result.stderr.splitlines()) == 1


def test_help_says_what_to_install(sam2track):
    assert "'napari-sam2track[eval]'" in sam2track("evaluate", "--help").output
