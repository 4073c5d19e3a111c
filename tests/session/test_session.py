"""The session with the bundled model: passes, stop, resume."""

from dataclasses import replace

import numpy as np
import pytest

from napari_sam2track.engine import touching_daughters
from napari_sam2track.engine.divisions import TwoParts
from napari_sam2track.engine.touching_daughters import halves
from napari_sam2track.errors import DeviceError, PromptError, UsageError
from napari_sam2track.frames import open_frames
from napari_sam2track.masks import Mask
from napari_sam2track.models.registry import find_model
from napari_sam2track.params import AutoParams, EngineParams
from napari_sam2track.prompts import Point, Prompt, PromptSet
from napari_sam2track.samples import centre_pixels, mean_overlap, moving_cells
from napari_sam2track.session.run_store import RunStore
from napari_sam2track.session.runner import Runner
from napari_sam2track.session.session import Session
from napari_sam2track.training.synthetic.scene import polyline_depth


@pytest.fixture(scope="module")
def sample():
    return moving_cells(10, 130, 160, 4, seed=5)


@pytest.fixture(scope="module")
def movie(sample):
    return open_frames(sample.images_tyx, axes="TYX")


def click(sample, object_id, t, new_id=None):
    y, x = centre_pixels(sample.labels_tyx[t])[object_id]
    return {(new_id or object_id, t): Prompt(points=(Point(y, x),))}


def given(sample, object_id, t):
    return {(object_id, t): Prompt(mask=Mask.from_frame(sample.labels_tyx[t] == object_id))}


def session(movie, prompts, **engine):
    return Session(movie, find_model("bundled"), PromptSet(prompts), EngineParams(**engine))


def store_at(folder, movie):
    return RunStore(folder, (movie.n_frames, movie.height, movie.width))


def run(work, folder):
    store = store_at(folder, work.frames)
    steps = list(Runner(work, store).propagate())
    return store, steps


def known(work, store):
    """The runner of a session whose run is in a store."""
    runner = Runner(work, store)
    runner.recall()
    return runner


def stack(store):
    return np.stack(list(store.labels()))


def test_objects_are_followed_both_ways_from_their_first_prompt(sample, movie, tmp_path):
    work = session(movie, given(sample, 1, 0) | given(sample, 2, 5))
    store, steps = run(work, tmp_path)
    labels = stack(store)
    done = [s.done for s in steps]
    assert done == sorted(done)
    assert steps[-1].done == steps[-1].total == 20  # both objects on all frames
    assert np.unique(labels[0]).tolist() == [0, 1, 2]
    kept = np.where(np.isin(sample.labels_tyx, (1, 2)), sample.labels_tyx, 0)
    assert mean_overlap(kept, labels, 0) > 0.7


@pytest.mark.parametrize(
    ("direction", "frames"), [("forward", range(5, 10)), ("backward", range(6))]
)
def test_one_direction(sample, movie, tmp_path, direction, frames):
    store, _ = run(session(movie, given(sample, 2, 5), direction=direction), tmp_path)
    assert store.finished() == list(frames)


def test_a_range_of_frames(sample, movie, tmp_path):
    store, _ = run(session(movie, given(sample, 2, 5), start=3, stop=7), tmp_path)
    assert store.finished() == [3, 4, 5, 6, 7]


def same_runs(one, other):
    np.testing.assert_array_equal(stack(one), stack(other))
    for t in range(one.shape[0]):
        a, b = one.read(t), other.read(t)
        np.testing.assert_array_equal(a.rows, b.rows)
        np.testing.assert_array_equal(a.logits, b.logits)


@pytest.mark.parametrize("stop_after", [1, 4, 12])
def test_stopped_and_resumed_equals_uninterrupted(sample, movie, tmp_path, stop_after):
    prompts = click(sample, 1, 0) | click(sample, 2, 5) | click(sample, 1, 6)
    whole, steps = run(session(movie, prompts), tmp_path / "whole")
    part = store_at(tmp_path / "part", movie)
    first = Runner(session(movie, prompts), part).propagate()
    done = [next(first).done for _ in range(stop_after)][-1]
    first.close()
    resumed, again = run(session(movie, prompts), tmp_path / "part")
    assert again[-1].done == again[-1].total == steps[-1].done - done  # nothing twice
    same_runs(resumed, whole)


