"""What it costs that finished frames last: fsync, and checksums.

    python benchmarks/durability.py [--frames 60] [--objects 5] [--pairs 5]

Follows objects as `sam2track video` does, in turns as it is, without fsync, and without either,
and prints the median of each, the ratios within a turn, and the bytes that the run takes on disk.
"""

from __future__ import annotations

import argparse
import os
import statistics
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from unittest import mock

import torch

from napari_sam2track.frames import open_frames
from napari_sam2track.models import find_model
from napari_sam2track.params import EngineParams
from napari_sam2track.prompts import Point, Prompt, PromptSet
from napari_sam2track.samples import centre_pixels, moving_cells
from napari_sam2track.session import run_store
from napari_sam2track.session.run_store import RunStore
from napari_sam2track.session.runner import Runner
from napari_sam2track.session.session import Session


@contextmanager
def without(fsync: bool, seals: bool) -> Iterator[None]:
    """Leave out what is measured."""
    with mock.patch.object(os, "fsync", os.fsync if fsync else lambda number: None):
        if seals:
            yield
            return
        with (
            mock.patch.object(run_store, "sealed", lambda content: content),
            mock.patch.object(run_store, "unsealed", lambda content: content),
        ):
            yield


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--frames", type=int, default=60)
    parser.add_argument("--objects", type=int, default=5)
    parser.add_argument("--pairs", type=int, default=5)
    parser.add_argument("--folder", type=Path, help="on the disk that is measured")
    args = parser.parse_args()
    torch.set_num_threads(1)
    sample = moving_cells(args.frames, 256, 256, args.objects, seed=3)
    clicks = centre_pixels(sample.labels_tyx[0])
    prompts = PromptSet({(i, 0): Prompt(points=(Point(y, x),)) for i, (y, x) in clicks.items()})
    ways = {"as it is": (True, True), "no fsync": (False, True), "neither": (False, False)}
    seconds: dict[str, list[float]] = {name: [] for name in ways}
    size: dict[str, int] = {}
    with open_frames(sample.images_tyx) as movie:
        work = Session(movie, find_model("bundled"), prompts, EngineParams(direction="forward"))
        for turn in range(args.pairs + 1):  # the first warms up
            for name, (fsync, seals) in ways.items():
                with tempfile.TemporaryDirectory(dir=args.folder) as folder, without(fsync, seals):
                    store = RunStore(Path(folder), (movie.n_frames, movie.height, movie.width))
                    begin = time.perf_counter()
                    for _ in Runner(work, store).propagate():
                        pass
                    if turn:
                        seconds[name].append(time.perf_counter() - begin)
                    files = [p for p in Path(folder).rglob("*") if p.is_file()]
                    size[name] = sum(p.stat().st_size for p in files)
    last = seconds["neither"]
    for name, taken in seconds.items():
        ratios = [a / b for a, b in zip(taken, last, strict=True)]
        rate = args.frames / statistics.median(taken)
        print(
            f"{name:<10} {rate:6.1f} frames/s, {statistics.median(ratios):.3f} times the time of "
            f"neither ({min(ratios):.3f} to {max(ratios):.3f}), {size[name] / 1000:.0f} kB"
        )


if __name__ == "__main__":
    main()
