"""What a window costs: against SAM2's whole frames, and against the size of the frame.

    python benchmarks/window_cost.py official [--threads 1]
    python benchmarks/window_cost.py frame-size [--threads 1]
    python benchmarks/window_cost.py models [--threads 1]

official: the architecture SAM 2.1 tiny with random weights, which cost what real ones do. Ours:
windows at 256 px, one an object, the last 4 of 12 frames: all spatial memories are there, and 8 to
11 of the 16 pointers. SAM2's
predictor at its 1024 px: 1 object, the last 2 of 9 frames, when its memories are full as well; more
objects by its own law, encoder + n * object, since it follows them one by one. Those lines say
"law".

frame-size: the bundled model, 5 objects in windows, on a movie that is computed where it is read
and on a zarr with chunks of 512 x 512. The sizes take turns several times, and the best of each
is told. From 2048 px on, the objects lie on edges of chunks: up to four are read for a window.

models: the bundled model with 32 objects at once and Meta's architectures (random weights) with 4,
in the windows that each gets on a CPU, the last 4 of 12 frames.
"""

from __future__ import annotations

import argparse
import tempfile
import time
from pathlib import Path
from typing import Any

import numpy as np
import torch
import zarr
from discs import Discs
from predictor import official

from napari_sam2track.engine.network.network import Network
from napari_sam2track.engine.propagation import Pass
from napari_sam2track.engine.views.views import Movie
from napari_sam2track.frames import open_frames
from napari_sam2track.models.building import build_network
from napari_sam2track.models.config import find_config
from napari_sam2track.models.device import keep_freed_memory
from napari_sam2track.models.loading import load_network
from napari_sam2track.models.registry import find_model
from napari_sam2track.params import EngineParams
from napari_sam2track.prompts import PromptSet

CHUNK = 512


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("what", choices=["official", "frame-size", "models"])
    parser.add_argument("--objects", type=int, nargs="+", default=[1, 10, 50])
    parser.add_argument("--sizes", type=int, nargs="+", default=[512, 2048, 8192])
    parser.add_argument("--threads", type=int, default=1)
    args = parser.parse_args()
    keep_freed_memory()
    torch.set_num_threads(args.threads)
    if args.what == "official":
        beside_official(args.objects)
    elif args.what == "frame-size":
        frame_sizes(args.sizes)
    else:
        models()


def beside_official(counts: list[int], n_theirs: int = 9) -> None:
    config = "configs/sam2.1/sam2.1_hiera_t.yaml"
    large = random_network(config, 1024)
    movie = Discs(n_theirs, 1024, 1024, 1)
    ends = [time.perf_counter() for _ in official(large, movie, movie.clicks())]
    one = (ends[-1] - ends[-3]) / 2
    encoder = encoding(Network(large))
    each = one - encoder
    print(f"official, 1024 px: encoder {encoder:.2f} s a frame, {each:.2f} s an object", flush=True)
    del large
    network = Network(random_network(config, 256))
    for n in counts:
        movie = Discs(12, 1024, 1024, n)
        mine = seconds_a_frame(network, movie, movie.boxes(), last=4)
        law = "measured" if n == 1 else "law"
        other = encoder + n * each
        print(
            f"{n:3} objects: windows {1000 * mine:8.0f} ms a frame ({1000 * mine / n:.0f} each), "
            f"official {1000 * other:8.0f} ms ({law}): {other / mine:.0f} times",
            flush=True,
        )


@torch.inference_mode()
def encoding(network: Network, times: int = 3) -> float:
    """Seconds to embed a frame: the best of some tries."""
    images = network.normalise(torch.zeros(1, network.image_size, network.image_size, 3).byte())
    out = []
    for _ in range(times):
        begin = time.perf_counter()
        network.encode_images(images)
        out.append(time.perf_counter() - begin)
    return min(out)


def frame_sizes(sizes: list[int], n_frames: int = 24, turns: int = 4) -> None:
    network = Network(load_network(find_model("bundled")))
    with tempfile.TemporaryDirectory() as folder:
        movies: dict[tuple[str, int], tuple[Movie, PromptSet]] = {}
        for size in sizes:
            discs = Discs(n_frames, size, size, 5)
            write(Path(folder) / f"{size}.zarr", discs)
            frames = open_frames(Path(folder) / f"{size}.zarr", axes="TYX")
            movies["computed", size] = discs, discs.boxes()
            movies["zarr", size] = frames, discs.boxes()
        best = dict.fromkeys(movies, np.inf)
        for _ in range(turns):
            for key, (movie, prompts) in movies.items():
                best[key] = min(best[key], seconds_a_frame(network, movie, prompts, last=16))
    for (kind, size), seconds in sorted(best.items()):
        print(
            f"{kind:8} {size:5} px: {1000 * seconds:6.1f} ms a frame for 5 objects, "
            f"{seconds / best[kind, sizes[0]]:.2f} times {sizes[0]} px"
        )


def models() -> None:
    """Milliseconds per object and frame in windows, of the bundled model and of Meta's."""
    show_cost("bundled, 128 px", Network(load_network(find_model("bundled"))), 32)
    for size in ("t", "s", "b+", "l"):
        config = f"configs/sam2.1/sam2.1_hiera_{size}.yaml"
        show_cost(f"sam2.1_hiera_{size}, 256 px", Network(random_network(config, 256)), 4)


def show_cost(name: str, network: Network, n: int) -> None:
    movie = Discs(12, 1024, 1024, n)
    seconds = seconds_a_frame(network, movie, movie.boxes(), last=4)
    print(f"{name}: {1000 * seconds / n:.1f} ms per object and frame ({n} objects)", flush=True)


def seconds_a_frame(network: Network, movie: Movie, prompts: PromptSet, last: int) -> float:
    """Mean time of the ``last`` frames of a pass, when the memories are full."""
    params = EngineParams(mode="window")
    passed = Pass.over(network, movie, prompts, params, "window", range(movie.n_frames))
    ends = [time.perf_counter() for _ in passed]
    return (ends[-1] - ends[-1 - last]) / last


def random_network(config: str, size: int) -> Any:
    """A predictor with random weights that says of every object that it is there."""
    torch.manual_seed(0)
    model: Any = build_network(find_config(config), "predictor", size)
    model.eval().requires_grad_(False)
    model.sam_mask_decoder.pred_obj_score_head.layers[-1].bias.fill_(3.0)
    return model


def write(path: Path, discs: Discs) -> None:
    """The chunks with discs in them; the others are not there and read as one grey."""
    shape = (discs.n_frames, discs.height, discs.width)
    array = zarr.create_array(
        path, shape=shape, chunks=(1, CHUNK, CHUNK), dtype="uint8", fill_value=60
    )
    for t in range(discs.n_frames):
        centres = [discs.centre(t, k) for k in range(discs.n)]
        near = {
            (int(y + dy) // CHUNK * CHUNK, int(x + dx) // CHUNK * CHUNK)
            for y, x in centres
            for dy in (-100, 100)
            for dx in (-100, 100)
        }
        for y, x in near:
            if 0 <= y < discs.height and 0 <= x < discs.width:
                block = discs.read_window(t, y, y + CHUNK, x, x + CHUNK)
                array[t, y : y + CHUNK, x : x + CHUNK] = block[..., 0]


if __name__ == "__main__":
    main()