@pytest.mark.parametrize("after", [1, 5, 9, 13])
def test_a_run_that_was_killed_goes_on_from_what_is_stored(
    sample, movie, tmp_path, after, monkeypatch
):
    prompts = click(sample, 1, 0) | click(sample, 2, 5) | click(sample, 1, 3)
    whole, steps = run(session(movie, prompts), tmp_path / "whole")
    part = store_at(tmp_path / "part", movie)
    killed = Runner(session(movie, prompts), part).propagate()
    done = [next(killed).done for _ in range(after)][-1]
    with monkeypatch.context() as no_time:  # a kill leaves no time to save anything
        no_time.setattr(RunStore, "save_memories", lambda *_: None)
        killed.close()
    resumed, again = run(session(movie, prompts), tmp_path / "part")
    assert again[-1].done == steps[-1].done - done
    same_runs(resumed, whole)


def corrected(sample, movie, folder, prompts, correction):
    """A run, then another one with more prompts; what the second one computed."""
    store, _ = run(session(movie, prompts), folder)
    before = stack(store), [store.read(t) for t in range(movie.n_frames)]
    work = session(movie, prompts | correction)
    stale = Runner(work, store).stale()
    steps = list(Runner(work, store).propagate())
    computed = {(o.object_id, s.frame) for s in steps for o in s.result.objects}
    assert computed == {(i, t) for i, frames in stale.items() for t in frames}
    assert not Runner(work, store).stale()
    return store, before, computed


def unchanged(store, before, computed):
    """All pairs but those that were computed are as they were, bit for bit."""
    for t, old in enumerate(before[1]):
        new = store.read(t)
        for object_id, patch in old.patches():
            if (object_id, t) not in computed:
                now = new.patch_of(object_id)
                assert (now.y0, now.x0) == (patch.y0, patch.x0)
                np.testing.assert_array_equal(now.logits_yx, patch.logits_yx)


def test_a_correction_recomputes_up_to_the_next_prompt(sample, movie, tmp_path):
    prompts = click(sample, 1, 0) | click(sample, 1, 7) | click(sample, 2, 0)
    store, before, computed = corrected(sample, movie, tmp_path, prompts, given(sample, 1, 4))
    assert computed == {(1, 4), (1, 5), (1, 6)}
    unchanged(store, before, computed)
    kept = store.read(4).patch_of(1).mask.to_frame(movie.height, movie.width)
    np.testing.assert_array_equal(kept, sample.labels_tyx[4] == 1)


def test_a_correction_can_go_back_half_way(sample, movie, tmp_path):
    prompts = click(sample, 1, 0) | click(sample, 2, 0)
    store, _ = run(session(movie, prompts, before="halfway"), tmp_path)
    before = stack(store), [store.read(t) for t in range(movie.n_frames)]
    work = session(movie, prompts | given(sample, 1, 6), before="halfway")
    steps = list(Runner(work, store).propagate())
    computed = {(o.object_id, s.frame) for s in steps for o in s.result.objects}
    assert computed == {(1, t) for t in range(4, 10)}
    unchanged(store, before, computed)


def test_an_object_that_is_added_leaves_the_others_alone(sample, movie, tmp_path):
    prompts = click(sample, 1, 0) | click(sample, 2, 4)
    store, before, computed = corrected(sample, movie, tmp_path, prompts, click(sample, 3, 2))
    assert computed == {(3, t) for t in range(10)}
    unchanged(store, before, computed)


