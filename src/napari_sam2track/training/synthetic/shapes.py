"""Populations of moving shapes with known truth."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from napari_sam2track.training.synthetic.scene import (
    MAX_OBJECTS,
    Canvas,
    Rng,
    Scene,
    harmonic_depth,
    polyline_depth,
)


def _repel(pos: NDArray[np.float64], rad: NDArray[np.float64], rounds: int, gap: float) -> None:
    """Push overlapping discs apart, in place."""
    for _ in range(rounds):
        diff = pos[:, None] - pos[None]
        dist = np.sqrt((diff**2).sum(-1)) + 1e-3
        push = np.maximum((rad[:, None] + rad[None]) * gap - dist, 0) / dist
        np.fill_diagonal(push, 0)
        pos += 0.4 * (push[..., None] * diff).sum(1)


def _visibility(rng: Rng, n: int, n_frames: int, gone: float, blink: float) -> NDArray[np.bool_]:
    """Return visibility per object and frame: some vanish for good, some come back."""
    seen = np.ones((n, n_frames), bool)
    if n_frames == 1:
        return seen
    for i in range(n):
        u = rng.random()
        if u < gone:
            seen[i, rng.integers(1, n_frames) :] = False
        elif u < gone + blink:
            start = rng.integers(1, n_frames)
            seen[i, start : start + rng.integers(1, 5)] = False
    return seen


@dataclass(frozen=True, eq=False)
class _Stage:
    """Common motion of all objects of a clip.

    Attributes
    ----------
    drift
        Pixels per frame.
    turn
        Radians per frame, about the middle, against the angles of the shapes.
    swell
        Relative expansion per frame, from the middle.
    jumps
        Shape (T, 2): movement of the stage after each frame.
    """

    drift: NDArray[np.float64]
    turn: float
    swell: float
    jumps: NDArray[np.float64]

    def move(self, pos: NDArray[np.float64], t: int, size: int) -> NDArray[np.float64]:
        """Return positions (..., 2) one frame later."""
        c, s = np.cos(self.turn), np.sin(self.turn)
        away = (pos - size / 2) @ np.array([[c, s], [-s, c]])
        return away * (1 + self.swell) + size / 2 + self.drift + self.jumps[t]


def _stage(rng: Rng, n_frames: int, radius: float) -> _Stage:
    jumps = np.zeros((n_frames, 2))
    if rng.random() < 0.12:
        jumps[rng.integers(n_frames)] = rng.normal(0, 0.8 * radius + 2, 2)
    return _Stage(
        rng.normal(0, rng.choice([0.2, 0.05 * radius]), 2),
        float(rng.normal(0, 0.02)) if rng.random() < 0.25 else 0.0,
        float(rng.normal(0, 0.012)) if rng.random() < 0.25 else 0.0,
        jumps,
    )


def _grow_arms(rng: Rng, amps_nk2: NDArray[np.float64]) -> None:
    """Give objects two to five arms, as cells that spread on glass have; in place."""
    for amps in amps_nk2:
        order = int(rng.integers(0, 4))  # the first is of order 2
        turn = rng.uniform(0, 2 * np.pi)
        amps[order] += rng.uniform(0.2, 0.55) * np.array([np.cos(turn), np.sin(turn)])
        if order == 0:  # spindles: the harmonic of twice the order makes the ends sharper
            amps[2] += 0.4 * amps[0, 0] * np.array([np.cos(2 * turn), np.sin(2 * turn)])


_AWAY = -1e4  # where objects wait that are not born yet, or have divided


def blobs(rng: Rng, n_frames: int, size: int, things: bool = False) -> Scene:
    """Draw star-shaped objects that move, deform, divide, leave; ``things`` hide one another."""
    r0 = float(np.exp(rng.uniform(np.log(14 if things else 5), np.log(70))))
    fill = rng.uniform(0.1, 0.75)
    n = int(np.clip(fill * size * size / (np.pi * r0 * r0), 1, 12 if things else 60))
    rad = r0 * np.exp(rng.normal(0, 0.25, n))
    long = rng.random() < 0.3
    aspect = np.exp(np.abs(rng.normal(0.5, 0.4, n)) if long else rng.normal(0, 0.3, n))
    angle = rng.uniform(0, np.pi, n)
    pos = rng.uniform(-0.05 * size, 1.05 * size, (n, 2))
    speed = rng.choice([0.02, 0.08, 0.25]) * r0 + rng.uniform(0, 1.5)
    orders = 5 if not things else 7
    rough = rng.uniform(0.02, 0.2) * rng.choice([0.3, 1.0])
    amps = rng.normal(0, rough, (n, orders, 2)) / np.arange(1, orders + 1)[None, :, None]
    if not things and rng.random() < 0.15:
        _grow_arms(rng, amps)
    breathe = rng.uniform(0, 0.03)
    crowd = not things and rng.random() < 0.65
    if crowd:
        _repel(pos, rad, 15, rng.uniform(0.85, 1.05))
    seen = _visibility(rng, n, n_frames, 0.08, 0.08)
    mothers, births = np.zeros(0, np.int64), np.zeros(0, np.int64)
    if not things and n_frames > 1 and rng.random() < 0.35:
        mothers = np.flatnonzero(rng.random(n) < 0.25)
        births = rng.integers(1, n_frames, len(mothers))
        twice = np.repeat(mothers, 2)
        rad = np.concatenate([rad, rad[twice] * 0.72])
        aspect = np.concatenate([aspect, aspect[twice] ** 0.5])
        angle = np.concatenate([angle, angle[twice] + rng.normal(0, 0.3, len(twice))])
        pos = np.concatenate([pos, np.full((len(twice), 2), _AWAY)])
        amps = np.concatenate([amps, amps[twice]])
        seen = np.concatenate([seen, np.ones((len(twice), n_frames), bool)])
    total = len(rad)
    spin = rng.normal(0, rng.choice([0.02, 0.08, 0.2]), total)
    vel = rng.normal(0, speed, (total, 2))
    grow = 1 + rng.normal(0, 0.01, total)
    stage = _stage(rng, n_frames, r0)
    ended = np.full(total + 1, n_frames)
    canvas = Canvas(n_frames, size)
    for t in range(n_frames):
        for k in np.flatnonzero(births == t):
            mother, first = mothers[k], n + 2 * k
            apart = 0.6 * rad[mother] * np.array([np.sin(angle[mother]), np.cos(angle[mother])])
            pos[first], pos[first + 1] = pos[mother] + apart, pos[mother] - apart
            vel[first], vel[first + 1] = 0.2 * apart, -0.2 * apart
            pos[mother] = _AWAY
            ended[mother + 1] = t
        for i in range(total):
            reach = rad[i] * 2.2 * max(np.sqrt(aspect[i]), 1 / np.sqrt(aspect[i]))
            crop = canvas.crop(*pos[i], reach) if seen[i, t] else None  # type: ignore[call-arg]
            if crop is None:
                continue
            # numpy's floats, not Python's: they make the arithmetic double
            depth = harmonic_depth(  # type: ignore[call-arg]
                *canvas.grid(crop), *pos[i], rad[i], aspect[i], angle[i], amps[i]
            )
            canvas.put(t, crop, depth, i + 1, over=things)
        vel = 0.8 * vel + 0.2 * rng.normal(0, speed, (total, 2))
        here = pos[:, 0] > _AWAY / 2
        pos[here] = stage.move((pos + vel)[here], t, size)
        angle = angle + spin - stage.turn
        rad = rad * grow * (1 + stage.swell)
        amps = amps + rng.normal(0, breathe, amps.shape) / np.arange(1, orders + 1)[None, :, None]
        if crowd:
            among = pos[here]
            _repel(among, rad[here], 3, 0.9)
            pos[here] = among
    return Scene("things" if things else "blobs", canvas.labels, canvas.depth, r0, ended)


def filaments(rng: Rng, n_frames: int, size: int) -> Scene:
    """Draw long thin bodies that slide along their own curves, as worms or threads do."""
    half = float(np.exp(rng.uniform(np.log(1.8), np.log(7))))
    n = int(rng.integers(2, 11))
    slide = rng.choice([0.0, 0.4, 2.0]) * half
    winding = rng.uniform(0.02, 0.12) / half
    stage = _stage(rng, n_frames, 3 * half)
    seen = _visibility(rng, n, n_frames, 0.08, 0.08)
    step = 1.5 * half
    ways, starts, speeds, joints = [], [], [], []
    for _ in range(n):
        length = half * rng.uniform(12, 45)
        speed = rng.normal(0, slide) if slide else 0.0
        n_points = int((length + abs(speed) * n_frames) / step) + 3
        bend = np.zeros(n_points)
        for k in range(1, n_points):
            bend[k] = 0.85 * bend[k - 1] + rng.normal(0, winding * step * 0.6)
        heading = rng.uniform(0, 2 * np.pi) + np.cumsum(bend)
        way = np.cumsum(np.stack([np.sin(heading), np.cos(heading)], 1) * step, 0)
        ways.append(way - way.mean(0) + rng.uniform(0.1, 0.9, 2) * size)
        starts.append(0.0 if speed >= 0 else abs(speed) * (n_frames - 1))
        speeds.append(speed)
        joints.append(max(3, int(length / step)))
    canvas = Canvas(n_frames, size)
    for t in range(n_frames):
        for i, way in enumerate(ways):
            along = (starts[i] + speeds[i] * t) / step + np.arange(joints[i])
            body = np.stack(
                [np.interp(along, np.arange(len(way)), way[:, axis]) for axis in (0, 1)], 1
            )
            centre = body.mean(0)
            reach = np.abs(body - centre).max() + half + 6
            crop = canvas.crop(*centre, reach) if seen[i, t] else None  # type: ignore[call-arg]
            if crop is not None:
                canvas.put(t, crop, polyline_depth(*canvas.grid(crop), body, half), i + 1, True)
            ways[i] = stage.move(way, t, size)
    return Scene("filaments", canvas.labels, canvas.depth, half, np.full(n + 1, n_frames))


@dataclass
class _Colony:
    """Rods as axis segments with a common half width."""

    pos: NDArray[np.float64]
    angle: NDArray[np.float64]
    length: NDArray[np.float64]
    bend: NDArray[np.float64]
    ids: NDArray[np.int64]

    def joints(self, k: int = 5) -> NDArray[np.float64]:
        """Return points along the axes, shape (N, k, 2)."""
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
        """Split rods longer than ``limit``; daughters get new ids. Returns parents' ids."""
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
    """Draw a colony of rods that grow, push one another and divide; or loose rods."""
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
    stage = _stage(rng, n_frames, 2 * half)
    burst = rng.choice([0.0, 0.005, 0.02])  # chance per frame to be gone for good
    gone: set[int] = set()
    canvas = Canvas(n_frames, size)
    for t in range(n_frames):
        for rod, joints in zip(colony.ids.tolist(), colony.joints(7), strict=True):
            if rod > MAX_OBJECTS or rod in gone:
                continue
            centre = joints.mean(0)
            reach = np.abs(joints - centre).max() + 1.6 * half + 6
            crop = canvas.crop(*centre, reach)  # type: ignore[call-arg]
            if crop is not None:
                canvas.put(
                    t,
                    crop,
                    polyline_depth(*canvas.grid(crop), joints, half * 0.97),
                    rod,
                    over=False,
                )
        colony.length *= 1 + growth * np.abs(rng.normal(1, 0.3, len(colony.length)))
        for parent in colony.divide(rng, limit, next_id):
            ended[parent] = t + 1
            next_id += 2
        colony.relax(half, 6)
        gone |= set(colony.ids[rng.random(len(colony.ids)) < burst].tolist())
        colony.pos = stage.move(colony.pos, t, size) + rng.normal(0, 0.25, colony.pos.shape)
        colony.angle += -stage.turn + rng.normal(0, 0.01, len(colony.angle))
    out = np.full(min(next_id, MAX_OBJECTS) + 1, n_frames)
    for rod, t in ended.items():
        if rod < len(out):
            out[rod] = t
    return Scene("rods", canvas.labels, canvas.depth, half, out)


