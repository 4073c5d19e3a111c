"""Divisions whose daughters stay in touch: the network is asked whether a mask is two objects.

Followed by its memory, an object that has become two is painted as one for some frames, and then
as one of them. From a click in each half, without memory, the network outlines the two, or twice
the whole.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
import torch
from numpy.typing import NDArray

from napari_sam2track.engine.batches import memory_guard
from napari_sam2track.engine.divisions import LEAST_RATIO, LOOK_BACK, Two, two_parts
from napari_sam2track.engine.network import Network
from napari_sam2track.engine.prompting import Clicks, encode_views, point_tensors
from napari_sam2track.engine.views import Movie, WindowView
from napari_sam2track.engine.windows import Shape
from napari_sam2track.masks import Mask, Patch, cut_across, deepest_pixel, resample_logits

#: Most that the two may share (IoU), and how much less than that is enough on one frame: one that
#: shares 0.05 or less, two that share 0.15.
MOST_SHARED, CLEARLY_LESS = 0.25, 0.2
#: Least part of the mask that they cover, and of each of them that lies in it.
LEAST_COVER, LEAST_INSIDE = 0.85, 0.6


class TwoInTouch:
    """Whether objects are two, on the frames of one pass; asks once for each.

    Parameters
    ----------
    batch
        Most windows at once.
    """

    def __init__(self, network: Network, movie: Movie, batch: int) -> None:
        self._network, self._movie, self._batch = network, movie, batch
        self._known: dict[int, dict[int, Two | None]] = {}

    def ask(self, t: int, patches: Mapping[int, Patch]) -> dict[int, Two | None]:
        """Which objects on frame ``t`` are two, apart or in touch."""
        known = self._known.setdefault(t, {})
        new = {i: patch for i, patch in patches.items() if i not in known}
        if new:
            with memory_guard(self._network, self._batch):
                found = two_in_touch(self._network, self._movie, t, list(new.values()), self._batch)
            for (i, patch), seen in zip(new.items(), found, strict=True):
                known[i] = seen or two_parts(patch)
        for u in [u for u in self._known if u < t - LOOK_BACK]:
            del self._known[u]
        return {i: known[i] for i in patches}


@torch.inference_mode()
def two_in_touch(
    network: Network, movie: Movie, t: int, patches: Sequence[Patch], batch: int
) -> list[Two | None]:
    """The two objects that masks on frame ``t`` consist of; None where they are one.

    Parameters
    ----------
    batch
        Most windows at once.
    """
    split = {n: two for n, patch in enumerate(patches) if (two := halves(patch.mask)) is not None}
    looked = _look(network, movie, t, [half for two in split.values() for half in two], batch)
    out: list[Two | None] = [None] * len(patches)
    for k, n in enumerate(split):
        out[n] = as_two(patches[n].mask, looked[2 * k], looked[2 * k + 1])
    return out


def halves(mask: Mask) -> tuple[Mask, Mask] | None:
    """A mask cut across its long axis; None if it is too round to be two."""
    cut = cut_across(mask.crop)
    if cut is None:
        return None
    first, second = (Mask.from_frame(cut == k, mask.y0, mask.x0) for k in (1, 2))
    return first, second


def as_two(mask: Mask, one: Patch, other: Patch) -> Two | None:
    """What was seen from the two halves of a mask, if it is two objects that make up the mask.

    Pixels of both go to the higher logit.
    """
    if not one or not other:
        return None
    (first, second), whole, y0, x0 = _together(mask, one, other)
    a, b = first > 0, second > 0
    shared, either = (a & b).sum(), (a | b).sum()
    inside = min((a & whole).sum() / a.sum(), (b & whole).sum() / b.sum())
    evidence = (MOST_SHARED - float(shared / either)) / CLEARLY_LESS
    if (
        evidence <= 0
        or (whole & (a | b)).sum() < LEAST_COVER * whole.sum()
        or inside < LEAST_INSIDE
    ):
        return None
    parts = [Mask.from_frame(p, y0, x0) for p in (a & (first >= second), b & (second > first))]
    small, large = sorted(part.area for part in parts)
    if small < LEAST_RATIO * large:
        return None
    upper, lower = sorted(parts, key=lambda part: (part.y0, part.x0))
    return Two((upper, lower), evidence)


def _together(
    mask: Mask, one: Patch, other: Patch
) -> tuple[NDArray[np.float32], NDArray[np.bool_], int, int]:
    """Logits of two patches (2, h, w) and a mask (h, w) on one grid, and its first pixel."""
    boxes = np.array([p.mask.box for p in (one, other)] + [mask.box])
    (y0, x0), (y1, x1) = boxes[:, :2].min(axis=0), boxes[:, 2:].max(axis=0)
    logits = np.zeros((2, y1 - y0, x1 - x0), np.float32)
    for n, p in enumerate((one, other)):
        h, w = p.logits_yx.shape
        logits[n, p.y0 - y0 : p.y0 - y0 + h, p.x0 - x0 : p.x0 - x0 + w] = p.logits_yx
    whole = Mask(mask.crop, int(mask.y0 - y0), int(mask.x0 - x0)).to_frame(*logits.shape[1:])
    return logits, whole, int(y0), int(x0)


def _look(network: Network, movie: Movie, t: int, masks: Sequence[Mask], batch: int) -> list[Patch]:
    """What is seen from a click in the middle of each mask, in a window of its size."""
    out: list[Patch] = []
    for start in range(0, len(masks), batch):
        views, clicks = [], []
        for mask in masks[start : start + batch]:
            shape = Shape.of(mask.crop, mask.y0, mask.x0)
            assert shape is not None
            views.append(WindowView(shape.window()))
            y, x = deepest_pixel(mask.crop)
            at = np.array([[mask.y0 + y, mask.x0 + x]], float)
            clicks.append(Clicks(at, np.ones(1, np.int32)))
        features = encode_views(network, movie, t, views)
        points, labels = point_tensors(clicks, views, network)
        conditioned = network.without_memory(features)
        decoded = network.decode(conditioned, features, points, labels, trust=True)
        for view, logits in zip(views, decoded.logits[:, 0].float().cpu().numpy(), strict=True):
            patch = resample_logits(logits, view.region, movie.height, movie.width)
            out.append(Patch.of(*patch))
    return out