def test_a_deleted_prompt_makes_stale_what_followed_from_it(sample, movie, tmp_path):
    prompts = click(sample, 1, 0) | click(sample, 1, 4) | click(sample, 1, 7)
    store, _ = run(session(movie, prompts), tmp_path / "one")
    fewer = click(sample, 1, 0) | click(sample, 1, 7)
    work = session(movie, fewer)
    assert Runner(work, store).stale() == {1: [4, 5, 6]}
    list(Runner(work, store).propagate())
    straight, _ = run(session(movie, fewer), tmp_path / "two")
    for t in range(7):  # as if it had never been given
        np.testing.assert_array_equal(store.read(t).logits, straight.read(t).logits)


def test_what_no_prompt_leads_to_any_more_is_gone(sample, movie, tmp_path):
    prompts = click(sample, 1, 2) | click(sample, 1, 6) | click(sample, 2, 0)
    store, _ = run(session(movie, prompts, direction="forward"), tmp_path)
    # a prompt that is there keeps its frames, whichever direction and range is asked for now
    list(Runner(session(movie, prompts, direction="backward", stop=7), store).propagate())
    assert store.key(1, 9) is not None
    fewer = click(sample, 1, 6) | click(sample, 2, 0)
    list(Runner(session(movie, fewer, direction="forward"), store).propagate())
    assert [t for t in range(10) if store.key(1, t) is not None] == [6, 7, 8, 9]
    store.undo()
    assert store.key(1, 3) is not None


def test_a_deleted_object_is_gone(sample, movie, tmp_path):
    prompts = click(sample, 1, 0) | click(sample, 2, 0)
    store, _ = run(session(movie, prompts), tmp_path)
    steps = list(Runner(session(movie, click(sample, 1, 0)), store).propagate())
    assert not steps
    assert set(np.unique(stack(store))) == {0, 1}
    store.undo()
    assert set(np.unique(stack(store))) == {0, 1, 2}


def test_a_run_can_be_undone_and_done_again(sample, movie, tmp_path):
    prompts = click(sample, 1, 0) | click(sample, 2, 0)
    store, before, computed = corrected(sample, movie, tmp_path, prompts, given(sample, 1, 4))
    after = stack(store), [store.read(t) for t in range(movie.n_frames)]
    assert sorted(store.undo()) == sorted({t for _, t in computed})
    unchanged(store, before, set())
    np.testing.assert_array_equal(stack(store), before[0])
    work = session(movie, prompts | given(sample, 1, 4))
    assert Runner(work, store).stale() == {1: [4, 5, 6, 7, 8, 9]}  # shown as they were, and marked
    store.undo()
    unchanged(store, after, set())
    assert not Runner(work, store).stale()
    assert not Runner(
        session(movie, prompts | given(sample, 1, 4)), store_at(tmp_path, movie)
    ).stale()


def test_undo_after_a_stop_takes_back_the_whole_run(sample, movie, tmp_path):
    prompts = click(sample, 1, 0)
    store = store_at(tmp_path, movie)
    steps = Runner(session(movie, prompts), store).propagate()
    next(steps)
    steps.close()
    list(Runner(session(movie, prompts), store_at(tmp_path, movie)).propagate())
    store = store_at(tmp_path, movie)
    assert store.undo() == list(range(10))
    assert store.finished() == []


def test_found_objects_survive_a_kill(movie, tmp_path, monkeypatch):
    def auto():
        return replace(session(movie, {}), auto=AutoParams(discover=4))

    whole, _ = run(auto(), tmp_path / "whole")
    steps = Runner(auto(), store_at(tmp_path / "part", movie)).propagate()
    for _ in range(7):
        next(steps)
    with monkeypatch.context() as no_time:  # a kill leaves no time to save anything
        no_time.setattr(RunStore, "save_memories", lambda *_: None)
        steps.close()
    resumed, _ = run(auto(), tmp_path / "part")
    np.testing.assert_array_equal(stack(resumed), stack(whole))
    assert stack(whole).max() > 0


def test_prompts_before_the_range_are_not_needed(sample, movie, tmp_path):
    work = session(movie, given(sample, 1, 0) | given(sample, 1, 4), start=3, stop=6)
    store, _ = run(work, tmp_path)
    assert store.finished() == [3, 4, 5, 6]
    np.testing.assert_array_equal(store.read(4).labels_yx == 1, sample.labels_tyx[4] == 1)


