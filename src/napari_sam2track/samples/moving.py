"""A small synthetic movie with known truth: for the demo, sample data, tests."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray


@dataclass(frozen=True, eq=False)
class SampleMovie:
    """A movie and its truth.

    Attributes
    ----------
    images_tyx
        (T, Y, X) uint16, as a camera would give it.
    labels_tyx
        (T, Y, X) uint16; the label of a cell is the same in all frames.
    """

    images_tyx: NDArray[np.uint16]
    labels_tyx: NDArray[np.uint16]


def moving_cells(
    n_frames: int = 24, height: int = 256, width: int = 320, n_cells: int = 10, seed: int = 3
) -> SampleMovie:
    """Return nuclei that drift, turn and push one another, with noise and uneven light.

    Parameters
    ----------
    n_frames, height, width
        Size of the movie.
    n_cells
        Number of cells, 24 to 36 pixels long.
    seed
        The same seed gives the same movie.
    """
    rng = np.random.default_rng(seed)
    yy, xx = np.mgrid[:height, :width].astype(np.float64)
    margin = 24
    pos = _spread(rng, n_cells, height, width, margin)
    radius, aspect = rng.uniform(12, 16, n_cells), rng.uniform(1.0, 1.5, n_cells)
    angle, spin = rng.uniform(0, np.pi, n_cells), rng.normal(0, 0.04, n_cells)
    velocity = rng.normal(0, 1.8, (n_cells, 2))
    bright = rng.uniform(0.55, 1.0, n_cells)
    light = 1 + 0.25 * np.sin(yy / height * 2.1 + 0.4) * np.cos(xx / width * 1.7)
    images = np.empty((n_frames, height, width), np.uint16)
    labels = np.zeros((n_frames, height, width), np.uint16)
    for t in range(n_frames):
        signal = np.full((height, width), 0.06)
        deepest = np.zeros((height, width))
        for i in range(n_cells):
            dy, dx = yy - pos[i, 0], xx - pos[i, 1]
            c, s = np.cos(angle[i]), np.sin(angle[i])
            u = (c * dx + s * dy) / np.sqrt(aspect[i])
            v = (c * dy - s * dx) * np.sqrt(aspect[i])
            depth = 1 - np.hypot(u, v) / radius[i]
            inside = depth > deepest
            labels[t][inside] = i + 1
            deepest[inside] = depth[inside]
            speckle = 1 + 0.12 * np.sin(0.55 * u + i) * np.cos(0.47 * v - i)
            body = bright[i] * speckle * np.clip(3.0 * depth + 0.35, 0, 1)
            signal[inside] = body[inside]
        photons = rng.poisson(np.clip(signal * light, 0, None) * 220) + rng.normal(0, 4, yy.shape)
        images[t] = np.clip(photons * 40 + 400, 0, 65535).astype(np.uint16)
        velocity = 0.9 * velocity + rng.normal(0, 0.45, velocity.shape)
        pos = pos + velocity
        _push(pos, radius)
        for axis, length in enumerate((height, width)):
            outside = (pos[:, axis] < margin) | (pos[:, axis] > length - margin)
            velocity[outside, axis] *= -1
            pos[:, axis] = np.clip(pos[:, axis], margin, length - margin)
        angle = angle + spin
    return SampleMovie(images, labels)


def _spread(
    rng: np.random.Generator, n: int, height: int, width: int, margin: int
) -> NDArray[np.float64]:
    """Return positions that do not overlap."""
    pos = rng.uniform((margin, margin), (height - margin, width - margin), (n, 2))
    for _ in range(200):
        _push(pos, np.full(n, 18.0))
        pos = np.clip(pos, margin, (height - margin, width - margin))
    return pos


def _push(pos: NDArray[np.float64], radius: NDArray[np.float64]) -> None:
    """Move cells that overlap a little apart, in place."""
    diff = pos[:, None] - pos[None]
    distance = np.hypot(diff[..., 0], diff[..., 1]) + 1e-6
    need = np.maximum((radius[:, None] + radius[None]) * 1.05 - distance, 0) / distance
    np.fill_diagonal(need, 0)
    pos += 0.25 * (need[..., None] * diff).sum(1)


def centre_pixels(labels_yx: NDArray[np.uint16]) -> dict[int, tuple[int, int]]:
    """Return the pixel (y, x) of each label furthest from its outline: where a person clicks."""
    from scipy.ndimage import distance_transform_edt

    out = {}
    for label in np.unique(labels_yx[labels_yx > 0]).tolist():
        depth = distance_transform_edt(np.pad(labels_yx == label, 1))[1:-1, 1:-1]
        y, x = np.unravel_index(int(depth.argmax()), labels_yx.shape)
        out[label] = (int(y), int(x))
    return out


def mean_overlap(
    truth_tyx: NDArray[np.uint16], labels_tyx: NDArray[np.uint32], first: int = 1
) -> float:
    """Return the mean J (IoU) over all objects of the truth and all frames from ``first`` on."""
    out = []
    for truth, labels in zip(truth_tyx[first:], labels_tyx[first:], strict=True):
        for label in np.unique(truth[truth > 0]).tolist():
            a, b = truth == label, labels == label
            out.append((a & b).sum() / (a | b).sum())
    return float(np.mean(out))


def otsu_part(grey_yx: NDArray[Any], y: int, x: int) -> NDArray[np.bool_]:
    """Segment with next to no effort: the connected part of one side of an Otsu threshold.

    Parameters
    ----------
    grey_yx
        (Y, X), any numbers.
    y, x
        A pixel; its side of the threshold, and the part that it lies in, are returned.
    """
    from scipy import ndimage as ndi
    from skimage.filters import threshold_otsu

    if grey_yx.min() == grey_yx.max():
        return np.zeros(grey_yx.shape, bool)
    bright = grey_yx > threshold_otsu(grey_yx)  # type: ignore[no-untyped-call]
    parts, _ = ndi.label(bright == bright[y, x])
    part: NDArray[np.bool_] = parts == parts[y, x]
    return part
