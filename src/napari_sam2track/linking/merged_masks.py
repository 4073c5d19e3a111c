"""Objects that touched for some frames and were given one mask: they did not divide afterwards.

Where an object disappears inside one that continues, both are remembered as they were. If the one
divides soon after, and the two parts are explained better by the two that were remembered, each
gets its own part back.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from napari_sam2track.linking.gaps import Lost, coming_back
from napari_sam2track.linking.hypotheses import Growth, Hypotheses, join
from napari_sam2track.linking.motion import at_rest
from napari_sam2track.linking.objects import ObjectFrame
from napari_sam2track.linking.overlap import overlap_moved
from napari_sam2track.params import LinkParams

#: Share of a lost object that has to lie inside the other.
_INSIDE = 0.5


def with_swallower(lost: Lost, frame: ObjectFrame, tracklets: NDArray[np.int64]) -> Lost:
    """Return the lost objects with the tracklet in whose mask each lies in this frame.

    Parameters
    ----------
    lost
        Objects that are lost since the frame before, where they would be in this one.
    frame, tracklets
        The frame, and the tracklets of its objects.
    """
    swallower = np.full(len(lost), -1)
    overlaps = overlap_moved(lost.objects, at_rest(lost.objects), frame)
    inside = overlaps.in_first >= _INSIDE
    swallower[overlaps.first[inside]] = tracklets[overlaps.second[inside]]
    return replace(lost, swallower=swallower)


@dataclass(frozen=True, eq=False, slots=True)
class Parted:
    """Links of a frame after merged objects have their parts back.

    Attributes
    ----------
    chosen
        The hypotheses, without the wrong divisions.
    back
        The objects that were swallowed: (tracklet, position in the frame, gain, IoU).
    """

    chosen: Hypotheses
    back: list[tuple[int, int, float, float]]


def part_again(
    chosen: Hypotheses,
    last: NDArray[np.int64],
    lost: Lost,
    returns: Hypotheses,
    ghosts: Lost,
    frame: ObjectFrame,
    t: int,
    params: LinkParams,
    growth: Growth,
) -> Parted:
    """Check divisions of objects that swallowed another.

    Parameters
    ----------
    chosen
        Links of the objects of the frame before.
    last
        Tracklets of the frame before.
    lost, returns
        Lost objects, moved to this frame, and hypotheses of their return.
    ghosts
        The objects that swallowed one, as they were before, moved to this frame.
    frame, t, params, growth
        As for `coming_back`.
    """
    back = []
    keep = np.ones(len(chosen), bool)
    gone_on = []
    for row in np.flatnonzero(chosen.sibling >= 0).tolist():
        mother = int(last[chosen.parent[row]])
        inner = np.flatnonzero(lost.swallower == mother)
        outer = np.flatnonzero(ghosts.tracklet == mother)[-1:]
        if len(inner) != 1 or len(outer) == 0:
            continue
        daughters = int(chosen.child[row]), int(chosen.sibling[row])
        found = (
            coming_back(ghosts.take(outer), frame, t, params, growth),
            returns.take(returns.parent == inner[0]),
        )
        best = max(
            (
                (a[0] + b[0], one, two, a, b)
                for one, two in (daughters, daughters[::-1])
                if (a := _best(found[0], one)) and (b := _best(found[1], two))
            ),
            default=None,
        )
        if best is not None and best[0] > chosen.gain[row]:
            _, one, two, a, b = best
            keep[row] = False
            gone_on.append((int(chosen.parent[row]), one, *a))
            back.append((int(lost.tracklet[inner[0]]), two, *b))
    if not back:
        return Parted(chosen, [])
    parent, child = (np.array([g[k] for g in gone_on], np.int64) for k in (0, 1))
    gain, iou = (np.array([g[k] for g in gone_on]) for k in (2, 3))
    instead = Hypotheses(parent, child, np.full(len(parent), -1), gain, iou)
    return Parted(join((chosen.take(keep), instead)), back)


def _best(found: Hypotheses, child: int) -> tuple[float, float] | None:
    """Return gain and IoU of the best hypothesis whose child is `child`."""
    rows = np.flatnonzero((found.child == child) & (found.sibling < 0))
    if len(rows) == 0:
        return None
    row = rows[int(found.gain[rows].argmax())]
    return float(found.gain[row]), float(found.iou[row])
