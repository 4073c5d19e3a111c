"""Memory of an object in a batch: what the process took at its peak, beside the formula.

    python benchmarks/batch_memory.py [--objects 32] [--large 8] [--sizes 256]

The bundled model with --objects in one batch, and SAM 2.1 tiny with random weights and --large
objects, for windows of --sizes; each in a process of its own (Linux only), after 9 frames,
when all spatial memories are there. The peak counts from where one object had been followed.
"""

from __future__ import annotations

import argparse
import subprocess
import sys
from pathlib import Path

import torch
from discs import Discs
from window_cost import random_network

from napari_sam2track.engine.network.batches import Mode, object_bytes
from napari_sam2track.engine.network.network import Network
from napari_sam2track.engine.propagation import Pass
from napari_sam2track.models.loading import load_network
from napari_sam2track.models.registry import find_model
from napari_sam2track.params import EngineParams


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--objects", type=int, default=32)
    parser.add_argument("--large", type=int, default=8)
    parser.add_argument("--sizes", type=int, nargs="*", default=[256])
    parser.add_argument("--child", nargs=3, help=argparse.SUPPRESS)
    args = parser.parse_args()
    if args.child:
        size, mode, n = args.child
        child(int(size), "window" if mode == "window" else "frame", int(n))
        return
    for size, n in [(0, args.objects), *((s, args.large) for s in args.sizes)]:
        for mode in ("window", "frame"):
            command = [sys.executable, __file__, "--child", str(size), mode, str(n)]
            subprocess.run(command, check=True)


def child(size: int, mode: Mode, n: int) -> None:
    torch.set_num_threads(1)
    if size:
        network = Network(random_network("configs/sam2.1/sam2.1_hiera_t.yaml", size))
    else:
        network = Network(load_network(find_model("bundled")))
    follow(network, mode, 1, 3)  # what is made once
    before = status("VmRSS")
    Path("/proc/self/clear_refs").write_text("5")  # the peak is counted anew
    follow(network, mode, n, 9)
    each, told = (status("VmHWM") - before) / n, object_bytes(network, mode) / 2**20
    name = f"tiny at {size} px" if size else "bundled"
    print(
        f"{name}, {mode} mode, {n} objects in a batch: {each:.1f} MB each, formula {told:.1f} MB",
        flush=True,
    )


def follow(network: Network, mode: Mode, n: int, n_frames: int) -> None:
    movie = Discs(n_frames, 512, 512, n)
    params = EngineParams(batch=1024)
    for _ in Pass.over(network, movie, movie.boxes(), params, mode, range(n_frames)):
        pass


def status(name: str) -> float:
    """A number of /proc/self/status in MB."""
    lines = Path("/proc/self/status").read_text().splitlines()
    return next(int(line.split()[1]) for line in lines if line.startswith(name)) / 1024


if __name__ == "__main__":
    main()
