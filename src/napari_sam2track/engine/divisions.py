"""Divisions while propagating: an object that is in two parts for long enough."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass

import numpy as np

from napari_sam2track.masks import Mask, Patch, two_pieces

#: TwoParts parts that lie apart must last for so many frames.
LASTING = 3
#: What has lasted for more frames than this was reported earlier (four are enough): each frame
#: looks back a bounded number of frames, however long an object stays in two parts.
LOOK_BACK = 16


@dataclass(frozen=True, eq=False)
class TwoParts:
    """The two parts of an object on one frame.

    Attributes
    ----------
    parts
        The upper (then the left) one first.
    evidence
        How strongly this frame indicates a division, a quarter or more; frames in a row that add
        up to 1 are enough.
    """

    parts: tuple[Mask, Mask]
    evidence: float


Patches = Mapping[int, Patch]
#: Takes a frame, masks of some objects on it, and a getter of all masks; says which are two.
AskWhichAreTwo = Callable[[int, Patches, Callable[[], Patches]], dict[int, TwoParts | None]]


@dataclass(frozen=True, eq=False)
class FoundDivision:
    """An object that became two.

    Attributes
    ----------
    frame
        The first frame with two parts.
    parts
        As of `TwoParts`, on that frame.
    score
        0 to 1: the ratio of their areas, averaged over the frames since.
    """

    frame: int
    parts: tuple[Mask, Mask]
    score: float


def two_parts(patch: Patch) -> TwoParts | None:
    """Return the object as the two pieces of its mask (`two_pieces`); None if it is one."""
    pieces = two_pieces(patch.mask.crop)
    if pieces is None:
        return None
    first, second = (Mask.from_frame(pieces == k, patch.y0, patch.x0) for k in (1, 2))
    return TwoParts((first, second), 1 / LASTING)


def find_split(
    t: int, first: int, two_at: Callable[[int], TwoParts | None]
) -> FoundDivision | None:
    """Return the division of an object that has been two for long enough on frame ``t``.

    Only the movie and stored results decide, so that a run which was stopped finds
    the same divisions.

    Parameters
    ----------
    t
        The frame that was finished last.
    first
        The first frame on which it may be in two parts.
    two_at
        Its two parts on a frame; None if it is one there, or not known.
    """
    scores: list[float] = []
    evidence = 0.0
    two: TwoParts | None = None
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
    return FoundDivision(t + 1 - len(scores), two.parts, float(np.mean(scores)))
