"""Divisions whose daughters touch: the network is asked whether a mask is two objects.

Followed by its memory, an object that has become two is painted as one for some frames, and then
as one of them. From a click in each half, without memory, the network outlines the two, or twice
the whole.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence

import numpy as np
import torch
from numpy.typing import NDArray

from napari_sam2track.engine.clicks import Clicks, decode_clicks
from napari_sam2track.engine.divisions import LOOK_BACK, Patches, TwoParts, two_parts
from napari_sam2track.engine.network.batches import Batcher
from napari_sam2track.engine.views.views import Movie, WindowView
from napari_sam2track.engine.views.windows import MaskExtent
from napari_sam2track.masks import (
    LEAST_RATIO,
    Mask,
    Patch,
    compose_labels,
    cut_across,
    deepest_pixel,
    resample_logits,
)

#: What two outlines may share (IoU): as much as the first and one frame is enough, up to the
#: second and four are needed (docs/guides/dividing.md).
CLEAR, MOST_SHARED = 0.05, 0.2
#: Least part of the mask that the two cover, and least IoU of both together with it.
LEAST_COVER, LEAST_IOU = 0.85, 0.6


class TwoInTouch:
    """Decides whether objects are two, on the frames of one pass; once for each object and frame.

    Parameters
    ----------
    batcher
        Runs the network on windows.
    movie
        The frames.
    """

    def __init__(self, batcher: Batcher, movie: Movie) -> None:
        self._batcher, self._movie = batcher, movie
        self._known: dict[int, dict[int, TwoParts | None]] = {}

    def ask(
        self, t: int, asked: Patches, all_known: Callable[[], Patches]
    ) -> dict[int, TwoParts | None]:
        """Return which objects are two, apart or in touch; the stronger evidence counts.

        Parameters
        ----------
        t
            The frame.
        asked
            Masks of the objects in question.
        all_known
            Gives the masks of all objects on the frame: pixels that another one won are no part of
            an object.
        """
        known = self._known.setdefault(t, {})
        new = [i for i in asked if i not in known]
        if new:
            height, width = self._movie.height, self._movie.width
            labels = compose_labels(all_known().items(), height, width)
            masks = {i: _visible(labels, i, asked[i]) for i in new}
            seen = two_in_touch(self._batcher, self._movie, t, labels, masks)
            for i, touching in zip(new, seen, strict=True):
                both = [two for two in (touching, two_parts(asked[i])) if two is not None]
                known[i] = max(both, key=lambda two: two.evidence, default=None)
        for u in [u for u in self._known if u < t - LOOK_BACK]:
            del self._known[u]
        return {i: known[i] for i in asked}


@torch.inference_mode()
def two_in_touch(
    batcher: Batcher,
    movie: Movie,
    t: int,
    labels_yx: NDArray[np.uint32],
    masks: Mapping[int, Mask],
) -> list[TwoParts | None]:
    """Return two objects in touch for each object that consists of two; None if it is one.

    Parameters
    ----------
    batcher
        Runs the network on windows.
    movie, t
        The frame.
    labels_yx
        (Y, X) all objects on it.
    masks
        Those in question, by label.
    """
    split = {i: two for i, mask in masks.items() if (two := halves(mask)) is not None}

    def look(part: list[Mask]) -> list[Patch]:
        return _look(batcher, movie, t, part)

    looked = batcher.map(look, [half for two in split.values() for half in two])
    found = {}
    for k, i in enumerate(split):
        one, other = (_free(patch, labels_yx, i) for patch in looked[2 * k : 2 * k + 2])
        found[i] = as_two(masks[i], one, other)
    return [found.get(i) for i in masks]


def halves(mask: Mask) -> tuple[Mask, Mask] | None:
    """Cut a mask across its long axis; None if it is too round to be two."""
    cut = cut_across(mask.crop)
    if cut is None:
        return None
    first, second = (Mask.from_frame(cut == k, mask.y0, mask.x0) for k in (1, 2))
    return first, second


def as_two(mask: Mask, one: Patch, other: Patch) -> TwoParts | None:
    """Return the outlines of two halves, if they are two objects that make up the mask.

    Pixels of both go to the higher logit, and of each the largest piece counts.
    """
    if not one or not other:
        return None
    (first, second), whole, y0, x0 = _together(mask, one, other)
    a, b = first > 0, second > 0
    either = a | b
    shared = (a & b).sum() / either.sum()
    evidence = 1 - 0.75 * (float(shared) - CLEAR) / (MOST_SHARED - CLEAR)
    if (
        shared > MOST_SHARED
        or (whole & either).sum() < LEAST_COVER * whole.sum()
        or (whole & either).sum() < LEAST_IOU * (whole | either).sum()
    ):
        return None
    parts = [_largest(p, y0, x0) for p in (a & (first >= second), b & (second > first))]
    small, large = sorted(part.area for part in parts)
    if small < LEAST_RATIO * large:
        return None
    upper, lower = sorted(parts, key=lambda part: (part.y0, part.x0))
    return TwoParts((upper, lower), evidence)


def _largest(mask_yx: NDArray[np.bool_], y0: int, x0: int) -> Mask:
    """Return the largest piece of a mask whose first pixel is (y0, x0)."""
    from scipy import ndimage as ndi

    pieces, n = ndi.label(mask_yx)
    if n > 1:
        mask_yx = pieces == 1 + np.bincount(pieces.ravel())[1:].argmax()
    return Mask.from_frame(mask_yx, y0, x0)


def _visible(labels_yx: NDArray[np.uint32], label: int, patch: Patch) -> Mask:
    """Return the part of an object's mask that others did not win."""
    y0, x0, y1, x1 = patch.mask.box
    return Mask.from_frame(labels_yx[y0:y1, x0:x1] == label, y0, x0)


