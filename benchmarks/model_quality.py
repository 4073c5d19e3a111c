"""Scores of a model, held-out synthetic and real, beside trivial baselines.

    python benchmarks/model_quality.py [--model bundled] [--work FOLDER] [--data FOLDER]

Writes a table; needs the held-out clips (made on first use in --work, some 40 s) and, for the
real images, the project's test data.
"""

from __future__ import annotations

import argparse
import json
import os
from pathlib import Path

import numpy as np
import tifffile
import torch

from napari_sam2track.engine.network import Network
from napari_sam2track.frames import open_frames
from napari_sam2track.models.loading import load_network
from napari_sam2track.models.registry import find_model
from napari_sam2track.training.evaluate import first_masks, on_clips, on_windows, one_click
from napari_sam2track.training.loop import BUNDLED
from napari_sam2track.training.movies import open_clips

DATA = Path(os.environ.get("SAM2TRACK_TEST_DATA", Path(__file__).parents[2] / "shared" / "data"))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--model", default="bundled")
    parser.add_argument("--config")
    parser.add_argument("--work", type=Path, default=Path("training-work"))
    parser.add_argument("--data", type=Path, default=DATA)
    parser.add_argument("--n", type=int, default=200)
    args = parser.parse_args()
    torch.set_num_threads(1)
    network = Network(load_network(find_model(args.model, args.config)))
    held = open_clips(args.work / "held", BUNDLED.held_out, workers=2)
    show("held-out windows", on_windows(network, held, args.n))
    show("held-out clips of 8 frames", on_clips(network, held, args.n))
    if not args.data.exists():
        print(f"no real data at {args.data}")
        return
    bacteria = args.data / "bacteria"
    movie = open_frames(bacteria / "01")
    paths = sorted((bacteria / "01_GT" / "TRA").glob("*.tif"))
    labels = np.stack([tifffile.imread(p) for p in paths])
    show("bacteria, last five frames, one click", one_click(network, movie, labels, range(25, 30)))
    for start in (0, 10, 19):
        show(
            f"bacteria, 10 frames from the masks of frame {start}",
            first_masks(network, movie, labels, start, 10),
        )
    with np.load(args.data / "cellseg" / "data_small.npz") as cells:
        images, masks = cells["images"], cells["labels"]
    show(
        "cellseg, one click",
        one_click(network, open_frames(images, axes="TYX"), masks, range(len(images))),
    )


def show(name: str, scores: dict[str, float]) -> None:
    print(name, json.dumps({k: round(v, 3) for k, v in scores.items()}), flush=True)


if __name__ == "__main__":
    main()
