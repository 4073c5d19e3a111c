"""The bundled model on a small synthetic movie, driven as a window would drive it."""

import numpy as np
import pytest

from napari_sam2track.errors import EditError, UsageError
from napari_sam2track.frames import open_frames
from napari_sam2track.labels import ArrayLabels
from napari_sam2track.masks import Mask
from napari_sam2track.models.registry import find_model
from napari_sam2track.params import EngineParams
from napari_sam2track.prompts import Point, Prompt
from napari_sam2track.samples import centre_pixels, moving_cells
from napari_sam2track.tracks.editing.edits import Delete, Merge, Split, Swap
from napari_sam2track.workspace.state_grid import (
    ABSENT,
    APPROVED,
    CORRECTED,
    NONE,
    PROMPTED,
    PROPAGATED,
    STALE,
)
from napari_sam2track.workspace.workspace import Workspace

N = 6


@pytest.fixture(scope="module")
def sample():
    return moving_cells(N, 120, 120, n_cells=3, seed=3)


@pytest.fixture
def work(sample, tmp_path):
    labels = ArrayLabels(np.zeros(sample.images_tyx.shape, np.uint32))
    return Workspace(open_frames(sample.images_tyx), labels, tmp_path, find_model("bundled"))


@pytest.fixture
def centres(sample):
    return centre_pixels(sample.labels_tyx[0])


def click(work, object_id, t, place, positive=True):
    prompt = Prompt(points=(Point(*place, positive),))
    return work.set_prompts(work.annotations.prompts.add(object_id, t, prompt))


def look(work, keys):
    for key in keys:
        prompt, see = work.looker(key)
        assert work.accept_look(key, prompt, see())


def run(work, stop_after=None, **options):
    steps = work.begin_run(**options)
    for k, progress in enumerate(steps, 1):
        work.receive(progress)
        if k == stop_after:
            steps.close()
            break
    work.end_run()


def iou(a, b):
    return (a & b).sum() / (a | b).sum()


def row(work, object_id):
    return work.grid.states[work.grid.ids.index(object_id)].tolist()


def test_a_click_shows_the_object_and_undo_takes_it_away(work, sample, centres):
    look(work, click(work, 1, 0, centres[1]))
    assert iou(work.labels.read(0) == 1, sample.labels_tyx[0] == 1) > 0.7
    assert not work.labels.array[1:].any()
    assert row(work, 1) == [PROMPTED] + [NONE] * (N - 1)
    look(work, click(work, 2, 0, centres[2]))
    shown = work.labels.array.copy()
    assert work.undo().title == "prompts"
    assert work.annotations.prompts.objects == (1,)
    assert not (work.labels.array == 2).any() and (work.labels.array == 1).any()
    work.redo()
    assert work.annotations.prompts.objects == (1, 2)
    np.testing.assert_array_equal(work.labels.array, shown)
    work.undo(), work.undo()
    assert not work.labels.array.any() and not work.annotations.prompts
    with pytest.raises(EditError, match="nothing to undo"):
        work.undo()


@pytest.fixture
def followed(work, centres):
    for i in (1, 2, 3):
        click(work, i, 0, centres[i])
    run(work)
    return work


def test_a_run_is_one_step_to_undo(followed, sample):
    work, after = followed, followed.labels.array.copy()
    for i in (1, 2, 3):
        assert iou(after == i, sample.labels_tyx == i) > 0.7
        assert row(work, i) == [PROMPTED] + [PROPAGATED] * (N - 1)
    assert work.stale() == {}
    assert work.undo().title == "follow 3 objects"
    assert not work.labels.array.any() and work.store.finished() == []
    assert row(work, 1) == [PROMPTED] + [NONE] * (N - 1)
    work.redo()
    np.testing.assert_array_equal(work.labels.array, after)
    assert work.stale() == {} and row(work, 2) == [PROMPTED] + [PROPAGATED] * (N - 1)


def test_a_stopped_run_keeps_what_is_done_and_goes_on_to_the_same_end(followed, work, centres):
    whole = followed.labels.array.copy()
    followed.undo()
    run(work, stop_after=2)
    np.testing.assert_array_equal(work.labels.array[:2], whole[:2])
    assert not work.labels.array[2:].any()
    assert work.stale() == {i: list(range(2, N)) for i in (1, 2, 3)}
    run(work)
    np.testing.assert_array_equal(work.labels.array, whole)
    work.undo()
    assert not work.labels.array[2:].any() and work.labels.array[1].any()
    work.undo()
    assert not work.labels.array.any()


