"""Paints looks on scenes: from truth to the pictures of a camera."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage as ndi

from napari_sam2track.training.synthetic.scene import Rng, Scene

Image = NDArray[np.floating]
TEXTURE = 512  # side of the noise images that objects carry with them


def smooth_noise(rng: Rng, size: int, scale: float) -> Image:
    """Return noise of unit variance with structures of about ``scale`` pixels, (size, size)."""
    k = max(2, int(size / scale) + 2)
    coarse = rng.standard_normal((k, k)).astype(np.float32)
    noise = ndi.zoom(coarse, size / k + 0.01, order=1)[:size, :size]
    if noise.shape != (size, size):
        noise = np.pad(noise, [(0, size - s) for s in noise.shape], mode="edge")
    return (noise - noise.mean()) / (noise.std() + 1e-6)


@dataclass(frozen=True, eq=False)
class Paint:
    """Input of a look, for one frame of one scene.

    ``labels`` (S, S) uint8, ``depth`` (S, S) float32 in pixels, ``carried`` (S, S) noise that
    moves with its object, ``ground`` (S, S) noise that stays, ``gain`` (n_ids,) brightness per
    object around 1, ``sign`` (n_ids,) per object in [-1, 1].
    """

    labels: NDArray[np.uint8]
    depth: Image
    carried: Image
    ground: Image
    gain: Image
    sign: Image
    radius: float

    @property
    def inside(self) -> NDArray[np.bool_]:
        """Pixels of objects."""
        return self.labels > 0


Look = Callable[[Paint, dict[str, float]], Image]


def _profile(p: Paint, k: dict[str, float]) -> Image:
    """Thicker in the middle; at the outline at least half as bright as there.

    So the outline is where people draw it, at half the height of the edge.
    """
    return k["edge"] + (1 - k["edge"]) * np.clip(p.depth / k["soft"], 0, 1)


def _fluorescence(p: Paint, k: dict[str, float]) -> Image:
    profile = _profile(p, k)
    glow = k["glow"] * np.exp(np.minimum(p.depth, 0) / (0.6 * p.radius + 2))
    body = p.gain[p.labels] * profile * (1 + k["texture"] * p.carried)
    return k["base"] * 0.5 + k["contrast"] * (np.where(p.inside, body, 0) + glow)


def _bright_field(p: Paint, k: dict[str, float]) -> Image:
    body = np.minimum(p.gain[p.labels], 1.2) * _profile(p, k) * (1 + k["texture"] * p.carried)
    rim = k["rim"] * np.exp(-((p.depth / k["wall"]) ** 2))
    return 0.55 + k["base"] - k["contrast"] * (np.where(p.inside, body, 0) + rim)


def _granular(p: Paint, k: dict[str, float]) -> Image:
    grain = (0.12 + k["texture"]) * p.carried * p.inside
    return k["base"] + k["contrast"] * (1.5 * grain + 0.15 * p.gain[p.labels] * p.inside)


def _membrane(p: Paint, k: dict[str, float]) -> Image:
    wall = np.exp(-((p.depth / k["wall"]) ** 2)) * (1 + 0.3 * p.ground)
    return k["base"] * 0.5 + k["contrast"] * (wall + 0.15 * p.inside * p.gain[p.labels])


def _phase(p: Paint, k: dict[str, float]) -> Image:
    """Dark (or grey) bodies in a bright halo that adds up between neighbours."""
    out = np.maximum(-p.depth, 0)
    crowd = ndi.gaussian_filter(p.inside.astype(np.float32), k["halo_width"])
    halo = k["halo"] * crowd * np.exp(-out / k["halo_width"]) * 1.6
    edge = np.clip(k["edge"] - 0.5 + p.depth / k["wall"], 0, 1)
    dark = k["contrast"] * edge * (1.15 - k["lift"] * crowd * np.clip(p.depth / k["soft"], 0, 1))
    dark = dark * np.clip(p.gain[p.labels], 0.6, 1.3) * (1 + 0.4 * k["texture"] * p.carried)
    return 0.45 + 0.3 * k["base"] + np.where(p.inside, 0.35 * halo - dark, halo)


def _ring(p: Paint, k: dict[str, float]) -> Image:
    """Round cells in phase contrast: a bright rim around a dark centre."""
    d = np.where(p.inside, p.depth, -1e3)
    rim = np.exp(-(((d - k["wall"]) / k["wall"]) ** 2))
    centre = np.clip((d - 2 * k["wall"]) / (0.5 * p.radius), 0, 1)
    body = rim * p.gain[p.labels] - k["dark"] * centre
    return 0.2 + 0.5 * k["base"] + k["contrast"] * body * (1 + 0.3 * k["texture"] * p.carried)


def _dic(p: Paint, k: dict[str, float]) -> Image:
    """Differential interference contrast: the slope of the thickness along one direction."""
    height = np.sqrt(np.clip(p.depth, 0, None) * p.radius) * p.gain[p.labels]
    height = height + k["texture"] * 0.25 * p.radius * p.carried * p.inside
    gy, gx = np.gradient(ndi.gaussian_filter(height.astype(np.float32), 0.7))
    slope = np.cos(k["angle"]) * gx + np.sin(k["angle"]) * gy
    return 0.5 + 0.6 * k["contrast"] * np.tanh(1.5 * slope) + 0.03 * p.ground


def _layered(p: Paint, k: dict[str, float]) -> Image:
    """A sum of bodies, walls, cores, grains and surroundings, each brighter or darker or not there.

    For the many looks that have no entry of their own.
    """
    gain, noise = p.gain[p.labels], p.carried
    inner = k["body"] * _profile(p, k) + k["core"] * np.clip((p.depth - k["core_at"]) / 1.5, 0, 1)
    inner = inner * gain + k["grains"] * noise + k["spots"] * np.clip(noise - 1, 0, 2)
    line = k["line"] * np.exp(-(((p.depth - k["line_at"]) / k["wall"]) ** 2))
    around = k["around"] * np.exp(np.minimum(p.depth, 0) / k["halo_width"])
    around = around + k["litter"] * p.ground
    return 0.5 + 0.6 * k["contrast"] * (np.where(p.inside, inner, around) + line)


def _mixed(p: Paint, k: dict[str, float]) -> Image:
    body = p.sign[p.labels] * (1 + k["texture"] * p.carried)
    return 0.25 + 0.5 * k["base"] + k["contrast"] * np.where(p.inside, body, 0)


def _dark_field(p: Paint, k: dict[str, float]) -> Image:
    """Only outlines and grains scatter light, on black."""
    rim = np.exp(-((p.depth / k["wall"]) ** 2)) * (0.6 + 0.4 * p.gain[p.labels])
    grains = np.maximum(p.carried - 1.2, 0) * p.inside
    return 0.05 + k["contrast"] * (0.9 * rim + (0.3 + k["texture"]) * grains)


def _interference(p: Paint, k: dict[str, float]) -> Image:
    """Fringes that follow the thickness."""
    height = np.sqrt(np.clip(p.depth, 0, None) / p.radius) * p.gain[p.labels]
    fringes = np.cos(2 * np.pi * (1 + 3 * k["rim"]) * height + k["angle"])
    return 0.5 + 0.4 * k["contrast"] * np.where(p.inside, fringes, 0.3 * p.ground)


LOOKS: dict[str, tuple[Look, float]] = {
    "fluorescence": (_fluorescence, 0.28),
    "bright field": (_bright_field, 0.08),
    "granular": (_granular, 0.07),
    "membrane": (_membrane, 0.07),
    "phase": (_phase, 0.16),
    "ring": (_ring, 0.05),
    "dic": (_dic, 0.07),
    "mixed": (_mixed, 0.07),
    "layered": (_layered, 0.15),
}
#: Looks that training never shows: their scores tell how well the rest carries over.
UNSEEN_LOOKS: dict[str, Look] = {"dark field": _dark_field, "interference": _interference}
ROD_LOOKS = {
    "phase": 0.5,
    "fluorescence": 0.2,
    "bright field": 0.1,
    "membrane": 0.05,
    "dic": 0.04,
    "mixed": 0.04,
    "layered": 0.07,
}
TILE_LOOKS = {
    "membrane": 0.35,
    "fluorescence": 0.2,
    "granular": 0.1,
    "phase": 0.1,
    "dic": 0.08,
    "mixed": 0.07,
    "layered": 0.1,
}
FILAMENT_LOOKS = {
    "fluorescence": 0.35,
    "phase": 0.2,
    "bright field": 0.2,
    "dic": 0.1,
    "mixed": 0.05,
    "layered": 0.1,
}


def choose_look(rng: Rng, scene: Scene) -> str:
    """Choose a look that suits the family of shapes."""
    tables = {"rods": ROD_LOOKS, "tiling": TILE_LOOKS, "filaments": FILAMENT_LOOKS}
    table = tables.get(scene.kind, {name: weight for name, (_, weight) in LOOKS.items()})
    return str(rng.choice(list(table), p=np.array(list(table.values())) / sum(table.values())))


def _layers(rng: Rng, radius: float) -> dict[str, float]:
    """Draw the settings of `_layered`: the layers there are, where, and brighter or darker."""
    there = rng.random(7) < (0.6, 0.4, 0.4, 0.4, 0.25, 0.3, 0.3)
    there[int(rng.choice((0, 0, 2, 3)))] = True  # a body, a core or grains: never only outlines
    names = ("body", "line", "core", "grains", "spots", "around", "litter")
    strength = rng.uniform(0.35, 1, 7) * (1, 1, 0.8, 0.4, 0.8, 0.7, 0.3) * rng.choice([-1, 1], 7)
    knobs = dict(zip(names, np.where(there, strength, 0).tolist(), strict=True))
    return knobs | {
        "core_at": rng.uniform(0.2, 0.7) * radius,
        "line_at": rng.uniform(0, 0.15) * radius,
    }


def _knobs(rng: Rng, radius: float) -> dict[str, float]:
    return _layers(rng, radius) | {
        "base": rng.uniform(0.05, 0.4),
        "contrast": rng.uniform(0.15, 0.75),
        "edge": rng.uniform(0.5, 1),
        "soft": rng.uniform(1, max(2, 0.6 * radius)),
        "wall": rng.uniform(1.0, max(1.4, 0.14 * radius)),
        "texture": rng.uniform(0, rng.choice([0.35, 0.35, 0.7])),
        "glow": rng.choice([0, 0, rng.uniform(0, 0.3)]),
        "rim": rng.uniform(0, 0.6),
        "halo": rng.uniform(0.1, 1.1),
        "halo_width": rng.uniform(0.4, 2.5) * radius + 1,
        "lift": rng.uniform(0, 0.8),
        "dark": rng.uniform(0, 0.9),
        "angle": rng.uniform(0, 2 * np.pi),
    }


def _gains(rng: Rng) -> Image:
    """Draw brightness per object, (256,): alike, or from dim to glaring as in a field of nuclei."""
    spread = rng.uniform(0, 0.35) if rng.random() < 0.7 else rng.uniform(0.35, 0.8)
    return np.clip(np.exp(rng.normal(0, spread, 256)), 0.2, 4).astype(np.float32)


def _carried_noise(labels: NDArray[np.uint8], noise: Image) -> Image:
    """Noise in the coordinates of each object, so that its texture moves along."""
    size = labels.shape[0]
    yy, xx = np.mgrid[:size, :size].astype(np.float32)
    flat = labels.ravel()
    count = np.maximum(np.bincount(flat, minlength=256), 1)
    cy = np.bincount(flat, yy.ravel(), minlength=256) / count
    cx = np.bincount(flat, xx.ravel(), minlength=256) / count
    cy[0] = cx[0] = 0
    ids = np.arange(256)
    iy = (yy - np.round(cy)[labels] + (ids * 37)[labels]).astype(np.int64) % TEXTURE
    ix = (xx - np.round(cx)[labels] + (ids * 91)[labels]).astype(np.int64) % TEXTURE
    return noise[iy, ix]


@dataclass(frozen=True, eq=False)
class _Debris:
    """Disturbances that are no objects: specks, and blurred objects of another plane.

    ``specks`` (N, 4): y, x, radius and strength; ``shift`` (2,) of the other plane in pixels, and
    ``ghosts`` how strong it is; ``stripes`` of the camera's lines.
    """

    specks: NDArray[np.float64]
    shift: tuple[int, int]
    ghosts: float
    stripes: float

    def on(self, image: Image, objects: NDArray[np.bool_], radius: float, rng: Rng) -> Image:
        """Return the frame with the disturbances, shape (S, S)."""
        size = len(image)
        out = image.copy()
        if self.ghosts:
            other = np.roll(objects[::-1], self.shift, (0, 1)).astype(np.float32)
            out += self.ghosts * ndi.gaussian_filter(other, 0.4 * radius + 2, truncate=2)
        for y, x, r, strength in self.specks:
            y0, x0 = max(0, int(y - 3 * r)), max(0, int(x - 3 * r))
            ys = np.arange(y0, min(size, int(y + 3 * r) + 2))[:, None]
            xs = np.arange(x0, min(size, int(x + 3 * r) + 2))[None, :]
            out[y0 : y0 + len(ys), x0 : x0 + xs.shape[1]] += strength * np.exp(
                -((ys - y) ** 2 + (xs - x) ** 2) / (2 * r * r)
            )
        if self.stripes:
            out += self.stripes * rng.standard_normal((size, 1)).astype(np.float32)
        return out


def _debris(rng: Rng, size: int, radius: float, contrast: float) -> _Debris:
    n = int(rng.integers(1, 25)) if rng.random() < 0.25 else 0
    at = rng.uniform(0, size, (n, 2))
    r = np.exp(rng.uniform(np.log(0.7), np.log(1 + 0.25 * radius), (n, 1)))
    sign = rng.choice([-1, 1])
    strength = sign * contrast * rng.uniform(0.2, rng.uniform(0.4, 1.2), (n, 1))
    return _Debris(
        np.concatenate([at, r, strength], 1),
        (int(rng.integers(size)), int(rng.integers(size))),
        float(rng.choice([-1, 1]) * rng.uniform(0.1, 0.45) * contrast)
        if rng.random() < 0.12
        else 0.0,
        float(rng.uniform(0, 0.1) * contrast) if rng.random() < 0.08 else 0.0,
    )


def render_cells(rng: Rng, scene: Scene, look: Look) -> NDArray[np.uint8]:
    """A grey microscopy look, shape (T, S, S), uint8."""
    n_frames, size, _ = scene.labels_tyx.shape
    knobs = _knobs(rng, scene.radius)
    gain = _gains(rng)
    sign = rng.uniform(-1, 1, 256).astype(np.float32)
    noise = smooth_noise(rng, TEXTURE, rng.uniform(2, 10))
    ground = smooth_noise(rng, size, rng.uniform(1.5, 8))
    # disturbances are scaled to the contrast: invisible ones teach nothing
    dirt = rng.uniform(0, 1) * knobs["contrast"]
    uneven = smooth_noise(rng, size, rng.uniform(20, 120)) * rng.uniform(0, 0.4) * dirt
    fine = ground * rng.uniform(0, 0.2) * dirt
    blur = rng.uniform(0.3, max(0.6, min(3.0, 0.16 * scene.radius)))
    haze = rng.choice([0, 0, rng.uniform(0, 0.5)])  # light from above and below the focus
    haze_width = rng.uniform(0.8, 2.5) * scene.radius
    grain = rng.uniform(0, 0.45) * dirt
    bleach = 1 - rng.uniform(0, 0.05)
    saturate = rng.random() < 0.12
    dim = rng.random() < 0.15
    flicker = 1 + rng.normal(0, rng.choice([0, 0, 0.05]), n_frames)
    defocus = np.abs(rng.normal(0, rng.choice([0, 0, 0.5]), n_frames))
    read_noise = rng.uniform(0, 0.1) * dirt
    debris = _debris(rng, size, scene.radius, knobs["contrast"])
    frames = np.empty((n_frames, size, size), np.float32)
    for t in range(n_frames):
        labels = scene.labels_tyx[t]
        paint = Paint(
            labels,
            scene.depth_tyx[t],
            _carried_noise(labels, noise),
            ground,
            gain,
            sign,
            scene.radius,
        )
        sharp = (look(paint, knobs) + uneven + fine).astype(np.float32)
        sharp = debris.on(sharp, paint.inside, scene.radius, rng)
        image = ndi.gaussian_filter(sharp, blur + min(defocus[t], 0.1 * scene.radius))
        if haze:
            image = image + haze * ndi.gaussian_filter(image, haze_width, truncate=2)
        if dim:
            image = image * 0.15
        shot = rng.standard_normal((size, size)).astype(np.float32)
        image = image * bleach**t * flicker[t]
        weak = 0.25 if dim else 1
        # photons come with the root of the light, the camera's own noise everywhere
        noisy = shot * weak * (grain * np.sqrt(np.clip(image, 0.02, 1)) + read_noise)
        frames[t] = image + noisy
    lo, hi = np.percentile(frames[:, ::2, ::2], (0.5, 96 if saturate else 99.8))
    return (np.clip((frames - lo) / max(hi - lo, 0.03), 0, 1) * 255).astype(np.uint8)


def render_things(rng: Rng, scene: Scene) -> NDArray[np.uint8]:
    """A colour look of everyday video: textured shapes on a textured ground.

    Returns (T, S, S, 3) uint8.
    """
    n_frames, size, _ = scene.labels_tyx.shape
    colours = rng.uniform(0, 1, (256, 3)).astype(np.float32)
    second = np.clip(colours + rng.normal(0, 0.25, (256, 3)), 0, 1).astype(np.float32)
    noise = smooth_noise(rng, TEXTURE, np.exp(rng.uniform(np.log(2), np.log(30))))
    detail = smooth_noise(rng, TEXTURE, rng.uniform(1.5, 6))
    ground = smooth_noise(rng, TEXTURE, np.exp(rng.uniform(np.log(3), np.log(60))))
    light = rng.normal(0, 0.1, 3).astype(np.float32)
    pan = rng.normal(0, 1.5, 2) * rng.choice([0, 1])
    shade = rng.uniform(0, 0.3)
    blur, grain = rng.uniform(0.3, 1.2), rng.uniform(0, 0.05)
    out = np.empty((n_frames, size, size, 3), np.uint8)
    yy, xx = np.mgrid[:size, :size]
    for t in range(n_frames):
        labels = scene.labels_tyx[t]
        back = ground[(yy + int(t * pan[0])) % TEXTURE, (xx + int(t * pan[1])) % TEXTURE]
        mix = np.where(labels > 0, _carried_noise(labels, noise), back)
        mix = np.clip(0.5 + 0.6 * mix, 0, 1)[..., None]
        image = colours[labels] * mix + second[labels] * (1 - mix)
        image = image * (1 + shade * np.tanh(scene.depth_tyx[t] / (0.3 * scene.radius)))[..., None]
        image = image + 0.06 * _carried_noise(labels, detail)[..., None] + light
        image = ndi.gaussian_filter(image.astype(np.float32), (blur, blur, 0))
        shot = np.asarray(rng.standard_normal(image.shape))
        image = image + shot.astype(np.float32) * grain
        out[t] = (np.clip(image, 0, 1) * 255).astype(np.uint8)
    return out


def render(rng: Rng, scene: Scene, unseen: bool = False) -> NDArray[np.uint8]:
    """Render the clip as a camera would, shape (T, S, S, 3), uint8.

    Parameters
    ----------
    unseen
        Whether to paint one of the looks that training does not show.
    """
    if unseen:
        name = str(rng.choice(list(UNSEEN_LOOKS)))
        return np.repeat(render_cells(rng, scene, UNSEEN_LOOKS[name])[..., None], 3, axis=-1)
    if scene.kind == "things" and rng.random() < 0.85:
        return render_things(rng, scene)
    grey = render_cells(rng, scene, LOOKS[choose_look(rng, scene)][0])
    if rng.random() < 0.08:  # a false colour, as of a stain or a display
        tint = rng.uniform(0.1, 1, 3).astype(np.float32)
        return (grey[..., None] * (tint / tint.max())).astype(np.uint8)
    return np.repeat(grey[..., None], 3, axis=-1)
