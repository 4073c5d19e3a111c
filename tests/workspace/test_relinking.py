"""Ids after linking, and what was said of them."""

import numpy as np
import pytest

from napari_sam2track.errors import EditError
from napari_sam2track.labels import ArrayLabels
from napari_sam2track.masks import Mask
from napari_sam2track.params import LinkParams
from napari_sam2track.prompts import Point, Prompt, PromptSet
from napari_sam2track.samples import dividing_nuclei
from napari_sam2track.samples.lineages import shake
from napari_sam2track.tracks.tracked_movie import table_of
from napari_sam2track.workspace.annotations import Annotations
from napari_sam2track.workspace.frame_sets import FrameSets
from napari_sam2track.workspace.labels_workspace import LabelsWorkspace
from napari_sam2track.workspace.relinking import (
    Linked,
    annotations_after,
    check_ids,
    keep_ids,
    link_steps,
)


def ids_of(rows, first_new=100):
    tracks, old, frames = np.array(rows).T
    return keep_ids(tracks.astype(np.uint32), old.astype(np.uint32), frames, first_new)


def test_a_track_keeps_the_id_of_most_of_its_detections():
    # track 1: label 7 twice, 8 once; track 2: 8 three times
    rows = [(1, 7, 0), (1, 7, 1), (1, 8, 2), (2, 8, 3), (2, 8, 4), (2, 8, 5)]
    assert ids_of(rows) == {1: 7, 2: 8}


def test_of_equal_claims_the_earlier_one_holds():
    assert ids_of([(1, 5, 0), (1, 6, 1)]) == {1: 5}  # first in time
    assert ids_of([(2, 5, 0), (2, 5, 1), (1, 5, 3), (1, 5, 4)]) == {2: 5, 1: 100}  # begins first
    assert ids_of([(1, 5, 0), (2, 5, 1), (2, 5, 2)]) == {2: 5, 1: 100}  # more detections
    assert ids_of([(1, 5, 0), (2, 5, 1), (3, 5, 2)], 9) == {1: 5, 2: 9, 3: 10}


def link(labels, params=None, locked=(), prompted=False):
    before = table_of(labels)
    first = before.max_id + 1
    *progress, linked = link_steps(labels, params or LinkParams(), before, locked, first, prompted)
    assert progress[-1] == (labels.n_frames, labels.n_frames)
    assert isinstance(linked, Linked)
    return linked


@pytest.fixture(scope="module")
def truth():
    return dividing_nuclei(12, 160, n_cells=8, divisions=0.03, seed=4)


def test_shuffled_labels_become_the_tracks_that_they_were(truth):
    moved = shake(truth, jumps={5: (6, -4)})
    rng = np.random.default_rng(0)
    shuffled = np.zeros_like(moved.labels_tyx)
    for t, frame in enumerate(moved.labels_tyx):
        names = np.append(0, 1 + rng.permutation(int(moved.labels_tyx.max())))
        shuffled[t] = names[frame]
    linked = link(ArrayLabels(shuffled))
    out = np.stack([linked.renamed(t, shuffled[t]) for t in range(12)])
    for track in np.unique(moved.labels_tyx)[1:]:
        there = moved.labels_tyx == track
        if there.any(axis=(1, 2)).sum() > 1:
            assert len(np.unique(out[there])) == 1, track
    assert len(linked.table.parents) == len(moved.parents)
    # the table is that of the labels
    again = table_of(ArrayLabels(out))
    assert again.ids.tolist() == linked.table.ids.tolist() and len(again) == len(linked.table)


def test_labels_that_are_tracks_already_keep_their_ids(truth):
    linked = link(ArrayLabels(truth.labels_tyx))
    for t in range(12):
        assert not linked.changes(t)
        np.testing.assert_array_equal(linked.renamed(t, truth.labels_tyx[t]), truth.labels_tyx[t])
    assert linked.table.parents == truth.parents


