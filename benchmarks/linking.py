"""How well and how fast masks are linked, beside laptrack, on synthetic movies and on bacteria.

    python benchmarks/linking.py [quality bacteria laptrack size] [--data ../shared/data]

All labels are scrambled first: new ids in every frame. Scores are those of `sam2track evaluate`
(py-ctcmetrics for LNK and TRA, traccuracy for divisions). Needs the extra [eval], and laptrack for
the part of that name. One thread: set OMP_NUM_THREADS=1.
"""

from __future__ import annotations

import argparse
import resource
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
from rich.console import Console
from rich.table import Table

from napari_sam2track.labels import ArrayLabels
from napari_sam2track.linking import link_all
from napari_sam2track.params import LinkParams
from napari_sam2track.samples import LabelSample, dividing_nuclei, growing_colony, shake
from napari_sam2track.tracks.table import TrackTable
from napari_sam2track.tracks.tracked_movie import (
    TrackedMovie,
    map_labels,
    relabelled,
    relabelled_frames,
    table_of,
)

PARTS = ("quality", "bacteria", "laptrack", "size")
#: What laptrack makes of (1, overlap, IoU, share of the first, share of the second): its own
#: default, and one minus the IoU, which is what we look at.
LAPTRACK = {"own": (1.0, 0.0, 0.0, 0.0, -1.0), "IoU": (1.0, 0.0, -1.0, 0.0, 0.0)}
JUMPS = {20: (-30, 45), 40: (20, -35)}
MOVIES: dict[str, Callable[[], LabelSample]] = {
    "colony that doubles every 7 frames, to 290 rods": lambda: growing_colony(52, 1100, seed=0),
    "the same, with two jumps of the stage": lambda: shake(
        growing_colony(52, 1100, seed=1), jumps=JUMPS
    ),
    "fast growth (doubles every 4 frames)": lambda: growing_colony(30, 900, growth=1.2, seed=5),
    "thin rods, one jump": lambda: shake(
        growing_colony(50, 700, width=9, length=60, seed=6), jumps={30: (-25, 33)}
    ),
    "nuclei that wander": lambda: dividing_nuclei(n_cells=60),
    "nuclei, dense": lambda: dividing_nuclei(20, n_cells=350, radius=9, speed=2.5),
    "nuclei that move by most of a radius": lambda: dividing_nuclei(n_cells=60, speed=6),
    "drift by half a diameter a frame": lambda: dividing_nuclei(n_cells=60, drift=(9, 6)),
    "nuclei that cross": lambda: dividing_nuclei(
        n_cells=60, speed=4, crossing=True, divisions=0.01
    ),
    "3 % of all objects missing (gaps)": lambda: shake(dividing_nuclei(n_cells=60), missing=0.03),
    "colony, 2 % missing, two jumps": lambda: shake(
        growing_colony(52, 1100, seed=0), jumps=JUMPS, missing=0.02
    ),
    "small and far apart, moving by 3 radii": lambda: dividing_nuclei(
        n_cells=25, radius=5, speed=10, divisions=0
    ),
    "the same, with --max-distance 40": lambda: dividing_nuclei(
        n_cells=25, radius=5, speed=10, divisions=0
    ),
}
#: What a person would have to say of a movie.
SAID = {"the same, with --max-distance 40": {"max_distance": 40}}


def scrambled(sample: LabelSample, seed: int = 0) -> np.ndarray:
    """New ids in every frame, (T, Y, X) uint32."""
    rng = np.random.default_rng(seed)
    out = np.empty_like(sample.labels_tyx)
    for t, frame in enumerate(sample.labels_tyx):
        ids = np.unique(frame[frame > 0])
        out[t] = map_labels(frame, ids, rng.permutation(len(ids)).astype(np.uint32) + 1)
    return out


def scores(masks: np.ndarray, table: TrackTable, truth: LabelSample) -> dict[str, float]:
    """Scores by name."""
    from napari_sam2track.evaluation import evaluate

    labels = ArrayLabels(truth.labels_tyx)
    true = TrackedMovie(table_of(labels, truth.parents), labels)
    found = TrackedMovie(relabelled(table), relabelled_frames(ArrayLabels(masks), table))
    return {score.name: score.value for score in evaluate(found, true)}


