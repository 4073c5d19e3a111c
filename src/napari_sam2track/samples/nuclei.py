"""Round cells that wander, drift, divide and pass one another, as labels."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from napari_sam2track.samples.lineages import LabelSample


def dividing_nuclei(
    n_frames: int = 40,
    size: int = 512,
    *,
    n_cells: int = 40,
    radius: float = 10.0,
    speed: float = 2.0,
    drift: tuple[float, float] = (0.0, 0.0),
    divisions: float = 0.02,
    crossing: bool = False,
    seed: int = 0,
) -> LabelSample:
    """Return cells with a velocity of their own, which they keep for some frames.

    Parameters
    ----------
    n_frames, size
        Frames, and side of the square frame in pixels.
    n_cells
        At the beginning.
    radius
        Of a cell, on average, in pixels; daughters begin at 0.72 of it and grow.
    speed
        Standard deviation of the velocity along each axis, in pixels per frame.
    drift
        Velocity that all share, (y, x) in pixels per frame; cells leave and enter the frame.
    divisions
        Probability per frame that a grown cell divides.
    crossing
        Cells pass over one another, the one with the higher id on top; else they push.
    seed
        The same seed gives the same movie.
    """
    rng = np.random.default_rng(seed)
    margin = 3 * radius
    # Cells that drift in come from outside the frame.
    reach = np.abs(np.array(drift)) * n_frames
    low = np.where(np.array(drift) > 0, -reach, 0) + margin
    high = size + np.where(np.array(drift) < 0, reach, 0) - margin
    n = round(n_cells * float(np.prod(high - low)) / (size - 2 * margin) ** 2)
    place = rng.uniform(low, high, (n, 2))
    full = radius * rng.uniform(0.85, 1.15, n)
    grown = rng.uniform(0.8, 1.0, n)
    velocity = rng.normal(0, speed, (n, 2))
    ids = np.arange(1, n + 1)
    if not crossing:
        for _ in range(100):
            _push(place, full * grown)
    parents: dict[int, int] = {}
    labels = np.zeros((n_frames, size, size), np.uint32)
    for t in range(n_frames):
        if t:
            velocity = 0.85 * velocity + 0.53 * rng.normal(0, speed, velocity.shape)
            place = place + velocity + drift
            grown = grown + 0.15 * (1 - grown)
            if not crossing:
                for _ in range(4):
                    _push(place, full * grown)
            split = np.flatnonzero((grown > 0.93) & (rng.random(len(ids)) < divisions))
            keep = np.setdiff1d(np.arange(len(ids)), split)
            turn = rng.uniform(0, 2 * np.pi, len(split))
            arm = 0.8 * (full * grown)[split, None] * np.stack([np.sin(turn), np.cos(turn)], axis=1)
            born = ids.max() + 1 + np.arange(2 * len(split))
            for k, mother in enumerate(ids[split].tolist()):
                parents[int(born[k])] = parents[int(born[len(split) + k])] = mother
            place = np.concatenate([place[keep], place[split] + arm, place[split] - arm])
            velocity = np.concatenate([velocity[keep], velocity[split], velocity[split]])
            full = np.concatenate([full[keep], full[split], full[split]])
            grown = np.concatenate([grown[keep], np.full(2 * len(split), 0.72)])
            ids = np.concatenate([ids[keep], born])
        labels[t] = _draw(place, full * grown, ids, size)
    left = set(np.unique(labels).tolist())
    return LabelSample(labels, {c: p for c, p in parents.items() if c in left and p in left})


def _push(place: NDArray[np.float64], radius: NDArray[np.float64]) -> None:
    """Move cells that overlap a little apart, in place."""
    from scipy.spatial import cKDTree

    pairs = cKDTree(place).query_pairs(2.1 * radius.max(), output_type="ndarray")
    i, j = pairs.T
    apart = place[i] - place[j]
    distance = np.hypot(*apart.T) + 1e-9
    force = (
        0.3 * apart * (np.maximum(1.05 * (radius[i] + radius[j]) - distance, 0) / distance)[:, None]
    )
    np.add.at(place, i, force)
    np.add.at(place, j, -force)


def _draw(
    place: NDArray[np.float64], radius: NDArray[np.float64], ids: NDArray[np.int64], size: int
) -> NDArray[np.uint32]:
    """Return a label image of discs; later ones lie on top."""
    labels = np.zeros((size, size), np.uint32)
    for (y, x), r, label in zip(place, radius, ids, strict=True):
        y0, y1 = max(int(y - r), 0), min(int(y + r) + 2, size)
        x0, x1 = max(int(x - r), 0), min(int(x + r) + 2, size)
        if y0 < y1 and x0 < x1:
            inside = np.hypot(np.arange(y0, y1)[:, None] - y, np.arange(x0, x1)[None] - x) < r
            labels[y0:y1, x0:x1][inside] = label
    return labels
