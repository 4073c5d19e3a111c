"""Truth of a synthetic clip, and functions that draw it.

A scene is a label movie and, beside it, the signed distance to the nearest outline: enough for
`training.synthetic.rendering` to paint any look on it.
"""

from __future__ import annotations

from dataclasses import dataclass
from itertools import pairwise

import numpy as np
from numpy.typing import NDArray

Rng = np.random.Generator
MAX_OBJECTS = 250  # labels are stored as uint8


@dataclass(frozen=True, eq=False)
class Scene:
    """Truth of one clip.

    Attributes
    ----------
    kind
        Family of shapes: blobs, rods, filaments, tiling, things.
    labels_tyx
        Shape (T, S, S), uint8; 0 is background.
    depth_tyx
        Shape (T, S, S), float32: distance in pixels to the outline of the own object, positive
        inside; outside the (negative) distance to the nearest object that was drawn.
    radius
        Typical radius of an object in pixels.
    ended_n
        Per id (from 1, index 0 unused) the frame from which its identity is undefined, because
        it divided; T if it never is.
    """

    kind: str
    labels_tyx: NDArray[np.uint8]
    depth_tyx: NDArray[np.float32]
    radius: float
    ended_n: NDArray[np.int64]


def outlined(rng: Rng, scene: Scene) -> NDArray[np.uint8]:
    """Return labels as people outline visible objects, shape (T, S, S), uint8.

    In half of the scenes of cells they stay a little inside (up to an eighth of the radius), as
    labels of real images do, and leave a gap between those that touch.
    """
    if scene.kind not in ("blobs", "rods") or rng.random() < 0.5:
        return scene.labels_tyx
    margin = rng.uniform(0, 0.125) * scene.radius
    return np.where(scene.depth_tyx > margin, scene.labels_tyx, np.uint8(0))


class Canvas:
    """Draws implicit shapes into label and depth frames."""

    def __init__(self, n_frames: int, size: int) -> None:
        self.labels = np.zeros((n_frames, size, size), np.uint8)
        self.depth = np.full((n_frames, size, size), -60.0, np.float32)
        self.size = size

    def crop(self, cy: float, cx: float, reach: float) -> tuple[slice, slice] | None:
        """Return the part of the frame within ``reach`` pixels of a place; None if it is empty."""
        y0, y1 = int(max(0, cy - reach)), int(min(self.size, cy + reach + 2))
        x0, x1 = int(max(0, cx - reach)), int(min(self.size, cx + reach + 2))
        return None if y1 <= y0 or x1 <= x0 else (slice(y0, y1), slice(x0, x1))

    def grid(self, crop: tuple[slice, slice]) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
        """Return coordinates y (h, 1) and x (1, w) of a part of the frame."""
        ys = np.arange(crop[0].start, crop[0].stop, dtype=np.float32)[:, None]
        xs = np.arange(crop[1].start, crop[1].stop, dtype=np.float32)[None, :]
        return ys, xs

    def put(
        self,
        t: int,
        crop: tuple[slice, slice],
        depth: NDArray[np.float32],
        label: int,
        over: bool,
    ) -> None:
        """Draw one shape; ``over`` hides what lies below, else the deeper shape keeps a pixel."""
        labels, best = self.labels[t][crop], self.depth[t][crop]
        inside = depth > 0
        take = inside if over else inside & ((labels == 0) | (depth > best))
        labels[take] = label
        best[take] = depth[take]
        outside = ~inside & (labels == 0)
        np.maximum(best, depth, out=best, where=outside)


def harmonic_depth(
    ys: NDArray[np.float32],
    xs: NDArray[np.float32],
    cy: float,
    cx: float,
    radius: float,
    aspect: float,
    angle: float,
    amplitudes: NDArray[np.float64],
) -> NDArray[np.float32]:
    """Return depth inside a star-shaped outline, from Fourier amplitudes (K, 2) of order 2 on."""
    dy, dx = ys - cy, xs - cx
    c, s = np.cos(angle), np.sin(angle)
    u, v = (c * dx + s * dy) / np.sqrt(aspect), (-s * dx + c * dy) * np.sqrt(aspect)
    theta = np.arctan2(v, u)
    outline = np.ones_like(theta)
    for k, (a, b) in enumerate(amplitudes, start=2):
        outline += a * np.cos(k * theta) + b * np.sin(k * theta)
    return (np.maximum(outline, 0.25) * radius - np.hypot(u, v)).astype(np.float32)


def polyline_depth(
    ys: NDArray[np.float32], xs: NDArray[np.float32], joints_kyx: NDArray[np.float64], half: float
) -> NDArray[np.float32]:
    """Return depth inside a tube of half width ``half`` around a polyline."""
    best: NDArray[np.float32] | None = None
    for (ay, ax), (by, bx) in pairwise(joints_kyx):
        dy, dx = by - ay, bx - ax
        s = np.clip(((ys - ay) * dy + (xs - ax) * dx) / (dy * dy + dx * dx + 1e-9), 0, 1)
        dist = np.hypot(ys - ay - s * dy, xs - ax - s * dx).astype(np.float32)
        best = dist if best is None else np.minimum(best, dist)
    assert best is not None
    return np.float32(half) - best
