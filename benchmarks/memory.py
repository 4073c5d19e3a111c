"""Peak memory and speed of following 5 objects through 500 and through 5,000 frames of 512 x 512.

    python benchmarks/memory.py [--frames 500 5000] [--model bundled]

Each length runs in a process of its own, as `sam2track video` runs: the movie is read from a
TIFF page by page and every frame is written to disk. "slowdown" is the time of the last 500
frames over that of the first 500 (from the second on), by the times at which they were written.
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
    parser.add_argument("--frames", type=int, nargs="+", default=[500, 5000])
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
            seconds = time.perf_counter() - begin
            frames = sorted((Path(folder) / "out" / ".run" / "frames").glob("*.frame"))
            at = [frame.stat().st_mtime for frame in frames]
            part = min(500, n // 2)
            slowdown = (at[-1] - at[-part]) / (at[part] - at[1])
            used = sum(f.stat().st_size for f in (Path(folder) / "out").rglob("*") if f.is_file())
            print(
                f"{n} frames: peak {peaks[-1]:.0f} MB, {seconds:.0f} s, slowdown {slowdown:.3f}, "
                f"{used / 1e6:.0f} MB on disk",
                flush=True,
            )
    print(f"difference: {peaks[-1] - peaks[0]:.0f} MB")


def write_movie(path: Path, n_frames: int) -> None:
    """Five discs that move slowly in noise, made and written frame by frame."""
    yy, xx = np.mgrid[:SIZE, :SIZE]
    rng = np.random.default_rng(0)

    def pages():
        for t in range(n_frames):
            image = rng.normal(60, 8, (SIZE, SIZE))
            for k in range(5):
                cy = 70 + 90 * k + 30 * np.sin(t / 40 + k)
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


def centre(k: int) -> str:
    """Where a disc is on the first frame, "x,y"."""
    return f"{256 + 150 * np.sin(2 * k):.0f},{70 + 90 * k + 30 * np.sin(k):.0f}"


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
        *(part for k in range(5) for part in ("--points", centre(k))),
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