def tiling(rng: Rng, n_frames: int, size: int) -> Scene:
    """Draw an epithelium: cells that fill the plane, as the Voronoi cells of moving seeds."""
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
    stage = _stage(rng, n_frames, r0)
    holes = rng.random(len(pos)) < rng.choice([0, 0.1, 0.3])
    leaving = rng.choice([0.0, 0.01])  # chance per frame to be pushed out
    yy, xx = np.mgrid[:size, :size].astype(np.float32)
    wob = rng.uniform(0, 0.25) * r0
    waves = rng.uniform(0, 2 * np.pi, 4)
    wy = yy + wob * np.sin(xx / r0 * 0.9 + waves[0]) * np.cos(yy / r0 * 0.4 + waves[1])
    wx = xx + wob * np.sin(yy / r0 * 0.9 + waves[2]) * np.cos(xx / r0 * 0.4 + waves[3])
    grid = np.stack([wy.ravel(), wx.ravel()], 1)
    canvas = Canvas(n_frames, size)
    for t in range(n_frames):
        dist, idx = map(np.asarray, cKDTree(pos).query(grid, k=2))
        gap = ((dist[:, 1] - dist[:, 0]) / 2).reshape(size, size)
        own = idx[:, 0].reshape(size, size)
        fg = (gap > wall / 2) & ~holes[own]
        canvas.labels[t] = np.where(fg, own + 1, 0)
        outside = distance_transform_edt(~fg)
        canvas.depth[t] = np.where(fg, gap, -outside)
        holes = holes | (rng.random(len(pos)) < leaving)
        pos = stage.move(pos + rng.normal(0, speed, pos.shape), t, size)
    ended = np.full(len(pos) + 1, n_frames)
    return Scene("tiling", canvas.labels, canvas.depth, r0, ended)


FAMILIES = {"blobs": 0.41, "rods": 0.26, "filaments": 0.05, "tiling": 0.13, "things": 0.15}


def family(rng: Rng) -> str:
    """Draw a random family; the first draw of `make_scene`."""
    return str(rng.choice(list(FAMILIES), p=list(FAMILIES.values())))


def make_scene(rng: Rng, n_frames: int, size: int) -> Scene:
    """Make a scene of a random family."""
    kind = family(rng)
    if kind in ("blobs", "things"):
        return blobs(rng, n_frames, size, things=kind == "things")
    return {"rods": rods, "filaments": filaments, "tiling": tiling}[kind](rng, n_frames, size)
