"""Divisions whose daughters stay in touch, on synthetic clips of 12 frames with known truth.

    python benchmarks/touching.py [--clips 12]

Clips of the seed that training keeps for validation, with at most 14 objects on their first frame,
which are followed from their true masks, divisions applied, with and without asking the network.
A division is found if one of its parent is within three frames of it; those of objects that do not
divide, or at another time, are false, as are all of daughters and of what came later. Clips of rods
without a division are left out. J is the mean over all true objects of all frames of the IoU
with the object found that covers most of it. What touches the border is followed as well.
"""

from __future__ import annotations

import argparse
from collections import defaultdict

import numpy as np
import torch
from bacteria import finish, mean_overlap
from numpy.typing import NDArray
from rich.console import Console
from rich.table import Table

from napari_sam2track.frames import open_frames
from napari_sam2track.models.registry import find_model
from napari_sam2track.params import EngineParams
from napari_sam2track.prompts import masks_from_labels
from napari_sam2track.session.decisions import Division
from napari_sam2track.session.session import Session
from napari_sam2track.training.loop import BUNDLED
from napari_sam2track.training.synthetic.clips import make_clip
from napari_sam2track.training.synthetic.shapes import family

#: Clips of each family, as parts of what is asked for.
PARTS = {"rods": 1.0, "blobs": 0.8, "filaments": 0.4, "things": 0.5, "tiling": 0.25}
LEAST_AREA, MOST_OBJECTS, LATE = 40, 14, 3


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--clips", type=int, default=12, help="of rods; of the others fewer")
    args = parser.parse_args()
    torch.set_num_threads(1)
    wanted = {kind: max(1, round(part * args.clips)) for kind, part in PARTS.items()}
    scores: dict[tuple[str, str], list[tuple[float, ...]]] = defaultdict(list)
    spec = BUNDLED.held_out
    for k in range(spec.n_clips):
        kind = family(np.random.default_rng([spec.seed, k]))
        if len(scores[kind, "on"]) == wanted[kind]:
            continue
        images, labels, ended, _ = make_clip(k, spec)
        ids, area = np.unique(labels[0], return_counts=True)
        chosen = ids[(ids > 0) & (area >= LEAST_AREA)]
        divide = {int(i): int(ended[i]) for i in chosen if ended[i] < spec.n_frames}
        still = kind == "rods" and not (ended < spec.n_frames).any()
        if still or not 1 <= len(ids) - 1 <= MOST_OBJECTS:
            continue
        first = np.where(np.isin(labels[0], chosen), labels[0], 0).astype(np.uint32)
        for touching in ("off", "on"):
            found, divisions = followed(images, first, touching)
            hits = sum(abs(d.frame - divide.get(d.parent, -99)) <= LATE for d in divisions)
            false = len(divisions) - hits
            row = (mean_overlap(labels, found), len(chosen), len(divide), hits, false)
            scores[kind, touching].append(row)
    shown = Table("", "asked", "clips", "J", "objects", "divide", "found", "false")
    for (kind, touching), rows in sorted(scores.items()):
        j, *counts = np.array(rows).T
        whole = [str(int(count.sum())) for count in counts]
        shown.add_row(kind, touching, str(len(rows)), f"{j.mean():.3f}", *whole)
    Console(width=100).print(shown)


def followed(
    images: NDArray[np.uint8], first: NDArray[np.uint32], touching: str
) -> tuple[NDArray[np.uint32], tuple[Division, ...]]:
    """Labels (T, Y, X), and the divisions that were applied."""
    movie = open_frames(images, axes="TYXC")
    engine = EngineParams.model_validate(
        {"divisions": "apply", "touching": touching, "direction": "forward", "mode": "window"}
    )
    work = Session(movie, find_model("bundled"), masks_from_labels(first, 0), engine)
    labels, decided = finish(work)
    return labels, decided.divisions


if __name__ == "__main__":
    main()
