"""Sessions in which cells touch and vanish, so that neighbours give way to one another."""

import numpy as np
import pytest

from napari_sam2track.engine import follower
from napari_sam2track.engine.results import State
from napari_sam2track.frames import open_frames
from napari_sam2track.masks import Mask
from napari_sam2track.models.registry import find_model
from napari_sam2track.params import EngineParams
from napari_sam2track.prompts import Prompt, PromptSet
from napari_sam2track.samples import SampleMovie
from napari_sam2track.session.run_store import RunStore
from napari_sam2track.session.runner import Runner
from napari_sam2track.session.session import Session
from napari_sam2track.session.stored_frame import STORED_STATES

N = 9


@pytest.fixture(scope="module")
def sample():
    """Three discs in a row, each partly over the next, that look alike: where one ends cannot be
    seen. The second one is gone from frame 3 on, and the third one moves into its place."""
    rng = np.random.default_rng(4)
    yy, xx = np.mgrid[:110, :150]
    labels = np.zeros((N, 110, 150), np.uint16)
    for t in range(N):
        for k, x in ((1, 51.0), (2, 68.0), (3, 85.0 - 2.5 * max(0, t - 2))):
            if k == 2 and t >= 3:
                continue
            labels[t][(np.hypot(yy - 55, xx - x) < 11.5) & (labels[t] == 0)] = k
    bright = np.array([45, 140, 140, 140])[labels]
    images = (bright + rng.normal(0, 6, labels.shape)).clip(0, 255).astype(np.uint8)
    return SampleMovie(images, labels)


@pytest.fixture(scope="module")
def movie(sample):
    return open_frames(sample.images_tyx, axes="TYX")


def given(sample, object_id, t, truth=None):
    mask = Mask.from_frame(sample.labels_tyx[t] == (truth or object_id))
    return {(object_id, t): Prompt(mask=mask)}


@pytest.fixture(scope="module")
def prompts(sample):
    return given(sample, 1, 0) | given(sample, 2, 0) | given(sample, 3, 0)


def session(movie, prompts, **engine):
    params = EngineParams(mode="window", **engine)
    return Session(movie, find_model("bundled"), PromptSet(prompts), params)


def run(work, folder):
    store = RunStore(folder, (N, work.frames.height, work.frames.width))
    return store, list(Runner(work, store).propagate())


def rows(store):
    """Everything that is stored of each object on each frame."""
    out = {}
    for t in store.finished():
        for key, o in store.read(t).results():
            ceded = None if o.ceded is None else o.ceded.tolist()
            known = (o.state, o.score, o.iou, o.claim_strength, o.firm, ceded)
            place = (o.patch.y0, o.patch.x0, o.patch.logits_yx.tolist())
            out[o.object_id, t] = (key, *known, *place)
    return out


@pytest.fixture(scope="module")
def whole(movie, prompts, tmp_path_factory):
    """The run that nobody disturbed; the rule is at work in it."""
    store, _ = run(session(movie, prompts), tmp_path_factory.mktemp("whole"))
    results = [o for t in store.finished() for _, o in store.read(t).results()]
    assert any(o.ceded is not None for o in results)
    assert any(o.state == State.LOST and o.claim_strength > 0 for o in results)  # it gave way
    return rows(store)


def test_who_gave_way_is_not_shown_and_the_others_are_not_switched(
    sample, movie, prompts, tmp_path
):
    on, _ = run(session(movie, prompts), tmp_path / "on")
    off, _ = run(session(movie, prompts, neighbours="off"), tmp_path / "off")
    ghosts = {}
    for name, store in (("on", on), ("off", off)):
        frames = [store.read(t) for t in range(3, N)]
        ghosts[name] = sum(bool(f.patch_of(2)) for f in frames)
        states = {
            STORED_STATES[s] for f in frames for s in f.rows["state"][f.rows["id"] == 2].tolist()
        }
        if name == "on":
            assert states & {State.LOST, State.ABSENT}
    assert ghosts["on"] < ghosts["off"]
    for t in range(1, N):
        ours, truth = on.read(t).labels_yx, sample.labels_tyx[t]
        for k in (1, 3):
            both, either = (ours == k) & (truth == k), (ours == k) | (truth == k)
            assert both.sum() > 0.6 * either.sum()


@pytest.mark.parametrize("killed", [False, True])
@pytest.mark.parametrize("stop_after", [2, 4, 6])
def test_stopped_and_resumed_equals_uninterrupted(
    movie, prompts, whole, tmp_path, stop_after, killed, monkeypatch
):
    store = RunStore(tmp_path, (N, movie.height, movie.width))
    steps = Runner(session(movie, prompts), store).propagate()
    for _ in range(stop_after):
        next(steps)
    with monkeypatch.context() as no_time:
        if killed:  # leaves no time to save anything
            no_time.setattr(RunStore, "save_memories", lambda *_: None)
        steps.close()
    store, again = run(session(movie, prompts), tmp_path)
    assert len(again) == N - stop_after
    assert rows(store) == whole


