"""Movies that napari offers under File > Open Sample: synthetic, so their truth is known."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from napari_sam2track._napari.tracks_to_layers import layers_of
from napari_sam2track.labels import ArrayLabels
from napari_sam2track.samples import LabelSample, dividing_nuclei, growing_colony, moving_cells
from napari_sam2track.tracks.tracked_movie import TrackedMovie, table_of

if TYPE_CHECKING:
    from napari.types import LayerData

_AXES = ("t", "y", "x")


def moving_cells_layers() -> list[LayerData]:
    """Return synthetic nuclei that drift and push one another, and labels with their truth."""
    sample = moving_cells()
    truth = {"name": "Moving cells: truth", "opacity": 0.4, "axis_labels": _AXES}
    return [_image(sample.images_tyx, "Moving cells"), (sample.labels_tyx, truth, "labels")]


def dividing_nuclei_layers() -> list[LayerData]:
    """Return bright nuclei that wander and divide, their truth, and their lineage as tracks."""
    sample = dividing_nuclei(30, 256, n_cells=14, radius=11, speed=1.5, divisions=0.05, seed=5)
    rng = np.random.default_rng(5)
    bright = rng.uniform(0.5, 1.0, int(sample.labels_tyx.max()) + 1)
    images = np.stack([_nuclei(frame, bright, rng) for frame in sample.labels_tyx])
    return [_image(images, "Dividing nuclei"), *_truth(sample, "Dividing nuclei: truth")]


def growing_colony_layers() -> list[LayerData]:
    """Return dark rods in phase contrast that grow and divide, their truth, and their lineage."""
    sample = growing_colony(30, 256, width=11, length=46, seed=1)
    rng = np.random.default_rng(1)
    images = np.stack([_rods(frame, rng) for frame in sample.labels_tyx])
    return [_image(images, "Growing colony"), *_truth(sample, "Growing colony: truth")]


def _image(images_tyx: NDArray[np.uint16], name: str) -> LayerData:
    low, high = np.percentile(images_tyx, (0.1, 99.9)).tolist()
    attributes = {"name": name, "contrast_limits": (low, high), "axis_labels": _AXES}
    return images_tyx, attributes, "image"


def _truth(sample: LabelSample, name: str) -> list[LayerData]:
    """Return labels and tracks."""
    labels = ArrayLabels(sample.labels_tyx)
    movie = TrackedMovie(table_of(labels, sample.parents), labels)
    layers = layers_of(movie, name)
    for _, attributes, kind in layers:
        if kind == "labels":
            attributes["opacity"] = 0.4
    return layers


def _depth(labels_yx: NDArray[np.uint32]) -> NDArray[Any]:
    """Return the distance of each pixel to another object or the background; 0 outside."""
    from scipy.ndimage import distance_transform_edt, maximum_filter, minimum_filter

    # Where neighbouring pixels differ, an object ends: touching ones keep a line between them.
    edge = maximum_filter(labels_yx, 3) != minimum_filter(labels_yx, 3)
    depth: NDArray[Any] = distance_transform_edt((labels_yx > 0) & ~edge)
    return depth


def _nuclei(
    labels_yx: NDArray[np.uint32], bright: NDArray[np.float64], rng: np.random.Generator
) -> NDArray[np.uint16]:
    """Render a frame as in a fluorescence microscope; each nucleus has its brightness."""
    from scipy.ndimage import gaussian_filter

    grain = gaussian_filter(rng.normal(0, 1, labels_yx.shape), 2) * 4
    body = bright[labels_yx] * np.clip(_depth(labels_yx) / 4, 0, 1) * (1 + 0.12 * grain)
    photons = rng.poisson(np.clip(gaussian_filter(0.06 + body, 1), 0, None) * 200)
    return _counts(photons + rng.normal(0, 4, labels_yx.shape), 40)


def _rods(labels_yx: NDArray[np.uint32], rng: np.random.Generator) -> NDArray[np.uint16]:
    """Render a frame as in phase contrast: dark rods in a bright halo."""
    from scipy.ndimage import gaussian_filter

    body = np.clip(_depth(labels_yx) / 3, 0, 1)
    halo = gaussian_filter((labels_yx > 0).astype(float), 5)
    light = gaussian_filter(0.6 + 0.5 * halo - 0.75 * body, 1)
    return _counts(rng.poisson(np.clip(light, 0.02, None) * 400), 40)


def _counts(photons: NDArray[Any], gain: float) -> NDArray[np.uint16]:
    """Return the camera's pixel values."""
    return np.clip(photons * gain + 400, 0, 65535).astype(np.uint16)
