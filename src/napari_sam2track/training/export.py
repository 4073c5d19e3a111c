"""Writes trained weights as the file that ships, with a card beside it."""

from __future__ import annotations

import hashlib
import json
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor

from napari_sam2track import __version__
from napari_sam2track.storage.output import atomic_path
from napari_sam2track.training.loop import Recipe

if TYPE_CHECKING:
    from napari_sam2track.models.registry import ModelInfo
    from napari_sam2track.training.fine_tuning import Tuning

NAME = "sam2track_small"


def export(weights: dict[str, Tensor], folder: Path) -> Path:
    """Write ``sam2track_small.pt``, in float16; returns its path."""
    small = {k: v.half() if v.is_floating_point() else v for k, v in weights.items()}
    path = folder / f"{NAME}.pt"
    torch.save({"model": small}, path)
    return path


def save_tuned(
    path: Path, weights: dict[str, Tensor], config: dict[str, Any], card: dict[str, Any]
) -> None:
    """Write a self-contained checkpoint: weights, architecture, card.

    Raises
    ------
    OutputError
        If the file exists already, or cannot be written.
    """
    with atomic_path(path) as part:
        torch.save({"model": weights, "config": config, "card": card}, part)


def tuned_card(
    name: str,
    base: ModelInfo,
    tuning: Tuning,
    movies: tuple[list[str], ...],
    engine: dict[str, dict[str, float]],
) -> dict[str, Any]:
    """Return the card of a fine-tuned checkpoint: plain values.

    Parameters
    ----------
    name
        Name of the new model.
    base
        The model before fine-tuning.
    tuning
        The fine-tuning.
    movies
        Names of movies for training, and of those for validation.
    engine
        ``before`` and, if they are known, ``after``: scores of `report.scores_of`.
    """

    def rounded(scores: dict[str, float]) -> dict[str, float]:
        return {key: round(value, 4) for key, value in scores.items()}

    return {
        "name": name,
        "base": base.name,
        "licence": base.licence or "that of its base",
        "made_with": f"napari-sam2track {__version__}",
        "made": datetime.now(UTC).isoformat(timespec="seconds"),
        "trained_on": list(movies[0]),
        "judged_by": list(movies[1]),
        "steps": tuning.best_step,
        "parameters": sum(p.numel() for p in tuning.network.parameters()),
        "settings": tuning.params.model_dump(),
        "held-out windows": {
            "before": rounded(tuning.before),
            "after": rounded(tuning.after),
        },
        "engine": {key: rounded(value) for key, value in engine.items()},
    }


def write_card(
    path: Path,
    parameters: int,
    recipe: Recipe,
    data: dict[str, object],
    scores: dict[str, dict[str, float]],
) -> Path:
    """Write the card beside exported weights; returns its path.

    Parameters
    ----------
    path
        Path returned by `export`.
    parameters
        Number of parameters of the network.
    recipe
        Recipe of the training.
    data
        Description of its clips (`clips.describe`).
    scores
        Name of a test to its scores.
    """
    content: dict[str, Any] = {
        "name": "bundled",
        "file": path.name,
        "sha256": hashlib.sha256(path.read_bytes()).hexdigest(),
        "n_bytes": path.stat().st_size,
        "parameters": parameters,
        "made_with": f"napari-sam2track {__version__}",
        "licence": "BSD-3-Clause",
        "data": data,
        "start": recipe.start,
        "stages": {s.name: s.steps for s in recipe.stages},
        "seed": recipe.seed,
        "scores": {k: {n: round(x, 4) for n, x in v.items()} for k, v in scores.items()},
    }
    card = path.with_suffix(".json")
    card.write_text(json.dumps(content, indent=2) + "\n", encoding="utf-8")
    return card