def test_what_the_network_is_shown_is_decided_once(sample, movie, tmp_path):
    store, _ = run(session(movie, given(sample, 1, 0)), tmp_path)
    work = session(movie, given(sample, 1, 0), mode="frame")
    list(Runner(work, store).propagate())
    assert known(work, store).decided.mode == "window"  # as the run in the store


def test_objects_are_found_without_prompts(sample, movie, tmp_path):
    work = replace(session(movie, {}), auto=AutoParams(discover=5))
    store, _ = run(work, tmp_path)
    labels = stack(store)
    found = set()
    for truth in range(1, 5):
        inside = labels[0][sample.labels_tyx[0] == truth]
        ids, counts = np.unique(inside[inside > 0], return_counts=True)
        if len(ids) and counts.max() > 0.5 * (sample.labels_tyx[0] == truth).sum():
            found.add(int(ids[counts.argmax()]))
    assert len(found) >= 3  # of four cells, each as an object of its own
    assert max(known(work, store).all_prompts().objects) <= 12


def test_found_objects_survive_a_stop(movie, tmp_path):
    def auto():
        return replace(session(movie, {}), auto=AutoParams(discover=4))

    whole, _ = run(auto(), tmp_path / "whole")
    steps = Runner(auto(), store_at(tmp_path / "part", movie)).propagate()
    for _ in range(6):
        next(steps)
    steps.close()
    resumed, _ = run(auto(), tmp_path / "part")
    np.testing.assert_array_equal(stack(resumed), stack(whole))


@pytest.mark.parametrize(
    ("prompts", "engine", "error", "message"),
    [
        ({}, {}, PromptError, "there are no prompts"),
        ({(1, 99): Prompt(points=(Point(1, 1),))}, {}, PromptError, "frame 99"),
        ({(1, 0): Prompt(points=(Point(500, 1),))}, {}, PromptError, "outside the image"),
        ({(1, 0): Prompt(points=(Point(5, 1, False),))}, {}, PromptError, "negative"),
        ({(1, 0): Prompt(points=(Point(5, 1),))}, {"stop": 10}, UsageError, "frame 10 is outside"),
        ({(1, 0): Prompt(points=(Point(5, 1),))}, {"start": 8, "stop": 4}, UsageError, "is empty"),
        (
            {(1, 0): Prompt(points=(Point(5, 1),))},
            {"start": 3},
            PromptError,
            "object 1 has no prompt within frames 3 to 9",
        ),
    ],
)
def test_what_cannot_be_meant_is_refused(movie, prompts, engine, error, message):
    with pytest.raises(error, match=message):
        session(movie, prompts, **engine).check()


@pytest.fixture(scope="module")
def dividing():
    """A bright cell that becomes two on frame 5, which move apart; its truth."""
    yy, xx = np.mgrid[:120, :140]
    rng = np.random.default_rng(1)
    truth = np.zeros((14, 120, 140), np.uint32)
    for t in range(14):
        away = max(0, t - 3) * 2.5
        for k, sign in enumerate((-1, 1), 1):
            inside = np.hypot(yy - 60, xx - 70 - sign * (4 + away)) < 10
            truth[t][inside & (truth[t] == 0)] = k
    images = np.where(truth > 0, 150, 50) + rng.normal(0, 5, truth.shape)
    return truth, open_frames(images.clip(0, 255).astype(np.uint8), axes="TYX")


def first_mask(truth):
    return {(1, 0): Prompt(mask=Mask.from_frame(truth[0] > 0))}