def linked(masks: np.ndarray, **params: Any) -> tuple[TrackTable, float]:
    """Tracks, and the seconds that they took."""
    begin = time.perf_counter()
    table = link_all(ArrayLabels(masks), LinkParams(**params))
    return table, time.perf_counter() - begin


def quality() -> None:
    """Synthetic movies, with and without motion."""
    shown = Table("movie", "links", "motion", "LNK", "TRA", "division F1", "seconds")
    for name, make in MOVIES.items():
        sample = make()
        masks = scrambled(sample)
        for motion in ("on", "off"):
            table, seconds = linked(masks, motion=motion, **SAID.get(name, {}))
            s = scores(masks, table, sample)
            f1 = "-" if not sample.parents else f"{s['division F1']:.3f}"
            n = len(table) - table.n_tracks
            row = (motion, f"{s['LNK']:.4f}", f"{s['TRA']:.4f}", f1, f"{seconds:.1f}")
            shown.add_row(name if motion == "on" else "", str(n), *row)
    Console(width=130).print(shown)


def read_bacteria(data: Path) -> LabelSample:
    """The bacteria of the project's test data, or another folder of a ground truth."""
    from napari_sam2track.formats.tracks_files import open_tracks

    folder = data / "bacteria" / "01_GT"
    with open_tracks(folder if folder.exists() else data) as movie:
        assert movie.labels is not None
        frames = [movie.labels.read(t) for t in range(movie.table.n_frames)]
        return LabelSample(np.stack(frames), dict(movie.table.parents))


def bacteria(data: Path) -> None:
    """Real rods."""
    sample = read_bacteria(data)
    shown = Table("bacteria", "LNK", "TRA", "CHOTA", "division F1", "seconds")
    masks = scrambled(sample)
    for params in ({}, {"motion": "off"}, {"min_iou": 0.3}, {"divisions": "off"}):
        table, seconds = linked(masks, **params)
        s = scores(masks, table, sample)
        name = ", ".join(f"{k} {v}" for k, v in params.items()) or "as it comes"
        figures = (f"{s[k]:.4f}" for k in ("LNK", "TRA", "CHOTA", "division F1"))
        shown.add_row(name, *figures, f"{seconds:.2f}")
    Console(width=130).print(shown)


def with_laptrack(
    masks: np.ndarray, splitting: bool, metric: str = "own"
) -> tuple[TrackTable, float]:
    """laptrack's OverLapTrack; `metric` is a key of LAPTRACK."""
    from laptrack import OverLapTrack

    from napari_sam2track.tracks.regions import measure_regions
    from napari_sam2track.tracks.tracked_movie import detections_of

    coefficients = LAPTRACK[metric]
    linker = OverLapTrack(
        metric_coefs=coefficients,
        cutoff=0.9,  # an overlap of 0.1, as ours
        gap_closing_cutoff=False,
        gap_closing_max_frame_count=0,
        splitting_metric_coefs=coefficients,
        splitting_cutoff=0.9 if splitting else False,
    )
    begin = time.perf_counter()
    found, splits, _ = linker.predict_overlap_dataframe(masks)
    seconds = time.perf_counter() - begin
    found = found.reset_index()
    rows = []
    tracks = found.set_index(["frame", "label"])["track_id"]
    for t, frame in enumerate(masks):
        regions = measure_regions(frame)
        ids = np.array([tracks[t, int(label)] + 1 for label in regions.labels], np.uint32)
        rows.append(detections_of(t, regions, ids))
    parents = {}
    if len(splits):
        parents = {
            int(child) + 1: int(parent) + 1
            for parent, child in splits[["parent_track_id", "child_track_id"]].to_numpy()
        }
    return TrackTable(np.concatenate(rows), len(masks), masks.shape[1:], parents), seconds


