"""From trained weights to the file that ships, with a card beside it."""

from __future__ import annotations

import hashlib
import json
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from napari_sam2track import __version__
from napari_sam2track.training.loop import Recipe

NAME = "sam2track_small"


def export(weights: dict[str, Tensor], folder: Path) -> Path:
    """Write ``sam2track_small.pt``, in float16; returns its path."""
    small = {k: v.half() if v.is_floating_point() else v for k, v in weights.items()}
    path = folder / f"{NAME}.pt"
    torch.save({"model": small}, path)
    return path


def write_card(
    path: Path, parameters: int, recipe: Recipe, scores: dict[str, dict[str, float]]
) -> Path:
    """Write the card beside exported weights; returns its path.

    Parameters
    ----------
    path
        What `export` wrote.
    parameters
        How many the network has.
    recipe
        What they were made with.
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
        "data": f"{recipe.clips.n_clips} synthetic clips of {recipe.clips.n_frames} frames "
        f"(seed {recipe.clips.seed}); no real image",
        "stages": {s.name: s.steps for s in recipe.stages},
        "seed": recipe.seed,
        "scores": {k: {n: round(x, 4) for n, x in v.items()} for k, v in scores.items()},
    }
    card = path.with_suffix(".json")
    card.write_text(json.dumps(content, indent=2) + "\n", encoding="utf-8")
    return card
