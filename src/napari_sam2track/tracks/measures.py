"""Measures of every object in every frame, and of every track, as pandas tables.

A row for each object in each frame (`measure_frames`):

==============================  ==================================================================
column                          meaning
==============================  ==================================================================
track_id, t                     the label's value; the frame, from 0
area                            pixels (voxels in 3D)
z, y, x                         centroid in pixels, the centre of a pixel at the integer; z in 3D
bbox_z0 ... bbox_x1             bounding box in pixels, the ends excluded; z in 3D
perimeter                       2D, pixels (this and the following as scikit-image has them)
axis_major, axis_minor          2D, pixels: axes of the ellipse with the same moments
eccentricity                    2D, of that ellipse, 0 for a circle
orientation                     2D, radians from the y axis to the major axis
equivalent_diameter             pixels, of the circle or ball of the same area
solidity, extent, euler_number  shape "all": area over that of the convex hull (2D) and of the
                                bounding box; parts minus holes (2D)
intensity_mean_0 ...            with an image, for each channel: also min, max, std, sum
world_t, world_z, ...           where the size of a pixel is known: time, centroid and area in
world_area                      units of the scale; `world_perimeter`, `world_axis_major`,
                                `world_axis_minor` if pixels are square
==============================  ==================================================================

A row for each track (`measure_tracks`): see there.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from napari_sam2track.errors import FramesError
from napari_sam2track.labels import LabelFrames, Scale
from napari_sam2track.params import MeasureParams
from napari_sam2track.tracks.images import ImageFrames
from napari_sam2track.tracks.regions import Regions, measure_regions
from napari_sam2track.tracks.tracked_movie import map_labels

if TYPE_CHECKING:
    import pandas as pd

_AXES = ("z", "y", "x")
#: Our names of scikit-image's measures of planes.
_BASIC = {
    "perimeter": "perimeter",
    "axis_major_length": "axis_major",
    "axis_minor_length": "axis_minor",
    "eccentricity": "eccentricity",
    "orientation": "orientation",
}
_SLOW = {"solidity": "solidity", "extent": "extent", "euler_number": "euler_number"}
_SLOW_3D = {"extent": "extent"}
_LENGTHS = ("perimeter", "axis_major", "axis_minor")


def measure(
    labels: LabelFrames,
    image: ImageFrames | None = None,
    params: MeasureParams | None = None,
    scale: Scale | None = None,
) -> pd.DataFrame:
    """Return all objects of a movie in one table; see `measure_frames`."""
    import pandas as pd

    return pd.concat(list(measure_frames(labels, image, params, scale)), ignore_index=True)


def measure_frames(
    labels: LabelFrames,
    image: ImageFrames | None = None,
    params: MeasureParams | None = None,
    scale: Scale | None = None,
) -> Iterator[pd.DataFrame]:
    """Measure all objects, frame by frame: one frame of labels and image is in memory.

    Parameters
    ----------
    labels
        Masks; the value of a label is its track.
    image
        Image that the intensities are taken from.
    params
        The measures to take.
    scale
        Size of a frame and a pixel; None, or one without units and sizes of 1: pixels only.

    Yields
    ------
    DataFrame
        The objects of a frame by track id, always with the same columns (those of the module's
        table); empty for a frame without any.

    Raises
    ------
    FramesError
        If the image has another size or number of frames than the labels.
    """
    params, scale = params or MeasureParams(), scale or Scale()
    shape = labels.frame_shape
    if image is not None and (image.n_frames, image.frame_shape) != (labels.n_frames, shape):
        raise FramesError(
            f"the image has {image.n_frames} frames of shape {image.frame_shape}, and the labels "
            f"{labels.n_frames} of {shape}; give the image that they were drawn on"
        )
    for t in range(labels.n_frames):
        frame = labels.read(t)
        yield measure_frame(t, frame, None if image is None else image.read(t), params, scale)


def measure_frame(
    t: int,
    labels: NDArray[np.uint32],
    image: NDArray[Any] | None,
    params: MeasureParams,
    scale: Scale,
) -> pd.DataFrame:
    """Measure the objects of one frame; see `measure_frames`.

    Parameters
    ----------
    t
        Its number.
    labels
        Shape (Y, X) or (Z, Y, X), uint32.
    image
        Of the same shape and a last axis of channels.
    params, scale
        As there.
    """
    import pandas as pd

    regions, ndim = measure_regions(labels), labels.ndim
    axes = _AXES[-ndim:]
    columns: dict[str, Any] = {
        "track_id": regions.labels,
        "t": np.full(len(regions), t, np.int64),
        "area": regions.areas,
    }
    columns |= {a: regions.centroids[:, 3 - ndim + k] for k, a in enumerate(axes)}
    columns |= {f"bbox_{a}0": regions.boxes[:, 3 - ndim + k] for k, a in enumerate(axes)}
    columns |= {f"bbox_{a}1": regions.boxes[:, 6 - ndim + k] for k, a in enumerate(axes)}
    # Ids may be any; scikit-image has tables as long as the largest.
    small = map_labels(labels, regions.labels, np.arange(1, len(regions) + 1, dtype=np.uint32))
    if params.shape != "none":
        columns |= _shapes(small, regions, ndim, params.shape == "all")
    if image is not None:
        columns |= _intensities(small, len(regions), image)
    if scale != Scale():
        columns |= _in_world(columns, scale, ndim)
    return pd.DataFrame(columns)


def _shapes(
    small: NDArray[np.uint32], regions: Regions, ndim: int, slow: bool
) -> dict[str, NDArray[Any]]:
    """Measures of shape, by scikit-image."""
    from skimage.measure import regionprops_table

    names = dict(_BASIC) if ndim == 2 else {}
    if slow:
        names |= _SLOW if ndim == 2 else _SLOW_3D
    area = regions.areas.astype(np.float64)
    size = np.sqrt(4 * area / np.pi) if ndim == 2 else np.cbrt(6 * area / np.pi)
    columns: dict[str, NDArray[Any]] = {}
    if names and len(regions):
        table: dict[str, Any] = regionprops_table(  # type: ignore[no-untyped-call]
            small.astype(np.int64), properties=tuple(names)
        )
        columns = {names[name]: np.asarray(values) for name, values in table.items()}
    elif names:
        columns = {name: np.zeros(0) for name in names.values()}
    return columns | {"equivalent_diameter": size}


def _intensities(
    small: NDArray[np.uint32], n: int, image: NDArray[Any]
) -> dict[str, NDArray[np.float64]]:
    """Mean, min, max, std and sum of each channel; labels are 1 to n."""
    inside = np.flatnonzero(small)
    index = small.ravel()[inside].astype(np.intp) - 1
    # Objects one after the other, so that extremes are those of slices.
    order = np.argsort(index, kind="stable")
    inside, index = inside[order], index[order]
    starts = np.searchsorted(index, np.arange(n))
    count = np.bincount(index, minlength=n)
    columns: dict[str, NDArray[np.float64]] = {}
    for channel in range(image.shape[-1]):
        values = image[..., channel].ravel()[inside].astype(np.float64)
        total = np.asarray(np.bincount(index, weights=values, minlength=n), np.float64)
        mean = total / count
        spread = np.bincount(index, weights=(values - mean[index]) ** 2, minlength=n) / count
        columns[f"intensity_mean_{channel}"] = mean
        columns[f"intensity_min_{channel}"] = np.minimum.reduceat(values, starts) if n else total
        columns[f"intensity_max_{channel}"] = np.maximum.reduceat(values, starts) if n else total
        columns[f"intensity_std_{channel}"] = np.sqrt(spread)
        columns[f"intensity_sum_{channel}"] = total
    return columns


def _in_world(columns: dict[str, Any], scale: Scale, ndim: int) -> dict[str, NDArray[np.float64]]:
    """Times, places, areas and lengths in the units of the scale."""
    widths = {"z": scale.z, "y": scale.y, "x": scale.x}
    axes = _AXES[-ndim:]
    world = {"world_t": columns["t"] * scale.time}
    world |= {f"world_{a}": columns[a] * widths[a] for a in axes}
    world["world_area"] = columns["area"] * float(np.prod([widths[a] for a in axes]))
    if scale.y == scale.x:
        world |= {f"world_{k}": columns[k] * scale.x for k in _LENGTHS if k in columns}
    return world
