"""Masks between two masks: shapes blended by their signed distances, centroids on a line."""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import NDArray

from napari_sam2track.tracks.editing.changes import Box


class Between:
    """The way from one mask to another.

    A mask between them is where the blend of the two signed distances is largest, as many pixels
    as lie between the two areas. So it is never empty, and grows evenly, which a threshold of 0
    would not give for thin shapes.

    Parameters
    ----------
    first, second
        Boxes in the frame and the masks in them, bool, not empty; of 2 or 3 axes.

    Source: shape-based interpolation, Raya and Udupa, IEEE Trans. Med. Imaging 9 (1990) 32-42.
    """

    def __init__(
        self, first: tuple[Box, NDArray[np.bool_]], second: tuple[Box, NDArray[np.bool_]]
    ) -> None:
        self._areas = [int(mask.sum()) for _, mask in (first, second)]
        self._centres = [
            np.argwhere(mask).mean(axis=0) + [s.start for s in box] for box, mask in (first, second)
        ]
        reach = [
            np.maximum(
                centre - [s.start for s in box], np.array([s.stop - 1 for s in box]) - centre
            )
            for centre, (box, _) in zip(self._centres, (first, second), strict=True)
        ]
        #: How far from the centroid either mask goes, and a pixel for what lies between pixels.
        self._radius = np.ceil(np.maximum(*reach)).astype(np.int64) + 1
        self._distances = [
            _signed_distance(mask, self._margin(box, centre))
            for centre, (box, mask) in zip(self._centres, (first, second), strict=True)
        ]
        self._origins = [
            np.array([s.start for s in box]) - [low for low, _ in self._margin(box, centre)]
            for centre, (box, _) in zip(self._centres, (first, second), strict=True)
        ]

    def _margin(self, box: Box, centre: NDArray[np.float64]) -> list[tuple[int, int]]:
        """Return how much to add to a box to reach `_radius` and a pixel beyond its centre."""
        return [
            (
                max(0, s.start - math.floor(c) + int(r) + 1),
                max(0, math.ceil(c) + int(r) + 2 - s.stop),
            )
            for s, c, r in zip(box, centre, self._radius, strict=True)
        ]

    def at(self, w: float) -> tuple[Box, NDArray[np.bool_]]:
        """Return the mask a part `w` of the way; its box may reach beyond the frame.

        Parameters
        ----------
        w
            0 is the first mask, 1 the second.
        """
        from scipy.ndimage import affine_transform

        centre = (1 - w) * self._centres[0] + w * self._centres[1]
        low = np.floor(centre).astype(np.int64) - self._radius
        shape = tuple((2 * self._radius + 2).tolist())
        blend = np.zeros(shape)
        for weight, distance, own, origin in zip(
            (1 - w, w), self._distances, self._centres, self._origins, strict=True
        ):
            offset = low - centre + own - origin
            blend += weight * affine_transform(
                distance, np.ones(len(shape)), offset, shape, order=1, mode="nearest"
            )
        n = max(1, round((1 - w) * self._areas[0] + w * self._areas[1]))
        inside = np.argsort(-blend, axis=None, kind="stable")[:n]
        mask = np.zeros(shape, bool)
        mask.flat[inside] = True
        return tuple(slice(int(a), int(a) + n) for a, n in zip(low, shape, strict=True)), mask


def _signed_distance(mask: NDArray[np.bool_], margin: list[tuple[int, int]]) -> NDArray[np.float64]:
    """Return the distance to the outline, positive inside, half a pixel off it; padded."""
    from scipy.ndimage import distance_transform_edt

    # A ring of background first: without any there is no outline to measure from.
    padded = np.pad(mask, [(low + 1, high + 1) for low, high in margin])
    inside = distance_transform_edt(padded)
    outside = distance_transform_edt(~padded)
    signed: NDArray[np.float64] = np.where(padded, inside - 0.5, 0.5 - outside)
    return signed[(slice(1, -1),) * mask.ndim]
