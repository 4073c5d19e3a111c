"""Time of this engine beside SAM2's own video predictor, in one run: same weights, same frames.

    python benchmarks/official.py [--model bundled] [--objects 20] [--frames 40] [--threads 1]

Both see the whole frame (frame mode); every object is prompted by one click on the first frame.
The official predictor's loop over objects includes its resize of each mask to the frame's size;
ours paints labels. Loading weights and making the movie are not counted.
"""

from __future__ import annotations

import argparse
import time

import numpy as np
import torch

from napari_sam2track.engine.network import Network
from napari_sam2track.engine.propagation import Pass
from napari_sam2track.engine.selftest import PLAIN, add_prompt, official_session, quiet
from napari_sam2track.frames import open_frames
from napari_sam2track.models.loading import load_network
from napari_sam2track.models.registry import find_model
from napari_sam2track.prompts import Point, Prompt, PromptSet
from napari_sam2track.samples import centre_pixels, moving_cells


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--model", default="bundled")
    parser.add_argument("--config")
    parser.add_argument("--objects", type=int, default=20)
    parser.add_argument("--frames", type=int, default=40)
    parser.add_argument("--threads", type=int, default=1)
    args = parser.parse_args()
    torch.set_num_threads(args.threads)
    predictor = load_network(find_model(args.model, args.config), target="predictor")
    sample = moving_cells(args.frames, 384, 384, args.objects)
    movie = open_frames(sample.images_tyx, axes="TYX")
    clicks = centre_pixels(sample.labels_tyx[0])
    prompts = PromptSet({(i, 0): Prompt(points=(Point(y, x),)) for i, (y, x) in clicks.items()})
    steps = len(clicks) * args.frames

    begin = time.perf_counter()
    ours = {r.frame: r.labels_yx for r in run(predictor, movie, prompts)}
    mine = time.perf_counter() - begin
    begin = time.perf_counter()
    theirs = official(predictor, movie, prompts)
    other = time.perf_counter() - begin
    flipped = sum(int((ours[t] != theirs[t]).sum()) for t in ours)
    pixels = sum(labels.size for labels in ours.values())
    print(f"{len(clicks)} objects, {args.frames} frames of 384 x 384, {args.threads} thread(s)")
    print(f"ours      {mine:7.2f} s  {1000 * mine / steps:6.2f} ms per object and frame")
    print(f"official  {other:7.2f} s  {1000 * other / steps:6.2f} ms per object and frame")
    print(f"ratio     {other / mine:7.2f}    {flipped} of {pixels} pixels differ")


def run(predictor, movie, prompts):
    return Pass.over(Network(predictor), movie, prompts, PLAIN, "frame", range(movie.n_frames))


@torch.inference_mode()
def official(predictor, movie, prompts):
    """Labels of one session with all objects, by the overlap rule."""
    out = {}
    with official_session(predictor, movie) as state, quiet():
        for (object_id, t), prompt in prompts.items():
            add_prompt(predictor, state, t, object_id, prompt)
        for t, ids, logits in predictor.propagate_in_video(state):
            best, which = logits[:, 0].max(dim=0)
            out[t] = np.where(best.numpy() > 0, np.array(ids)[which.numpy()], 0)
    return out


if __name__ == "__main__":
    main()