def laptrack(data: Path) -> None:
    """Side by side, in one run."""
    shown = Table("movie", "linker", "LNK", "division F1", "seconds", "laptrack takes")
    samples = {
        "bacteria": read_bacteria(data),
        "colony, 52 frames of 1100 x 1100": growing_colony(52, 1100, seed=0),
        "nuclei, dense, 20 frames": dividing_nuclei(20, n_cells=350, radius=9, speed=2.5),
    }
    for name, sample in samples.items():
        masks = scrambled(sample)
        linked(masks[:2])  # imports are not part of it
        ways = {
            "ours, divisions and motion": lambda m: linked(m),
            "ours, divisions": lambda m: linked(m, motion="off"),
            "ours, motion": lambda m: linked(m, divisions="off"),
            "ours": lambda m: linked(m, divisions="off", motion="off"),
            "laptrack, splitting": lambda m: with_laptrack(m, True),
            "laptrack": lambda m: with_laptrack(m, False),
            "laptrack by IoU, splitting": lambda m: with_laptrack(m, True, "IoU"),
            "laptrack by IoU": lambda m: with_laptrack(m, False, "IoU"),
        }
        found = {way: run(masks) for way, run in ways.items()}
        for way, (table, seconds) in found.items():
            s = scores(masks, table, sample)
            peer = "laptrack, splitting" if "divisions" in way else "laptrack"
            ratio = f"{found[peer][1] / seconds:.1f} times as long" if "ours" in way else ""
            row = (f"{s['LNK']:.4f}", f"{s['division F1']:.3f}", f"{seconds:.2f}", ratio)
            shown.add_row(name, way, *row)
    Console(width=130).print(shown)


def size() -> None:
    """Time and memory, each size in a process of its own."""
    shown = Table("objects", "frames", "pixels", "seconds", "peak MB")
    for objects, frames in ((250, 50), (500, 100), (1000, 200)):
        command = [sys.executable, __file__, "--child", str(objects), str(frames)]
        out = subprocess.run(command, check=True, capture_output=True, text=True).stdout
        shown.add_row(str(objects), str(frames), "1024 x 1024", *out.split())
    Console(width=130).print(shown)


class Made:
    """Frames of discs on a grid that drift and jitter, made when they are read."""

    frame_shape = (1024, 1024)

    def __init__(self, n_objects: int, n_frames: int) -> None:
        self.n_frames = n_frames
        rng = np.random.default_rng(0)
        side = int(np.ceil(np.sqrt(n_objects)))
        spacing = 1000 / side
        at = np.stack(np.divmod(np.arange(n_objects), side), 1) * spacing + spacing / 2 + 12
        self._at = at + rng.uniform(-0.1, 0.1, at.shape) * spacing
        self._radius = rng.uniform(0.3, 0.36, n_objects) * spacing
        self._phase = rng.uniform(0, 2 * np.pi, at.shape)

    def read(self, t: int) -> np.ndarray:
        out = np.zeros(self.frame_shape, np.uint32)
        swing = 0.1 * self._radius[:, None] * np.sin(0.3 * t + self._phase)
        at = self._at + swing + 8 * np.sin(t / 9)
        ids = np.random.default_rng(t).permutation(len(at)) + 1
        for (y, x), r, label in zip(at, self._radius, ids, strict=True):
            y0, x0 = max(int(y - r), 0), max(int(x - r), 0)
            dy = np.arange(y0, int(y + r) + 2)[:, None] - y
            dx = np.arange(x0, int(x + r) + 2)[None] - x
            box = out[y0 : int(y + r) + 2, x0 : int(x + r) + 2]
            inside = (np.hypot(dy, dx) < r)[: box.shape[0], : box.shape[1]]
            box[inside] = label
        return out


def child(n_objects: int, n_frames: int) -> None:
    """One size: seconds of linking alone (making the frames is taken off), and peak memory."""
    made = Made(n_objects, n_frames)
    begin = time.perf_counter()
    for t in range(n_frames):
        made.read(t)
    making = time.perf_counter() - begin
    begin = time.perf_counter()
    table = link_all(made, LinkParams())
    seconds = time.perf_counter() - begin - making
    assert table.n_tracks == n_objects, table.n_tracks
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    print(f"{seconds:.1f} {peak:.0f}")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("parts", nargs="*", metavar="part", help=" ".join(PARTS))
    parser.add_argument("--data", type=Path, default=Path("../shared/data"))
    parser.add_argument("--child", type=int, nargs=2, help=argparse.SUPPRESS)
    args = parser.parse_args()
    if args.child:
        child(*args.child)
        return
    runs = {
        "quality": quality,
        "bacteria": lambda: bacteria(args.data),
        "laptrack": lambda: laptrack(args.data),
        "size": size,
    }
    unknown = set(args.parts) - set(PARTS)
    if unknown:
        parser.error(f"unknown parts: {unknown}; choose from {PARTS}")
    for part in args.parts or PARTS:
        runs[part]()


if __name__ == "__main__":
    main()
