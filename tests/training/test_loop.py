"""Losses, one step, and a very small training run."""

from __future__ import annotations

import hashlib
import subprocess
import sys
import threading
import time
from dataclasses import replace

import numpy as np
import psutil
import pytest
import torch

from napari_sam2track.engine.network.network import Decoded, Network
from napari_sam2track.errors import FormatError
from napari_sam2track.models import bundled_model, load_config
from napari_sam2track.training.log import cut_log, write_row
from napari_sam2track.training.loop import (
    BUNDLED,
    Recipe,
    Stage,
    _Shared,
    build_model,
    pace,
    shortened,
    train,
)
from napari_sam2track.training.losses import Weights, iou_of, mask_loss, total_loss
from napari_sam2track.training.sampling import Drawing, draw_windows
from napari_sam2track.training.steps import Tally, _Bank, mean_ious, run_sample
from napari_sam2track.training.synthetic.clips import ClipSet


def decoded(logits, ious=None, score=5.0):
    """What a network would give for masks (N, M, h, w)."""
    n, m = logits.shape[:2]
    best = torch.zeros(n, dtype=torch.long)
    return Decoded(
        candidates=logits,
        ious=torch.full((n, m), 1.0) if ious is None else ious,
        logits=logits[:, :1],
        iou=best.float(),
        pointer=torch.zeros(n, 4),
        score=torch.full((n, 1), score),
    )


@pytest.fixture
def truth():
    yy, xx = np.mgrid[:64, :64]
    return torch.from_numpy(np.stack([np.hypot(yy - 30, xx - 28 - 3 * k) < 14 for k in range(4)]))


def logits_of(truth, shift=0):
    low = torch.nn.functional.interpolate(truth[:, None].float(), (16, 16), mode="area")
    return torch.roll((low - 0.5) * 12, shift, -1)


@pytest.mark.parametrize("weights", [Weights(), Weights(full_size=0.3)])
def test_better_masks_cost_less(truth, weights):
    known = torch.ones(4, dtype=torch.bool)
    losses, ious = [], []
    for shift in (0, 1, 3, 6):
        loss, iou = total_loss(decoded(logits_of(truth, shift)), truth, known, weights)
        losses.append(float(loss))
        ious.append(float(iou.mean()))
    assert losses == sorted(losses)
    assert ious == sorted(ious, reverse=True)
    assert losses[0] < 0.5 * losses[-1]
    assert ious[0] > 0.9


def test_the_best_candidate_is_trained_and_the_chosen_one_is_measured(truth):
    known = torch.ones(4, dtype=torch.bool)
    good, bad = logits_of(truth), logits_of(truth, 6)
    both = torch.cat([bad, good], 1)
    right = torch.tensor([[0.1, 0.9]]).expand(4, -1)
    wrong = torch.tensor([[0.9, 0.1]]).expand(4, -1)
    loss_right, iou_right = total_loss(decoded(both, right), truth, known, Weights())
    loss_wrong, iou_wrong = total_loss(decoded(both, wrong), truth, known, Weights())
    assert iou_right.min() > 0.9
    assert iou_wrong.max() < 0.5
    assert loss_right < loss_wrong
    assert abs(float(loss_wrong - loss_right)) <= Weights().iou * 0.8 + 1e-5  # the iou term alone


def test_what_is_absent_or_unknown_has_no_mask(truth):
    shown = truth.clone()
    shown[1] = False
    known = torch.tensor([True, True, False, True])
    logits = logits_of(truth).requires_grad_()
    loss, iou = total_loss(decoded(logits, score=-3.0), shown, known, Weights())
    assert iou.isnan().tolist() == [False, True, True, False]
    loss.backward()
    assert logits.grad[1].abs().max() == 0
    assert logits.grad[2].abs().max() == 0
    assert logits.grad[0].abs().max() > 0
    # saying that a missing object is there costs
    gone = torch.zeros_like(truth)
    everything = torch.ones(4, dtype=torch.bool)
    yes, _ = total_loss(decoded(logits_of(truth), score=5.0), gone, everything, Weights())
    no, _ = total_loss(decoded(logits_of(truth), score=-5.0), gone, everything, Weights())
    assert no < 0.1 < yes


def test_mask_loss_and_iou_by_hand():
    truth = torch.tensor([[1.0, 0.0], [0.0, 1.0]])
    logits = torch.full((2, 2), 0.0)
    got = mask_loss(logits, truth, Weights())
    dice = 1 - (2 * 1 + 1) / (4 * 0.5 + 2 + 1)
    assert float(got) == pytest.approx(2 * np.log(2) + dice)
    a = torch.tensor([[True, False], [True, True]])
    assert float(iou_of(a, truth > 0)) == pytest.approx(2 / 3)
    assert (
        float(iou_of(torch.zeros(2, 2, dtype=torch.bool), torch.zeros(2, 2, dtype=torch.bool))) == 1
    )


