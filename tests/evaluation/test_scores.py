from dataclasses import replace

import numpy as np
import pytest

from napari_sam2track.errors import FormatError, UsageError
from napari_sam2track.evaluation import evaluate
from napari_sam2track.evaluation.mean_j import mean_j
from napari_sam2track.formats.tracks_files import open_tracks
from napari_sam2track.labels import ArrayLabels
from napari_sam2track.progress import no_progress
from napari_sam2track.samples import growing_colony
from napari_sam2track.tracks.tracked_movie import TrackedMovie, table_of

pytest.importorskip("traccuracy", reason="scores need the extra [eval]")
pytest.importorskip("ctc_metrics", reason="scores need the extra [eval]")


def movie(labels, parents=None) -> TrackedMovie:
    source = ArrayLabels(labels)
    return TrackedMovie(table_of(source, parents), source)


@pytest.fixture(scope="module")
def colony():
    return growing_colony(14, 160, width=9, length=40, seed=1)


def values(found, truth):
    return {score.name: score.value for score in evaluate(found, truth)}


def test_the_truth_scores_one_whatever_its_ids(colony):
    truth = movie(colony.labels_tyx, colony.parents)
    other = colony.labels_tyx * np.uint32(1_000_003)
    found = movie(
        other * (other > 0), {c * 1_000_003: p * 1_000_003 for c, p in colony.parents.items()}
    )
    scores = evaluate(found, truth)
    assert {s.name: s.value for s in scores} == dict.fromkeys((s.name for s in scores), 1.0)
    assert {s.package.split()[0] for s in scores} == {
        "py-ctcmetrics",
        "traccuracy",
        "napari-sam2track",
    }


def test_each_score_sees_its_own_fault(colony):
    truth = movie(colony.labels_tyx, colony.parents)
    childless = values(movie(colony.labels_tyx), truth)
    assert childless["DET"] == childless["J"] == 1
    assert childless["LNK"] < 1
    assert childless["division recall"] == 0
    last = colony.labels_tyx.copy()
    lost = int(last[-1].max())
    last[-1][last[-1] == lost] = 0
    fewer = values(
        movie(last, {c: p for c, p in colony.parents.items() if (last == c).any()}), truth
    )
    assert fewer["DET"] < 1
    assert fewer["J"] < 1


def test_scores_are_those_of_the_packages_on_the_folders_themselves(shared_data, tmp_path):
    import shutil

    from ctc_metrics import evaluate_sequence

    from napari_sam2track.formats.tracks_files import write_tracks

    truth_folder = shared_data / "bacteria" / "01_GT"
    with open_tracks(truth_folder) as truth:
        rows = truth.table.detections
        labels = np.stack([truth.labels.read(t) for t in range(truth.table.n_frames)])
        swapped = labels.copy()
        a, b = np.unique(rows["track"][rows["frame"] == 20])[:2]
        swapped[20:][labels[20:] == a], swapped[20:][labels[20:] == b] = b, a
        found = movie(swapped, truth.table.parents)
        scores = values(found, truth)
        write_tracks(tmp_path / "01_RES", found)
    copy = tmp_path / "01_GT"
    shutil.copytree(truth_folder, copy)
    figures = evaluate_sequence(
        str(tmp_path / "01_RES"), str(copy), ["TRA", "LNK", "DET", "CHOTA"], threads=1
    )
    assert scores["LNK"] < 1
    for name in ("TRA", "LNK", "DET", "CHOTA"):
        assert scores[name] == pytest.approx(figures[name])


def test_j_is_the_mean_iou_of_tracks_that_belong_together():
    truth = np.zeros((2, 4, 10), np.uint32)
    truth[:, :, :4] = 1
    truth[:, :, 6:] = 2
    found = truth.copy()
    found[0, :, 3] = 0  # 12 of 16 pixels
    found[1][truth[1] == 2] = 9  # a change of identity
    j, n = mean_j(ArrayLabels(found), ArrayLabels(truth), no_progress)
    assert n == 4
    assert j == pytest.approx((0.75 + 1 + 1 + 0) / 4)


def test_j_without_objects_is_nothing():
    empty = ArrayLabels(np.zeros((2, 3, 3), np.uint32))
    assert np.isnan(mean_j(empty, empty, no_progress)[0])


@pytest.mark.parametrize(
    ("spoil", "message"),
    [
        (lambda m: movie(np.ones((3, 5, 5), np.uint32)), "14 of .* compare results of the same"),
        (lambda m: replace(m, labels=None), "the result has no masks"),
        (lambda m: movie(np.zeros((14, 160, 160), np.uint32)), "the result has no tracks"),
    ],
)
def test_what_cannot_be_scored_is_refused(colony, spoil, message):
    truth = movie(colony.labels_tyx, colony.parents)
    with pytest.raises(FormatError, match=message):
        evaluate(spoil(truth), truth)


def test_missing_packages_are_named(colony, monkeypatch):
    from napari_sam2track.evaluation import packages

    monkeypatch.setattr(packages, "find_spec", lambda module: None if module == "traccuracy" else 1)
    truth = movie(colony.labels_tyx, colony.parents)
    with pytest.raises(UsageError, match=r"traccuracy, which is not installed; .*\[eval\]"):
        evaluate(truth, truth)


def test_a_truth_without_links_is_scored_frame_by_frame():
    array = np.zeros((3, 16, 16), np.uint16)
    for t in range(3):
        array[t, 3:6, 3 + t : 6 + t] = t + 1
    scores = values(movie(np.minimum(array, 1)), movie(array))
    assert (scores["DET"], scores["SEG"]) == (1, 1)
    assert all(np.isnan(scores[name]) for name in ("TRA", "LNK", "CHOTA"))
    scores = values(movie(array[:1]), movie(array[:1]))
    assert (scores["SEG"], scores["J"], np.isnan(scores["DET"])) == (1, 1, True)
    assert values(movie(array), movie(np.minimum(array, 1)))["LNK"] == 0


def test_frames_without_objects():
    array = np.zeros((5, 16, 16), np.uint16)
    array[[0, 1, 3, 4], 3:8, 3:8] = 1
    scores = values(movie(array), movie(array))
    assert (scores["DET"], scores["TRA"], scores["LNK"]) == (1, 1, 1)
    assert np.isnan(scores["CHOTA"])


def test_frames_of_one_pixel_are_not_scored():
    dots = movie(np.ones((3, 1, 1), np.uint16))
    with pytest.raises(FormatError, match="frames of one pixel; score larger frames"):
        evaluate(dots, dots)


def test_objects_that_are_one_in_the_result(colony):
    """Divisions are scored by pairs, also where one object found covers two true ones."""
    labels, parents = colony.labels_tyx, colony.parents
    merged = labels.copy()
    for frame in merged[len(merged) // 2 :]:
        ids = np.unique(frame)[1:]
        frame[frame == ids[1]] = ids[0]
    ids = set(np.unique(merged).tolist())
    kept = {c: p for c, p in parents.items() if {c, p} <= ids}
    scores = values(movie(merged, kept), movie(labels, parents))
    assert 0 < scores["TRA"] < 1
    assert 0 <= scores["division F1"] <= 1
