"""Claims of neighbours: which object gives way where two claim the same pixels.

docs/figures/crowds.md explains how the constants were chosen, and alternatives that were tried.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from napari_sam2track.engine.results import ObjectResult
from napari_sam2track.masks import Patch

#: From this IoU on two masks are the same object.
SAME = 0.5
#: A mask with so large a part inside a better one gives way, unless it is where it was expected.
INSIDE = 0.6
#: From this agreement of place and size on (0 to 1, see `WindowMotion.agreement`), a claim is
#: firm.
FIRM = 0.4
#: Claim strength of an object that a person prompted on this frame: it never gives way.
PROMPTED = math.inf


@dataclass(frozen=True, eq=False, slots=True)
class Claim:
    """Claim of one object on pixels of a frame.

    Attributes
    ----------
    object_id
        Its label.
    patch
        Claimed mask, with float16 logits as they are stored, so that it makes no difference
        whether they were.
    claim_strength
        Strength of the claim, see `PROMPTED`.
    firm
        The object was seen on the frame before, and has about the expected place and size now.
    """

    object_id: int
    patch: Patch
    claim_strength: float
    firm: bool

    @classmethod
    def of(cls, result: ObjectResult) -> Claim:
        """Return the claim of an object whose result is known."""
        return cls(result.object_id, result.patch.half(), result.claim_strength, result.firm)


@dataclass(frozen=True, eq=False, slots=True)
class Verdict:
    """Outcome of a claim against those of neighbours.

    Attributes
    ----------
    gone
        All pixels belong to another object: this one is not there.
    ceded
        Bool, of the shape of the claim's logits: pixels that neighbours won; None for no pixel.
    """

    gone: bool = False
    ceded: NDArray[np.bool_] | None = None


#: Verdict on an object that is alone.
UNTOUCHED = Verdict()


def resolve(claims: Sequence[Claim]) -> dict[int, Verdict]:
    """Resolve the claims on a frame; their order does not matter.

    An object gives way if its mask is that of another object with a better claim. Claims are
    handled from the best to the worst, ties go to the lower id, and an object that gave way
    blocks no other. A firm claim is not given up because another mask contains it: the larger is
    the wrong one. Those that stay share their pixels by the overlap rule (see `masks.paint`).

    Parameters
    ----------
    claims
        One of each object.

    Returns
    -------
    dict
        Object id to verdict, for those that are not alone.
    """
    ranked = sorted((c for c in claims if c.patch), key=lambda c: (-c.claim_strength, c.object_id))
    near = _meeting([c.patch for c in ranked])
    areas: dict[int, int] = {}
    gone: set[int] = set()
    for k, claim in enumerate(ranked):
        if not near[k]:
            continue
        area = areas[k] = int(np.count_nonzero(claim.patch.logits_yx > 0))
        if claim.claim_strength == PROMPTED:
            continue
        for other in near[k]:
            if other > k or other in gone:
                continue
            both, least = _shared(claim.patch, ranked[other].patch), min(area, areas[other])
            same = both > SAME * (area + areas[other] - both)
            if same or (not claim.firm and both > INSIDE * least):
                gone.add(k)
                break
    out = {ranked[k].object_id: Verdict(gone=True) for k in gone}
    for k, claim in enumerate(ranked):
        if near[k] and k not in gone:
            ceded = _ceded(claim, [ranked[o] for o in near[k] if o not in gone])
            if ceded is not None:
                out[claim.object_id] = Verdict(ceded=ceded)
    return out


def before(stored: ObjectResult, patch: Patch) -> Verdict:
    """Return the verdict on an object when its result was stored.

    Parameters
    ----------
    stored
        The result.
    patch
        The claimed mask, now decoded again.
    """
    if patch and not stored.patch:
        return Verdict(gone=True)
    if stored.ceded is None or stored.ceded.shape != patch.logits_yx.shape:
        return UNTOUCHED
    return Verdict(ceded=stored.ceded)


def _meeting(patches: Sequence[Patch]) -> list[list[int]]:
    """Return for each patch the others whose boxes overlap its box, in order."""
    n = len(patches)
    boxes = np.array([(p.y0, p.x0, *_end(p)) for p in patches], np.int64).reshape(n, 4)
    order = np.argsort(boxes[:, 0], kind="stable")
    near: list[list[int]] = [[] for _ in range(n)]
    sorted_boxes = boxes[order]
    stops = np.searchsorted(sorted_boxes[:, 0], sorted_boxes[:, 2])  # these begin above its end
    for a, stop in enumerate(stops.tolist()):
        later = sorted_boxes[a + 1 : stop]
        across = (later[:, 1] < sorted_boxes[a, 3]) & (later[:, 3] > sorted_boxes[a, 1])
        for b in (a + 1 + np.flatnonzero(across)).tolist():
            one, other = int(order[a]), int(order[b])
            near[one].append(other)
            near[other].append(one)
    return [sorted(others) for others in near]


def _end(patch: Patch) -> tuple[int, int]:
    return patch.y0 + patch.logits_yx.shape[0], patch.x0 + patch.logits_yx.shape[1]


def _common(one: Patch, other: Patch) -> tuple[tuple[slice, slice], NDArray[Any], NDArray[Any]]:
    """Return the overlap of the boxes in the first patch, and the logits of both patches there."""
    (a_y1, a_x1), (b_y1, b_x1) = _end(one), _end(other)
    y0, x0, y1, x1 = (
        *(max(one.y0, other.y0), max(one.x0, other.x0)),
        *(min(a_y1, b_y1), min(a_x1, b_x1)),
    )
    mine = np.s_[y0 - one.y0 : y1 - one.y0, x0 - one.x0 : x1 - one.x0]
    theirs = np.s_[y0 - other.y0 : y1 - other.y0, x0 - other.x0 : x1 - other.x0]
    return mine, one.logits_yx[mine], other.logits_yx[theirs]


def _shared(one: Patch, other: Patch) -> int:
    """Return the number of pixels in both masks."""
    _, a, b = _common(one, other)
    return int(np.count_nonzero((a > 0) & (b > 0)))


def _ceded(claim: Claim, others: Sequence[Claim]) -> NDArray[np.bool_] | None:
    """Return the pixels of a claim that others won; None if there are none."""
    out: NDArray[np.bool_] | None = None
    for other in others:
        part, mine, theirs = _common(claim.patch, other.patch)
        lost = theirs >= mine if other.object_id < claim.object_id else theirs > mine
        lost &= mine > 0
        if lost.any():
            if out is None:
                out = np.zeros(claim.patch.logits_yx.shape, bool)
            out[part] |= lost
    return out
