"""Peak memory of a prompt on frames that are long and narrow, beside that on 500 x 500.

    python benchmarks/elongated.py [--sizes 20x30000 500x16000] [--frames 4]

Sizes are height x width. Each command runs in a process of its own (Linux or macOS): `sam2track
image` with a click, a click in RGB, a box and a mask on a disc in noise, and `sam2track video` from
a click through --frames such frames. What a peak is more than on 500 x 500 stands beside it, and
should stay below 100 MB.
"""

from __future__ import annotations

import argparse
import os
import subprocess
import sys
import tempfile
from pathlib import Path

import numpy as np
import tifffile

PLAIN = "500x500"
SIZES = ["20x30000", "30000x20", "500x8000", "500x16000", "100x70000"]


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--sizes", nargs="+", default=SIZES)
    parser.add_argument("--frames", type=int, default=4)
    args = parser.parse_args()
    plain: dict[str, float] = {}
    for size in (PLAIN, *args.sizes):
        height, width = (int(n) for n in size.split("x"))
        with tempfile.TemporaryDirectory() as folder:
            for name, command in commands(Path(folder), height, width, args.frames).items():
                mb = peak([*command, "--threads", "1"])
                more = mb - plain.setdefault(name, mb)
                print(f"{size:>10}  {name:12} {mb:5.0f} MB  {more:+4.0f} MB", flush=True)


def commands(folder: Path, height: int, width: int, n_frames: int) -> dict[str, list[str]]:
    """Arguments of ``sam2track`` by what they show; what they read is written to the folder."""
    radius = min(40.0, min(height, width) / 3)
    cy, cx = height // 2, width // 2
    disc = np.hypot(np.arange(height)[:, None] - cy, np.arange(width) - cx) < radius
    image = np.random.default_rng(0).normal(60, 8, (height, width)) + 100 * disc
    grey = image.clip(0, 255).astype(np.uint8)
    for name, pixels in {
        "grey": grey,
        "rgb": np.repeat(grey[..., None], 3, axis=-1),
        "movie": np.stack([grey] * n_frames),
        "mask": disc.astype(np.uint8),
    }.items():
        kind = "rgb" if name == "rgb" else "minisblack"
        tifffile.imwrite(folder / f"{name}.tif", pixels, photometric=kind)
    click = ["--points", f"{cx},{cy}"]
    box = ",".join(f"{v:.0f}" for v in (cx - radius, cy - radius, cx + radius, cy + radius))

    def image_of(name: str, out: str) -> list[str]:
        return ["image", "--image", str(folder / name), "--out", str(folder / out)]

    movie = ["video", "--video", str(folder / "movie.tif"), "--out-dir", str(folder / "out")]
    return {
        "click": [*image_of("grey.tif", "click.png"), *click],
        "click in RGB": [*image_of("rgb.tif", "rgb.png"), *click],
        "box": [*image_of("grey.tif", "box.png"), "--box", box],
        "mask": [*image_of("grey.tif", "mask.png"), "--mask-prompts", str(folder / "mask.tif")],
        "video": [*movie, *click, "--overlay", "none"],
    }


def peak(arguments: list[str]) -> float:
    """Peak memory of a command in MB; what it says is shown only if it fails."""
    code = "from napari_sam2track.cli import main; main()"
    command = [sys.executable, "-c", code, *arguments]
    with tempfile.TemporaryFile() as said:
        process = subprocess.Popen(command, stdout=said, stderr=subprocess.STDOUT)
        _, status, usage = os.wait4(process.pid, 0)
        process.returncode = os.waitstatus_to_exitcode(status)
        if process.returncode:
            said.seek(0)
            raise SystemExit(said.read().decode())
    return usage.ru_maxrss / (1024**2 if sys.platform == "darwin" else 1024)


if __name__ == "__main__":
    main()