def test_a_division_is_applied(dividing, tmp_path):
    truth, movie = dividing
    work = session(movie, first_mask(truth), divisions="apply")
    store, steps = run(work, tmp_path)
    (event,) = known(work, store).decided.divisions
    assert event.parent == 1
    assert event.daughters == (2, 3)
    assert known(work, store).decided.parents == {2: 1, 3: 1}
    labels = stack(store)
    assert set(np.unique(labels[: event.frame])) == {0, 1}
    assert set(np.unique(labels[event.frame :])) == {0, 2, 3}
    both = np.where(labels >= 2, labels - 1, 0)
    assert mean_overlap(truth[event.frame :], both[event.frame :], 0) > 0.7
    assert steps[-1].done == steps[-1].total
    assert not Runner(work, store).stale()


def test_a_division_is_suggested(dividing, tmp_path):
    truth, movie = dividing
    work = session(movie, first_mask(truth))
    store, _ = run(work, tmp_path)
    assert [d.daughters for d in known(work, store).decided.divisions] == [()]  # told once
    assert set(np.unique(stack(store))) == {0, 1}
    off = session(movie, first_mask(truth), divisions="off")
    store, _ = run(off, tmp_path / "off")
    assert not known(off, store).decided.divisions


@pytest.mark.parametrize("stop_after", [7, 8, 9, 10, 12, 16])
def test_a_division_survives_a_stop(dividing, tmp_path, stop_after):
    truth, movie = dividing
    whole, _ = run(session(movie, first_mask(truth), divisions="apply"), tmp_path / "whole")
    part = store_at(tmp_path / "part", movie)
    steps = Runner(session(movie, first_mask(truth), divisions="apply"), part).propagate()
    for _ in range(stop_after):
        next(steps)
    steps.close()
    work = session(movie, first_mask(truth), divisions="apply")
    resumed, _ = run(work, tmp_path / "part")
    np.testing.assert_array_equal(stack(resumed), stack(whole))


@pytest.fixture(scope="module")
def in_touch():
    """A dark rod that becomes two on frame 4, which stay end to end; its truth."""
    rng = np.random.default_rng(3)
    ys, xs = np.mgrid[:110, :130].astype(np.float32)
    truth, images = np.zeros((12, 110, 130), np.uint32), []
    for t in range(12):
        long = 21 + 0.5 * t  # half of it
        middle, end = np.array([55.0, 65.0]), np.array([0.3, 1.0]) * long
        axes = [(middle - end, middle + end)]
        if t >= 4:
            near = np.array([0.3, 1.0]) * 6.2
            axes = [(middle - end, middle - near), (middle + near, middle + end)]
        depths = np.stack([polyline_depth(ys, xs, np.array(a), 6.0) for a in axes])
        truth[t] = np.where(depths.max(0) > 0, depths.argmax(0) + 1, 0)
        images.append(190 - 90 * np.clip(depths.max(0) + 0.5, 0, 1) + rng.normal(0, 3, ys.shape))
    return truth, open_frames(np.stack(images).clip(0, 255).astype(np.uint8), axes="TYX")


def test_daughters_in_touch_are_found_if_the_network_is_asked(in_touch, tmp_path):
    truth, movie = in_touch
    engine = {"divisions": "apply", "mode": "window"}
    alone = session(movie, first_mask(truth), **engine)
    store, _ = run(alone, tmp_path / "off")
    assert not known(alone, store).decided.divisions
    work = session(movie, first_mask(truth), touching="on", **engine)
    store, _ = run(work, tmp_path / "on")
    (event,) = known(work, store).decided.divisions
    assert 4 <= event.frame <= 6
    labels = stack(store)
    assert set(np.unique(labels[: event.frame])) == {0, 1}
    both = np.where(labels >= 2, labels - 1, 0)
    assert mean_overlap(truth[event.frame :], both[event.frame :], 0) > 0.7
    # one that was stopped finds the same
    part = store_at(tmp_path / "part", movie)
    steps = Runner(session(movie, first_mask(truth), touching="on", **engine), part).propagate()
    for _ in range(event.frame + 1):
        next(steps)
    steps.close()
    resumed, _ = run(session(movie, first_mask(truth), touching="on", **engine), part.folder)
    np.testing.assert_array_equal(stack(resumed), labels)