def test_training_remembers_what_the_engine_reads():
    """Same slots and distances as the engine's bank, on which the oracle's tests are."""
    from napari_sam2track.engine.network.memory import Entry, MemoryBank, tokens

    class Fake:
        n_memories, max_pointers = 7, 16

        def encode_memory(self, features, shown, score, from_prompt):
            return features

    bank, engine = _Bank(Fake()), MemoryBank(6, 15)  # type: ignore[arg-type]
    logits = torch.zeros(1, 1, 4, 4)
    for t in range(9):
        d = replace(decoded(logits), pointer=torch.full((1, 4), float(t)))
        maps = torch.full((1, 2, 1, 1), float(t))
        prompted = t in (0, 4)
        bank.add(t, maps, d, logits, prompted)  # type: ignore[arg-type]
        engine.remember(Entry(t, maps[0], d.pointer[0]), conditioning=prompted)
        ours = bank.tokens(t + 1, 16)
        (theirs,) = [m for _, m in tokens([engine], t + 1, 1, 16).values()]

        def pairs(m):
            maps = sorted(zip(m.slots[0].tolist(), m.maps[0, :, 0, 0, 0].tolist(), strict=True))
            pointers = zip(m.distances[0].tolist(), m.pointers[0, :, 0].tolist(), strict=True)
            return maps, sorted(pointers)

        assert pairs(ours) == pairs(theirs)


@pytest.fixture(scope="module")
def config():
    return load_config(bundled_model())


@pytest.mark.parametrize("kind", ["click", "box", "mask"])
def test_run_sample(config, clips, kind):
    torch.manual_seed(0)
    network = Network(build_model(config).train())
    rng = np.random.default_rng(0)
    sample = draw_windows(rng, clips, 2, Drawing(4, 2))
    tally = run_sample(network, sample, kind, rng, Weights(), fixes=2, fix_at=2)
    asked = {"follow", "fix later"} | (set() if kind == "mask" else {kind, "fix 1", "fix 2"})
    assert set(tally.ious) <= asked
    assert {"follow"} < set(tally.ious)
    assert torch.isfinite(tally.loss)
    tally.loss.backward()
    parts = {n.split(".")[0] for n, p in network.model.named_parameters() if p.grad is not None}
    assert {"image_encoder", "memory_attention", "memory_encoder", "sam_mask_decoder"} <= parts
    means = mean_ious([tally])
    assert all(0 <= v <= 1 for v in means.values())


def test_rate():
    rates = [pace(k / 1000, k, 100) for k in range(1000)]
    assert rates[0] == pytest.approx(0.01, rel=0.02)
    assert max(rates) > 0.95
    assert 90 < int(np.argmax(rates)) < 110
    assert 0.015 < rates[-1] < 0.03


def test_shortened():
    short = shortened(BUNDLED, 0.01)
    assert [s.steps for s in short.stages] == [int(s.steps * 0.01) for s in BUNDLED.stages]
    assert short.clips.n_clips == int(BUNDLED.clips.n_clips * 0.01)
    assert short.held_out == BUNDLED.held_out


TINY = Recipe(
    stages=(
        Stage("images", 1, 2, 30, 2e-3, (("click", 0.5), ("box", 0.5)), warm_up=3, per_window=1),
        Stage("clips", 2, 1, 6, 5e-4, (("box", 0.5), ("mask", 0.5)), warm_up=1, per_window=1),
    ),
    clips=ClipSet(2, n_frames=2, size=96, seed=5),
    held_out=ClipSet(2, n_frames=8, size=96, seed=6),
    unseen=ClipSet(1, n_frames=2, size=96, seed=7, unseen=True),
    processes=1,
    save_every=4,
)


def test_what_was_learnt_first_is_shown_again(config, clips, monkeypatch):
    from napari_sam2track.training import loop

    monkeypatch.setattr(loop, "run_sample", lambda network, sample, *rest: len(sample.images))

    def frames(part, step):
        again = replace(TINY.stages[1], first_again=part)
        recipe = replace(TINY, stages=(TINY.stages[0], again))
        return [loop._step(recipe, again, 1, step, rank, None, clips) for rank in (0, 1)]

    assert frames(1.0, 0) == [1, 1]
    assert frames(0.0, 0) == [2, 2]
    mixed = [frames(0.5, step) for step in range(8)]
    assert all(one == two for one, two in mixed), "processes that wait for one another"
    assert {one for one, _ in mixed} == {1, 2}


