"""Real rods followed from the labels of one frame, divisions applied, beside the linker alone.

    python benchmarks/bacteria.py [--data ../shared/data]

Needs the project's test data and the extra [eval]. The linker gets what a threshold makes of each
frame (the darkest of three classes by Otsu's method; parts under 30 pixels or at the border are
dropped). J is the mean, over all true objects of all frames scored, of the IoU with the object
found that covers most of it. Frames before the first one followed count for nobody.
"""

from __future__ import annotations

import argparse
import os
import tempfile
from pathlib import Path

import numpy as np
import tifffile
import torch
from numpy.typing import NDArray
from rich.console import Console
from rich.table import Table
from scipy import ndimage as ndi
from skimage.filters import threshold_multiotsu

from napari_sam2track.evaluation.scores import evaluate
from napari_sam2track.frames import Frames, open_frames
from napari_sam2track.labels import ArrayLabels
from napari_sam2track.linking import link_all
from napari_sam2track.models.registry import find_model
from napari_sam2track.params import AutoParams, EngineParams, LinkParams
from napari_sam2track.prompts import masks_from_labels
from napari_sam2track.session.decisions import Decisions
from napari_sam2track.session.run_store import RunStore
from napari_sam2track.session.runner import Runner
from napari_sam2track.session.session import Session
from napari_sam2track.tracks.tracked_movie import (
    TrackedMovie,
    relabelled,
    relabelled_frames,
    table_of,
)

DATA = Path(os.environ.get("SAM2TRACK_TEST_DATA", Path(__file__).parents[2] / "shared" / "data"))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--data", type=Path, default=DATA)
    args = parser.parse_args()
    torch.set_num_threads(1)
    folder = args.data / "bacteria"
    movie = open_frames(folder / "01")
    paths = sorted((folder / "01_GT" / "TRA").glob("*.tif"))
    truth = np.stack([tifffile.imread(path) for path in paths]).astype(np.uint32)
    parents = read_parents(folder / "01_GT" / "TRA" / "man_track.txt")
    shown = Table("bacteria", "J", "TRA", "LNK", "objects, last frame", "divisions")
    for start in (0, 10, 19):
        part = truth[start:]
        wanted = tracked(part, parents)
        for name, discover, touching in (
            ("followed", 0, False),
            ("followed, asked for daughters in touch", 0, True),
            ("the same, new ones every 5 frames", 5, True),
        ):
            labels, found = followed(movie, truth, start, discover, touching)
            row(shown, f"{name}, from frame {start}", part, wanted, labels, found)
        masks = np.stack([threshold(movie.read(t)) for t in range(start, movie.n_frames)])
        table = link_all(ArrayLabels(masks), LinkParams())
        linked = relabelled_frames(ArrayLabels(masks), table)
        labels = np.stack([linked.read(t) for t in range(len(masks))])
        movie_of = TrackedMovie(relabelled(table), linked)
        row(shown, f"threshold and linker, from frame {start}", part, wanted, labels, movie_of)
    Console(width=130).print(shown)


def followed(
    movie: Frames, truth: NDArray[np.uint32], start: int, discover: int, touching: bool
) -> tuple[NDArray[np.uint32], TrackedMovie]:
    """Labels and tracks from the true masks of one frame."""
    engine = EngineParams(
        divisions="apply",
        touching="on" if touching else "off",
        direction="forward",
        start=start,
    )
    auto = AutoParams(discover=discover) if discover else None
    work = Session(
        movie, find_model("bundled"), masks_from_labels(truth[start], start), engine, auto
    )
    labels, decided = finish(work)
    return labels[start:], tracked(labels[start:], decided.parents)


def finish(work: Session) -> tuple[NDArray[np.uint32], Decisions]:
    """All labels (T, Y, X) of a session, and what it decided."""
    movie = work.frames
    with tempfile.TemporaryDirectory() as name:
        store = RunStore(Path(name), (movie.n_frames, movie.height, movie.width))
        runner = Runner(work, store)
        for _ in runner.propagate():
            pass
        labels = np.stack(list(store.labels()))
    assert runner.decided is not None
    return labels, runner.decided


def tracked(labels: NDArray[np.uint32], parents: dict[int, int]) -> TrackedMovie:
    """Labels as tracks; parents that are not there are left out."""
    ids = set(np.unique(labels).tolist())
    kept = {child: parent for child, parent in parents.items() if {child, parent} <= ids}
    return TrackedMovie(table_of(ArrayLabels(labels), kept), ArrayLabels(labels))


def threshold(image_yxc: NDArray[np.uint8]) -> NDArray[np.uint32]:
    """Dark parts of a frame."""
    grey = image_yxc[..., 0]
    parts, n = ndi.label(grey < threshold_multiotsu(grey, 3)[0])
    area = np.bincount(parts.ravel(), minlength=n + 1)
    edge = np.unique(np.concatenate([parts[0], parts[-1], parts[:, 0], parts[:, -1]]))
    parts[np.isin(parts, edge) | (area < 30)[parts]] = 0
    return parts.astype(np.uint32)


def read_parents(path: Path) -> dict[int, int]:
    rows = [line.split() for line in path.read_text().splitlines()]
    return {int(row[0]): int(row[3]) for row in rows if int(row[3])}


def row(
    shown: Table,
    name: str,
    truth: NDArray[np.uint32],
    wanted: TrackedMovie,
    labels: NDArray[np.uint32],
    found: TrackedMovie,
) -> None:
    scores = {s.name: s.value for s in evaluate(found, wanted)}
    shown.add_row(
        name,
        f"{mean_overlap(truth, labels):.3f}",
        f"{scores['TRA']:.3f}",
        f"{scores['LNK']:.3f}",
        f"{len(np.unique(labels[-1])) - 1} of {len(np.unique(truth[-1])) - 1}",
        f"{len(set(found.table.parents.values()))} of {len(set(wanted.table.parents.values()))}",
    )


def mean_overlap(truth: NDArray[np.uint32], labels: NDArray[np.uint32]) -> float:
    """Mean IoU over all true object-frames."""
    out = []
    for true, mine in zip(truth, labels, strict=True):
        area = np.bincount(mine.ravel())
        for object_id in np.unique(true)[1:]:
            inside = true == object_id
            shared = np.bincount(mine[inside], minlength=2)
            shared[0] = 0
            best = int(shared.argmax())
            both = int(shared[best])
            out.append(both / (inside.sum() + area[best] - both) if both else 0.0)
    return float(np.mean(out))


if __name__ == "__main__":
    main()
