"""Scores of a model, held-out synthetic and real, beside trivial baselines.

    python benchmarks/model_quality.py [--model bundled] [--work FOLDER] [--data FOLDER]

Writes a table; needs the held-out clips (made on first use in --work, some two minutes) and, for
the real images, the project's test data. --picture writes windows with truth and answer as well,
and beside it the worst of 240.
--image and --labels add one more real image. The README's nuclei are those that StarDist's wheel
has in stardist/data/images (img2d.tif, mask2d.tif; `pip download --no-deps stardist`).
"""

from __future__ import annotations

import argparse
import json
import os
from pathlib import Path

import numpy as np
import tifffile
import torch
from PIL import Image
from skimage.segmentation import find_boundaries

from napari_sam2track.engine.network.network import Network
from napari_sam2track.frames import open_frames
from napari_sam2track.models.loading import load_network
from napari_sam2track.models.registry import find_model
from napari_sam2track.training.loop import BUNDLED
from napari_sam2track.training.losses import iou_of
from napari_sam2track.training.model_scores import (
    ANY,
    USUAL,
    first_masks,
    on_clips,
    on_windows,
    one_click,
)
from napari_sam2track.training.sampling import draw_windows, first_clicks
from napari_sam2track.training.synthetic.clips import Clips, open_clips

DATA = Path(os.environ.get("SAM2TRACK_TEST_DATA", Path(__file__).parents[2] / "shared" / "data"))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--model", default="bundled")
    parser.add_argument("--config")
    parser.add_argument("--work", type=Path, default=Path("training-work"))
    parser.add_argument("--data", type=Path, default=DATA)
    parser.add_argument("--n", type=int, default=500)
    parser.add_argument("--picture", type=Path)
    parser.add_argument("--image", type=Path)
    parser.add_argument("--labels", type=Path)
    args = parser.parse_args()
    torch.set_num_threads(1)
    network = Network(load_network(find_model(args.model, args.config)))
    held = open_clips(args.work / "held", BUNDLED.held_out, workers=2)
    unseen = open_clips(args.work / "unseen", BUNDLED.unseen, workers=2)
    if args.picture:
        by_chance, worst = pictures(network, held, unseen)
        Image.fromarray(by_chance).save(args.picture)
        Image.fromarray(worst).save(args.picture.with_stem(f"{args.picture.stem}_worst"))
    for name, clips in (("held-out", held), ("looks never shown,", unseen)):
        show(f"{name} windows", on_windows(network, clips, args.n))
        usual = on_windows(network, clips, args.n, USUAL)
        show(f"{name} windows of the size that the engine asks for", usual)
        show(f"{name} clips of {clips.labels.shape[1]} frames", on_clips(network, clips, args.n))
    if args.image:
        labels = tifffile.imread(args.labels)[None]
        show(args.image.name, one_click(network, open_frames(args.image), labels, range(1)))
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


@torch.inference_mode()
def pictures(network: Network, *sets: Clips, columns: int = 12) -> tuple[np.ndarray, np.ndarray]:
    """Windows with the truth in green and the mask of one click in red, each (Y, X, 3) uint8.

    First three rows drawn by chance, as many from each set; then the worst, two rows, among 120
    of each.
    """
    by_chance, all_tiles = [], []
    for clips in sets:
        sample = draw_windows(np.random.default_rng(11), clips, 120, ANY)
        images = network.normalise(sample.images[0])
        features = network.encode_images(images.contiguous(memory_format=torch.channels_last))
        points, signs = first_clicks(None, sample.masks[0])
        answer = network.decode(network.without_memory(features), features, points, signs)
        masks = network.full_size(answer.logits)[:, 0] > 0
        tiles = []
        for image, truth, mask in zip(sample.images[0], sample.masks[0], masks, strict=True):
            tile = image.numpy().copy()
            tile[find_boundaries(truth.numpy(), mode="inner")] = (0, 255, 0)
            tile[find_boundaries(mask.numpy(), mode="inner")] = (255, 0, 0)
            tiles.append((float(iou_of(truth, mask)), np.pad(tile, ((0, 2), (0, 2), (0, 0)))))
        by_chance += tiles[: 3 * columns // len(sets)]
        all_tiles += tiles
    worst = sorted(all_tiles, key=lambda tile: tile[0])[: 2 * columns]
    return _rows(by_chance, columns), _rows(worst, columns)


def _rows(tiles: list[tuple[float, np.ndarray]], columns: int) -> np.ndarray:
    images = [tile for _, tile in tiles]
    lines = [np.concatenate(images[k : k + columns], 1) for k in range(0, len(images), columns)]
    return np.concatenate(lines)


def show(name: str, scores: dict[str, float]) -> None:
    print(name, json.dumps({k: round(v, 3) for k, v in scores.items()}), flush=True)


if __name__ == "__main__":
    main()