def test_steps_that_are_shown_again_are_like_any_other(clips, monkeypatch):
    """What a process draws does not depend on whether the step was drawn as one of the first."""
    from napari_sam2track.training import loop

    drawn = []
    empty = draw_windows(np.random.default_rng(0), clips, 1, Drawing(1, 1))
    monkeypatch.setattr(loop, "draw_windows", lambda rng, c, n, how: drawn.append(how) or empty)
    monkeypatch.setattr(loop, "run_sample", lambda *_: None)
    first = replace(TINY.stages[0], any_size=0.3)
    recipe = replace(TINY, stages=(first, replace(TINY.stages[1], first_again=0.35)), processes=2)
    for rank in (0, 1):
        drawn.clear()
        for step in range(400):
            loop._step(recipe, recipe.stages[1], 1, step, rank, None, clips)
        again = [how for how in drawn if how.n_frames == 1]
        assert 0.25 < len(again) / 400 < 0.45
        assert 0.2 < np.mean([how.zoom == (0.25, 4.0) for how in again]) < 0.4


class StoppedError(Exception):
    """As when the machine is switched off."""


@pytest.fixture
def short_validation(monkeypatch):
    """The real one follows 96 objects through 8 frames, three times."""
    from napari_sam2track.training import loop

    calls = []

    def validate(config, weights, held):
        calls.append(len(held))
        build_model(config).load_state_dict(weights)
        return {"click": 0.5}

    monkeypatch.setattr(loop, "validate", validate)
    return calls


def test_a_small_run(config, tmp_path, monkeypatch, short_validation):
    """It learns, its weights load strictly, and resumed it is what it would have been."""
    from napari_sam2track.models.building import build_network
    from napari_sam2track.training import loop

    losses = []
    real = loop._step

    def recorded(*args):
        tally = real(*args)
        losses.append((args[2], float(tally.loss.detach())))
        return tally

    monkeypatch.setattr(loop, "_step", recorded)
    whole = tmp_path / "whole"
    path = train(TINY, config, whole)
    first = [loss for stage, loss in losses if stage == 0]
    assert len(first) == 30
    assert len(losses) == 36
    assert np.mean(first[-8:]) < 0.8 * np.mean(first[:8])
    assert short_validation == [2, 2]

    checkpoint = torch.load(path, weights_only=True)
    build_network(config).load_state_dict(checkpoint["model"], strict=True)
    assert checkpoint["recipe"]["seed"] == 0
    rows = (whole / "log.csv").read_text().splitlines()
    assert rows[0].startswith("stage,step,held out,")
    assert [row.split(",")[:3] for row in rows[1:]] == [["images", "30", "1"], ["clips", "6", "1"]]
    assert all(",0.5000," in row for row in rows[1:])

    # stopped twice: within the first stage, and within the second, not where it saves
    stopped = tmp_path / "stopped"
    for name in ("train", "held"):
        (stopped / name).mkdir(parents=True)
        for file in (whole / name).iterdir():
            (stopped / name / file.name).write_bytes(file.read_bytes())
    for limit in (10, 27):
        count = []

        def until(*args, count=count, limit=limit):
            count.append(1)
            if len(count) > limit:
                raise StoppedError
            return real(*args)

        monkeypatch.setattr(loop, "_step", until)
        with pytest.raises(StoppedError):
            train(TINY, config, stopped)
        assert not (stopped / "state.part").exists()
    monkeypatch.setattr(loop, "_step", recorded)
    losses.clear()
    with pytest.raises(FormatError, match=r"state\.pt is of another recipe or network"):
        train(replace(TINY, seed=TINY.seed + 1), config, stopped)
    resumed = torch.load(train(TINY, config, stopped), weights_only=True)
    assert 0 < len(losses) < 6  # in the second stage
    for name, value in checkpoint["model"].items():
        assert torch.equal(resumed["model"][name], value), name


