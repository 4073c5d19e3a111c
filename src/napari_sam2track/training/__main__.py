"""``python -m napari_sam2track.training WORK``: makes the bundled model."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import Any

import torch

from napari_sam2track.engine.network import Network
from napari_sam2track.models.config import named_config
from napari_sam2track.models.registry import bundled_model
from napari_sam2track.training.evaluate import on_clips, on_windows
from napari_sam2track.training.export import export
from napari_sam2track.training.loop import BUNDLED, Recipe, build_model, shortened, train
from napari_sam2track.training.movies import open_clips


def main() -> None:
    """Read the command line, train, score, and write the weights with their card."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("work", type=Path, help="folder for clips, state, log and weights")
    parser.add_argument(
        "--part",
        type=float,
        default=1.0,
        help="fraction of the recipe, to try things out (default: all of it)",
    )
    args = parser.parse_args()
    config = named_config(bundled_model())
    recipe = BUNDLED if args.part == 1 else shortened(BUNDLED, args.part)
    weights = torch.load(train(recipe, config, args.work), weights_only=True)["model"]
    scores = score(weights, config, recipe, args.work)
    for name, values in scores.items():
        print(name, {k: round(v, 3) for k, v in values.items()})
    for path in export(weights, recipe, scores, args.work):
        print(path)


def score(
    weights: dict[str, Any], config: dict[str, Any], recipe: Recipe, work: Path
) -> dict[str, dict[str, float]]:
    """Scores on the held-out clips."""
    model = build_model(config)
    model.load_state_dict(weights)
    network = Network(model.eval().requires_grad_(False))
    held = open_clips(work / "held", recipe.held_out)
    return {"windows": on_windows(network, held), "clips": on_clips(network, held)}


if __name__ == "__main__":
    main()
