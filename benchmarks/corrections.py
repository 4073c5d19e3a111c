"""A correction in the middle of 20 objects and 200 frames: what is computed, and how long it takes.

    python benchmarks/corrections.py [--objects 20] [--frames 200] [--threads 1] [--mode window]

A full run; then, in the same session, a mask prompt for one object on the middle frame, and the
stale pairs alone. "share" is the time of the full run times the stale pairs over all pairs.
"""

from __future__ import annotations

import argparse
import tempfile
import time
from dataclasses import replace
from pathlib import Path

import numpy as np
import torch

from napari_sam2track.frames import open_frames
from napari_sam2track.masks import Mask
from napari_sam2track.models.registry import find_model
from napari_sam2track.params import EngineParams
from napari_sam2track.prompts import Prompt, masks_from_labels
from napari_sam2track.samples import moving_cells
from napari_sam2track.session.run_store import RunStore
from napari_sam2track.session.runner import Runner
from napari_sam2track.session.session import Session


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--model", default="bundled")
    parser.add_argument("--objects", type=int, default=20)
    parser.add_argument("--frames", type=int, default=200)
    parser.add_argument("--size", type=int, default=512)
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--mode", choices=["frame", "window"], default="window")
    args = parser.parse_args()
    torch.set_num_threads(args.threads)
    sample = moving_cells(args.frames, args.size, args.size, args.objects)
    movie = open_frames(sample.images_tyx, axes="TYX")
    prompts = masks_from_labels(sample.labels_tyx[0], 0)
    engine = EngineParams(mode=args.mode, divisions="off", cache_memory=512)
    with tempfile.TemporaryDirectory() as folder:
        store = RunStore(Path(folder), sample.images_tyx.shape)
        work = Session(movie, find_model(args.model), prompts, engine)
        assert work.network  # loaded
        full, pairs = timed(work, store)
        before = [store.read(t) for t in range(args.frames)]
        chosen, at = prompts.objects[len(prompts) // 2], args.frames // 2
        truth = sample.labels_tyx[at] == chosen
        mask = Prompt(mask=Mask.from_frame(truth))
        work = replace(work, prompts=work.prompts.put(chosen, at, mask))
        stale = Runner(work, store).stale()
        wanted = {(i, t) for i, frames in stale.items() for t in frames}
        again, computed = timed(work, store)
        assert computed == wanted, "other pairs than the stale ones were computed"
        changed = sum(
            not np.array_equal(old.patch_of(i).logits_yx, store.read(t).patch_of(i).logits_yx)
            for t, old in enumerate(before)
            for i in prompts.objects
            if (i, t) not in wanted
        )
        share = full * len(wanted) / len(pairs)
        print(f"full run     {len(pairs):6} pairs  {full:7.2f} s")
        print(f"correction   {len(computed):6} pairs  {again:7.2f} s  (all of them stale)")
        print(f"share        {share:.2f} s: {again / share:.2f} times")
        print(f"other pairs that changed: {changed}")


def timed(work: Session, store: RunStore) -> tuple[float, set[tuple[int, int]]]:
    """Seconds of a run, and the (object, frame) pairs that it computed."""
    begin = time.perf_counter()
    steps = Runner(work, store).propagate()
    computed = {(o.object_id, step.frame) for step in steps for o in step.result.objects}
    return time.perf_counter() - begin, computed


if __name__ == "__main__":
    main()
