"""Peak memory of following 3 objects through 100 and through 2,000 frames of 512 x 512.

    python benchmarks/memory.py [--frames 100 2000] [--model bundled]

Each length runs in a process of its own, as `sam2track video` runs: the movie is read from a
TIFF page by page and every frame is written to disk.
"""

from __future__ import annotations

import argparse
import resource
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import numpy as np
import tifffile

SIZE = 512


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--frames", type=int, nargs="+", default=[100, 2000])
    parser.add_argument("--model", default="bundled")
    parser.add_argument("--config")
    parser.add_argument("--child", type=Path, help=argparse.SUPPRESS)
    args = parser.parse_args()
    if args.child:
        child(args)
        return
    peaks = []
    for n in args.frames:
        with tempfile.TemporaryDirectory() as folder:
            path = Path(folder) / "movie.tif"
            write_movie(path, n)
            command = [sys.executable, __file__, "--child", str(path), "--model", args.model]
            if args.config:
                command += ["--config", args.config]
            begin = time.perf_counter()
            line = subprocess.run(command, check=True, capture_output=True, text=True).stdout
            peaks.append(float(line.split()[-1]))
            print(
                f"{n} frames: peak {peaks[-1]:.0f} MB, {time.perf_counter() - begin:.0f} s",
                flush=True,
            )
    print(f"difference: {peaks[-1] - peaks[0]:.0f} MB")


def write_movie(path: Path, n_frames: int) -> None:
    """Three discs that move slowly in noise, made and written frame by frame."""
    yy, xx = np.mgrid[:SIZE, :SIZE]
    rng = np.random.default_rng(0)

    def pages():
        for t in range(n_frames):
            image = rng.normal(60, 8, (SIZE, SIZE))
            for k in range(3):
                cy = 130 + 120 * k + 30 * np.sin(t / 40 + k)
                cx = 256 + 150 * np.sin(t / 90 + 2 * k)
                image[np.hypot(yy - cy, xx - cx) < 18] += 110
            yield image.clip(0, 255).astype(np.uint8)

    tifffile.imwrite(
        path,
        pages(),
        shape=(n_frames, SIZE, SIZE),
        dtype=np.uint8,
        compression="zlib",
        photometric="minisblack",
    )


def child(args: argparse.Namespace) -> None:
    from napari_sam2track import cli

    out = args.child.with_name("out")
    sys.argv = [
        "sam2track",
        "video",
        "--video",
        str(args.child),
        "--out-dir",
        str(out),
        "--model",
        args.model,
        "--threads",
        "1",
        "--overlay",
        "none",
        "--points",
        "256,130",
        "--points",
        "392,250",
        "--points",
        "143,370",
    ]
    if args.config:
        sys.argv += ["--config", args.config]
    try:
        cli.main()
    except SystemExit as end:
        if end.code:
            raise
    print(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024)


if __name__ == "__main__":
    main()
