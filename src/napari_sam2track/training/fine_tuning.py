"""Fine-tuning: a model is trained further, on labels of the person's own.

It is trained for its use: objects in windows, from clicks, boxes and masks, and
followed from there. Now and then the mean of the trained weights and of those to begin with is
scored on held-out windows, and the best one is kept: means forget less, and often are better
than either on images unlike those of the training (Wortsman et al., Robust fine-tuning of
zero-shot models, CVPR 2022).
"""

from __future__ import annotations

import math
import time
from collections.abc import Generator
from contextlib import AbstractContextManager, nullcontext
from copy import deepcopy
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from napari_sam2track.engine.network.network import Network
from napari_sam2track.errors import UsageError
from napari_sam2track.training.labelled import Examples
from napari_sam2track.training.loop import follow_average, pace
from napari_sam2track.training.losses import Weights
from napari_sam2track.training.model_scores import mask_of_click
from napari_sam2track.training.optimiser import Optimisers
from napari_sam2track.training.sampling import Drawing, TrainingSample, augment, deepest_point
from napari_sam2track.training.steps import Kind, mean_ious, run_sample
from napari_sam2track.training.tune_params import TuneParams

#: Fewer objects than this, counted once on every frame, are learnt by heart.
FEWEST = 40
#: Held-out windows, and clicks, that are scored.
_HELD, _CLICKED = 24, 16
#: How often prompts of each kind are the first ones.
_KINDS: tuple[tuple[Kind, float], ...] = (("click", 0.4), ("box", 0.2), ("mask", 0.4))
#: Part of the moving average that stays in a step.
_AVERAGE = 0.98
#: Steps until the learning rate is the highest.
_WARM_UP = 20
#: Parts of the network that see images; they are frozen if only the rest is trained.
_ENCODER = "image_encoder."


@dataclass(frozen=True, eq=False)
class TuningStep:
    """One step, or one scoring of held-out windows.

    Attributes
    ----------
    step, total
        Number of steps made, and of all steps, estimated from the time so far.
    loss
        Mean over the last steps.
    scores
        On held-out windows, if they were scored: see `validate`; else None.
    best_step
        Step of the best scores so far.
    """

    step: int
    total: int
    loss: float
    scores: dict[str, float] | None = None
    best_step: int = 0


@dataclass(eq=False)
class Tuning:
    """A model that is being fine-tuned.

    Parameters
    ----------
    network
        Fresh from its config, with the weights to begin with; changed in place.
    train, held
        Examples for training, and for validation.
    params
        See `TuneParams`.
    device
        Device to compute on.

    Attributes
    ----------
    before, after
        Scores on held-out windows (see `validate`) of the weights to begin with, and of ``best``.
    best
        The weights to keep: those trained until ``best_step``, with `TuneParams.keep` of those
        to begin with.
    steps, best_step
        Number of steps made, and the step of the best weights.
    gave_up
        Whether it ended because the scores did not improve any more.

    Raises
    ------
    UsageError
        If there is too little for training or validation.
    """

    network: nn.Module
    train: Examples
    held: Examples
    params: TuneParams
    device: str = "cpu"
    before: dict[str, float] = field(default_factory=dict, init=False)
    after: dict[str, float] = field(default_factory=dict, init=False)
    best: dict[str, Tensor] = field(default_factory=dict, init=False)
    steps: int = field(default=0, init=False)
    best_step: int = field(default=0, init=False)
    gave_up: bool = field(default=False, init=False)

    def __post_init__(self) -> None:
        check(self.train, self.held)
        self.network = self.network.to(self.device)
        self.best = self._base = _copy(self.network)
        # the trained weights, a moving average; and a network as users have it, for validation
        self._average = {name: value.clone() for name, value in self.network.state_dict().items()}
        self._judged = deepcopy(self.network)
        # in training, the prompt decides how many masks there are, as in sam2's own
        decoder: Any = self.network.sam_mask_decoder
        decoder.dynamic_multimask_via_stability = False
        for name, parameter in self.network.named_parameters():
            parameter.requires_grad_(self.params.what == "all" or not name.startswith(_ENCODER))
        self._size = Network(self.network).image_size
        self._frames = min(self.params.frames, self.train.longest)

    @property
    def improved(self) -> bool:
        """True if held-out windows have better scores than before."""
        return _mean(self.after) > _mean(self.before)

    def kept(self) -> nn.Module:
        """Return the network with the best weights so far, as it is loaded to be used."""
        return self._loaded(self.best)

    def run(self) -> Generator[TuningStep, None, None]:
        """Train; closing the generator keeps the best weights that were found.

        Yields
        ------
        TuningStep
            After each step.
        """
        params = self.params
        self.before = self.after = self._validate(self.best)
        yield TuningStep(0, 0, math.nan, self.before)
        optimiser = Optimisers(self.network, params.rate, params.decay)
        begin = time.monotonic()
        losses: list[float] = []
        waited, looked, looked_at = 0, 0.0, 0
        while True:
            # validation is a part of the time, as a person waits for it
            done = (time.monotonic() - begin) / (60 * params.minutes)
            if params.steps is not None:
                done = self.steps / params.steps
            if done >= 1:
                break
            losses.append(self._step(optimiser, pace(done, self.steps, _WARM_UP)))
            self.steps += 1
            recent = float(np.mean(losses[-20:]))
            total = round(self.steps / max(done, 1e-6)) if params.steps is None else params.steps
            if done - looked < params.every:
                yield TuningStep(self.steps, max(total, self.steps), recent)
                continue
            looked, looked_at = done, self.steps
            scores = self._look()
            waited = 0 if self.best_step == self.steps else waited + 1
            yield TuningStep(self.steps, max(total, self.steps), recent, scores, self.best_step)
            if waited >= params.patience:
                self.gave_up = True
                return
        last = None if looked_at == self.steps else self._look()
        recent = float(np.mean(losses[-20:])) if losses else math.nan
        yield TuningStep(self.steps, self.steps, recent, last, self.best_step)

    def _look(self) -> dict[str, float]:
        """Return scores on held-out windows; the weights are kept if they are the best so far."""
        mixed = {
            name: value.detach().cpu().lerp(self._base[name], self.params.keep)
            if value.is_floating_point()
            else value.detach().cpu().clone()
            for name, value in self._average.items()
        }
        scores = self._validate(mixed)
        if _mean(scores) > _mean(self.after):
            self.after, self.best, self.best_step = scores, mixed, self.steps
        return scores

    def _step(self, optimiser: Optimisers, part: float) -> float:
        params = self.params
        rng = np.random.default_rng([params.seed, self.steps])
        torch.manual_seed(int(rng.integers(2**62)))  # dropout, where a model has some
        still = self._frames == 1 or rng.random() < 0.35
        frames = 1 if still else self._frames
        n = params.windows * (2 if still else 1)
        how = _drawing(frames, 2, self._size)
        if still and rng.random() < 0.6:
            how = how.of_all_sizes()
        sample = self.train.draw(rng, n, how)
        sample = _to(replace(sample, images=augment(rng, sample.images)), self.device)
        kinds = _KINDS[:2] if still else _KINDS  # a mask alone teaches nothing
        odds = np.array([weight for _, weight in kinds])
        kind = kinds[int(rng.choice(len(kinds), p=odds / odds.sum()))][0]
        fixes = int(rng.random() < 0.35)
        fix_at = int(rng.integers(1, frames)) if frames > 2 and rng.random() < 0.3 else None
        self.network.train()
        with _autocast(self.device):
            network = Network(self.network)
            tally = run_sample(network, sample, kind, rng, Weights(full_size=0.3), fixes, fix_at)
        assert isinstance(tally.loss, Tensor)
        tally.loss.backward()
        optimiser.step(part, 1.0)
        keep = min(_AVERAGE, (1 + self.steps) / (10 + self.steps))
        follow_average(self._average, self.network, keep)
        return float(tally.loss.detach())

    def _loaded(self, weights: dict[str, Tensor]) -> nn.Module:
        self._judged.load_state_dict(weights)
        return self._judged

    def _validate(self, weights: dict[str, Tensor]) -> dict[str, float]:
        return validate(self._loaded(weights), self.held, self.params.frames, self.device)


