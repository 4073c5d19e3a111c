"""Kill a run at random points, resume it, compare with the run that was never stopped.

    python benchmarks/faults.py [--kills 20] [--frames 40] [--objects 6] [--seed 0]

Every round starts `sam2track video` in a process of its own, sends SIGKILL at a random time after
the first frame was stored, resumes (being killed again half of the time), and compares labels.tif
and tracks.csv with those of the uninterrupted run.
"""

from __future__ import annotations

import argparse
import os
import random
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import numpy as np
import tifffile

from napari_sam2track.samples import centre_pixels, moving_cells


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--kills", type=int, default=20)
    parser.add_argument("--frames", type=int, default=40)
    parser.add_argument("--objects", type=int, default=6)
    parser.add_argument("--seed", type=int, default=0)
    args = parser.parse_args()
    chance = random.Random(args.seed)
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        sample = moving_cells(args.frames, 300, 300, args.objects, seed=3)
        tifffile.imwrite(folder / "movie.tif", sample.images_tyx, photometric="minisblack")
        begin = args.frames // 3  # so that there is a backward pass
        points = [f"{begin}@{x},{y}" for y, x in centre_pixels(sample.labels_tyx[begin]).values()]
        start = Starter(folder / "movie.tif", points)
        first = time.perf_counter()
        start(folder / "whole").check()
        seconds = time.perf_counter() - first
        equal = kills = 0
        for k in range(args.kills):
            out = folder / f"killed{k}"
            kills += start(out).kill(chance.random() * 0.6 * seconds)
            while chance.random() < 0.5:
                kills += start(out, "--resume").kill(chance.random() * 0.6 * seconds)
            start(out, "--resume").check()
            same = alike(folder / "whole", out)
            equal += same
            print(f"round {k + 1}: {'equal' if same else 'DIFFERENT'}", flush=True)
            shutil.rmtree(out)
        print(f"{equal} of {args.kills} runs equal the uninterrupted one, {kills} kills in all")


class Starter:
    """Starts runs on one movie."""

    def __init__(self, movie: Path, points: list[str]) -> None:
        self.options = ["--video", movie, "--overlay", "none", "--threads", "1"]
        for text in points:
            self.options += ["--points", text]

    def __call__(self, out: Path, *more: str) -> Run:
        command = [sys.executable, "-m", "napari_sam2track", "video", "--out-dir", out]
        process = subprocess.Popen(
            [str(part) for part in (*command, *self.options, *more)],
            stdout=subprocess.DEVNULL,
            stderr=subprocess.PIPE,
            text=True,
            env={**os.environ, "OMP_NUM_THREADS": "1"},
        )
        return Run(process, out)


class Run:
    """A run in a process of its own."""

    def __init__(self, process: subprocess.Popen[str], out: Path) -> None:
        self.process, self.out = process, out

    def check(self) -> None:
        """Let it end."""
        _, told = self.process.communicate()
        assert self.process.returncode == 0, told

    def kill(self, after: float) -> int:
        """Kill it so many seconds after it has a frame; how often that came before its end."""
        frames = self.out / ".run" / "frames"
        while self.process.poll() is None and not any(frames.glob("*.frame")):
            time.sleep(0.005)
        time.sleep(after)
        killed = self.process.poll() is None
        self.process.send_signal(signal.SIGKILL)
        self.process.communicate()
        return int(killed)


def alike(a: Path, b: Path) -> bool:
    """Whether two folders have the same labels and tables."""
    one, two = (tifffile.imread(folder / "labels.tif") for folder in (a, b))
    tables = {(folder / "tracks.csv").read_text() for folder in (a, b)}
    return bool(np.array_equal(one, two)) and len(tables) == 1


if __name__ == "__main__":
    main()