def test_a_resumed_run_goes_on_with_the_log(tmp_path):
    path, names = tmp_path / "log.csv", [s.name for s in TINY.stages]
    cut_log(path, names, 0, 0)  # there is none yet
    tally = Tally(torch.tensor(1.0), {"click": [0.5]})
    for stage, step, scores in (
        *(("images", n, None) for n in (50, 100)),
        ("images", 100, {"click": 0.6}),
        *(("clips", n, None) for n in (50, 100, 150)),
    ):
        write_row(path, stage, step, 0.5, [tally], scores)
    rows = path.read_text().splitlines()
    cut_log(path, names, 2, 0)
    assert path.read_text().splitlines() == rows
    cut_log(path, names, 1, 120)
    assert path.read_text().splitlines() == rows[:6]
    cut_log(path, names, 1, 0)
    assert path.read_text().splitlines() == rows[:4]
    cut_log(path, names, 0, 100)  # switched off while it was judged: it is judged again
    assert path.read_text().splitlines() == rows[:3]
    cut_log(path, names, 0, 0)
    assert path.read_text().splitlines() == rows[:1]


def test_processes_share_gradients_and_the_lack_of_them():
    shared, learnt = _Shared(2, 7, 3), {}

    def work(rank):
        parameters = [torch.nn.Parameter(torch.zeros(n)) for n in (2, 4, 1)]
        parameters[0].grad = torch.full((2,), 1.0 + rank)
        if rank:
            parameters[2].grad = torch.tensor([3.0])
        shared.average(rank, parameters)
        learnt[rank] = [None if p.grad is None else p.grad.tolist() for p in parameters]

    threads = [threading.Thread(target=work, args=(rank,)) for rank in (0, 1)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(timeout=60)
    assert learnt[0] == learnt[1] == [[1.5, 1.5], None, [1.5]]


def test_a_recipe_begins_from_weights(config, tmp_path, short_validation):
    given = build_model(config).state_dict()
    still = replace(TINY.stages[0], steps=1, rate=0.0)
    recipe = replace(TINY, stages=(still,), start="0" * 64)
    path = train(recipe, config, tmp_path, given)
    learnt = torch.load(path, weights_only=True)["model"]
    for name, value in given.items():
        assert torch.equal(learnt[name], value), name
    before = path.stat().st_mtime_ns
    train(recipe, config, tmp_path, given)  # nothing is left to be done
    assert path.stat().st_mtime_ns == before
    assert short_validation == [2]


def test_the_wrong_weights_are_no_beginning(tmp_path):
    from napari_sam2track.training.__main__ import _start

    file = tmp_path / "other.pt"
    torch.save({"model": {"a": torch.ones(2, dtype=torch.float16)}}, file)
    right = hashlib.sha256(file.read_bytes()).hexdigest()
    assert _start(file, right)["a"].dtype == torch.float32
    for path in (file, tmp_path / "none.pt", None):
        with pytest.raises(SystemExit, match="begins from the weights with SHA-256 00"):
            _start(path, "00")


def test_a_stage_is_done_when_its_weights_are_there(config, tmp_path, monkeypatch):
    """Switched off while the last stage is judged, the run goes on from where it saved."""
    from napari_sam2track.training import loop

    def off(*_):
        raise StoppedError

    recipe = replace(TINY, stages=(replace(TINY.stages[0], steps=1),))
    monkeypatch.setattr(loop, "validate", off)
    with pytest.raises(StoppedError):
        train(recipe, config, tmp_path)
    assert not (tmp_path / "weights.pt").exists()
    monkeypatch.setattr(loop, "validate", lambda *_: {"click": 0.5})
    assert train(recipe, config, tmp_path).exists()


SCRIPT = """
import sys
from pathlib import Path
from napari_sam2track.models import bundled_model, load_config
from napari_sam2track.training.loop import Recipe, Stage, train
from napari_sam2track.training.synthetic.clips import ClipSet

if __name__ == "__main__":
    stage = Stage("images", 1, 1, 100_000, 1e-4, (("click", 1.0),), per_window=1)
    clips = [ClipSet(1, n_frames=1, size=96, seed=n) for n in range(3)]
    recipe = Recipe((stage,), *clips, save_every=2)
    train(recipe, load_config(bundled_model()), Path(sys.argv[1]))
"""


@pytest.mark.slow
def test_processes_end_with_the_one_that_started_them(tmp_path):
    (tmp_path / "run.py").write_text(SCRIPT)
    main = psutil.Popen(
        [sys.executable, "run.py", str(tmp_path)], cwd=tmp_path, stderr=subprocess.DEVNULL
    )
    try:
        until = time.monotonic() + 120
        while not (tmp_path / "state.pt").exists():
            assert time.monotonic() < until and main.poll() is None
            time.sleep(0.2)
        started = main.children(recursive=True)
        assert len(started) >= 2
    finally:
        main.kill()
        main.wait()
    left = psutil.wait_procs(started, timeout=60)[1]
    for process in left:
        process.kill()
    assert not left
