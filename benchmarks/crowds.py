"""How well the bundled model follows crowds for many frames: masks, drift, identities, time.

    python benchmarks/crowds.py [apart touching blinking leaving bacteria bacteria-10 bacteria-19]
        [--frames N]

Synthetic movies get one click per cell, on its deepest pixel in the first frame; the bacteria
(the project's test data) get their first masks and count until they divide. One thread: set
OMP_NUM_THREADS=1. What was tried with these movies: docs/figures/crowds.md.
"""

from __future__ import annotations

import argparse
import os
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import tifffile
import torch
from numpy.typing import NDArray
from rich.console import Console
from rich.table import Table

from napari_sam2track.engine.network.network import Network
from napari_sam2track.engine.propagation import Pass
from napari_sam2track.engine.views.views import Movie
from napari_sam2track.frames import open_frames
from napari_sam2track.masks import Mask
from napari_sam2track.models.loading import load_network
from napari_sam2track.models.registry import find_model
from napari_sam2track.params import EngineParams
from napari_sam2track.prompts import Point, Prompt, PromptSet
from napari_sam2track.samples import SampleMovie, centre_pixels, crowd

DATA = Path(os.environ.get("SAM2TRACK_TEST_DATA", Path(__file__).parents[2] / "shared" / "data"))
#: Number of frames to a movie.
MOVIES: dict[str, Callable[[int], SampleMovie]] = {
    "apart": lambda n: crowd(n, n_cells=60, seed=0),
    "touching": lambda n: crowd(n, n_cells=200, clumps=4, seed=1),
    "blinking": lambda n: crowd(n, 700, n_cells=60, blinking=0.5, seed=2),
    "leaving": lambda n: crowd(n, 700, n_cells=60, drift=(5.0, 4.0), seed=3),
}
#: The real movie from so many frames on.
BACTERIA = {"bacteria": 0, "bacteria-10": 10, "bacteria-19": 19}
#: A change of identity counts if it lasts for so many frames.
LASTS = 3


@dataclass(frozen=True, eq=False)
class Tally:
    """What was found, for each object (N) and frame (T).

    Attributes
    ----------
    j
        (T, N) IoU with the object's own truth; NaN where it is not there.
    owner
        (T, N) the true object that most of the mask lies on; 0 for none.
    painted
        (T, N) whether there is a mask.
    """

    j: NDArray[np.float64]
    owner: NDArray[np.int64]
    painted: NDArray[np.bool_]

    @property
    def mean(self) -> float:
        """J of all object-frames but those of the first frame."""
        return float(np.nanmean(self.j[1:]))

    def part(self, frames: slice) -> float:
        """J of some frames."""
        j = self.j[1:][frames]
        return float("nan") if np.isnan(j).all() else float(np.nanmean(j))

    @property
    def switches(self) -> int:
        """How often a mask went over to another true object, and stayed there."""
        return sum(
            len(_runs(column, start)) for start, column in enumerate(self.owner.T.tolist(), 1)
        )

    @property
    def lost(self) -> int:
        """Objects that are there on their last frame and are not found on it (IoU below 0.1)."""
        n = 0
        for column in self.j.T:
            there = np.flatnonzero(~np.isnan(column))
            n += bool(len(there)) and bool(column[there[-1]] < 0.1)
        return n

    @property
    def ghosts(self) -> float:
        """Part of the object-frames without the object on which something is painted."""
        gone = np.isnan(self.j)
        return float(self.painted[gone].mean()) if gone.any() else float("nan")


def _runs(owners: list[int], start: int) -> list[int]:
    """True objects that a mask went over to, one after the other, for `LASTS` frames or to the
    end."""
    now, out = start, []
    for t, owner in enumerate(owners):
        if owner in (0, now):
            continue
        following = [o for o in owners[t:] if o][:LASTS]
        if following == [owner] * len(following):
            out.append(owner)
            now = owner
    return out


