"""Motion of tracks from frame to frame, compared with their neighbours and their past."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from napari_sam2track.labels import Scale
from napari_sam2track.tracks.table import TrackTable

#: Number of neighbours whose median step is the expected one.
NEIGHBOURS = 8
#: With fewer, which may be anything, it is expected to stay.
LEAST_NEIGHBOURS = 3


@dataclass(frozen=True, eq=False, slots=True)
class MotionSigns:
    """Steps of all rows of a table since the row of the same track before; shape (N, ...).

    Attributes
    ----------
    widths
        (3,) size of a pixel along z, y, x, in pixels of x.
    place
        (N, 3) centroids (z, y, x) in pixels of x: z and y are scaled to be as wide.
    diameter
        (N,) of the circle, or ball, of the same area; in pixels of x. NaN if no area is known.
    continues
        (N,) bool: whether there is a row of the same track before.
    step
        (N, 3) movement per frame, pixels of x; NaN where there is none before.
    guesses
        (4, N, 3) what may explain the step: standing still, the median step of the nearest
        objects of the frame, the track's own step before, and that after it; pixels of x.
    surprise
        (N,) how far the step is from the nearest of them, in diameters; NaN where there is none,
        or no area is known.
    """

    widths: NDArray[np.float64]
    place: NDArray[np.float64]
    diameter: NDArray[np.float64]
    continues: NDArray[np.bool_]
    step: NDArray[np.float64]
    guesses: NDArray[np.float64]
    surprise: NDArray[np.float64]


def measure_motion(table: TrackTable, scale: Scale) -> MotionSigns:
    """The steps of all tracks; no pixels are read."""
    rows = table.detections
    widths = np.array([scale.z, scale.y, scale.x]) / scale.x
    place = rows["centroid"] * widths
    area = rows["area"].astype(np.float64)
    known = area > 0
    # Where only places are known, an object is as large as others, if there are some.
    area[~known] = np.median(area[known]) if known.any() else np.nan
    if len(table.frame_shape) == 3:
        diameter = np.cbrt(6 * area * widths[0] * widths[1] / np.pi)
    else:
        diameter = np.sqrt(4 * area * widths[1] / np.pi)
    continues = np.zeros(len(rows), bool)
    continues[1:] = np.diff(rows["track"]) == 0
    step = np.full((len(rows), 3), np.nan)
    at = np.flatnonzero(continues)
    frames = rows["frame"][at] - rows["frame"][at - 1]
    step[at] = (place[at] - place[at - 1]) / frames[:, None]
    neighbours = _of_neighbours(rows["frame"], place, step)
    past = np.zeros_like(step)
    past[1:] = np.where(continues[:-1, None], np.nan_to_num(step[:-1]), 0)
    past[~continues] = 0
    following = np.zeros_like(step)
    following[:-1] = np.where(continues[1:, None], np.nan_to_num(step[1:]), 0)
    guesses = np.stack([np.zeros_like(step), neighbours, past, following])
    surprise = np.linalg.norm(step - guesses, axis=2).min(axis=0) / diameter
    return MotionSigns(widths, place, diameter, continues, step, guesses, surprise)


def _of_neighbours(
    frames: NDArray[np.int64], place: NDArray[np.float64], step: NDArray[np.float64]
) -> NDArray[np.float64]:
    """Median step of the nearest objects that have one, for each row."""
    from scipy.spatial import KDTree

    out = np.zeros_like(step)
    order = np.argsort(frames, kind="stable")
    for rows in np.split(order, np.flatnonzero(np.diff(frames[order])) + 1):
        moving = rows[~np.isnan(step[rows, 0])]
        if len(moving) <= LEAST_NEIGHBOURS:
            continue
        k = min(NEIGHBOURS + 1, len(moving))
        _, near = KDTree(place[moving]).query(place[rows], k=k)
        steps = step[moving[near]]
        steps[moving[near] == rows[:, None]] = np.nan  # itself has no vote
        out[rows] = np.nanmedian(steps, axis=1)
    return out
