"""``python -m napari_sam2track.training WORK``: makes the bundled model."""

from __future__ import annotations

import argparse
from importlib.resources import files
from pathlib import Path

from omegaconf import OmegaConf

from napari_sam2track.training.loop import BUNDLED, shortened, train


def main() -> None:
    """Read the command line and train."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("work", type=Path, help="folder for clips, state, log and weights")
    parser.add_argument(
        "--part",
        type=float,
        default=1.0,
        help="fraction of the recipe, to try things out (default: all of it)",
    )
    args = parser.parse_args()
    text = (files("napari_sam2track.models") / "configs" / "sam2track_small.yaml").read_text()
    config = OmegaConf.to_container(OmegaConf.create(text))
    recipe = BUNDLED if args.part == 1 else shortened(BUNDLED, args.part)
    print(train(recipe, config, args.work))  # type: ignore[arg-type]


if __name__ == "__main__":
    main()
