"""Memory: bounded, chosen as SAM2 chooses, and saved without loss."""

from __future__ import annotations

import io
from dataclasses import replace

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from napari_sam2track.engine.network.memory import Entry, MemoryBank, closest, tokens
from napari_sam2track.engine.official_predictor import PLAIN
from napari_sam2track.engine.propagation import Pass
from napari_sam2track.engine.tasks import whole_tasks
from napari_sam2track.params import EngineParams
from napari_sam2track.prompts import Point, Prompt, PromptSet

FRAMES = st.lists(st.integers(0, 60), min_size=1, max_size=20, unique=True)


def entry(t):
    return Entry(
        t, torch.full((2, 1, 1), float(t), dtype=torch.bfloat16), torch.full((4,), float(t))
    )


@given(t=st.integers(0, 60), frames=FRAMES, most=st.integers(2, 12))
def test_closest_is_sams(t, frames, most):
    from sam2.modeling.sam2_utils import select_closest_cond_frames

    theirs, _ = select_closest_cond_frames(t, dict.fromkeys(frames), most)
    assert closest(t, frames, most) == list(theirs)


def frames_read(bank, t, step):
    maps, pointers = bank.read(t, step)
    return [(slot, e.frame) for slot, e in maps], [(d, float(p[0])) for d, p in pointers]


@pytest.mark.parametrize("step", [1, -1])
def test_what_is_read(step):
    """Six memories and fifteen pointers behind the frame, besides the prompted frame."""
    bank = MemoryBank(6, 15, 8)
    start = 0 if step > 0 else 100
    at = lambda k: start + step * k  # noqa: E731
    bank.remember(entry(at(0)), conditioning=True)
    for k in range(1, 30):
        bank.remember(entry(at(k)), conditioning=False)
    maps, pointers = frames_read(bank, at(30), step)
    assert maps == [(0, at(0)), *((7 - back, at(30 - back)) for back in (6, 5, 4, 3, 2, 1))]
    assert pointers == [(30.0, at(0)), *((float(b), at(30 - b)) for b in range(1, 16))]


@given(
    prompted=st.sets(st.integers(0, 119), min_size=1, max_size=60),
    most=st.integers(2, 6),
    ahead=st.booleans(),
    step=st.sampled_from([1, -1]),
)
def test_bounded_and_nothing_is_missed(prompted, most, ahead, step):
    """Against a bank that keeps everything, over a pass with any prompts.

    ``ahead``: the prompts are remembered before the pass begins, as in the mode ``fresh``.
    """
    order = list(range(120))[::step]
    bounded, full = MemoryBank(6, 15, most), MemoryBank(10**6, 10**6, most)
    banks = (bounded, full)
    if ahead:
        for t in order:
            if t in prompted:
                for bank in banks:
                    bank.remember(entry(t), conditioning=True)
    biggest = 0
    for t in order:
        if bounded.conditioning and t not in (prompted if ahead else ()):
            # the full bank has no limits: cut what SAM2 does not read
            maps, pointers = frames_read(bounded, t, step)
            limited = MemoryBank(6, 15, most)
            limited.conditioning = full.conditioning
            limited.recent.extend(list(full.recent)[-6:])
            limited.pointers.extend(list(full.pointers)[-15:])
            assert (maps, pointers) == frames_read(limited, t, step)
            bounded.forget(t, step)
        if t not in prompted:
            for bank in banks:
                bank.remember(entry(t), conditioning=False)
        elif not ahead:
            for bank in banks:
                bank.remember(entry(t), conditioning=True)
        past = sum((t - f) * step >= 0 for f in bounded.conditioning)
        biggest = max(biggest, past)
        assert len(bounded.recent) <= 6
        assert len(bounded.pointers) <= 15
    assert biggest <= most + 2 + 15 + 1  # what can be chosen, and what is near


def test_tokens_are_grouped_by_number():
    banks = []
    for n in (1, 2, 1):
        bank = MemoryBank(6, 15, 8)
        bank.remember(entry(0), conditioning=True)
        for t in range(1, n):
            bank.remember(entry(t), conditioning=False)
        banks.append(bank)
    out = tokens(banks, 2, 1, 16)
    assert {key: members for key, (members, _) in out.items()} == {(1, 1): [0, 2], (2, 2): [1]}
    _, memory = out[2, 2]
    assert memory.slots.tolist() == [[0, 6]]
    assert memory.distances.tolist() == [[2.0, 1.0]]
    assert memory.maps.shape == (1, 2, 2, 1, 1)
    assert memory.take([0]).pointers[0, 1, 0] == 1


def saved(state):
    buffer = io.BytesIO()
    torch.save(state, buffer)
    buffer.seek(0)
    return torch.load(buffer, weights_only=True)


def same(a, b):
    return a.frame == b.frame and all(
        (x.object_id, x.state, x.score, x.iou) == (y.object_id, y.state, y.score, y.iou)
        and (x.patch.y0, x.patch.x0) == (y.patch.y0, y.patch.x0)
        and np.array_equal(x.patch.logits_yx, y.patch.logits_yx)
        for x, y in zip(a.objects, b.objects, strict=True)
    )