def test_painting_is_a_correction_of_that_object_alone(followed, sample):
    work, before = followed, followed.labels.array.copy()
    y, x = np.argwhere(before[3] == 2)[0]
    box = (slice(3, 4), slice(y - 4, y), slice(x - 4, x))
    old = work.labels.array[box].copy()
    work.labels.array[box] = 2
    assert work.paint([(box, None, old, 2)]) == {2}
    assert row(work, 2) == [PROMPTED, PROPAGATED, PROPAGATED, CORRECTED, STALE, STALE]
    assert row(work, 1) == [PROMPTED] + [PROPAGATED] * 5
    assert work.stale() == {2: [4, 5]}
    painted = work.labels.array[3].copy()
    run(work)
    np.testing.assert_array_equal(work.labels.array[3], painted)
    np.testing.assert_array_equal(work.labels.array[:3], before[:3])
    for i in (1, 3):  # others, but where the corrected one took pixels or left them
        ours = work.labels.array[4:] == 2
        np.testing.assert_array_equal(
            (work.labels.array[4:] == i)[~ours & (before[4:] != 2)],
            (before[4:] == i)[~ours & (before[4:] != 2)],
        )
    work.undo(), work.undo()
    np.testing.assert_array_equal(work.labels.array, before)
    assert row(work, 2) == [PROMPTED] + [PROPAGATED] * 5


def test_a_click_on_a_tracked_frame_is_seen_with_what_is_remembered(followed, sample):
    work = followed
    y, x = (int(v) for v in np.argwhere(work.labels.array[3] == 1).mean(axis=0))
    keys = click(work, 1, 3, (y, x))
    assert keys == [(1, 3)]
    look(work, keys)
    seen = work.labels.array[3] == 1
    assert iou(seen, sample.labels_tyx[3] == 1) > 0.7
    run(work)  # what is shown at once is what a run finds
    np.testing.assert_array_equal(work.labels.array[3] == 1, seen)


def test_an_older_answer_is_dropped(work, centres):
    (key,) = click(work, 1, 0, centres[1])
    prompt, see = work.looker(key)
    result = see()
    click(work, 1, 0, centres[2])
    assert not work.accept_look(key, prompt, result)
    assert not work.labels.array.any()


def test_a_deleted_prompt_takes_its_pixels_along_but_not_those_of_a_run(followed):
    work, before = followed, followed.labels.array.copy()
    prompt = Prompt(points=(Point(60, 60),))
    look(work, work.set_prompts(work.annotations.prompts.add(7, 2, prompt)))
    work.set_prompts(work.annotations.prompts.remove(7))
    assert not (work.labels.array == 7).any()
    work.set_prompts(work.annotations.prompts.remove(1))
    np.testing.assert_array_equal(work.labels.array == 1, before == 1)


def test_a_split_stays_split(followed):
    work, before = followed, followed.labels.array.copy()
    step = work.edit([Split(2, 3)], "split")
    new = max(step.summary().tracks)
    assert work.annotations.prompts.objects == (1, 2, 3, new)
    assert list(work.annotations.prompts.of_object(new)) == [3]
    assert row(work, 2) == [PROMPTED, PROPAGATED, PROPAGATED] + [ABSENT] * 3
    assert row(work, new) == [ABSENT] * 3 + [PROMPTED, CORRECTED, CORRECTED]
    after = work.labels.array.copy()
    assert work.stale() == {}
    with pytest.raises(StopIteration):
        next(work.begin_run())
    work.end_run()
    np.testing.assert_array_equal(work.labels.array, after)
    work.undo()
    np.testing.assert_array_equal(work.labels.array, before)
    assert work.annotations.prompts.objects == (1, 2, 3)
    assert row(work, 2) == [PROMPTED] + [PROPAGATED] * 5


def test_a_track_that_was_split_while_half_followed_goes_on_as_the_new_one(work, centres, sample):
    click(work, 1, 0, centres[1])
    run(work, stop_after=4)
    new = max(work.edit([Split(1, 2)], "split").summary().tracks)
    assert work.stale() == {new: [4, 5]}
    run(work)
    assert set(np.unique(work.labels.array[5]).tolist()) == {0, new}
    assert iou(work.labels.array[5] == new, sample.labels_tyx[5] == 1) > 0.7


def test_swapped_tracks_stay_swapped(work, centres, sample):
    click(work, 1, 0, centres[1]), click(work, 2, 0, centres[2])
    run(work, stop_after=4)
    work.edit([Swap(1, 2, 2)], "swap")
    run(work)
    for t, (a, b) in ((1, (1, 2)), (3, (2, 1)), (5, (2, 1))):
        assert iou(work.labels.array[t] == 1, sample.labels_tyx[t] == a) > 0.7
        assert iou(work.labels.array[t] == 2, sample.labels_tyx[t] == b) > 0.7