def _free(patch: Patch, labels_yx: NDArray[np.uint32], label: int) -> Patch:
    """Return a patch without the pixels of other objects."""
    h, w = patch.logits_yx.shape
    there = labels_yx[patch.y0 : patch.y0 + h, patch.x0 : patch.x0 + w]
    mine = (there == 0) | (there == label)
    return Patch.of(np.where(mine, patch.logits_yx, np.float32(0)), patch.y0, patch.x0)


def _together(
    mask: Mask, one: Patch, other: Patch
) -> tuple[NDArray[np.float32], NDArray[np.bool_], int, int]:
    """Return logits of two patches (2, h, w) and a mask (h, w) on one grid, and its first pixel."""
    boxes = np.array([one.mask.box, other.mask.box, mask.box])
    (y0, x0), (y1, x1) = boxes[:, :2].min(axis=0), boxes[:, 2:].max(axis=0)
    logits = np.zeros((2, y1 - y0, x1 - x0), np.float32)
    for n, p in enumerate((one, other)):
        h, w = p.logits_yx.shape
        logits[n, p.y0 - y0 : p.y0 - y0 + h, p.x0 - x0 : p.x0 - x0 + w] = p.logits_yx
    whole = Mask(mask.crop, int(mask.y0 - y0), int(mask.x0 - x0)).to_frame(*logits.shape[1:])
    return logits, whole, int(y0), int(x0)


def _look(batcher: Batcher, movie: Movie, t: int, masks: Sequence[Mask]) -> list[Patch]:
    """Return outlines from a click in the middle of each mask, in a window of its size."""
    views = [WindowView(MaskExtent.of_mask(mask).window()) for mask in masks]
    middles = [np.add(deepest_pixel(mask.crop), (mask.y0, mask.x0)) for mask in masks]
    clicks = [Clicks(yx[None].astype(float), np.ones(1, np.int32)) for yx in middles]
    decoded = decode_clicks(batcher.network, movie, t, clicks, views, trust=True)
    return [
        Patch.of(*resample_logits(logits, view.region, movie.height, movie.width))
        for view, logits in zip(views, decoded.logits[:, 0].float().cpu().numpy(), strict=True)
    ]
