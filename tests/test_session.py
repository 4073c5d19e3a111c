"""The session with the bundled model: passes, stop, resume."""

import numpy as np
import pytest

from napari_sam2track.errors import PromptError, UsageError
from napari_sam2track.frames import open_frames
from napari_sam2track.masks import Mask
from napari_sam2track.models.registry import find_model
from napari_sam2track.params import AutoParams, EngineParams
from napari_sam2track.prompts import Point, Prompt, PromptSet
from napari_sam2track.run_store import RunStore
from napari_sam2track.samples import centre_pixels, mean_overlap, moving_cells
from napari_sam2track.session import Session


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
    steps = list(work.propagate(store))
    return store, steps


def stack(store):
    return np.stack(list(store.labels()))


def test_objects_are_followed_both_ways_from_their_first_prompt(sample, movie, tmp_path):
    work = session(movie, given(sample, 1, 0) | given(sample, 2, 5))
    store, steps = run(work, tmp_path)
    labels = stack(store)
    assert [s.done for s in steps] == list(range(1, len(steps) + 1))
    assert steps[-1].done == steps[-1].total == 10 + 6
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


@pytest.mark.parametrize("stop_after", [1, 4, 12])
def test_stopped_and_resumed_equals_uninterrupted(sample, movie, tmp_path, stop_after):
    prompts = click(sample, 1, 0) | click(sample, 2, 5) | click(sample, 1, 6)
    whole, _ = run(session(movie, prompts), tmp_path / "whole")
    part = store_at(tmp_path / "part", movie)
    steps = session(movie, prompts).propagate(part)
    for _ in range(stop_after):
        next(steps)
    steps.close()
    resumed, again = run(session(movie, prompts), tmp_path / "part")
    assert again[0].done == stop_after + 1
    np.testing.assert_array_equal(stack(resumed), stack(whole))
    for t in range(movie.n_frames):
        np.testing.assert_array_equal(resumed.read(t).rows, whole.read(t).rows)


def test_a_run_that_was_killed_goes_on_from_the_last_saved_state(sample, movie, tmp_path):
    prompts = click(sample, 1, 0)
    whole, _ = run(session(movie, prompts), tmp_path / "whole")
    part = store_at(tmp_path / "part", movie)
    work = session(movie, prompts)
    work._save = lambda *_: None  # a kill leaves no time to save anything
    steps = work.propagate(part)
    for _ in range(5):
        next(steps)
    steps.close()
    assert part.load_state() is None
    resumed, _ = run(session(movie, prompts), tmp_path / "part")
    np.testing.assert_array_equal(stack(resumed), stack(whole))


def test_found_objects_survive_a_kill(movie, tmp_path):
    def auto():
        work = session(movie, {})
        work.auto = AutoParams(every=4)
        return work

    whole, _ = run(auto(), tmp_path / "whole")
    killed = auto()
    steps = killed.propagate(store_at(tmp_path / "part", movie))
    for _ in range(3):
        next(steps)
    killed._save = lambda *_: None  # a kill leaves no time to save anything
    for _ in range(4):
        next(steps)
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
    list(work.propagate(store))
    assert work.mode[0] == "window"  # as the run in the store


def test_events_tell_of_each_frame(sample, movie, tmp_path):
    work = session(movie, given(sample, 1, 0), direction="forward")
    seen = []
    work.frame_done.connect(lambda result: seen.append(result.frame))
    run(work, tmp_path)
    assert seen == list(range(10))


def test_objects_are_found_without_prompts(sample, movie, tmp_path):
    work = session(movie, {})
    work.auto = AutoParams(every=5)
    store, _ = run(work, tmp_path)
    labels = stack(store)
    found = set()
    for truth in range(1, 5):
        inside = labels[0][sample.labels_tyx[0] == truth]
        ids, counts = np.unique(inside[inside > 0], return_counts=True)
        if len(ids) and counts.max() > 0.5 * (sample.labels_tyx[0] == truth).sum():
            found.add(int(ids[counts.argmax()]))
    assert len(found) >= 3  # of four cells, each as an object of its own
    assert max(work.prompts.objects) <= 12


def test_found_objects_survive_a_stop(movie, tmp_path):
    def auto():
        work = session(movie, {})
        work.auto = AutoParams(every=4)
        return work

    whole, _ = run(auto(), tmp_path / "whole")
    steps = auto().propagate(store_at(tmp_path / "part", movie))
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
