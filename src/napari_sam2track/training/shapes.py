"""Populations of moving shapes with known truth.

A scene is a label movie and, beside it, the signed distance to the nearest outline: enough for
`training.looks` to paint any look on it.
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
        Family of shapes: blobs, rods, tiling, things.
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


class _Canvas:
    """Draws implicit shapes into label and depth frames."""

    def __init__(self, n_frames: int, size: int) -> None:
        self.labels = np.zeros((n_frames, size, size), np.uint8)
        self.depth = np.full((n_frames, size, size), -60.0, np.float32)
        self.size = size

    def crop(self, cy: float, cx: float, reach: float) -> tuple[slice, slice] | None:
        y0, y1 = int(max(0, cy - reach)), int(min(self.size, cy + reach + 2))
        x0, x1 = int(max(0, cx - reach)), int(min(self.size, cx + reach + 2))
        return None if y1 <= y0 or x1 <= x0 else (slice(y0, y1), slice(x0, x1))

    def grid(self, crop: tuple[slice, slice]) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
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


def _harmonic_depth(
    ys: NDArray[np.float32],
    xs: NDArray[np.float32],
    cy: float,
    cx: float,
    radius: float,
    aspect: float,
    angle: float,
    amplitudes: NDArray[np.float64],
) -> NDArray[np.float32]:
    """Depth inside a star-shaped outline given by its Fourier amplitudes (K, 2) from order 2."""
    dy, dx = ys - cy, xs - cx
    c, s = np.cos(angle), np.sin(angle)
    u, v = (c * dx + s * dy) / np.sqrt(aspect), (-s * dx + c * dy) * np.sqrt(aspect)
    theta = np.arctan2(v, u)
    outline = np.ones_like(theta)
    for k, (a, b) in enumerate(amplitudes, start=2):
        outline += a * np.cos(k * theta) + b * np.sin(k * theta)
    return (np.maximum(outline, 0.25) * radius - np.hypot(u, v)).astype(np.float32)


def _repel(pos: NDArray[np.float64], rad: NDArray[np.float64], rounds: int, gap: float) -> None:
    """Push overlapping discs apart, in place."""
    for _ in range(rounds):
        diff = pos[:, None] - pos[None]
        dist = np.sqrt((diff**2).sum(-1)) + 1e-3
        push = np.maximum((rad[:, None] + rad[None]) * gap - dist, 0) / dist
        np.fill_diagonal(push, 0)
        pos += 0.4 * (push[..., None] * diff).sum(1)


def _visibility(rng: Rng, n: int, n_frames: int, gone: float, blink: float) -> NDArray[np.bool_]:
    """Per object and frame: some vanish for good, some come back."""
    seen = np.ones((n, n_frames), bool)
    for i in range(n):
        u = rng.random()
        if u < gone:
            seen[i, rng.integers(1, n_frames) :] = False
        elif u < gone + blink:
            start = rng.integers(1, n_frames)
            seen[i, start : start + rng.integers(1, 4)] = False
    return seen


def blobs(rng: Rng, n_frames: int, size: int, things: bool = False) -> Scene:
    """Star-shaped objects that drift, turn, deform, leave, vanish; ``things`` hide one another."""
    r0 = float(np.exp(rng.uniform(np.log(14 if things else 5), np.log(70))))
    fill = rng.uniform(0.1, 0.75)
    n = int(np.clip(fill * size * size / (np.pi * r0 * r0), 1, 12 if things else 60))
    rad = r0 * np.exp(rng.normal(0, 0.25, n))
    long = rng.random() < 0.3
    aspect = np.exp(np.abs(rng.normal(0.5, 0.4, n)) if long else rng.normal(0, 0.3, n))
    angle = rng.uniform(0, np.pi, n)
    spin = rng.normal(0, rng.choice([0.02, 0.08, 0.2]), n)
    pos = rng.uniform(-0.05 * size, 1.05 * size, (n, 2))
    speed = rng.choice([0.02, 0.08, 0.25]) * r0 + rng.uniform(0, 1.5)
    vel = rng.normal(0, speed, (n, 2)) + rng.normal(0, speed * 0.6, 2)
    orders = 5 if not things else 7
    rough = rng.uniform(0.02, 0.2)
    amps = rng.normal(0, rough, (n, orders, 2)) / np.arange(1, orders + 1)[None, :, None]
    breathe = rng.uniform(0, 0.03)
    grow = 1 + rng.normal(0, 0.01, n)
    crowd = not things and rng.random() < 0.65
    if crowd:
        _repel(pos, rad, 15, rng.uniform(0.85, 1.05))
    seen = _visibility(rng, n, n_frames, 0.06, 0.05)
    canvas = _Canvas(n_frames, size)
    for t in range(n_frames):
        for i in range(n):
            reach = rad[i] * 2.2 * max(np.sqrt(aspect[i]), 1 / np.sqrt(aspect[i]))
            crop = canvas.crop(*pos[i], reach) if seen[i, t] else None  # type: ignore[call-arg]
            if crop is None:
                continue
            # numpy's floats, not Python's: they make the arithmetic double
            depth = _harmonic_depth(  # type: ignore[call-arg]
                *canvas.grid(crop), *pos[i], rad[i], aspect[i], angle[i], amps[i]
            )
            canvas.put(t, crop, depth, i + 1, over=things)
        vel = 0.8 * vel + 0.2 * rng.normal(0, speed, (n, 2))
        pos = pos + vel
        angle = angle + spin
        rad = rad * grow
        amps = amps + rng.normal(0, breathe, amps.shape) / np.arange(1, orders + 1)[None, :, None]
        if crowd:
            _repel(pos, rad, 3, 0.9)
    ended = np.full(n + 1, n_frames)
    return Scene("things" if things else "blobs", canvas.labels, canvas.depth, r0, ended)


@dataclass
class _Colony:
    """Rods as axis segments with a common half width."""

    pos: NDArray[np.float64]
    angle: NDArray[np.float64]
    length: NDArray[np.float64]
    bend: NDArray[np.float64]
    ids: NDArray[np.int64]

    def joints(self, k: int = 5) -> NDArray[np.float64]:
        """Points along the axes, shape (N, k, 2)."""
        s = np.linspace(-0.5, 0.5, k)
        axis = np.stack([np.sin(self.angle), np.cos(self.angle)], -1)
        normal = np.stack([axis[:, 1], -axis[:, 0]], -1)
        along = s[None, :, None] * self.length[:, None, None] * axis[:, None]
        off = (4 * s**2 - 1 / 3)[None, :, None] * (self.bend * self.length)[:, None, None]
        return self.pos[:, None] + along + off * normal[:, None]

    def relax(self, half: float, rounds: int) -> None:
        """Push rods apart: discs along the axes repel, giving shifts and turns."""
        for _ in range(rounds):
            joints = self.joints()
            n, k, _ = joints.shape
            flat = joints.reshape(-1, 2)
            owner = np.repeat(np.arange(n), k)
            diff = flat[:, None] - flat[None]
            dist = np.sqrt((diff**2).sum(-1)) + 1e-3
            push = np.maximum(2 * half - dist, 0) / dist
            push[owner[:, None] == owner[None]] = 0
            force = (push[..., None] * diff).sum(1).reshape(n, k, 2)
            arm = joints - self.pos[:, None]
            torque = (arm[..., 0] * force[..., 1] - arm[..., 1] * force[..., 0]).sum(1)
            self.pos += 0.25 * force.mean(1) * 2
            self.angle -= np.clip(0.6 * torque / (self.length**2 + 1e-3) / k * 3, -0.15, 0.15)

    def divide(self, rng: Rng, limit: float, next_id: int) -> list[int]:
        """Split what is longer than ``limit``; daughters get new ids. Returns parents' ids."""
        ripe = np.flatnonzero(self.length > limit * np.exp(rng.normal(0, 0.08, len(self.length))))
        if len(ripe) == 0:
            return []
        axis = np.stack([np.sin(self.angle[ripe]), np.cos(self.angle[ripe])], -1)
        quarter = self.length[ripe, None] * 0.26 * axis
        parents = self.ids[ripe].tolist()
        keep = np.setdiff1d(np.arange(len(self.ids)), ripe)
        new = np.arange(next_id, next_id + 2 * len(ripe))
        turn = rng.normal(0, 0.05, 2 * len(ripe))

        def join(a: NDArray[np.float64], b: NDArray[np.float64]) -> NDArray[np.float64]:
            return np.concatenate([a[keep], b])

        self.pos = join(
            self.pos, np.concatenate([self.pos[ripe] + quarter, self.pos[ripe] - quarter])
        )
        self.angle = join(self.angle, np.tile(self.angle[ripe], 2) + turn)
        self.bend = join(self.bend, np.tile(self.bend[ripe], 2))
        self.length = join(self.length, np.tile(self.length[ripe] * 0.47, 2))
        self.ids = np.concatenate([self.ids[keep], new])
        return parents