def test_a_locked_track_stays_though_it_jumps():
    labels = np.zeros((4, 40, 40), np.uint32)
    labels[:2, 2:8, 2:8] = 1
    labels[2:, 30:36, 30:36] = 1
    labels[:, 20:24, 2:6] = 2
    assert len(np.unique(link(ArrayLabels(labels)).renamed(3, labels[3]))) == 3
    assert 1 not in link(ArrayLabels(labels)).renamed(3, labels[3])
    held = link(ArrayLabels(labels), locked=[1, 77])
    np.testing.assert_array_equal(held.renamed(3, labels[3]), labels[3])


def test_binary_masks_are_separated_but_not_a_prompted_object():
    masks = np.zeros((3, 20, 40), np.uint8)
    masks[:, 2:8, 2:8] = masks[:, 10:16, 30:36] = 1
    linked = link(ArrayLabels(masks))
    assert linked.split and linked.table.n_tracks == 2 and 1 in linked.table.ids
    assert linked.ids[1, 0] in (1, 2)
    whole = link(ArrayLabels(masks), prompted=True)
    assert not whole.split and whole.table.n_tracks == 1


def test_what_was_said_goes_with_the_label():
    click, mask = Prompt(points=(Point(1, 1),)), Prompt(mask=Mask(np.ones((2, 2), bool), 0, 0))
    prompts = PromptSet({(1, 0): click, (1, 5): mask, (2, 0): click, (9, 3): click})
    annotations = Annotations(prompts, FrameSets({1: {2, 5}, 9: {3}}), FrameSets({1: {5}}))
    ids = {(1, 0): 1, (1, 2): 1, (1, 4): 20, (2, 0): 2, (2, 4): 1}
    after = annotations_after(annotations, ids)
    # (1, 5) is not drawn: it goes where 1 was in frame 4
    assert dict(after.prompts.items()) == {
        (1, 0): click,
        (20, 5): mask,
        (2, 0): click,
        (9, 3): click,
    }
    assert after.approved == FrameSets({20: {5}})
    # and where ids are others, runs must not bring the old ones back
    assert after.kept == FrameSets({1: {2, 4}, 20: {4, 5}, 2: {4}, 9: {3}})


def test_ids_that_do_not_fit_are_refused(truth):
    with pytest.raises(EditError, match="hold ids up to 3; convert the layer to 32 bits"):
        check_ids(table_of(ArrayLabels(truth.labels_tyx)), 3)


@pytest.fixture
def work(truth, tmp_path):
    shuffled = truth.labels_tyx.copy()
    shuffled[6:] = np.where(shuffled[6:], 200 - shuffled[6:], 0)
    return LabelsWorkspace(ArrayLabels(shuffled), tmp_path)


def relabel(work, stop_after=None):
    linked = link(work.labels)
    work.begin_relabel("link")
    for t in range(work.labels.n_frames):
        if t == stop_after:
            return
        old = work.labels.read(t)
        work.replace_frame(t, linked.renamed(t, old), old)
    work.end_relabel(linked.table, annotations_after(work.annotations, linked.ids))


def test_linking_is_one_step_to_undo(work, truth):
    before = work.labels.array.copy()
    relabel(work)
    after = work.labels.array.copy()
    np.testing.assert_array_equal(after > 0, before > 0)
    assert dict(work.state.parents) and table_of(work.labels).ids.tolist() == work.state.places.ids
    assert work.undo().title == "link"
    np.testing.assert_array_equal(work.labels.array, before)
    assert not work.state.parents and work.state.places.ids == table_of(work.labels).ids.tolist()
    work.redo()
    np.testing.assert_array_equal(work.labels.array, after)


def test_linking_that_breaks_off_changes_nothing(work):
    before = work.labels.array.copy()
    relabel(work, stop_after=8)
    assert work.busy
    work.drop_relabel()
    np.testing.assert_array_equal(work.labels.array, before)
    assert not work.busy and not work.history.steps