def _autocast(device: str) -> AbstractContextManager[Any]:
    if device.startswith("cuda"):
        return torch.autocast("cuda", torch.bfloat16)
    return nullcontext()


def check(train: Examples, held: Examples) -> None:
    """Refuse examples from which a network would only learn these pixels.

    Raises
    ------
    UsageError
        If there are too few objects.
    """
    for examples, what, fewest in ((train, "train on", FEWEST), (held, "judge by", 8)):
        n = sum(len(movie.rows) for movie in examples.movies)
        if n < fewest:
            names = ", ".join(movie.name for movie in examples.movies)
            raise UsageError(
                f"{names}: {n} objects on all frames together are too few to {what} (at least "
                f"{fewest} of 30 pixels or more); label more frames, or give more --data"
            )


@torch.no_grad()
def validate(
    model: nn.Module, held: Examples, n_frames: int, device: str = "cpu"
) -> dict[str, float]:
    """Return mean IoUs on held-out windows, the same in every call.

    Returns
    -------
    dict
        ``click``, ``box``, ``J``: objects followed from their masks, all in windows of about their
        size; ``any size``: a click whose window the engine has to find.
    """
    network, tallies = Network(model.eval()), []
    asked: list[tuple[Kind, int]] = [("click", 1), ("box", 1)]
    followed = min(n_frames, held.longest)
    if followed > 1:
        asked.append(("mask", followed))
    for kind, frames in asked:
        rng = np.random.default_rng(99)
        how = _drawing(frames, 1, network.image_size)
        for _ in range(_HELD // 8):
            sample = _to(held.draw(rng, 8, how), device)
            with _autocast(device):
                tallies.append(run_sample(network, sample, kind, None, Weights()))
    found = mean_ious(tallies)
    scores = {name: found[key] for name, key in _SHOWN if key in found}
    return scores | {"any size": _clicked(network, held)}


def _clicked(network: Network, held: Examples) -> float:
    """Return mean IoU of the engine's masks from one click in the middle of some objects."""
    ious = []
    for movie in held.movies:
        most = max(1, _CLICKED // len(held.movies))
        chosen = np.random.default_rng(99).permutation(len(movie.rows))[:most]
        for row in movie.rows[chosen]:
            t, truth = int(row["frame"]), movie.read(int(row["frame"])) == row["track"]
            x, y = deepest_point(truth)
            mask = mask_of_click(network, movie.frames, t, x, y)
            ious.append(float((mask & truth).sum() / (mask | truth).sum()))
    return float(np.mean(ious))


def _drawing(frames: int, per_window: int, size: int) -> Drawing:
    """Return settings to draw windows of any size, as movies of others have them."""
    return Drawing(frames, per_window, size, sides=(20.0, 1e5))


_SHOWN = (("click", "click"), ("box", "box"), ("J", "follow"))


def _mean(scores: dict[str, float]) -> float:
    return float(np.mean(list(scores.values()))) if scores else math.nan


def _copy(network: nn.Module) -> dict[str, Tensor]:
    return {name: value.detach().cpu().clone() for name, value in network.state_dict().items()}


def _to(sample: TrainingSample, device: str) -> TrainingSample:
    return TrainingSample(*(x.to(device) for x in (sample.images, sample.masks, sample.known)))
