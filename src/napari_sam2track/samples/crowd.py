"""Crowds of cells that wander and push one another: for scores of following in long movies."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from napari_sam2track.samples.moving import SampleMovie

Rng = np.random.Generator
#: Cells further apart than this, in pixels, do not push one another; the largest is smaller.
_REACH = 40.0


@dataclass(frozen=True, eq=False, slots=True)
class _Cells:
    """Constant properties of each cell: radius, outline, texture and brightness.

    ``waves`` (N, K, 2) are the amplitudes of the outline from order 2; ``texture`` (N, 3, 3) are
    wave vectors and phases that turn with the cell.
    """

    radius: NDArray[np.float64]
    waves: NDArray[np.float64]
    texture: NDArray[np.float64]
    bright: NDArray[np.float64]

    @classmethod
    def draw(cls, rng: Rng, n: int, diameter: tuple[float, float]) -> _Cells:
        waves = rng.normal(0, 1, (n, 3, 2)) * np.array([0.09, 0.04, 0.025])[:, None]
        texture = np.concatenate(
            [rng.normal(0, 0.35, (n, 3, 2)), rng.uniform(0, 2 * np.pi, (n, 3, 1))], axis=2
        )
        radius = rng.uniform(diameter[0] / 2, diameter[1] / 2, n)
        return cls(radius, waves, texture, rng.uniform(0.45, 1.0, n))


def crowd(
    n_frames: int = 50,
    size: int = 1024,
    *,
    n_cells: int = 60,
    diameter: tuple[float, float] = (20.0, 30.0),
    speed: float = 1.5,
    clumps: int = 0,
    drift: tuple[float, float] = (0.0, 0.0),
    blinking: float = 0.0,
    seed: int = 0,
) -> SampleMovie:
    """Return blurred, noisy, textured cells of individual brightness; where two meet, they push.

    Parameters
    ----------
    n_frames, size
        Frames, and side of the square frame in pixels.
    n_cells
        All of them are in the first frame.
    diameter
        Least and greatest, in pixels.
    speed
        Standard deviation of the velocity along each axis, in pixels per frame; a cell keeps its
        velocity for some ten frames.
    clumps
        The cells gather round so many places and touch; 0: anywhere.
    drift
        Velocity that all share, (y, x) in pixels per frame; then cells leave through the border,
        which they otherwise turn back from.
    blinking
        Fraction of the cells that are not there for 3 to 5 frames, twice; they move on meanwhile.
    seed
        The same seed gives the same movie.

    Returns
    -------
    SampleMovie
        Labels are 1 to ``n_cells``, the same in all frames, and do not overlap.
    """
    rng = np.random.default_rng(seed)
    cells = _Cells.draw(rng, n_cells, diameter)
    margin = diameter[1]
    homes = _homes(rng, clumps, n_cells, size)
    if homes is None:
        place = rng.uniform(margin, size - margin, (n_cells, 2))
    else:
        place = homes + rng.normal(0, diameter[0], (n_cells, 2))
    velocity = rng.normal(0, speed, (n_cells, 2))
    for _ in range(200):
        _push(place, cells.radius)
    turn = rng.uniform(0, 2 * np.pi, n_cells)
    spin = rng.normal(0, 0.03, n_cells)
    shown = _shown(rng, n_cells, n_frames, blinking)
    images = np.empty((n_frames, size, size), np.uint16)
    labels = np.zeros((n_frames, size, size), np.uint16)
    light = _light(size)
    for t in range(n_frames):
        signal = _draw(labels[t], cells, place, turn, shown[:, t])
        images[t] = _camera(rng, signal * light)
        velocity = 0.9 * velocity + rng.normal(0, speed * np.sqrt(1 - 0.9**2), velocity.shape)
        place += velocity + drift
        if homes is not None:
            homes += drift
            place += 0.02 * (homes - place)
        for _ in range(6):
            _push(place, cells.radius)
        if not any(drift):
            outside = (place < margin) | (place > size - margin)
            velocity[outside] *= -1
            np.clip(place, margin, size - margin, out=place)
        turn += spin
    return SampleMovie(images, labels)


def _homes(rng: Rng, clumps: int, n: int, size: int) -> NDArray[np.float64] | None:
    """Return the point each cell is drawn to, (N, 2): on a grid of as many as there are clumps."""
    if clumps == 0:
        return None
    side = int(np.ceil(np.sqrt(clumps)))
    grid = (np.stack(np.divmod(np.arange(clumps), side), axis=1) + 0.5) * size / side
    middle: NDArray[np.float64] = grid[rng.permutation(n) % clumps]
    return middle


def _shown(rng: Rng, n: int, n_frames: int, blinking: float) -> NDArray[np.bool_]:
    """Return per cell and frame whether it is visible, (N, T); all in the first three frames."""
    shown = np.ones((n, n_frames), bool)
    for k in range(round(blinking * n)):
        for start in (n_frames // 5, 3 * n_frames // 5):
            first = max(3, start + int(rng.integers(0, n_frames // 5)))
            shown[k, first : first + int(rng.integers(3, 6))] = False
    return shown


def _push(place: NDArray[np.float64], radius: NDArray[np.float64]) -> None:
    """Move cells that overlap a little apart, in place."""
    from scipy.spatial import cKDTree

    i, j = cKDTree(place).query_pairs(_REACH, output_type="ndarray").T
    apart = place[i] - place[j]
    distance = np.hypot(*apart.T) + 1e-6
    force = apart * (np.maximum(radius[i] + radius[j] - distance, 0) / distance)[:, None]
    np.add.at(place, i, 0.3 * force)
    np.add.at(place, j, -0.3 * force)


def _draw(
    labels_yx: NDArray[np.uint16],
    cells: _Cells,
    place: NDArray[np.float64],
    turn: NDArray[np.float64],
    shown: NDArray[np.bool_],
) -> NDArray[np.float64]:
    """Draw labels, in place, and the light of the cells, (Y, X)."""
    height, width = labels_yx.shape
    deepest = np.zeros((height, width))
    signal = np.full((height, width), 0.06)
    for k in np.flatnonzero(shown).tolist():
        (cy, cx), reach = place[k], 1.5 * cells.radius[k]
        y0, y1 = max(int(cy - reach), 0), min(int(cy + reach) + 2, height)
        x0, x1 = max(int(cx - reach), 0), min(int(cx + reach) + 2, width)
        if y0 >= y1 or x0 >= x1:
            continue
        dy, dx = np.arange(y0, y1)[:, None] - cy, np.arange(x0, x1)[None] - cx
        c, s = np.cos(turn[k]), np.sin(turn[k])
        u, v = c * dx + s * dy, c * dy - s * dx
        angle = np.arctan2(v, u)
        outline = np.ones_like(angle)
        for order, (a, b) in enumerate(cells.waves[k], start=2):
            outline += a * np.cos(order * angle) + b * np.sin(order * angle)
        depth = outline * cells.radius[k] - np.hypot(u, v)
        box = (slice(y0, y1), slice(x0, x1))
        inside = depth > deepest[box]
        speckle = np.ones_like(depth)
        for fv, fu, phase in cells.texture[k]:
            speckle += 0.09 * np.cos(fv * v + fu * u + phase)
        body = cells.bright[k] * (0.5 + 0.5 * np.clip(depth / 5, 0, 1)) * speckle
        labels_yx[box][inside] = k + 1
        deepest[box][inside] = depth[inside]
        signal[box][inside] = body[inside]
    return signal


def _light(size: int) -> NDArray[np.float64]:
    """Return uneven light, (Y, X)."""
    yy, xx = np.mgrid[:size, :size] / size
    light: NDArray[np.float64] = 1 + 0.2 * np.sin(2.1 * yy + 0.4) * np.cos(1.7 * xx)
    return light


def _camera(rng: Rng, signal_yx: NDArray[np.float64]) -> NDArray[np.uint16]:
    """Add blur, shot noise and read noise."""
    from scipy.ndimage import gaussian_filter

    photons = rng.poisson(gaussian_filter(signal_yx, 1.0) * 150)
    read = photons + rng.normal(0, 4, signal_yx.shape)
    return np.clip(read * 40 + 400, 0, 65535).astype(np.uint16)
