"""Steps from gradients."""

from __future__ import annotations

import math

import pytest
import torch
from torch import nn

from napari_sam2track.models import bundled_model, load_config
from napari_sam2track.training.loop import build_model
from napari_sam2track.training.optimiser import Muon, Optimisers, is_hidden, orthogonal


@pytest.mark.parametrize("shape", [(24, 24), (16, 90), (90, 16)])
def test_singular_values_are_brought_near_one(shape):
    torch.manual_seed(0)
    q, _ = torch.linalg.qr(torch.randn(shape[0], shape[0]))
    r, _ = torch.linalg.qr(torch.randn(shape[1], shape[1]))
    n = min(shape)
    sizes = torch.linspace(0.2, 3.0, n)
    matrix = q[:, :n] * sizes @ r[:n]
    out = orthogonal(matrix)
    assert out.shape == matrix.shape
    values = torch.linalg.svdvals(out)
    assert values.min() > 0.6
    assert values.max() < 1.3
    # the directions stay: only the sizes change
    inner = q[:, :n].T @ out @ r[:n].T
    assert (inner - inner.diag().diag()).abs().max() < 1e-3


def test_muon_steps_as_the_one_of_torch():
    """Same momentum, scale and decay; torch computes in bfloat16."""
    torch.manual_seed(0)
    ours, theirs = (nn.Parameter(torch.ones(32, 48)) for _ in range(2))
    a = Muon([ours], lr=0.01, weight_decay=0.1)
    b = torch.optim.Muon(
        [theirs], lr=0.01, weight_decay=0.1, adjust_lr_fn="match_rms_adamw", momentum=0.95
    )
    for _ in range(5):
        ours.grad = torch.randn(32, 48)
        theirs.grad = ours.grad.clone()
        a.step()
        b.step()
    moved = (theirs - 1).norm()
    assert (ours - theirs).norm() < 0.05 * moved
    assert moved > 0.1
    ours.grad = None
    before = ours.detach().clone()
    a.step()
    assert torch.equal(ours, before)


def test_hidden_matrices_of_the_network():
    model = build_model(load_config(bundled_model()))
    hidden = {n: p for n, p in model.named_parameters() if is_hidden(n, p)}
    assert sum(p.numel() for p in hidden.values()) > 2_000_000
    assert all(p.ndim == 2 for p in hidden.values())
    assert "image_encoder.trunk.blocks.0.attn.qkv.weight" in hidden
    assert not any("pos_embed" in n or "mask_tokens" in n for n in hidden)


def fitted(steps, resume_at=None):
    torch.manual_seed(0)
    model = nn.Sequential(nn.Linear(12, 16), nn.ReLU(), nn.Linear(16, 12))
    x = torch.randn(64, 12)
    y = x.flip(1) * 0.5
    both = Optimisers(model, 0.02, 0.01)
    losses = []
    for k in range(steps):
        if k == resume_at:
            state = both.state_dict()
            both = Optimisers(model, 0.02, 0.01)
            both.load_state_dict(state)
        loss = (model(x) - y).square().mean()
        loss.backward()
        both.step(1.0 - k / steps, 1.0)
        assert all(p.grad is None for p in model.parameters())
        losses.append(float(loss.detach()))
    return model, losses


def test_both_lower_a_loss_and_resume():
    model, losses = fitted(200)
    assert losses[-1] < 0.2 * losses[0]
    assert math.isfinite(losses[-1])
    again, _ = fitted(200, resume_at=90)
    for a, b in zip(model.parameters(), again.parameters(), strict=True):
        assert torch.equal(a, b)


def test_frozen_parameters_are_left_out():
    model = nn.Sequential(nn.Linear(12, 16), nn.Linear(16, 12))
    model[0].requires_grad_(False)
    assert len(Optimisers(model, 0.1, 0.0).parameters) == 2