def rods(rng: Rng, n_frames: int, size: int) -> Scene:
    """A colony of rods that grow, push one another and divide; or loose rods."""
    half = float(np.exp(rng.uniform(np.log(3), np.log(13))))
    limit = half * rng.uniform(5, 13)
    loose = rng.random() < 0.25
    n = int(rng.integers(3, 14)) if loose else int(rng.integers(1, 5))
    spread = size * (0.5 if loose else 0.12)
    bend = rng.uniform(0, 0.08)
    colony = _Colony(
        size / 2 + rng.uniform(-1, 1, (n, 2)) * spread,
        rng.uniform(0, 2 * np.pi, n) if loose else rng.uniform(0, np.pi) + rng.normal(0, 0.4, n),
        limit * rng.uniform(0.45, 1, n),
        rng.normal(0, bend, n),
        np.arange(1, n + 1),
    )
    growth = rng.uniform(0.01, 0.06)
    target = int(np.clip(rng.uniform(0.1, 0.7) * size**2 / (2 * half * limit * 0.7), 2, 45))
    next_id = n + 1
    colony.relax(half, 20)
    if not loose:
        while len(colony.ids) < target:  # warm-up: grow the colony in coarse steps
            colony.length *= 1 + np.abs(rng.normal(0.12, 0.05, len(colony.length)))
            colony.divide(rng, limit, 1)
            colony.relax(half, 5)
        colony.ids = np.arange(1, len(colony.ids) + 1)
        next_id = len(colony.ids) + 1
        colony.pos += size / 2 + rng.normal(0, 0.12 * size, 2) - colony.pos.mean(0)
    ended: dict[int, int] = {}
    drift = rng.normal(0, 1.0, 2)
    canvas = _Canvas(n_frames, size)
    for t in range(n_frames):
        for rod, joints in zip(colony.ids.tolist(), colony.joints(7), strict=True):
            if rod > MAX_OBJECTS:
                continue
            centre = joints.mean(0)
            reach = np.abs(joints - centre).max() + 1.6 * half + 6
            crop = canvas.crop(*centre, reach)  # type: ignore[call-arg]
            if crop is not None:
                canvas.put(
                    t,
                    crop,
                    _polyline_depth(*canvas.grid(crop), joints, half * 0.97),
                    rod,
                    over=False,
                )
        colony.length *= 1 + growth * np.abs(rng.normal(1, 0.3, len(colony.length)))
        for parent in colony.divide(rng, limit, next_id):
            ended[parent] = t + 1
            next_id += 2
        colony.relax(half, 6)
        colony.pos += drift + rng.normal(0, 0.25, colony.pos.shape)
        colony.angle += rng.normal(0, 0.01, len(colony.angle))
    out = np.full(min(next_id, MAX_OBJECTS) + 1, n_frames)
    for rod, t in ended.items():
        if rod < len(out):
            out[rod] = t
    return Scene("rods", canvas.labels, canvas.depth, half, out)


