"""Divisions while propagating: an object that is in two parts for long enough."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from napari_sam2track.masks import Mask, Patch

#: Two parts that lie apart must last for so many frames.
LASTING = 3
#: What has lasted for more frames than this was told when it had not (four are enough): each frame
#: looks back a bounded number of frames, however long an object stays in two parts.
LOOK_BACK = 16
#: Least area of the smaller part over that of the larger one.
LEAST_RATIO = 0.4
#: Least part of the mask's area that the two make up together.
LEAST_SHARE = 0.9


@dataclass(frozen=True, eq=False)
class Two:
    """What an object consists of on one frame.

    Attributes
    ----------
    parts
        The upper (then the left) one first.
    evidence
        How much this frame says for a division, a quarter or more; 1 from frames in a row is
        enough.
    """

    parts: tuple[Mask, Mask]
    evidence: float


#: Takes a frame, the masks of all objects on it, and ids of some of them; says which are two.
Ask = Callable[[int, Mapping[int, Patch], Sequence[int]], dict[int, Two | None]]


@dataclass(frozen=True, eq=False)
class Split:
    """An object that became two.

    Attributes
    ----------
    frame
        The first frame with two parts.
    parts
        As of `Two`, on that frame.
    score
        0 to 1: the ratio of their areas, averaged over the frames since.
    """

    frame: int
    parts: tuple[Mask, Mask]
    score: float


def two_parts(patch: Patch) -> Two | None:
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
    return Two((first, second), 1 / LASTING)


def _part(parts: NDArray[np.integer[Any]], k: int, patch: Patch) -> Mask:
    return Mask.from_frame(parts == k, patch.y0, patch.x0)


def find_split(t: int, first: int, two_at: Callable[[int], Two | None]) -> Split | None:
    """Whether an object has been two for long enough on frame ``t``.

    Nothing but the movie and what is stored is looked at, so that a run which was stopped finds
    the same.

    Parameters
    ----------
    t
        The frame that was finished last.
    first
        The first frame on which it may be in two.
    two_at
        The two that it is on a frame; None if it is one there, or not known.
    """
    scores: list[float] = []
    evidence = 0.0
    two: Two | None = None
    for u in range(t, first - 1, -1):
        now = two_at(u)
        if now is None:
            break
        if len(scores) == LOOK_BACK:
            return None
        two = now
        small, large = sorted(part.area for part in now.parts)
        scores.append(small / large)
        evidence += now.evidence
    if two is None or evidence < 1 - 1e-9:  # a third three times
        return None
    return Split(t + 1 - len(scores), two.parts, float(np.mean(scores)))
