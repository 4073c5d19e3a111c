"""Passes: who is followed when, what is read, what comes out."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from napari_sam2track.engine.network.network import Network
from napari_sam2track.engine.propagation import Pass
from napari_sam2track.engine.results import State
from napari_sam2track.engine.tasks import Segment, Task, whole_tasks
from napari_sam2track.errors import DeviceError
from napari_sam2track.params import EngineParams
from napari_sam2track.prompts import Point, Prompt, PromptSet

PARAMS = EngineParams(fill_holes=0, min_part=0)
EXACT = EngineParams(equality="exact", fill_holes=0, min_part=0)


def run(network, movie, prompts, params=PARAMS, mode="frame", order=None):
    order = range(movie.n_frames) if order is None else order
    return list(Pass.over(network, movie, prompts, params, mode, order))


@pytest.mark.parametrize("mode", ["frame", "window"])
@pytest.mark.parametrize("later", ["refine", "fresh"])
def test_objects_are_independent(small, discs, mode, later):
    """Together as alone, bit for bit: object by object, a correction included."""
    d = discs(8)
    alone = {
        2: PromptSet({(2, 0): d.click(0, 0), (2, 4): d.click(4, 0, (80.0, 120.0))}),
        7: PromptSet({(7, 0): d.mask(0, 1)}),
        9: PromptSet({(9, 3): d.box(3, 2)}),
    }
    params = EXACT.model_copy(update={"later_prompts": later})
    together = run(small, d.movie, alone[2].merge(alone[7]).merge(alone[9]), params, mode)
    covered = set()
    for i, ps in alone.items():
        for mine in run(small, d.movie, ps, params, mode):
            frame = together[mine.frame]
            (a,) = (o for o in frame.objects if o.object_id == i)
            (b,) = mine.objects
            assert (a.state, a.score, a.iou) == (b.state, b.score, b.iou)
            assert (a.patch.y0, a.patch.x0) == (b.patch.y0, b.patch.x0)
            assert np.array_equal(a.patch.logits_yx, b.patch.logits_yx)
            own = frame.labels_yx == i
            covered |= {i} if own.any() else set()
            # where it does not show, another one covers it
            hidden = (mine.labels_yx == i) & ~own
            assert (frame.labels_yx[hidden] > 0).all()
    assert len(covered) >= 2


@pytest.mark.parametrize("mode", ["frame", "window"])
@pytest.mark.parametrize("later", ["refine", "fresh"])
def test_never_before_the_first_prompt(small, discs, mode, later):
    d = discs(7)
    prompts = PromptSet(
        {(1, 2): d.click(2, 0), (1, 5): d.click(5, 0), (2, 4): d.mask(4, 1), (3, 0): d.box(0, 2)}
    )
    params = PARAMS.model_copy(update={"later_prompts": later})
    for r in run(small, d.movie, prompts, params, mode):
        begun = {i for i in (1, 2, 3) if prompts.first_frame(i) <= r.frame}
        assert {o.object_id for o in r.objects} == begun
        assert set(np.unique(r.labels_yx)) - {0} <= begun
        for o in r.objects:
            prompted = (o.object_id, r.frame) in prompts
            assert (o.state == State.PROMPTED) == prompted
    backward = run(small, d.movie, prompts, params, mode, range(6, -1, -1))
    for r in backward:
        assert {o.object_id for o in r.objects} == {
            i for i in (1, 2, 3) if prompts.first_frame(i) >= r.frame
        }
    # backward, only the first prompt counts: nothing is prompted on frame 5
    assert [r.frame for r in backward] == [4, 3, 2, 1, 0]


@pytest.mark.parametrize("mode", ["frame", "window"])
def test_absent(make_network, small_config, discs, mode):
    network = Network(make_network(small_config, bias=-4.0))
    d = discs(4)
    prompts = PromptSet({(1, 0): d.mask(0, 0), (2, 1): d.click(1, 1)})
    frames = run(network, d.movie, prompts, PARAMS, mode)
    assert (frames[0].labels_yx == 1).sum() == d.truth(0, 0).sum()
    for r in frames[1:]:
        assert r.objects[0].state == State.LOST
        assert r.objects[0].score < 0.5
        assert not (r.labels_yx == 1).any()
    assert frames[2].objects[1].state == State.LOST
    assert not (frames[2].labels_yx == 2).any()


@pytest.mark.parametrize("mode", ["frame", "window"])
@pytest.mark.parametrize("later", ["refine", "fresh"])
def test_masks_are_kept_pixel_for_pixel(small, discs, mode, later):
    """At the first and at a later frame; a prediction does not win over what a person gave."""
    d = discs(6)
    prompts = PromptSet({(5, 0): d.mask(0, 0), (5, 3): d.mask(3, 0), (2, 0): d.click(0, 0)})
    params = EngineParams(later_prompts=later)
    frames = run(small, d.movie, prompts, params, mode)
    for t in (0, 3):
        assert ((frames[t].labels_yx == 5) == d.truth(t, 0)).all()
    if mode == "frame":  # a window has enough pixels for this disc anyway
        params = params.model_copy(update={"keep_masks": False})
        coarse = run(small, d.movie, prompts, params, mode)
        assert ((coarse[0].labels_yx == 5) != d.truth(0, 0)).any()


@pytest.mark.parametrize("equality", ["fast", "exact"])
def test_frame_mode_reads_each_frame_once(small, discs, equality):
    d = discs(6)
    prompts = PromptSet(
        {
            (1, 0): d.click(0, 0),
            (2, 0): d.box(0, 1),
            (3, 0): d.mask(0, 2),
            (4, 2): d.click(2, 1),
            (1, 3): d.click(3, 0),
            (2, 3): d.mask(3, 1),
        }
    )
    params = PARAMS.model_copy(update={"equality": equality, "batch": 2})
    run(small, d.movie, prompts, params)
    assert dict(d.movie.reads) == dict.fromkeys(range(6), 1)
    assert d.movie.pixels == 0
    d.movie.reads.clear()
    run(small, d.movie, prompts, params.model_copy(update={"later_prompts": "fresh"}))
    # what is prompted is looked at before the pass; once, whoever is prompted there
    assert dict(d.movie.reads) == {0: 1, 1: 1, 2: 2, 3: 2, 4: 1, 5: 1}


def test_window_mode_never_reads_a_whole_frame(small, discs):
    d = discs(5, height=600, width=700)
    run(small, d.movie, PromptSet({(1, 0): d.mask(0, 0), (2, 0): d.box(0, 1)}), mode="window")
    assert not d.movie.reads
    assert 0 < d.movie.pixels < 0.3 * 5 * 600 * 700


def test_batches_change_little(small, discs):
    """Batches of any size give the logits of object by object, up to rounding."""
    d = discs(5)
    prompts = PromptSet({(k + 1, 0): d.click(0, k) for k in range(3)} | {(9, 0): d.mask(0, 1)})
    for mode in ("frame", "window"):
        exact = run(small, d.movie, prompts, EXACT, mode)
        for batch in (2, 32):
            fast = run(small, d.movie, prompts, PARAMS.model_copy(update={"batch": batch}), mode)
            for a, b in zip(exact, fast, strict=True):
                assert (a.labels_yx != b.labels_yx).mean() < 1e-3
                (one, theirs), (other, ours) = a.compose(), b.compose()
                same = one == other
                np.testing.assert_allclose(theirs[same], ours[same], atol=1e-3)


class _Full(Network):
    def __init__(self, model, error):
        super().__init__(model)
        self.error = error

    def condition(self, features, memory):
        raise self.error


@pytest.mark.parametrize(
    "error",
    [
        torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 3.95 GiB"),
        RuntimeError(
            "[enforce fail at alloc_cpu.cpp:117] DefaultCPUAllocator: can't allocate memory"
        ),
        RuntimeError("MPS backend out of memory (MPS allocated: 7.9 GB)"),
    ],
)
def test_out_of_memory_says_what_to_do(small_predictor, discs, error):
    d = discs(3)
    passed = iter(
        Pass.over(
            _Full(small_predictor, error),
            d.movie,
            PromptSet({(1, 0): d.mask(0, 0)}),
            PARAMS,
            "frame",
            range(3),
        )
    )
    assert next(passed).frame == 0
    with pytest.raises(DeviceError, match=r"not enough memory for one object; use a smaller model"):
        next(passed)


def test_other_errors_stay_what_they_are(small_predictor, discs):
    d = discs(3)
    network = _Full(small_predictor, RuntimeError("mat1 and mat2 must have the same dtype"))
    with pytest.raises(RuntimeError, match="mat1"):
        run(network, d.movie, PromptSet({(1, 0): d.mask(0, 0)}))


def test_objects_that_join(small, discs):
    """Found on a frame that is finished, they are followed from there."""
    d = discs(6)
    first = PromptSet({(1, 0): d.mask(0, 0)})
    later = PromptSet({(2, 1): d.mask(1, 1)})
    passed = Pass.over(small, d.movie, first, EXACT, "frame", range(6))
    results, joined = [], []
    for r in passed:
        results.append(r)
        if r.frame == 2:
            joined = list(passed.join(whole_tasks(later, range(6))))
    assert [r.frame for r in joined] == [1, 2]  # caught up
    assert ((joined[0].labels_yx == 2) == d.truth(1, 1)).all()
    assert [o.object_id for o in joined[1].objects] == [2]
    whole = run(small, d.movie, first.merge(later), EXACT)
    for a, b in zip(results[3:], whole[3:], strict=True):
        assert (a.labels_yx == b.labels_yx).all()


def iou(a, b):
    return (a & b).sum() / max((a | b).sum(), 1)


@pytest.mark.parametrize("kind", ["click", "box", "mask"])
def test_window_mode_follows_a_disc(bundled_predictor, discs, kind):
    """With the bundled weights: a bright disc that crosses a frame far larger than its window."""
    d = discs(24, height=300, width=420, n=1, radius=14, speed=(6.0, 11.0))
    prompts = PromptSet({(3, 0): getattr(d, kind)(0, 0)})
    frames = run(Network(bundled_predictor), d.movie, prompts, EngineParams(), "window")
    scores = [iou(r.labels_yx == 3, d.truth(r.frame, 0)) for r in frames]
    assert min(scores) > 0.6, scores
    assert np.mean(scores) > 0.75, scores


def test_window_mode_finds_it_again_where_a_person_says(bundled_predictor, discs):
    """A disc that jumps: lost, then corrected far away, and followed from there."""
    d = discs(14, height=300, width=420, n=1, radius=14, speed=(0.0, 0.0))
    movie = d.movie
    for t in range(5, 14):
        movie.movie[t] = np.roll(movie.movie[t], (200, 300), axis=(0, 1))
    at = tuple(np.add(d.centre(0, 0), (200, 300)))
    prompts = PromptSet({(1, 0): d.mask(0, 0), (1, 7): Prompt(points=(Point(*at),))})
    frames = run(Network(bundled_predictor), movie, prompts, EngineParams(), "window")
    truth = np.roll(d.truth(0, 0), (200, 300), axis=(0, 1))
    assert min(iou(r.labels_yx == 1, truth) for r in frames[8:]) > 0.6


@pytest.mark.parametrize("mode", ["frame", "window"])
@pytest.mark.parametrize("later", ["refine", "fresh"])
def test_two_tasks_of_one_object(small, discs, mode, later):
    """One is on its way through frames that the other is wanted on: each pair comes out once."""
    d = discs(6)
    given = {0: d.click(0, 0), 4: d.click(4, 0)}
    early, late = Segment(0, range(4), 1), Segment(4, range(4, 6), 2)
    tasks = [
        Task(1, {0: given[0]}, (early,), range(3), frozenset({0, 1, 2})),
        Task(1, given, (late,), range(6), frozenset({4, 5})),
    ]
    params = PARAMS.model_copy(update={"later_prompts": later})
    out = list(Pass(small, d.movie, tasks, params, mode, 1))
    assert [(r.frame, [o.object_id for o in r.objects]) for r in out] == [
        (t, [1]) for t in (0, 1, 2, 4, 5)
    ]
    alone = list(Pass(small, d.movie, tasks[1:], params, mode, 1))
    for a, b in zip(out[3:], alone, strict=True):
        np.testing.assert_allclose(
            a.objects[0].patch.logits_yx, b.objects[0].patch.logits_yx, atol=1e-3
        )