def _polyline_depth(
    ys: NDArray[np.float32], xs: NDArray[np.float32], joints_kyx: NDArray[np.float64], half: float
) -> NDArray[np.float32]:
    """Depth inside a tube of half width ``half`` around a polyline."""
    best: NDArray[np.float32] | None = None
    for (ay, ax), (by, bx) in pairwise(joints_kyx):
        dy, dx = by - ay, bx - ax
        s = np.clip(((ys - ay) * dy + (xs - ax) * dx) / (dy * dy + dx * dx + 1e-9), 0, 1)
        dist = np.hypot(ys - ay - s * dy, xs - ax - s * dx).astype(np.float32)
        best = dist if best is None else np.minimum(best, dist)
    assert best is not None
    return np.float32(half) - best


def tiling(rng: Rng, n_frames: int, size: int) -> Scene:
    """An epithelium: cells that fill the plane, as the Voronoi cells of moving seeds."""
    from scipy.ndimage import distance_transform_edt
    from scipy.spatial import cKDTree

    r0 = float(np.exp(rng.uniform(np.log(9), np.log(45))))
    step = 2 * r0
    k = int(np.ceil(size / step)) + 2
    gy, gx = np.mgrid[:k, :k].reshape(2, -1)
    pos = np.stack([(gy - 0.5) * step + (gx % 2) * step / 2, (gx - 0.5) * step], 1)
    pos = (pos + rng.normal(0, r0 * rng.uniform(0.15, 0.5), pos.shape))[:MAX_OBJECTS]
    wall = rng.uniform(0.5, max(1.0, 0.12 * r0))
    speed = rng.uniform(0, 0.06) * r0
    flow = rng.normal(0, 0.5 * speed + 0.2, 2)
    swell = 1 + rng.normal(0, 0.01)
    holes = rng.random(len(pos)) < rng.choice([0, 0.1, 0.3])
    yy, xx = np.mgrid[:size, :size].astype(np.float32)
    wob = rng.uniform(0, 0.25) * r0
    waves = rng.uniform(0, 2 * np.pi, 4)
    wy = yy + wob * np.sin(xx / r0 * 0.9 + waves[0]) * np.cos(yy / r0 * 0.4 + waves[1])
    wx = xx + wob * np.sin(yy / r0 * 0.9 + waves[2]) * np.cos(xx / r0 * 0.4 + waves[3])
    grid = np.stack([wy.ravel(), wx.ravel()], 1)
    canvas = _Canvas(n_frames, size)
    for t in range(n_frames):
        dist, idx = map(np.asarray, cKDTree(pos).query(grid, k=2))
        gap = ((dist[:, 1] - dist[:, 0]) / 2).reshape(size, size)
        own = idx[:, 0].reshape(size, size)
        fg = (gap > wall / 2) & ~holes[own]
        canvas.labels[t] = np.where(fg, own + 1, 0)
        outside = distance_transform_edt(~fg)
        canvas.depth[t] = np.where(fg, gap, -outside)
        pos = (pos + flow + rng.normal(0, speed, pos.shape) - size / 2) * swell + size / 2
    ended = np.full(len(pos) + 1, n_frames)
    return Scene("tiling", canvas.labels, canvas.depth, r0, ended)


def make_scene(rng: Rng, n_frames: int, size: int) -> Scene:
    """A scene of a random family."""
    kind = rng.choice(["blobs", "rods", "tiling", "things"], p=[0.42, 0.26, 0.14, 0.18])
    if kind == "rods":
        return rods(rng, n_frames, size)
    if kind == "tiling":
        return tiling(rng, n_frames, size)
    return blobs(rng, n_frames, size, things=kind == "things")