def test_killed_while_a_corrected_object_is_behind_others(sample, movie, prompts, tmp_path):
    """Objects go on from different frames: those that are followed again beside stored ones."""
    correction = given(sample, 1, 4) | given(sample, 3, 6)
    straight, _ = run(session(movie, prompts), tmp_path / "one")
    run(session(movie, prompts | correction), tmp_path / "one")
    other, _ = run(session(movie, prompts), tmp_path / "two")
    steps = Runner(session(movie, prompts | correction), other).propagate()
    for _ in range(3):
        next(steps)
    steps.close()
    for path in (tmp_path / "two" / "memories").rglob("*.mem"):
        if int(path.stem.split("-")[0][:-1]) not in (0, 4):  # as a kill leaves them
            path.unlink()
    run(session(movie, prompts | correction), tmp_path / "two")
    assert rows(other) == rows(straight)


@pytest.mark.parametrize("added", [False, True])
def test_the_others_stay_bit_for_bit(sample, movie, prompts, tmp_path, added):
    """An object is corrected, or a new one given, right upon others."""
    first = {k: v for k, v in prompts.items() if not added or k[0] != 3}
    store, _ = run(session(movie, first), tmp_path)
    before = rows(store)
    more = given(sample, 3, 0) if added else given(sample, 2, 4, truth=3)
    store, steps = run(session(movie, first | more), tmp_path)
    changed = {o.object_id for s in steps for o in s.result.objects}
    assert changed == {3 if added else 2}
    after = rows(store)
    assert {k: v for k, v in after.items() if k[0] not in changed} == {
        k: v for k, v in before.items() if k[0] not in changed
    }
    assert not Runner(session(movie, first | more), store).stale()


def test_off_means_independent(movie, prompts, tmp_path):
    together, _ = run(session(movie, prompts, neighbours="off", batch=1), tmp_path / "all")
    for key, prompt in prompts.items():
        work = session(movie, {key: prompt}, neighbours="off", batch=1)
        alone, _ = run(work, tmp_path / str(key[0]))
        mine = {k: v for k, v in rows(together).items() if k[0] == key[0]}
        assert mine == rows(alone)


def test_one_object_is_the_same_on_and_off(movie, prompts, tmp_path):
    one = {(1, 0): prompts[1, 0]}
    on, _ = run(session(movie, one), tmp_path / "on")
    off, _ = run(session(movie, one, neighbours="off"), tmp_path / "off")
    for t in range(N):
        np.testing.assert_array_equal(on.read(t).logits, off.read(t).logits)


def test_on_or_off_makes_stale(movie, prompts, tmp_path):
    store, _ = run(session(movie, prompts), tmp_path)
    assert set(Runner(session(movie, prompts, neighbours="off"), store).stale()) == {1, 2, 3}


def test_lost_absent_stopped_and_prompted_again(sample, movie, prompts, tmp_path, monkeypatch):
    """A person's word wakes up an object that was given up."""

    monkeypatch.setattr(follower, "SEARCH_FRAMES", 1)
    back = given(sample, 2, 8, truth=3)
    store, _ = run(session(movie, prompts | back, give_up=2), tmp_path)
    frames = [store.read(t) for t in range(N)]
    mine = [STORED_STATES[int(f.rows["state"][f.rows["id"] == 2][0])] for f in frames]
    seen = mine.index(State.LOST)
    assert 3 <= seen <= 5
    rest = [State.STOPPED] * (N - 1 - seen - 2)
    assert mine[seen:] == [State.LOST, State.ABSENT, *rest, State.PROMPTED]
    assert rest
    shown = [bool(f.patch_of(2)) for f in frames]
    assert shown == [True] * seen + [False] * (N - 1 - seen) + [True]


def test_followed_again_is_as_it_was_remembered(sample, movie, prompts, tmp_path, monkeypatch):
    """Behind a correction an object is followed again, beside another one that was corrected
    since: what it remembers is what it remembered first."""
    from napari_sam2track.engine import propagation

    upon = given(sample, 2, 2, truth=3)
    correction = given(sample, 3, 6)
    found = []
    for every in (1, 100):
        monkeypatch.setattr(propagation, "MEMORY_EVERY", every)
        folder = tmp_path / str(every)
        run(session(movie, prompts, batch=1), folder)
        run(session(movie, prompts | upon, batch=1), folder)
        store, _ = run(session(movie, prompts | upon | correction, batch=1), folder)
        found.append(rows(store))
    assert found[0] == found[1]