def test_merged_and_deleted_tracks_do_not_come_back(followed):
    work = followed
    new = max(work.edit([Split(2, 3)], "split").summary().tracks)
    work.edit([Merge(2, new)], "merge")
    work.edit([Delete(3)], "delete")
    assert work.annotations.prompts.objects == (1, 2)
    assert list(work.annotations.prompts.of_object(2)) == [0, 3]
    after = work.labels.array.copy()
    prompt = Prompt(points=(Point(5, 5),))
    look(work, work.set_prompts(work.annotations.prompts.add(9, 1, prompt)))
    work.set_prompts(work.annotations.prompts.remove(9))
    run(work) if work.stale() else None
    np.testing.assert_array_equal(work.labels.array, after)
    assert 3 not in work.store.objects() or work.stale() == {}


def test_objects_that_are_drawn_and_such_that_are_only_prompted_go_and_come_back_at_once(followed):
    work, before = followed, followed.labels.array.copy()
    work.set_prompts(work.annotations.prompts.add(9, 1, Prompt(points=(Point(5, 5),))))
    annotations, steps = work.annotations, len(work.history.steps)
    work.delete([9, 2])
    assert work.annotations.prompts.objects == (1, 3)
    assert not (work.labels.array == 2).any()
    assert len(work.history.steps) == steps + 1
    assert work.undo().title == "delete 9, 2"
    np.testing.assert_array_equal(work.labels.array, before)
    assert work.annotations == annotations
    work.delete([9])
    assert work.annotations.prompts.objects == (1, 2, 3)


def test_what_is_entered_frame_by_frame_is_what_is_entered_at_once(work, centres):
    for i in centres:
        click(work, i, 0, centres[i])
    run(work, stop_after=4)
    work.say(work.annotations.accepted(2, [1, 3]), "accept")
    work.edit([Split(3, 2)], "split")
    click(work, 1, 3, (5, 5), positive=False)
    run(work, stop_after=2)
    whole = work.grid.states.copy(), work.grid.scores.copy()
    assert len(np.unique(whole[0])) >= 5
    work.grid.states[:], work.grid.scores[:] = NONE, 0
    for t in range(N):
        work.refresh(frame=t)
    np.testing.assert_array_equal(work.grid.states, whole[0])
    np.testing.assert_array_equal(work.grid.scores, whole[1])


def test_approved_frames_stay(followed, centres):
    work = followed
    work.say(work.annotations.accepted(1, [3, 4]), "accept")
    assert row(work, 1) == [PROMPTED, PROPAGATED, PROPAGATED, APPROVED, APPROVED, PROPAGATED]
    before = work.labels.array.copy()
    click(work, 1, 0, (centres[1][0] + 2, centres[1][1]))
    assert work.stale() == {1: [0, 1, 2, 5]}
    run(work)
    np.testing.assert_array_equal(work.labels.array[3:5] == 1, before[3:5] == 1)
    work.say(work.annotations.reopened(1, [3, 4]), "open again")
    assert work.stale() == {1: [3, 4]}


def test_locked_objects_are_left_out(followed, centres):
    work = followed
    work.lock([2])
    before = work.labels.array.copy()
    for i in (1, 2):
        click(work, i, 0, (centres[i][0] + 1, centres[i][1]))
    run(work)
    np.testing.assert_array_equal(work.labels.array == 2, before == 2)
    assert list(work.stale()) == [2]


def test_labels_of_others_are_not_overwritten(work, centres):
    foreign = (slice(None), slice(0, 40), slice(0, 40))
    work.labels.array[foreign] = 50
    work.state.reread(range(N))
    inside = next((i for i, (y, x) in centres.items() if y < 40 and x < 40), 1)
    click(work, inside, 0, centres[inside])
    run(work)
    assert (work.labels.array[foreign] == 50).all()


def test_what_cannot_be_followed_says_why(work, centres):
    with pytest.raises(UsageError, match="nothing to follow: click on an object"):
        work.begin_run()
    click(work, 1, 0, centres[1])
    with pytest.raises(UsageError, match="no object has a prompt within frames 2 to 4"):
        work.begin_run(start=2, stop=4)
    steps = work.begin_run()
    with pytest.raises(UsageError, match="a run goes on; stop it first, then undo"):
        work.undo()
    steps.close()
    work.end_run()


@pytest.fixture(scope="module")
def dividing():
    """One disc that becomes two on frame 4."""
    images = np.zeros((9, 120, 120), np.uint8)
    yy, xx = np.mgrid[:120, :120]
    for t in range(9):
        away = 0 if t < 4 else 14 + t
        for side in (-1, 1):
            radius = 14 if t < 4 else 10
            inside = (yy - 60) ** 2 + (xx - 60 - side * away) ** 2 < radius**2
            images[t][inside] = 200
    return images