def score(
    truth_yx: NDArray[np.integer], found_yx: NDArray[np.integer], n: int
) -> tuple[NDArray[np.float64], NDArray[np.int64], NDArray[np.bool_]]:
    """One frame: J, owner and painted of objects 1 to ``n``."""
    pairs = truth_yx.astype(np.int64) * (n + 1) + found_yx
    counts = np.bincount(pairs.ravel(), minlength=(n + 1) ** 2).reshape(n + 1, n + 1)
    true, found, both = counts.sum(1)[1:], counts.sum(0)[1:], counts.diagonal()[1:]
    with np.errstate(invalid="ignore", divide="ignore"):
        j = np.where(true > 0, both / (true + found - both), np.nan)
    over = counts[1:, 1:]
    owner = np.where(over.max(0) > found / 2, over.argmax(0) + 1, 0)
    return j, owner, found > 0


def tally(truth_tyx: NDArray[np.integer], found: list[NDArray[np.integer]], n: int) -> Tally:
    """All frames of a movie."""
    rows = [score(t, f, n) for t, f in zip(truth_tyx, found, strict=True)]
    return Tally(*(np.stack(column) for column in zip(*rows, strict=True)))


def clicks(labels_yx: NDArray[np.uint16]) -> PromptSet:
    """One click on each object of the first frame."""
    return PromptSet(
        {(i, 0): Prompt(points=(Point(y, x),)) for i, (y, x) in centre_pixels(labels_yx).items()}
    )


def first_masks(labels_yx: NDArray[np.integer]) -> PromptSet:
    """The masks of the first frame."""
    return PromptSet(
        {
            (int(i), 0): Prompt(mask=Mask.from_frame(labels_yx == i))
            for i in np.unique(labels_yx[labels_yx > 0])
        }
    )


def follow(
    network: Network, movie: Movie, prompts: PromptSet
) -> tuple[list[NDArray[np.uint32]], float]:
    """Labels of all frames and the seconds that it took."""
    start = time.perf_counter()
    params = EngineParams(mode="window", direction="forward")
    run = Pass.over(network, movie, prompts, params, "window", range(movie.n_frames))
    found = [result.labels_yx for result in run]
    return found, time.perf_counter() - start


def bacteria(start: int) -> tuple[Movie, NDArray[np.uint16]] | None:
    """The real movie from a frame on, and the labels of its objects there until they divide.

    None without data.
    """
    folder = DATA / "bacteria"
    if not folder.exists():
        return None
    images = [tifffile.imread(p) for p in sorted((folder / "01").glob("*.tif"))[start:]]
    paths = sorted((folder / "01_GT" / "TRA").glob("*.tif"))[start:]
    labels = np.stack([tifffile.imread(p) for p in paths])
    labels[~np.isin(labels, np.unique(labels[0]))] = 0
    return open_frames(np.stack(images), axes="TYX"), labels.astype(np.uint16)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("parts", nargs="*", default=[*MOVIES, *BACTERIA])
    parser.add_argument("--frames", type=int, default=50)
    parser.add_argument("--model", default="bundled")
    args = parser.parse_args()
    torch.set_num_threads(1)
    network = Network(load_network(find_model(args.model, None)))
    table = Table("movie", "objects", "frames", "J", "first 10", "last 10", "left in place")
    for name in ("switches", "lost", "ghosts", "s", "ms per object and frame"):
        table.add_column(name, justify="right")
    for part in args.parts:
        if part in BACTERIA:
            real = bacteria(BACTERIA[part])
            if real is None:
                print(f"no bacteria in {DATA}")
                continue
            movie, labels = real
            prompts = first_masks(labels[0])
        else:
            sample = MOVIES[part](args.frames)
            movie, labels = open_frames(sample.images_tyx, axes="TYX"), sample.labels_tyx
            prompts = clicks(labels[0])
        n, many = int(labels.max()), len(prompts.objects)
        found, seconds = follow(network, movie, prompts)
        ours = tally(labels, found, n)
        still = tally(labels, [labels[0]] * len(labels), n)
        table.add_row(
            part,
            str(many),
            str(len(labels)),
            *(f"{x:.3f}" for x in (ours.mean, ours.part(slice(10)), ours.part(slice(-10, None)))),
            f"{still.mean:.3f}",
            str(ours.switches),
            str(ours.lost),
            f"{ours.ghosts:.2f}",
            f"{seconds:.0f}",
            f"{1000 * seconds / many / len(labels):.1f}",
        )
    Console(width=140).print(table)


if __name__ == "__main__":
    main()
