"""Losses of the training."""

from __future__ import annotations

from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor

from napari_sam2track.engine.network.network import Decoded


@dataclass(frozen=True)
class Weights:
    """Weights of the terms.

    BCE with dice on the stride-4 logits; focal loss on full-size logits, SAM2's own choice,
    collapses to empty masks when training starts from scratch.
    """

    bce: float = 2.0
    dice: float = 1.0
    iou: float = 0.5
    score: float = 0.5
    full_size: float = 0.0


def mask_loss(logits_nyx: Tensor, truth_nyx: Tensor, weights: Weights) -> Tensor:
    """Return BCE and dice per mask; truth in [0, 1], shapes (..., h, w) to (...)."""
    logits = logits_nyx.clamp(-40, 40)
    bce = F.binary_cross_entropy_with_logits(logits, truth_nyx, reduction="none")
    p = logits.sigmoid()
    both, total = (p * truth_nyx).flatten(-2).sum(-1), (p + truth_nyx).flatten(-2).sum(-1)
    return weights.bce * bce.flatten(-2).mean(-1) + weights.dice * (
        1 - (2 * both + 1) / (total + 1)
    )


def iou_of(a: Tensor, b: Tensor) -> Tensor:
    """Return the IoU of binary masks (..., h, w); two empty masks agree."""
    both = (a & b).flatten(-2).sum(-1).float()
    either = (a | b).flatten(-2).sum(-1).float()
    return torch.where(either > 0, both / either.clamp(min=1), torch.ones_like(either))


def total_loss(
    decoded: Decoded, truth_nyx: Tensor, known_n: Tensor, weights: Weights
) -> tuple[Tensor, Tensor]:
    """Return the loss of a batch, and the IoU per object of the mask that the network chooses.

    Parameters
    ----------
    decoded
        For N objects.
    truth_nyx
        (N, S, S) bool.
    known_n
        (N,) bool, False where neither presence nor mask is defined.
    """
    candidates = decoded.candidates
    truth = F.interpolate(truth_nyx[:, None].float(), candidates.shape[-2:], mode="area")
    shown = truth_nyx.flatten(1).any(1)
    weight = (shown & known_n).float()
    per_candidate = mask_loss(candidates, truth.expand_as(candidates), weights)
    best = per_candidate.detach().argmin(1)
    rows = torch.arange(len(best), device=best.device)
    loss = per_candidate[rows, best]
    with torch.no_grad():
        ious = iou_of(candidates > 0, (truth > 0.5).expand_as(candidates))
    if weights.full_size:
        full = F.interpolate(
            candidates[rows, best][:, None],
            truth_nyx.shape[-2:],
            mode="bilinear",
            align_corners=False,
        )
        loss = loss + weights.full_size * mask_loss(full[:, 0], truth_nyx.float(), weights)
        with torch.no_grad():
            full_iou = iou_of(full[:, 0] > 0, truth_nyx)
    else:
        full_iou = ious[rows, best]
    loss = loss + weights.iou * (decoded.ious - ious).abs().mean(1)
    loss = (loss * weight).sum() / weight.sum().clamp(min=1)
    score = F.binary_cross_entropy_with_logits(
        decoded.score[:, 0].clamp(-20, 20), shown.float(), reduction="none"
    )
    loss = loss + weights.score * (score * known_n).sum() / known_n.sum().clamp(min=1)
    chosen = decoded.ious.argmax(1)
    result = torch.where(chosen == best, full_iou, ious[rows, chosen])
    return loss, torch.where(weight > 0, result, torch.nan).detach()
