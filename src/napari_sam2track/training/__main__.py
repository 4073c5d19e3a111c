"""``python -m napari_sam2track.training WORK``: makes the bundled model."""

from __future__ import annotations

import argparse
import hashlib
import sys
from pathlib import Path

import torch
from PIL import Image
from torch import Tensor

from napari_sam2track.engine.network.network import Network
from napari_sam2track.models.config import named_config
from napari_sam2track.models.loading import load_network, read_checkpoint
from napari_sam2track.models.registry import bundled_model, find_model
from napari_sam2track.training.export import export, write_card
from napari_sam2track.training.loop import BUNDLED, Recipe, shortened, train
from napari_sam2track.training.model_scores import USUAL, on_clips, on_windows
from napari_sam2track.training.synthetic.clips import describe, open_clips
from napari_sam2track.training.synthetic.contact_sheet import sheet


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
    parser.add_argument("--start", type=Path, help="weights that the recipe begins from")
    args = parser.parse_args()
    config = named_config(bundled_model())
    recipe = BUNDLED if args.part == 1 else shortened(BUNDLED, args.part)
    start = None if recipe.start is None else _start(args.start, recipe.start)
    weights = torch.load(train(recipe, config, args.work, start), weights_only=True)["model"]
    path = export(weights, args.work)
    network = load_network(find_model(path, "bundled"))
    scores = score(network, recipe, args.work)
    for name, values in scores.items():
        print(name, {k: round(v, 3) for k, v in values.items()})
    parameters = sum(p.numel() for p in network.parameters())
    clips = open_clips(args.work / "train", recipe.clips)
    Image.fromarray(sheet(clips)).save(args.work / "samples.png")
    print(path, write_card(path, parameters, recipe, describe(clips, recipe.clips), scores))


def _start(path: Path | None, sha256: str) -> dict[str, Tensor]:
    """Return the weights that a recipe begins from, in float32; exits if they are others."""
    found = hashlib.sha256(path.read_bytes()).hexdigest() if path and path.is_file() else None
    if path is None or found != sha256:
        sys.exit(f"{path}: the recipe begins from the weights with SHA-256 {sha256}; give --start")
    model: dict[str, Tensor] = read_checkpoint(path)["model"]
    return {k: v.float() if v.is_floating_point() else v for k, v in model.items()}


def score(model: torch.nn.Module, recipe: Recipe, work: Path) -> dict[str, dict[str, float]]:
    """Return scores on held-out clips and looks, of the network as users load it."""
    torch.set_num_threads(1)
    network = Network(model)
    out: dict[str, dict[str, float]] = {}
    for name, spec in (("held", recipe.held_out), ("unseen", recipe.unseen)):
        clips = open_clips(work / name, spec, recipe.processes)
        words = "" if name == "held" else ", looks never shown"
        out[f"windows{words}"] = on_windows(network, clips, 500)
        out[f"windows of the usual size{words}"] = on_windows(network, clips, 500, USUAL)
        out[f"clips{words}"] = on_clips(network, clips)
    return out


if __name__ == "__main__":
    main()
