"""Divisions: candidates, and what accepting one does."""

import numpy as np
import pytest

from napari_sam2track.errors import EditError
from napari_sam2track.labels import ArrayLabels
from napari_sam2track.masks import two_pieces
from napari_sam2track.samples import dividing_nuclei
from napari_sam2track.tracks.editing.part_in_two import PartInTwo
from napari_sam2track.tracks.tracked_movie import table_of
from napari_sam2track.workspace.division_candidates import DivisionCandidate, scan_steps
from napari_sam2track.workspace.labels_workspace import LabelsWorkspace

N = 8


def parting(deep=False):
    """Track 1 falls apart in frame 3; the parts move apart, and touch again in the last frame."""
    labels = np.zeros((N, 60, 60), np.uint32)
    labels[:3, 24:34, 20:40] = 1
    for t in range(3, N):
        gap = t if t < N - 1 else 1
        labels[t, 24 - gap : 28 - gap + 4, 20:40] = 1
        labels[t, 34 + gap - 4 : 38 + gap, 20:40] = 1
    labels[N - 1, 24:38, 25:35] = 1
    labels[:, 2:8, 2:8] = 5
    return np.repeat(labels[:, None], 3, axis=1) if deep else labels


def scan(labels, parents=None):
    *progress, found = scan_steps(ArrayLabels(labels), table_of(ArrayLabels(labels), parents))
    assert progress[-1] == (len(labels), len(labels))
    return found


@pytest.mark.parametrize("deep", [False, True], ids=["2D", "3D"])
def test_a_mask_in_two_parts_is_found_and_becomes_two(deep, tmp_path):
    labels = parting(deep)
    (found,) = scan(labels)
    assert (found.parent, found.frame, found.others) == (1, 3, ()) and found.score > 0.9
    assert found.is_like(1, 5) and not found.is_like(1, 6) and not found.is_like(5, 3)
    work = LabelsWorkspace(ArrayLabels(labels.copy()), tmp_path)
    before = work.labels.array.copy()
    work.edit(found.edits(work.follows), "divide")
    after = work.labels.array
    assert dict(work.state.parents) == {6: 1, 7: 1}
    assert work.state.places.spans == {1: (0, 2), 5: (0, N - 1), 6: (3, N - 1), 7: (3, N - 1)}
    np.testing.assert_array_equal(after > 0, before > 0)  # no pixel is lost
    for t in range(3, N - 1):
        rows = [np.argwhere(after[t] == i)[:, -2] for i in (6, 7)]
        assert rows[0].max() < rows[1].min()
    work.undo()
    np.testing.assert_array_equal(after, before)
    assert not work.state.parents


def test_daughters_are_parted_where_they_touch_again(tmp_path):
    work = LabelsWorkspace(ArrayLabels(parting()), tmp_path)
    work.edit([PartInTwo(1, 3)], "divide")
    last = work.labels.array[-1]
    assert two_pieces(np.isin(last, (6, 7))) is None
    areas = [(last == i).sum() for i in (6, 7)]
    assert min(areas) > 0.7 * max(areas)


@pytest.mark.parametrize("deep", [False, True], ids=["2D", "3D"])
def test_two_that_touch_are_cut_in_the_middle(deep, tmp_path):
    """What a run says of daughters in touch is about a mask in one piece."""
    labels = np.zeros((4, 40, 60), np.uint32)
    for t in range(4):
        labels[t, 20:28, 10 - t : 50 + t] = 1
    if deep:
        labels = np.repeat(labels[:, None], 3, axis=1)
    assert scan(labels) == []
    work = LabelsWorkspace(ArrayLabels(labels.copy()), tmp_path)
    work.edit(DivisionCandidate(1, 2, 0.9).edits(work.follows), "divide")
    after = work.labels.array
    np.testing.assert_array_equal(after > 0, labels > 0)
    assert dict(work.state.parents) == {2: 1, 3: 1}
    for t in (2, 3):
        left, right = sorted(np.argwhere(after[t] == i)[:, -1].tolist() for i in (2, 3))
        assert max(left) == 29
        assert min(right) == 30


def test_the_daughter_that_is_left_keeps_all_of_it(tmp_path):
    """A mask goes on as one of the two: nobody cuts that one."""
    labels = np.zeros((6, 40, 60), np.uint32)
    labels[:4, 20:28, 10:50] = 1
    labels[4:, 20:28, 10:30] = 1
    work = LabelsWorkspace(ArrayLabels(labels), tmp_path)
    work.edit([PartInTwo(1, 2)], "divide")
    after = work.labels.array
    assert work.state.places.spans == {1: (0, 1), 2: (2, 5), 3: (2, 3)}
    for t in (4, 5):
        assert set(np.unique(after[t])) == {0, 2}


def test_children_go_to_the_nearer_daughter(tmp_path):
    labels = parting()
    labels[5:] = np.where(labels[5:] == 1, 0, labels[5:])
    labels[5:, 44:48, 20:40] = 9
    work = LabelsWorkspace(ArrayLabels(labels), tmp_path, parents={9: 1})
    work.edit([PartInTwo(1, 3)], "divide")
    assert dict(work.state.parents) == {10: 1, 11: 1, 9: 11}


