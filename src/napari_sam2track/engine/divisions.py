"""Divisions while propagating: a mask that falls apart into two lasting parts."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from napari_sam2track.masks import Mask, Patch

#: The two must last for so many frames.
LASTING = 3
#: What has lasted for more frames than this was told when it had not: each frame looks back a
#: bounded number of frames, however long an object stays in two parts.
LOOK_BACK = 16
#: Least area of the smaller part over that of the larger one.
LEAST_RATIO = 0.4
#: Least part of the mask's area that the two make up together.
LEAST_SHARE = 0.9


@dataclass(frozen=True, eq=False)
class Split:
    """A mask that fell apart.

    Attributes
    ----------
    frame
        The first frame with two parts.
    parts
        The two on that frame, the upper (then the left) one first.
    score
        0 to 1: the ratio of their areas, averaged over the frames since.
    """

    frame: int
    parts: tuple[Mask, Mask]
    score: float


def two_parts(patch: Patch) -> tuple[Mask, Mask] | None:
    """The two parts of comparable area that a mask consists of; None if it does not.

    Crumbs beside them may make up a tenth of the mask.
    """
    if not patch:
        return None
    from scipy import ndimage as ndi

    mask = patch.logits_yx > 0
    parts, n = ndi.label(mask)
    if n < 2:
        return None
    areas = np.bincount(parts.ravel())[1:]
    large, small = (int(k) for k in np.argsort(-areas, kind="stable")[:2])
    if areas[small] < LEAST_RATIO * areas[large]:
        return None
    if areas[small] + areas[large] < LEAST_SHARE * areas.sum():
        return None
    first, second = (_part(parts, k + 1, patch) for k in sorted((large, small)))
    return first, second


def _part(parts: NDArray[np.integer[Any]], k: int, patch: Patch) -> Mask:
    return Mask.from_frame(parts == k, patch.y0, patch.x0)


def find_split(t: int, first: int, patch_at: Callable[[int], Patch | None]) -> Split | None:
    """Whether an object has been in two parts for long enough on frame ``t``.

    Only what is stored is looked at, so that a run which was stopped finds the same.

    Parameters
    ----------
    t
        The frame that was finished last.
    first
        The first frame on which it may be in two.
    patch_at
        Its mask on a frame; None if it is not known there.
    """
    scores: list[float] = []
    parts: tuple[Mask, Mask] | None = None
    u = t
    while u >= first:
        patch = patch_at(u)
        now = None if patch is None else two_parts(patch)
        if now is None:
            break
        parts = now
        small, large = sorted(part.area for part in now)
        scores.append(small / large)
        if len(scores) > LOOK_BACK:
            return None
        u -= 1
    if parts is None or len(scores) < LASTING:
        return None
    return Split(u + 1, parts, float(np.mean(scores)))