def test_a_division_that_is_applied_ends_the_parent_and_links_its_daughters(dividing, tmp_path):
    labels = ArrayLabels(np.zeros(dividing.shape, np.uint32))
    engine = EngineParams(divisions="apply")
    work = Workspace(open_frames(dividing), labels, tmp_path, find_model("bundled"), engine)
    mask = Mask.from_frame(dividing[0] > 0)
    work.set_prompts(work.annotations.prompts.add(1, 0, Prompt(mask=mask)))
    labels.array[:, :5, :5] = 77  # of somebody else
    work.state.reread(range(9))
    run(work)
    plan = work.plan()
    assert plan is not None
    daughters = sorted(plan.decided.found.objects)
    assert len(daughters) == 2 and daughters[0] > 77
    assert dict(work.state.parents) == dict.fromkeys(daughters, 1)
    first = plan.ends[1] + 1
    assert not (labels.array[first:] == 1).any()
    for d in daughters:
        assert (labels.array[first:] == d).any(axis=(1, 2)).all()
        assert d in work.grid.ids
    after = labels.array.copy()
    work.undo()
    assert set(np.unique(labels.array).tolist()) == {0, 77} and not work.state.parents
    work.redo()
    np.testing.assert_array_equal(labels.array, after)


def test_a_click_during_a_run_is_undone_with_its_pixels(work, centres):
    click(work, 1, 0, centres[1])
    steps = work.begin_run()
    work.receive(next(steps))
    look(work, click(work, 2, 0, centres[2]))
    assert (work.labels.read(0) == 2).any()
    for progress in steps:
        work.receive(progress)
    work.end_run()
    shown = work.labels.array.copy()
    assert (shown[0] == 2).any()
    work.undo()
    assert not (work.labels.array == 2).any() and (work.labels.array[-1] == 1).any()
    work.redo()
    assert work.unseen() == [(2, 0)]
    prompt, see = work.looker((2, 0))
    work.accept_look((2, 0), prompt, see())
    np.testing.assert_array_equal(work.labels.array == 2, shown == 2)
    work.undo(), work.undo(), work.undo()
    assert not work.labels.array.any()


def test_an_erased_object_stays_away(followed):
    work = followed
    where = work.labels.array[4] == 2
    work.labels.array[4][where] = 0
    box = (slice(4, 5), slice(0, where.shape[0]), slice(0, where.shape[1]))
    work.paint([(box, where[None], np.full(int(where.sum()), 2), 0)])
    assert row(work, 2)[4] == APPROVED
    y, x = np.argwhere(work.labels.array[2] == 2)[0]
    look(work, click(work, 2, 2, (int(y) + 3, int(x) + 1)))
    run(work)
    assert not (work.labels.array[4] == 2).any() and (work.labels.array[5] == 2).any()


def test_redo_survives_a_look_that_finds_the_same(work, centres):
    look(work, click(work, 1, 0, centres[1]))
    look(work, click(work, 2, 0, centres[2]))
    work.undo()
    prompt, see = work.looker((1, 0))
    work.accept_look((1, 0), prompt, see())
    assert work.history.can_redo
    work.redo()
    assert (work.labels.array == 2).any()


def test_accepting_is_a_step_and_a_second_time_reopens(work, centres):
    click(work, 1, 0, centres[1])
    run(work)
    assert not work.accept(99, [0])  # nobody knows it
    assert work.accept(1, [2])
    assert work.annotations.approved.of(1) == {2}
    assert work.accept(1, range(N))
    assert work.annotations.approved.of(1) == set(range(N))
    assert work.accept(1, range(N))
    assert not work.annotations.approved.of(1)
    work.undo()
    assert work.annotations.approved.of(1) == set(range(N))


def test_problems_come_one_after_the_other(work, centres):
    assert work.grid.next_problem((0, 0)) is None
    click(work, 1, 0, centres[1])
    click(work, 2, 0, centres[2])
    run(work)
    click(work, 1, 3, centres[1])  # later frames of it are stale
    first = work.grid.next_problem((0, 0))
    assert first is not None and first[1] == 1
    assert work.grid.next_problem(first) != first
    assert work.grid.next_problem((N, 9)) == first  # around the end


def test_a_late_window_shows_what_is_stored(work, centres):
    """A step that waits in the queue is older than what was removed from its frame since."""
    click(work, 1, 0, centres[1])
    click(work, 2, 0, centres[2])
    steps = list(work.begin_run())
    for t in range(3, N):  # as a division does with the parent
        work.store.remove(t, [1])
    for step in steps:
        work.receive(step)
    work.end_run()
    for t in range(N):
        stored = set(np.unique(work.store.read(t).labels_yx).tolist())
        assert set(np.unique(work.labels.read(t)).tolist()) == stored, t
