"""The training loop: stages, two processes that share gradients, resume, moving average."""

from __future__ import annotations

import json
import math
import sys
import time
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import torch
import torch.multiprocessing as mp
from torch import Tensor, nn

from napari_sam2track.engine.network.network import Network
from napari_sam2track.errors import FormatError
from napari_sam2track.training.log import cut_log, write_row
from napari_sam2track.training.losses import Weights
from napari_sam2track.training.optimiser import Optimisers
from napari_sam2track.training.sampling import Drawing, augment, draw_windows
from napari_sam2track.training.steps import Kind, Tally, mean_ious, run_sample
from napari_sam2track.training.synthetic.clips import Clips, ClipSet, open_clips


@dataclass(frozen=True)
class Stage:
    """One stage of the recipe.

    Attributes
    ----------
    windows
        Windows of a step in each process; with ``per_window`` objects each.
    kinds
        Probability of each prompt on the first frame.
    fix_first
        Probability of a corrective click on the first frame, and of a second one after it.
    fix_later
        Probability of a corrective click on some later frame.
    any_size
        Part of the steps that show windows far too small and far too large: to find the size of
        an object from a click, the engine tries such, and they must get low scores.
    usual
        Part of the other windows that are of the engine's usual size.
    away
        How often an object is out of its window for some frames.
    first_again
        Part of the steps that are of the recipe's first stage, so that it is not forgotten. In
        the log they are in the same means.
    """

    name: str
    n_frames: int
    windows: int
    steps: int
    rate: float
    kinds: tuple[tuple[Kind, float], ...]
    fix_first: float = 0.5
    fix_later: float = 0.0
    any_size: float = 0.0
    usual: float = 0.0
    away: float = 0.0
    first_again: float = 0.0
    per_window: int = 2
    warm_up: int = 150
    weights: Weights = Weights()  # noqa: RUF009  (frozen)


@dataclass(frozen=True)
class Recipe:
    """Settings that decide the weights, together with the code.

    ``start`` is the SHA-256 of the weights that the training begins from; None for random ones.
    """

    stages: tuple[Stage, ...]
    clips: ClipSet
    held_out: ClipSet
    unseen: ClipSet
    start: str | None = None
    seed: int = 0
    processes: int = 2
    decay: float = 0.05
    average: float = 0.998
    clip_norm: float = 1.0
    save_every: int = 200


_CLIP_KINDS: tuple[tuple[Kind, float], ...] = (("click", 0.4), ("box", 0.2), ("mask", 0.4))

#: Recipe of the bundled model: the last of five trainings, each of which began from the
#: weights of the one before (docs/guides/training.md).
BUNDLED = Recipe(
    stages=(
        Stage(
            "images",
            1,
            16,
            1900,
            7e-4,
            (("click", 0.7), ("box", 0.3)),
            any_size=0.3,
            usual=0.6,
            per_window=3,
            weights=Weights(full_size=0.3),
        ),
        Stage(
            "clips of 4",
            4,
            6,
            700,
            5e-4,
            _CLIP_KINDS,
            fix_first=0.35,
            fix_later=0.15,
            usual=0.6,
            away=0.2,
            first_again=0.35,
            weights=Weights(full_size=0.3),
        ),
        Stage(
            "clips of 8",
            8,
            4,
            600,
            2.5e-4,
            _CLIP_KINDS,
            fix_first=0.35,
            fix_later=0.35,
            usual=0.6,
            away=0.25,
            first_again=0.35,
            weights=Weights(full_size=0.3),
        ),
    ),
    clips=ClipSet(1000, seed=4),
    held_out=ClipSet(200, seed=1),
    unseen=ClipSet(60, seed=2, unseen=True),
    start="bb0e6bc875c4535ecd5f49f386bea5871d0bd0d45f5f3e0a1a353ce1207c283f",
    seed=4,
)


def shortened(recipe: Recipe, factor: float) -> Recipe:
    """Return the recipe with fewer steps and clips, to try things out."""
    stages = tuple(
        replace(s, steps=max(2, int(s.steps * factor)), warm_up=int(s.warm_up * factor))
        for s in recipe.stages
    )
    clips = replace(recipe.clips, n_clips=max(8, int(recipe.clips.n_clips * factor)))
    return replace(recipe, stages=stages, clips=clips)


def build_model(config: dict[str, Any]) -> nn.Module:
    """Return a fresh model with random weights, ready to be trained from scratch."""
    from napari_sam2track.models.building import build_network

    model: Any = build_network(config)
    model.sam_mask_decoder.dynamic_multimask_via_stability = False
    with torch.no_grad():  # else the first mask logits are in the hundreds
        for mlp in model.sam_mask_decoder.output_hypernetworks_mlps:
            mlp.layers[-1].weight.mul_(0.1)
    built: nn.Module = model
    return built


