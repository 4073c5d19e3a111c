"""Label movies with parents, and difficulties: jumps of the stage, missing objects."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray


@dataclass(frozen=True, eq=False)
class LabelSample:
    """Labels whose values are track ids, and their lineage.

    Attributes
    ----------
    labels_tyx
        (T, Y, X) uint32.
    parents
        Track id of a daughter to that of its parent, both of which occur in the labels.
    """

    labels_tyx: NDArray[np.uint32]
    parents: Mapping[int, int] = field(default_factory=dict)


def shake(
    sample: LabelSample,
    *,
    jumps: Mapping[int, tuple[int, int]] | None = None,
    missing: float = 0.0,
    seed: int = 0,
) -> LabelSample:
    """Move the stage, and lose objects.

    Parameters
    ----------
    sample
        A movie.
    jumps
        Frame to (dy, dx): from this frame on everything lies so many pixels further; what leaves
        the frame is cut off.
    missing
        Probability that an object is not found in a frame between its first and its last.
    seed
        Of the missing objects.

    Returns
    -------
    LabelSample
        Tracks may have gaps. A track of which nothing is left has no parent and no children.
    """
    rng = np.random.default_rng(seed)
    out = sample.labels_tyx.copy()
    present = [np.unique(frame[frame > 0]) for frame in out]
    first: dict[int, int] = {}
    last: dict[int, int] = {}
    for t, ids in enumerate(present):
        for track in ids.tolist():
            first.setdefault(track, t)
            last[track] = t
    offset = np.zeros(2, int)
    for t, frame in enumerate(out):
        lost = [i for i in present[t].tolist() if first[i] < t < last[i] and rng.random() < missing]
        frame[np.isin(frame, lost)] = 0
        offset += (jumps or {}).get(t, (0, 0))
        out[t] = _moved(frame, int(offset[0]), int(offset[1]))
    left = set(np.unique(out).tolist())
    parents = {c: p for c, p in sample.parents.items() if c in left and p in left}
    return LabelSample(out, parents)


def _moved(frame_yx: NDArray[np.uint32], dy: int, dx: int) -> NDArray[np.uint32]:
    """Return a frame moved by whole pixels, 0 where nothing comes from."""
    height, width = frame_yx.shape
    out = np.zeros_like(frame_yx)
    out[max(dy, 0) : height + min(dy, 0), max(dx, 0) : width + min(dx, 0)] = frame_yx[
        max(-dy, 0) : height + min(-dy, 0), max(-dx, 0) : width + min(-dx, 0)
    ]
    return out
