"""One pass of the network over a sample: prompts, memory, corrections, loss."""

from __future__ import annotations

from collections import defaultdict
from dataclasses import dataclass, field
from typing import Literal

import numpy as np
import torch
from torch import Tensor

from napari_sam2track.engine.network.network import (
    ABSENT_LOGIT,
    Decoded,
    Features,
    MemoryTokens,
    Network,
)
from napari_sam2track.training.losses import Weights, total_loss
from napari_sam2track.training.sampling import TrainingSample, boxes, corrections, first_clicks
from napari_sam2track.training.synthetic.scene import Rng

Kind = Literal["click", "box", "mask"]


@dataclass
class Tally:
    """Sum of losses, and IoUs by prompt (``click``, ``box``, ``fix 1``, ``follow``...).

    ``off`` has how far the predicted IoUs were from the true ones, as mean absolute differences.
    """

    loss: Tensor | float = 0.0
    ious: dict[str, list[float]] = field(default_factory=lambda: defaultdict(list))
    off: list[float] = field(default_factory=list)

    def add(self, name: str, decoded: Decoded, truth: Tensor, known: Tensor, w: Weights) -> None:
        """Count the loss and the IoU of one prediction."""
        loss, iou = total_loss(decoded, truth, known, w)
        self.loss = self.loss + loss
        if not iou.isnan().all():
            self.ious[name].append(float(iou.nanmean()))
            self.off.append(float((decoded.iou.detach() - iou).abs().nanmean()))


@dataclass
class _Bank:
    """Memories of one batch, oldest first; all objects share the same history."""

    network: Network
    maps: list[tuple[int, bool, Tensor]] = field(default_factory=list)
    pointers: list[tuple[int, Tensor]] = field(default_factory=list)

    def add(
        self, t: int, features: Features, decoded: Decoded, logits: Tensor, prompted: bool
    ) -> None:
        shown = torch.where(decoded.score[:, :, None, None] > 0, logits, ABSENT_LOGIT)
        maps = self.network.encode_memory(features, shown, decoded.score, from_prompt=prompted)
        self.maps.append((t, prompted, maps))
        self.pointers.append((t, decoded.pointer))

    def tokens(self, t: int, span: int) -> MemoryTokens:
        recent = self.network.n_memories
        kept = [
            (0 if fixed else recent - (t - u), m)
            for u, fixed, m in self.maps
            if fixed or t - u < recent
        ]
        n, device = len(kept[0][1]), kept[0][1].device
        slots = torch.tensor([s for s, _ in kept], device=device).expand(n, -1)
        away = torch.tensor([float(t - u) for u, _ in self.pointers], device=device).expand(n, -1)
        return MemoryTokens(
            torch.stack([m for _, m in kept], 1),
            slots,
            torch.stack([p for _, p in self.pointers], 1),
            away,
            span,
        )


def run_sample(
    network: Network,
    sample: TrainingSample,
    kind: Kind,
    rng: Rng | None,
    weights: Weights,
    fixes: int = 0,
    fix_at: int | None = None,
) -> Tally:
    """Follow the objects of a sample through its frames.

    Parameters
    ----------
    kind
        The prompt on the first frame.
    rng
        Draws clicks and jitters boxes; None clicks the deepest point, as an evaluation does.
    fixes
        Corrective clicks on the first frame (not after a mask).
    fix_at
        A later frame that gets one corrective click and becomes a conditioning frame.
    """
    n_frames, per = len(sample.images), sample.per_window
    flat = network.normalise(sample.images.flatten(0, 1))
    features_all = network.encode_images(flat.contiguous(memory_format=torch.channels_last))
    tally, bank = Tally(), _Bank(network)
    b, device = sample.images.shape[1], sample.images.device
    for t in range(n_frames):
        rows = torch.arange(t * b, (t + 1) * b, device=device).repeat_interleave(per)
        features = features_all.take(rows)
        truth, known = sample.masks[t], sample.known[t]
        if t == 0:
            conditioned = network.without_memory(features)
        else:
            # 16 as in any movie of 16 frames or more: short clips must not teach another scale
            conditioned = network.condition(features, bank.tokens(t, network.max_pointers))
        points = labels = None
        if t == 0 and kind == "mask":
            decoded = network.adopt(features, truth[:, None].float())
        else:
            if t == 0:
                points, labels = (boxes if kind == "box" else first_clicks)(rng, truth.cpu())
                points, labels = points.to(device), labels.to(device)
            decoded = network.decode(conditioned, features, points, labels)
            tally.add(kind if t == 0 else "follow", decoded, truth, known, weights)
        rounds = fixes if t == 0 and kind != "mask" else int(t == fix_at)
        for k in range(rounds):
            predicted = network.full_size(decoded.logits.detach())[:, 0] > 0
            extra, sign = corrections(rng, predicted.cpu(), truth.cpu())
            extra, sign = extra.to(device), sign.to(device)
            points = extra if points is None else torch.cat([points, extra], 1)
            labels = sign if labels is None else torch.cat([labels, sign], 1)
            decoded = network.decode(
                conditioned, features, points, labels, decoded.logits.detach().clamp(-32, 32)
            )
            tally.add(f"fix {k + 1}" if t == 0 else "fix later", decoded, truth, known, weights)
        if t + 1 < n_frames:
            prompted = t == 0 or t == fix_at
            bank.add(t, features, decoded, decoded.logits, prompted)
    return tally


def mean_ious(tallies: list[Tally]) -> dict[str, float]:
    """Return mean IoU by prompt."""
    values: dict[str, list[float]] = defaultdict(list)
    for tally in tallies:
        for name, ious in tally.ious.items():
            values[name] += ious
    return {name: float(np.mean(v)) for name, v in sorted(values.items())}