@pytest.mark.parametrize("stop", ["after frame 5", "an error on frame 6", "an error on frame 7"])
def test_evidence_adds_up_over_a_stop(in_touch, tmp_path, monkeypatch, stop):
    truth, movie = in_touch
    fail = set()

    def look(batcher, movie, t, labels, masks):
        if t in fail:
            raise DeviceError("no memory for this")
        two = {i: halves(mask) for i, mask in masks.items()}
        return [TwoParts(two[i], 0.6) if i == 1 and t in (5, 6) else None for i in masks]

    monkeypatch.setattr(touching_daughters, "two_in_touch", look)
    engine = {"divisions": "apply", "mode": "window", "touching": "on", "stop": 8}
    whole = session(movie, first_mask(truth), **engine)
    want, _ = run(whole, tmp_path / "whole")
    assert [(d.parent, d.frame) for d in known(whole, want).decided.divisions] == [(1, 5)]
    part = store_at(tmp_path / "part", movie)
    steps = Runner(session(movie, first_mask(truth), **engine), part).propagate()
    if "error" in stop:
        fail.add(int(stop[-1]))
        with pytest.raises(DeviceError, match="no memory"):
            list(steps)
        fail.clear()
    else:
        while next(steps).frame < 5:
            pass
        steps.close()
    work = session(movie, first_mask(truth), **engine)
    got, _ = run(work, part.folder)
    assert known(work, got).decided == known(whole, want).decided
    np.testing.assert_array_equal(stack(got), stack(want))


def test_in_whole_frames_the_network_is_not_asked(in_touch, tmp_path):
    truth, movie = in_touch
    work = session(movie, first_mask(truth), touching="on", mode="frame", stop=5)
    store, _ = run(work, tmp_path)
    assert not known(work, store).decided.divisions


def test_a_person_may_say_that_the_parent_goes_on(dividing, tmp_path):
    truth, movie = dividing
    prompts = first_mask(truth)
    first = session(movie, prompts, divisions="apply")
    store, _ = run(first, tmp_path)
    t = known(first, store).decided.divisions[0].frame + 1
    later = {(1, t): Prompt(mask=Mask.from_frame(truth[t] > 0))}
    work = session(movie, prompts | later, divisions="apply")
    list(Runner(work, store).propagate())
    # that division is taken back, and its daughters are gone; the next one has others
    labels = stack(store)
    assert set(np.unique(labels[: t + 1])) == {0, 1}
    assert not {2, 3} & set(np.unique(labels))
    assert known(work, store).plan.parents == {4: 1, 5: 1}
    assert not Runner(work, store).stale()


def test_new_objects_are_found_beside_prompted_ones(sample, movie, tmp_path):
    work = replace(session(movie, given(sample, 1, 0)), auto=AutoParams(discover=5))
    store, _ = run(work, tmp_path)
    assert work.prompts.objects == (1,)
    assert len(known(work, store).all_prompts().objects) >= 3
    kept = store.read(0).labels_yx == 1
    assert (kept & (sample.labels_tyx[0] == 1)).sum() > 0.95 * (sample.labels_tyx[0] == 1).sum()


def test_windows_of_another_size(sample, movie, tmp_path):
    work = session(movie, given(sample, 1, 0), window_size=160)
    store, _ = run(work, tmp_path)
    assert known(work, store).network.image_size == 160
    assert "windows of 160 px, as asked" in known(work, store).decided.reason
    kept = np.where(sample.labels_tyx == 1, 1, 0)
    assert mean_overlap(kept, stack(store), 0) > 0.6
    # decided once: what is stored goes on in its own size
    again = session(movie, given(sample, 1, 0))
    assert Runner(again, store).stale() == {}
    assert known(again, store).network.image_size == 160


def test_a_size_that_sam2_cannot_run(sample, movie, tmp_path):
    with pytest.raises(UsageError, match=r"windows of 100 px do not fit SAM2.*multiple of 32"):
        run(session(movie, given(sample, 1, 0), window_size=100), tmp_path)