class _Shared:
    """Mean of gradients over processes, through shared memory."""

    def __init__(self, n_processes: int, n_values: int, n_parameters: int) -> None:
        self.rows = torch.zeros(n_processes, n_values).share_memory_()
        self.used = torch.zeros(n_processes, n_parameters, dtype=torch.bool).share_memory_()
        self.barrier = mp.get_context("spawn").Barrier(n_processes)

    def check_parent(self) -> None:
        """End this process if the one that started it was killed."""
        parent = mp.parent_process()
        if len(self.rows) > 1 and parent is not None and not parent.is_alive():
            self.barrier.abort()  # the other processes end as well
            sys.exit("the training's main process is gone")

    def average(self, rank: int, parameters: list[nn.Parameter]) -> None:
        if len(self.rows) == 1:
            return
        row, i = self.rows[rank], 0
        for k, p in enumerate(parameters):
            part = row[i : i + p.numel()]
            part.copy_(p.grad.flatten()) if p.grad is not None else part.zero_()
            self.used[rank, k] = p.grad is not None
            i += p.numel()
        self.barrier.wait()
        mean, used, i = self.rows.mean(0), self.used.any(0).tolist(), 0
        for k, p in enumerate(parameters):
            # none at all is not zero: parameters that a stage does not use are not decayed either
            p.grad = mean[i : i + p.numel()].view_as(p).clone() if used[k] else None
            i += p.numel()
        self.barrier.wait()


def train(
    recipe: Recipe, config: dict[str, Any], work: Path, start: dict[str, Tensor] | None = None
) -> Path:
    """Run a recipe, resuming from ``work``; return the path of the weights.

    Writes ``state.pt`` (to resume), ``log.csv``, and at the end ``weights.pt`` with the moving
    average of the weights.

    Parameters
    ----------
    recipe
        The recipe.
    config
        Architecture, as `models.config` reads it.
    work
        Folder for all files.
    start
        Weights to begin from; random ones if None.
    """
    work.mkdir(parents=True, exist_ok=True)
    open_clips(work / "train", recipe.clips, recipe.processes)
    open_clips(work / "held", recipe.held_out, recipe.processes)
    sizes = [p.numel() for p in build_model(config).parameters()]
    shared = _Shared(recipe.processes, sum(sizes), len(sizes))
    if start is not None:
        _save(work / "start.pt", start)
    if recipe.processes == 1:
        _worker(0, recipe, config, work, shared)
    else:
        mp.spawn(  # type: ignore[attr-defined]
            _worker, (recipe, config, work, shared), nprocs=recipe.processes
        )
    return work / "weights.pt"


def pace(done: float, step: int, warm_up: int) -> float:
    """Return the part of the highest rate: a warm-up over some steps, then down along a cosine.

    Parameters
    ----------
    done
        Part of the training that is done, 0 to 1.
    """
    return min(1.0, (step + 1) / max(warm_up, 1)) * (0.49 * (1 + math.cos(math.pi * done)) + 0.02)


