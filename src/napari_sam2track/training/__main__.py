"""``python -m napari_sam2track.training WORK``: makes the bundled model."""

from __future__ import annotations

import argparse
from pathlib import Path

import torch

from napari_sam2track.engine.network import Network
from napari_sam2track.models.config import named_config
from napari_sam2track.models.loading import load_network
from napari_sam2track.models.registry import bundled_model, find_model
from napari_sam2track.training.evaluate import on_clips, on_windows
from napari_sam2track.training.export import export, write_card
from napari_sam2track.training.loop import BUNDLED, Recipe, shortened, train
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
    path = export(weights, args.work)
    network = load_network(find_model(path, "bundled"))
    scores = score(network, recipe, args.work)
    for name, values in scores.items():
        print(name, {k: round(v, 3) for k, v in values.items()})
    parameters = sum(p.numel() for p in network.parameters())
    print(path, write_card(path, parameters, recipe, scores))


def score(model: torch.nn.Module, recipe: Recipe, work: Path) -> dict[str, dict[str, float]]:
    """Scores on the held-out clips, of the network as users load it."""
    torch.set_num_threads(1)
    network = Network(model)
    held = open_clips(work / "held", recipe.held_out)
    return {"windows": on_windows(network, held), "clips": on_clips(network, held)}


if __name__ == "__main__":
    main()
