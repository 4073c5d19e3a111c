"""Scores of a model: on held-out synthetic movies and on real images with known masks.

Each is listed with that of a trivial method on the same cases.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable
from typing import Protocol

import numpy as np
import torch
from numpy.typing import NDArray

from napari_sam2track.engine.clicks import Clicks, encode_views, point_tensors
from napari_sam2track.engine.network.network import Network
from napari_sam2track.engine.propagation import Pass
from napari_sam2track.engine.views.views import Movie, WindowView
from napari_sam2track.engine.views.windows import MaskExtent
from napari_sam2track.frames import open_frames
from napari_sam2track.masks import Mask, resample_logits
from napari_sam2track.params import EngineParams
from napari_sam2track.prompts import Point, Prompt, PromptSet
from napari_sam2track.samples import otsu_part
from napari_sam2track.training.losses import Weights, iou_of
from napari_sam2track.training.sampling import (
    Drawing,
    at_border,
    deepest_point,
    draw_windows,
    first_clicks,
)
from napari_sam2track.training.steps import mean_ious, run_sample
from napari_sam2track.training.synthetic.clips import Clips

Scores = dict[str, float]


class LabelsByFrame(Protocol):
    """(Y, X) label images by number of frame, as an array (T, Y, X) is."""

    def __getitem__(self, t: int, /) -> NDArray[np.integer]: ...
    def __len__(self) -> int: ...


#: Windows of 0.62 to 1.9 times the engine's usual side; objects are off-centre by up to
#: a quarter of the free space.
ANY = Drawing(1, 1)
#: The same in windows of about the engine's usual side.
USUAL = Drawing(1, 1, usual=1.0)


@torch.inference_mode()
def on_windows(
    network: Network, held: Clips, n: int = 200, how: Drawing = ANY, seed: int = 7
) -> Scores:
    """Return mean IoU on held-out windows: one click, a box, one and two corrective clicks.

    Clicks are on the deepest point of the object or of the larger error. ``predicted IoU off by``:
    mean absolute difference to the true one, over all these prompts.
    """
    tallies, otsu = [], []
    for k in range(0, n, 20):
        sample = draw_windows(np.random.default_rng([seed, k]), held, 20, how)
        tallies.append(run_sample(network, sample, "click", None, Weights(), fixes=2))
        tallies.append(run_sample(network, sample, "box", None, Weights()))
        points, _ = first_clicks(None, sample.masks[0])
        for image, mask, ((x, y),) in zip(
            sample.images[0], sample.masks[0], points.tolist(), strict=True
        ):
            part = otsu_part(image.numpy().mean(-1), int(y), int(x))
            otsu.append(float(iou_of(torch.from_numpy(part), mask)))
    return mean_ious(tallies) | {
        "click, Otsu baseline": float(np.mean(otsu)),
        "predicted IoU off by": float(np.mean([off for tally in tallies for off in tally.off])),
    }


def on_clips(network: Network, held: Clips, n: int = 200, seed: int = 8) -> Scores:
    """Return mean J over later frames of held-out clips by the engine, from a mask and a click.

    One object a clip, seen by the engine as a user's would be: windows follow its results. An
    object that divided is not counted from then on; ``absence`` is the fraction of frames
    without the object on which nothing was painted, ``on another`` that of frames with it on which
    another object was painted more than it.
    """
    scores: dict[str, list[float]] = defaultdict(list)
    params = EngineParams(mode="window", direction="forward")
    for k in range(min(n, len(held))):
        rng = np.random.default_rng([seed, k])
        labels = np.asarray(held.labels[k])
        target = _target(rng, labels[0])
        if target is None:
            continue
        truth = labels == target
        movie = open_frames(np.asarray(held.images[k]), axes="TYXC")
        x, y = deepest_point(truth[0])
        prompts = {
            "mask": Prompt(mask=Mask.from_frame(truth[0])),
            "click": Prompt(points=(Point(y - 0.5, x - 0.5),)),
        }
        last = int(min(held.ended[k][target], len(labels)))
        for name, prompt in prompts.items():
            run = Pass.over(
                network, movie, PromptSet({(1, 0): prompt}), params, "window", range(len(labels))
            )
            for result in run:
                if 0 < result.frame < last:
                    found = result.labels_yx > 0
                    _count(scores, name, found, truth[result.frame])
                    if truth[result.frame].any():
                        under = np.bincount(labels[result.frame][found], minlength=256)
                        other = int(np.delete(under, [0, target]).max())
                        scores[f"on another after {name}"].append(float(other > under[target]))
        for t in range(1, last):
            _count(scores, "first mask left in place", truth[0], truth[t])
    return {name: float(np.mean(v)) for name, v in sorted(scores.items())}


def _target(rng: np.random.Generator, labels_yx: NDArray[np.uint8]) -> int | None:
    """Return an object of some size that is not cut by the border."""
    areas = np.bincount(labels_yx.ravel(), minlength=256)
    areas[0] = 0
    areas[list(at_border(labels_yx))] = 0
    good = np.flatnonzero(areas >= 60)
    return int(rng.choice(good)) if len(good) else None


def _count(
    scores: dict[str, list[float]], name: str, found: NDArray[np.bool_], truth: NDArray[np.bool_]
) -> None:
    if truth.any():
        scores[f"J from {name}" if "place" not in name else name].append(
            float((found & truth).sum() / (found | truth).sum())
        )
    elif "place" not in name:
        scores[f"absence after {name}"].append(float(not found.any()))


def mask_of_click(network: Network, movie: Movie, t: int, x: float, y: float) -> NDArray[np.bool_]:
    """Return the (Y, X) mask from one click in edge coordinates; the engine finds the window."""
    prompts = PromptSet({(1, t): Prompt(points=(Point(y - 0.5, x - 0.5),))})
    params = EngineParams(mode="window")
    (result,) = Pass.over(network, movie, prompts, params, "window", range(t, t + 1))
    mask: NDArray[np.bool_] = result.labels_yx > 0
    return mask


@torch.inference_mode()
def one_click(
    network: Network, movie: Movie, labels_tyx: LabelsByFrame, frames: Iterable[int]
) -> Scores:
    """Return mean IoU of one click on the deepest point of every object of some frames.

    ``known size``: in the window of the object's own mask; ``size unknown``: as the
    engine finds the window; beside the Otsu component under the click.
    """
    scores: dict[str, list[float]] = defaultdict(list)
    for t in frames:
        labels = labels_tyx[t]
        for label in np.unique(labels[labels > 0]).tolist():
            truth = labels == label
            shape = MaskExtent.of(truth)
            if shape is None or shape.area < 20:
                continue
            x, y = deepest_point(truth)
            prompt = Prompt(points=(Point(y - 0.5, x - 0.5),))
            view = WindowView(shape.window())
            features = encode_views(network, movie, t, [view])
            points, signs = point_tensors([Clicks.of(prompt)], [view], network)
            decoded = network.decode(
                network.without_memory(features), features, points, signs, trust=True
            )
            patch, y0, x0 = resample_logits(
                decoded.logits[0, 0].float().cpu().numpy(), view.region, movie.height, movie.width
            )
            known = np.zeros_like(truth)
            known[y0 : y0 + patch.shape[0], x0 : x0 + patch.shape[1]] = patch > 0
            grey = movie.read(t).mean(-1)
            for name, mask in (
                ("known size", known),
                ("size unknown", mask_of_click(network, movie, t, x, y)),
                ("Otsu baseline", otsu_part(grey, int(y), int(x))),
            ):
                scores[name].append(float((mask & truth).sum() / (mask | truth).sum()))
    return {name: float(np.mean(v)) for name, v in scores.items()} | {
        "objects": float(len(scores["known size"]))
    }


def first_masks(
    network: Network, movie: Movie, labels_tyx: LabelsByFrame, start: int, n_frames: int
) -> Scores:
    """Return mean J over the frames after ``start`` of all objects, followed from their masks.

    An object counts as long as its label exists; beside the first masks left in place.
    """
    prompts = PromptSet(
        {
            (int(i), start): Prompt(mask=Mask.from_frame(labels_tyx[start] == i))
            for i in np.unique(labels_tyx[start])
            if i > 0
        }
    )
    params = EngineParams(mode="window", direction="forward")
    order = range(start, min(start + n_frames + 1, len(labels_tyx)))
    ours, still = [], []
    for result in Pass.over(network, movie, prompts, params, "window", order):
        if result.frame == start:
            continue
        for i in prompts.objects:
            truth = labels_tyx[result.frame] == i
            if not truth.any():
                continue
            found, first = result.labels_yx == i, labels_tyx[start] == i
            ours.append(float((found & truth).sum() / (found | truth).sum()))
            still.append(float((first & truth).sum() / (first | truth).sum()))
    return {
        "J": float(np.mean(ours)),
        "left in place": float(np.mean(still)),
        "object-frames": float(len(ours)),
    }
