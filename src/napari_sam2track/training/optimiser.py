"""Optimisers: Muon for the matrices, AdamW for all else."""

from __future__ import annotations

import math
from collections.abc import Iterable
from typing import Any

import torch
from torch import Tensor, nn

#: Newton-Schulz coefficients of Keller Jordan's Muon (2024): singular values end near 1.
_A, _B, _C = 3.4445, -4.7750, 2.0315


def orthogonal(matrix: Tensor, rounds: int = 5) -> Tensor:
    """Return the matrix with all its singular values brought near 1 (0.7 to 1.2), same shape.

    The polynomial is applied to the Gram matrix of the shorter side, so that the long side enters
    two products only: a third of the time for 96 x 2048.
    """
    wide = matrix if matrix.shape[0] <= matrix.shape[1] else matrix.T
    wide = wide / (wide.norm() + 1e-7)
    gram = wide @ wide.T
    unit = torch.eye(len(gram), dtype=gram.dtype, device=gram.device)
    product = unit
    for _ in range(rounds):
        factor = _A * unit + _B * gram + _C * (gram @ gram)
        product = factor @ product
        gram = factor @ gram @ factor
    out = product @ wide
    return out if matrix.shape[0] <= matrix.shape[1] else out.T


class Muon(torch.optim.Optimizer):
    """Momentum whose step is made orthogonal, for matrices of hidden layers.

    As `torch.optim.Muon` with ``match_rms_adamw``, in float32: that one computes in bfloat16,
    which takes three times as long on a CPU without bfloat16 units.

    Parameters
    ----------
    params
        Matrices.
    lr
        Rate, on AdamW's scale.
    momentum
        Of the gradients (Nesterov's).
    weight_decay
        Decoupled.
    """

    def __init__(
        self, params: Iterable[Tensor], lr: float, momentum: float = 0.95, weight_decay: float = 0.0
    ) -> None:
        super().__init__(params, {"lr": lr, "momentum": momentum, "weight_decay": weight_decay})

    @torch.no_grad()
    def step(self, closure: Any = None) -> None:  # type: ignore[override]
        """Make one step from the gradients; matrices without a gradient stay."""
        assert closure is None
        for group in self.param_groups:
            rate, momentum = group["lr"], group["momentum"]
            for p in group["params"]:
                if p.grad is None:
                    continue
                state = self.state[p]
                if not state:
                    state["mean"] = torch.zeros_like(p)
                mean = state["mean"]
                mean.lerp_(p.grad, 1 - momentum)
                update = orthogonal(p.grad.lerp(mean, momentum))
                p.mul_(1 - rate * group["weight_decay"])
                p.add_(update, alpha=-rate * 0.2 * math.sqrt(max(p.shape)))


def is_hidden(name: str, parameter: Tensor) -> bool:
    """Return whether a parameter is a matrix between hidden layers; not an embedding or output."""
    special = ("embed", "token", "hypernetworks", "pred_obj_score", "iou_prediction_head.layers.2")
    return parameter.ndim == 2 and min(parameter.shape) >= 8 and not any(s in name for s in special)


class Optimisers:
    """Muon and AdamW, as one.

    Parameters
    ----------
    model
        Whose parameters with ``requires_grad`` are trained.
    rate
        Highest rate of either.
    decay
        Weight decay of either.
    """

    def __init__(self, model: nn.Module, rate: float, decay: float) -> None:
        trained = [(n, p) for n, p in model.named_parameters() if p.requires_grad]
        self.parameters = [p for _, p in trained]
        self._rate = rate
        rest = [p for n, p in trained if not is_hidden(n, p)]
        hidden = [p for n, p in trained if is_hidden(n, p)]
        self._parts: list[torch.optim.Optimizer] = []
        if rest:
            self._parts.append(
                torch.optim.AdamW(rest, lr=rate, betas=(0.9, 0.98), weight_decay=decay)
            )
        if hidden:
            self._parts.append(Muon(hidden, lr=rate, weight_decay=decay))

    def step(self, pace: float, most: float) -> None:
        """Step with the present gradients, then drop them.

        Parameters
        ----------
        pace
            Part of the highest rate.
        most
            Longest gradient; a longer one is shortened.
        """
        nn.utils.clip_grad_norm_(self.parameters, most)
        for part in self._parts:
            for group in part.param_groups:
                group["lr"] = self._rate * pace
            part.step()
            part.zero_grad(set_to_none=True)

    def state_dict(self) -> list[dict[str, Any]]:
        """Return the state from which `load_state_dict` continues."""
        return [part.state_dict() for part in self._parts]

    def load_state_dict(self, states: list[dict[str, Any]]) -> None:
        """Continue from an earlier state of the same model."""
        for part, state in zip(self._parts, states, strict=True):
            part.load_state_dict(state)