def test_what_is_round_and_in_one_piece_is_refused(tmp_path):
    work = LabelsWorkspace(ArrayLabels(parting()), tmp_path)
    for track, frame, why in (
        (5, 3, "not in two parts"),
        (1, 0, "before that"),
        (8, 1, "no track"),
    ):
        with pytest.raises(EditError, match=why):
            work.edit([PartInTwo(track, frame)], "divide")
    assert not work.history.steps
    # two pieces that are not of about the same size: nothing is cut through the larger one
    labels = np.zeros((3, 40, 60), np.uint32)
    labels[:, 20:28, 2:42] = 1
    labels[:, 20:28, 46:58] = 1
    with pytest.raises(EditError, match="not in two parts of about the same size"):
        LabelsWorkspace(ArrayLabels(labels), tmp_path / "pieces").edit([PartInTwo(1, 1)], "divide")


def test_divisions_of_truth_are_found_from_their_places():
    truth = dividing_nuclei(20, 220, n_cells=12, divisions=0.02, seed=6)
    real = {}
    for child, parent in truth.parents.items():
        real.setdefault(parent, []).append(child)
    assert len(real) >= 2
    # nobody knows the parents
    found = {(c.parent, tuple(sorted(c.others))) for c in scan(truth.labels_tyx)}
    assert {(p, tuple(sorted(c))) for p, c in real.items() if len(c) == 2} <= found
    assert scan(truth.labels_tyx, truth.parents) == []
    # the mother goes on as one of her daughters
    merged = truth.labels_tyx.copy()
    for parent, (a, _) in real.items():
        merged[merged == a] = parent
    beside = {(c.parent, c.others) for c in scan(merged) if len(c.others) == 1}
    assert {(p, (b,)) for p, (_, b) in real.items() if p not in truth.parents} <= beside


def test_accepting_both_kinds(tmp_path):
    labels = np.zeros((6, 40, 60), np.uint32)
    labels[:3, 10:26, 20:36] = 1
    labels[3:, 10:18, 20:36] = 2
    labels[3:, 19:27, 20:36] = 3
    (found,) = scan(labels)
    assert found == DivisionCandidate(1, 3, 1.0, (2, 3)) and "2 and 3 begin" in found.text
    work = LabelsWorkspace(ArrayLabels(labels.copy()), tmp_path / "a")
    work.edit(found.edits(False), "divide")
    assert dict(work.state.parents) == {2: 1, 3: 1}
    labels[labels == 2] = 1
    (found,) = scan(labels)
    assert found == DivisionCandidate(1, 3, 1.0, (3,)) and "3 begins beside" in found.text
    work = LabelsWorkspace(ArrayLabels(labels.copy()), tmp_path / "b")
    work.edit(found.edits(False), "divide")
    assert dict(work.state.parents) == {4: 1, 3: 1} and work.state.places.span(1) == (0, 2)


def test_runs_follow_the_daughters_and_leave_the_mother(tmp_path):
    from napari_sam2track.frames import open_frames
    from napari_sam2track.models.registry import find_model
    from napari_sam2track.prompts import Point, Prompt
    from napari_sam2track.samples import centre_pixels, moving_cells
    from napari_sam2track.tracks.editing.paint_edits import PaintMask
    from napari_sam2track.workspace.workspace import Workspace

    n = 6
    sample = moving_cells(n, 120, 120, n_cells=3, seed=3)
    labels = ArrayLabels(np.zeros(sample.images_tyx.shape, np.uint32))
    work = Workspace(open_frames(sample.images_tyx), labels, tmp_path, find_model("bundled"))

    def run():
        for progress in work.begin_run():
            work.receive(progress)
        work.end_run()

    place = centre_pixels(sample.labels_tyx[0])[1]
    work.set_prompts(work.annotations.prompts.add(1, 0, Prompt(points=(Point(*place),))))
    run()
    for t in range(3, n):  # a furrow
        box, mask = work.state.mask(1, t)
        cut = np.zeros_like(mask)
        cut[mask.shape[0] // 2 - 1 : mask.shape[0] // 2 + 1] = True
        work.edit([PaintMask(1, t, cut, (box[0].start, box[1].start), "erase")], "furrow")
    (found,) = scan(labels.array)
    assert (found.parent, found.frame) == (1, 3)
    work.edit(found.edits(work.follows), "divide")
    assert dict(work.state.parents) == {2: 1, 3: 1}
    prompts = work.annotations.prompts
    assert set(prompts.of_object(2)) == set(prompts.of_object(3)) == {3}
    assert set(prompts.of_object(1)) == {0}
    assert set(work.stale()) == {2, 3}
    divided = labels.array.copy()
    run()
    assert work.stale() == {}
    assert work.state.places.span(1) == (0, 2) and dict(work.state.parents) == {2: 1, 3: 1}
    assert {work.state.places.span(i)[0] for i in (2, 3)} == {3}
    np.testing.assert_array_equal(labels.array[:3], divided[:3])
    for _ in range(2):
        work.undo()
    assert (labels.array[4] == 1).any() and work.annotations.prompts.objects == (1,)
