"""A colony of rod-shaped bacteria that grow, divide and push one another, as labels."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from napari_sam2track.samples.lineages import LabelSample

Rng = np.random.Generator


@dataclass(slots=True)
class _Rods:
    """State of all rods: centres (N, 2) as (y, x), angles, lengths, lengths at division, ids."""

    centre: NDArray[np.float64]
    angle: NDArray[np.float64]
    length: NDArray[np.float64]
    limit: NDArray[np.float64]
    ids: NDArray[np.int64]

    @property
    def axis(self) -> NDArray[np.float64]:
        """Unit vectors along the rods, (N, 2)."""
        return np.stack([np.sin(self.angle), np.cos(self.angle)], axis=1)


def growing_colony(
    n_frames: int = 40,
    size: int = 512,
    *,
    growth: float = 1.1,
    width: float = 17.0,
    length: float = 90.0,
    wander: float = 1.0,
    seed: int = 0,
) -> LabelSample:
    """Return rods that double in length and divide, from two to as many as fit the time.

    Parameters
    ----------
    n_frames, size
        Frames, and side of the square frame in pixels. Rods that leave it are cut off.
    growth
        Factor of length per frame.
    width, length
        Of a rod, in pixels; length is that at division, on average.
    wander
        Standard deviation of a rod's own movement per frame, in pixels.
    seed
        The same seed gives the same movie.
    """
    rng = np.random.default_rng(seed)
    half = np.array([0.0, 0.55 * width])
    rods = _Rods(
        centre=size / 2 + np.stack([half * 2 - half.mean(), half], axis=1),
        angle=rng.uniform(0, np.pi) + rng.normal(0, 0.1, 2),
        length=length * rng.uniform(0.55, 0.9, 2),
        limit=length * rng.normal(1, 0.08, 2),
        ids=np.array([1, 2]),
    )
    next_id = 3
    parents: dict[int, int] = {}
    labels = np.zeros((n_frames, size, size), np.uint32)
    for t in range(n_frames):
        if t:
            rods.length *= growth * rng.normal(1, 0.012, len(rods.ids))
            # The colony as a whole makes room; pushing alone would take very many rounds.
            middle = rods.centre.mean(axis=0)
            rods.centre = middle + (rods.centre - middle) * growth**0.42
            rods, next_id = _divide(rods, parents, next_id, width, length, rng)
            rods.centre += rng.normal(0, wander, rods.centre.shape)
            rods.angle += rng.normal(0, 0.03, len(rods.ids))
        for _ in range(120):
            if not _push(rods, width):
                break
        labels[t] = _draw(rods, size, width)
    left = set(np.unique(labels).tolist())
    return LabelSample(labels, {c: p for c, p in parents.items() if c in left and p in left})


def _divide(
    rods: _Rods, parents: dict[int, int], next_id: int, width: float, length: float, rng: Rng
) -> tuple[_Rods, int]:
    """Cut rods that have reached their length in two."""
    ready = np.flatnonzero(rods.length > rods.limit)
    n = len(ready)
    if n == 0:
        return rods, next_id
    share = np.clip(rng.normal(0.5, 0.035, n), 0.35, 0.65)
    axis, whole = rods.axis[ready], rods.length[ready]
    ids = next_id + np.arange(2 * n)
    parts = []
    for sign, part in ((-1, share), (1, 1 - share)):
        shift = sign * (whole - whole * part) / 2
        parts.append((rods.centre[ready] + shift[:, None] * axis, whole * part))
    for k, mother in enumerate(rods.ids[ready].tolist()):
        parents[int(ids[k])] = parents[int(ids[n + k])] = mother
    keep = np.setdiff1d(np.arange(len(rods.ids)), ready)
    bend = rng.normal(0, 0.06, 2 * n)
    return (
        _Rods(
            centre=np.concatenate([rods.centre[keep], parts[0][0], parts[1][0]]),
            angle=np.concatenate([rods.angle[keep], np.tile(rods.angle[ready], 2) + bend]),
            length=np.concatenate([rods.length[keep], parts[0][1], parts[1][1]]),
            limit=np.concatenate([rods.limit[keep], length * rng.normal(1, 0.08, 2 * n)]),
            ids=np.concatenate([rods.ids[keep], ids]),
        ),
        next_id + 2 * n,
    )


def _beads(rods: _Rods, width: float) -> tuple[NDArray[np.float64], NDArray[np.intp]]:
    """Return discs along each rod: their centres (M, 2) and the rod of each."""
    n = np.maximum(np.ceil(rods.length / (0.6 * width)).astype(int), 2)
    owner = np.repeat(np.arange(len(n)), n)
    place = np.arange(len(owner)) - np.repeat(np.cumsum(n) - n, n)
    along = (place / (n[owner] - 1) - 0.5) * (rods.length[owner] - width)
    return rods.centre[owner] + along[:, None] * rods.axis[owner], owner


def _push(rods: _Rods, width: float) -> bool:
    """Move and turn rods that overlap a little apart, in place; False if none did."""
    from scipy.spatial import cKDTree

    beads, owner = _beads(rods, width)
    pairs = cKDTree(beads).query_pairs(width, output_type="ndarray")
    pairs = pairs[owner[pairs[:, 0]] != owner[pairs[:, 1]]]
    if len(pairs) == 0:
        return False
    i, j = pairs.T
    apart = beads[i] - beads[j]
    distance = np.hypot(*apart.T) + 1e-9
    force = apart * ((width - distance) / distance)[:, None]
    n = len(rods.ids)
    total, turn, count = np.zeros((n, 2)), np.zeros(n), np.zeros(n)
    for bead, sign in ((i, 1.0), (j, -1.0)):
        rod = owner[bead]
        arm = beads[bead] - rods.centre[rod]
        np.add.at(total, rod, sign * force)
        # y down: the angle grows from x towards y
        np.add.at(turn, rod, sign * (arm[:, 1] * force[:, 0] - arm[:, 0] * force[:, 1]))
        np.add.at(count, rod, 1.0)
    count = np.maximum(count, 1)
    rods.centre += 0.5 * total / count[:, None]
    rods.angle += np.clip(4.0 * turn / count / np.maximum(rods.length, width) ** 2, -0.1, 0.1)
    return bool((width - distance).max() > 0.06 * width)


def _draw(rods: _Rods, size: int, width: float) -> NDArray[np.uint32]:
    """Return the label image of the rods; a pixel belongs to the nearest within half a width."""
    labels = np.zeros((size, size), np.uint32)
    nearest = np.full((size, size), 0.47 * width)
    reach = rods.length / 2 + width
    low = np.clip((rods.centre - reach[:, None]).astype(int), 0, size)
    high = np.clip((rods.centre + reach[:, None] + 1).astype(int), 0, size)
    for k, axis in enumerate(rods.axis):
        (y0, x0), (y1, x1) = low[k], high[k]
        if y0 >= y1 or x0 >= x1:
            continue
        dy = np.arange(y0, y1)[:, None] - rods.centre[k, 0]
        dx = np.arange(x0, x1)[None] - rods.centre[k, 1]
        half = max(rods.length[k] - width, 0) / 2
        along = np.clip(dy * axis[0] + dx * axis[1], -half, half)
        distance = np.hypot(dy - along * axis[0], dx - along * axis[1])
        box = (slice(y0, y1), slice(x0, x1))
        closer = distance < nearest[box]
        nearest[box][closer] = distance[closer]
        labels[box][closer] = rods.ids[k]
    return labels