def _worker(rank: int, recipe: Recipe, config: dict[str, Any], work: Path, shared: _Shared) -> None:
    torch.set_num_threads(1)  # two busy threads of one process would be slower than two processes
    torch.manual_seed(recipe.seed)
    model = build_model(config).train()
    network = Network(model)
    clips = open_clips(work / "train", recipe.clips)
    held = open_clips(work / "held", recipe.held_out)
    if recipe.start is not None:
        model.load_state_dict(torch.load(work / "start.pt", weights_only=True))
    average = {k: v.clone() for k, v in model.state_dict().items()}
    first_stage = first_step = 0
    state_file, log_file = work / "state.pt", work / "log.csv"
    saved: dict[str, Any] | None = None
    if state_file.exists():
        saved = torch.load(state_file, weights_only=True)
        if saved["recipe"] != _plain(recipe, config):
            raise FormatError(
                f"{state_file} is of another recipe or network; train in another folder, or delete "
                "it to begin anew"
            )
        first_stage, first_step = saved["stage"], saved["step"]
        model.load_state_dict(saved["model"])
        average = saved["average"]
    if rank == 0:
        cut_log(log_file, [s.name for s in recipe.stages], first_stage, first_step)

    def keep(stage: int, step: int, optimiser: list[dict[str, Any]] | None) -> None:
        whole = {"recipe": _plain(recipe, config), "stage": stage, "step": step}
        learnt = {"model": model.state_dict(), "average": average, "optimiser": optimiser}
        _save(state_file, whole | learnt)

    for s in range(first_stage, len(recipe.stages)):
        stage = recipe.stages[s]
        optimiser = Optimisers(model, stage.rate, recipe.decay)
        if saved is not None and saved["optimiser"] is not None:
            optimiser.load_state_dict(saved["optimiser"])
        saved = None
        start, recent = time.monotonic(), []
        for step in range(first_step, stage.steps):
            shared.check_parent()
            tally = _step(recipe, stage, s, step, rank, network, clips)
            assert isinstance(tally.loss, Tensor)
            tally.loss.backward()
            shared.average(rank, optimiser.parameters)
            optimiser.step(pace(step / stage.steps, step, stage.warm_up), recipe.clip_norm)
            follow_average(average, model, recipe.average if s or step > 500 else 0.98)
            if rank:
                continue
            recent.append(tally)
            if (step + 1) % 50 == 0:
                took = (time.monotonic() - start) / (step + 1 - first_step)
                write_row(log_file, stage.name, step + 1, took, recent)
                recent = []
            if (step + 1) % recipe.save_every == 0:
                keep(s, step + 1, optimiser.state_dict())
        first_step = 0
        if rank == 0:
            scores = validate(config, average, held)
            write_row(log_file, stage.name, stage.steps, 0.0, [], scores)
            _save(work / "weights.pt", {"model": average, "recipe": asdict(recipe)})
            keep(s + 1, 0, None)  # last: a stage is done when its weights are there


def _step(
    recipe: Recipe, stage: Stage, s: int, step: int, rank: int, network: Network, clips: Clips
) -> Tally:
    # a generator for each step: the draws do not depend on where a run was resumed
    rng = np.random.default_rng([recipe.seed, s, step, rank])
    torch.manual_seed(recipe.seed + step)  # dropout, where a network has some
    # whether the first stage is shown again: drawn alike for all processes, which wait for one
    # another, from a stream of its own
    again = np.random.default_rng([recipe.seed, s, step, recipe.processes])
    if s and again.random() < stage.first_again:
        stage = recipe.stages[0]
    how = Drawing(stage.n_frames, stage.per_window, away=stage.away, usual=stage.usual)
    if rng.random() < stage.any_size:
        how = how.of_all_sizes()
    sample = draw_windows(rng, clips, stage.windows, how)
    sample = replace(sample, images=augment(rng, sample.images))
    names, odds = zip(*stage.kinds, strict=True)
    kind: Kind = names[int(rng.choice(len(names), p=odds))]
    fixes = int(rng.random() < stage.fix_first) * (1 + int(rng.random() < 0.4))
    later = stage.n_frames > 2 and rng.random() < stage.fix_later
    fix_at = int(rng.integers(1, stage.n_frames - 1)) if later else None
    return run_sample(network, sample, kind, rng, stage.weights, fixes, fix_at)


@torch.no_grad()
def follow_average(average: dict[str, Tensor], model: nn.Module, keep: float) -> None:
    """Update a moving average of weights, in place; ``keep`` of it stays."""
    for name, value in model.state_dict().items():
        if value.is_floating_point():
            average[name].lerp_(value, 1 - keep)
        else:
            average[name].copy_(value)


@torch.no_grad()
def validate(config: dict[str, Any], weights: dict[str, Tensor], held: Clips) -> dict[str, float]:
    """Return IoUs on held-out windows (96, with a fixed seed), prompts at the deepest point."""
    model = build_model(config)
    model.load_state_dict(weights)
    network = Network(model.eval())
    tallies: list[Tally] = []
    for batch in range(6):
        for kind, fixes in (("click", 2), ("box", 0), ("mask", 0)):
            rng = np.random.default_rng([99, batch])
            sample = draw_windows(rng, held, 16, Drawing(8, 1))
            tally = run_sample(network, sample, kind, None, Weights(), fixes)  # type: ignore[arg-type]
            if kind != "box":
                tally.ious[f"follow after {kind}"] = tally.ious.pop("follow")
            tallies.append(tally)
    return mean_ious(tallies)


def _plain(recipe: Recipe, config: dict[str, Any]) -> str:
    """Return the settings that decide the result, as text that can be compared."""
    decisive = {**asdict(recipe), "save_every": None, "config": config}
    return json.dumps(decisive, sort_keys=True)


def _save(path: Path, state: dict[str, Any]) -> None:
    part = path.with_suffix(".part")
    torch.save(state, part)
    part.replace(path)