@pytest.mark.parametrize("mode", ["frame", "window"])
@pytest.mark.parametrize(
    ("step", "equality", "later"),
    [(1, "fast", "refine"), (1, "exact", "fresh"), (-1, "fast", "refine"), (1, "fast", "fresh")],
)
def test_interrupted_anywhere_is_as_uninterrupted(small, discs, mode, step, equality, later):
    d = discs(9)
    start = (lambda t: t) if step > 0 else (lambda t: 8 - t)
    prompts = PromptSet(
        {
            (1, start(0)): d.click(start(0), 0),
            (2, start(2)): d.box(start(2), 1),
            (3, start(2)): d.mask(start(2), 2),
        }
    )
    if step > 0:
        prompts = prompts.put(1, 5, d.click(5, 0, (70.0, 100.0))).put(3, 6, d.mask(6, 2))
        prompts = prompts.put(2, 7, d.box(7, 1))
    params = EngineParams(equality=equality, later_prompts=later, max_conditioning=2)
    order = range(9) if step > 0 else range(8, -1, -1)
    whole = list(Pass.over(small, d.movie, prompts, params, mode, order))
    assert [r.frame for r in whole] == list(order)
    assert any(r.labels_yx.any() for r in whole[3:])
    for cut in (1, 3, 6, 8):
        first = Pass.over(small, d.movie, prompts, params, mode, order)
        run = iter(first)
        results = [next(run) for _ in range(cut)]
        tasks = resumed(first, prompts, order, cut)
        run.close()
        results += list(Pass(small, d.movie, tasks, params, mode, step))
        assert len(results) == len(whole)
        for a, b in zip(results, whole, strict=True):
            assert same(a, b), f"cut at {cut}, frame {b.frame}"


def resumed(run, prompts, order, cut):
    """The tasks of a pass from position ``cut`` on, with what was remembered."""
    states = {task.object_id: saved(state) for task, _, state in run.memories(every=True)}
    return [
        replace(
            task,
            frames=order[max(cut, order.index(task.frames[0])) :],
            stale=task.stale & set(order[cut:]),
            state=states.get(task.object_id),
        )
        for task in whole_tasks(prompts, order)
    ]


def test_a_pass_goes_on_after_its_generator_was_closed(small, discs):
    d = discs(6)
    prompts = PromptSet({(1, 0): d.mask(0, 0)})
    whole = list(Pass.over(small, d.movie, prompts, PLAIN, "frame", range(6)))
    run = Pass.over(small, d.movie, prompts, PLAIN, "frame", range(6))
    results = []
    for r in run:
        results.append(r)
        if r.frame == 2:
            break
    results += list(run)
    assert all(same(a, b) for a, b in zip(results, whole, strict=True))


def test_memory_does_not_grow_with_frames(small, discs):
    """Also where somebody prompts every second frame."""

    def size(state):
        buffer = io.BytesIO()
        torch.save(state, buffer)
        return len(buffer.getvalue())

    d = discs(70, height=40, width=40, n=1, speed=(0.0, 0.0))
    click = Prompt(points=(Point(34, 36),))
    prompts = PromptSet({(1, 0): click} | {(2, t): click for t in range(0, 70, 2)})
    params = PLAIN.model_copy(update={"max_conditioning": 3})
    run = Pass.over(small, d.movie, prompts, params, "frame", range(70))
    busy = run.followers[1]
    sizes = [size([state for _, _, state in run.memories(every=True)]) for _ in run]
    assert max(sizes[35:]) <= max(sizes[20:35]) * 1.02
    assert len(busy.bank.conditioning) <= 12


def test_a_resumed_pass_does_not_look_back(small, discs):
    d = discs(6)
    prompts = PromptSet({(1, 0): d.mask(0, 0), (1, 4): d.mask(4, 0)})
    params = EngineParams(later_prompts="fresh")
    first = Pass.over(small, d.movie, prompts, params, "frame", range(6))
    run = iter(first)
    for _ in range(3):
        next(run)
    tasks = resumed(first, prompts, range(6), 3)
    run.close()
    d.movie.reads.clear()
    second = Pass(small, d.movie, tasks, params, "frame", 1)
    assert [r.frame for r in second] == [3, 4, 5]
    assert dict(d.movie.reads) == {3: 1, 4: 1, 5: 1}


def test_what_is_saved_of_an_object_does_not_grow_with_the_batch(small, discs):
    d = discs(4)

    def saved_bytes(n):
        click = {(k + 1, 0): d.click(0, k % 3) for k in range(n)}
        run = Pass.over(small, d.movie, PromptSet(click), EngineParams(), "window", range(4))
        sizes = []
        for _ in run:
            for _, _, state in run.memories(every=True):
                buffer = io.BytesIO()
                torch.save(state, buffer)
                sizes.append(len(buffer.getvalue()))
        return max(sizes)

    assert saved_bytes(6) < 1.1 * saved_bytes(1)
