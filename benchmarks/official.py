"""This engine beside SAM2's own video predictor, in one run: same weights, same frames.

    python benchmarks/official.py [--objects 20] [--frames 40] [--threads 1] [--model bundled]
    python benchmarks/official.py --prompts-on 0 10 20
    python benchmarks/official.py --memory [--lengths 100 400]

Both see the whole frame (frame mode); every object is prompted by one click. Loading weights and
making the movie are not counted; freed memory is kept for both, as `sam2track` does.

--prompts-on deals the objects over several frames. On a CPU, SAM2's predictor then stops with a
dtype error (sam2 issues 308 and 577), so two ways around it are run. "one session": the memories
that it stores are cast to float32, after its rounding to bfloat16; it then follows each object on
the frames before its prompt as well, and remembers what it saw there. "a session a start": objects
that begin on the same frame share a session, and nothing is cast; each image is encoded again for
every session. Pixels are compared with both; only the second does what we do.

--memory: peak resident memory of both, each length in a process of its own, on a movie that is
computed frame by frame; results are dropped as they come.
"""

from __future__ import annotations

import argparse
import resource
import subprocess
import sys
import time
from collections.abc import Callable
from typing import Any

import torch
from discs import Discs
from numpy.typing import NDArray
from predictor import Labels, a_session_a_start, official

from napari_sam2track.engine.network.network import Network
from napari_sam2track.engine.official_predictor import PLAIN
from napari_sam2track.engine.propagation import Pass
from napari_sam2track.engine.views.views import Movie
from napari_sam2track.frames import open_frames
from napari_sam2track.models.device import keep_freed_memory
from napari_sam2track.models.loading import load_network
from napari_sam2track.models.registry import find_model
from napari_sam2track.prompts import Point, Prompt, PromptSet
from napari_sam2track.samples import centre_pixels, moving_cells


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--model", default="bundled")
    parser.add_argument("--config")
    parser.add_argument("--objects", type=int, default=20)
    parser.add_argument("--frames", type=int, default=40)
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--prompts-on", type=int, nargs="+", default=[0])
    parser.add_argument("--memory", action="store_true")
    parser.add_argument("--lengths", type=int, nargs="+", default=[100, 400])
    parser.add_argument("--child", choices=["ours", "official"], help=argparse.SUPPRESS)
    args = parser.parse_args()
    if args.memory:
        compare_memory(args)
        return
    keep_freed_memory()
    torch.set_num_threads(args.threads)
    predictor = load_network(find_model(args.model, args.config), target="predictor")
    if args.child:
        child(args, predictor)
    else:
        compare_time(args, predictor)


def compare_time(args: argparse.Namespace, predictor: Any) -> None:
    sample = moving_cells(args.frames, 384, 384, args.objects)
    movie = open_frames(sample.images_tyx, axes="TYX")
    starts = args.prompts_on
    clicks = {t: centre_pixels(sample.labels_tyx[t]) for t in starts}
    ids = sorted(set.intersection(*(set(c) for c in clicks.values())))
    first = {i: starts[n % len(starts)] for n, i in enumerate(ids)}
    prompts = PromptSet({(i, t): Prompt(points=(Point(*clicks[t][i]),)) for i, t in first.items()})
    steps = sum(args.frames - t for t in first.values())
    print(
        f"{len(ids)} objects from frames {', '.join(map(str, starts))}, {args.frames} frames of "
        f"384 x 384, {steps} pairs of an object and a frame, {args.threads} thread(s)"
    )
    passed = over(predictor, movie, prompts)
    mine, ours = timed("ours", our_labels(passed), steps)
    print(f"  images encoded: {passed.encoder.encoded}, frames: {args.frames - min(starts)}")
    ways: dict[str, Callable[..., Labels]] = {"official": official}
    if len(starts) > 1:
        ways = {"one session": official, "a session a start": a_session_a_start}
    for name, way in ways.items():
        other, theirs = timed(name, way(predictor, movie, prompts), steps)
        wrong = {t: int((ours.get(t, 0) != labels).sum()) for t, labels in theirs.items()}
        later = sum(n for t, n in wrong.items() if t >= max(starts))
        print(
            f"  {other / mine:.2f} times our time; {sum(wrong.values())} of "
            f"{len(theirs) * movie.height * movie.width} pixels differ"
            + (f", {later} of them from frame {max(starts)} on" if len(starts) > 1 else "")
        )


def timed(name: str, labels: Labels, steps: int) -> tuple[float, dict[int, NDArray[Any]]]:
    begin = time.perf_counter()
    out = dict(labels)
    seconds = time.perf_counter() - begin
    print(f"{name:18} {seconds:7.2f} s  {1000 * seconds / steps:6.2f} ms per object and frame")
    return seconds, out


def over(predictor: Any, movie: Movie, prompts: PromptSet) -> Pass:
    return Pass.over(Network(predictor), movie, prompts, PLAIN, "frame", range(movie.n_frames))


def our_labels(passed: Pass) -> Labels:
    for result in passed:
        yield result.frame, result.labels_yx


def compare_memory(args: argparse.Namespace) -> None:
    command = [sys.executable, __file__, "--model", args.model, "--objects", str(args.objects)]
    command += ["--threads", str(args.threads)] + (["--config", args.config] if args.config else [])
    print(f"{args.objects} objects, frames of 384 x 384; peak resident memory in MB")
    for name in ("ours", "official"):
        for n in args.lengths:
            more = ["--child", name, "--frames", str(n)]
            line = subprocess.run(command + more, check=True, capture_output=True, text=True).stdout
            before, peak = map(float, line.split())
            print(
                f"{name:9} {n:5} frames: {peak:6.0f}, {peak - before:5.0f} more than at the start"
            )


def child(args: argparse.Namespace, predictor: Any) -> None:
    movie = Discs(args.frames, 384, 384, args.objects)
    before, prompts = peak_mb(), movie.clicks()
    labels = our_labels(over(predictor, movie, prompts))
    for _ in labels if args.child == "ours" else official(predictor, movie, prompts):
        pass
    print(before, peak_mb())


def peak_mb() -> float:
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024  # Linux counts in KB


if __name__ == "__main__":
    main()
