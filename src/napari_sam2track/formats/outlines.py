"""Outlines of masks, and masks of outlines, discs and balls."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from napari_sam2track.masks import polygon_pixels


def outline(mask_yx: NDArray[np.bool_]) -> NDArray[np.float64]:
    """Return the outline of the largest part of a mask.

    It runs half-way between pixels of the mask and their neighbours, so that it encloses the
    centres of exactly the pixels of that part, and those of holes in it.

    Parameters
    ----------
    mask_yx
        Shape (Y, X), bool.

    Returns
    -------
    ndarray
        Shape (n, 2), (y, x) in pixels; corners only, not closed. Empty for an empty mask.
    """
    from skimage import measure

    find: Any = measure.find_contours  # it has no types
    # "high": pixels that touch at a corner are one part.
    loops = find(np.pad(mask_yx, 1).astype(np.float64), 0.5, fully_connected="high")
    if not loops:
        return np.zeros((0, 2))
    corners = max(loops, key=_enclosed)[:-1] - 1.0
    before, after = corners - np.roll(corners, 1, axis=0), np.roll(corners, -1, axis=0) - corners
    turns = before[:, 0] * after[:, 1] - before[:, 1] * after[:, 0]
    return np.asarray(corners[np.abs(turns) > 1e-9], np.float64)


def _enclosed(loop: NDArray[np.float64]) -> float:
    """Return the area within a closed line."""
    y, x = loop[:, 0], loop[:, 1]
    return abs(float(np.sum(y[:-1] * x[1:] - y[1:] * x[:-1]))) / 2


@dataclass(frozen=True, eq=False, slots=True)
class DrawnObject:
    """An object to be drawn.

    Attributes
    ----------
    track
        The value to draw it with.
    centre
        (y, x) or (z, y, x), in pixels.
    radii
        Of the disc or ball, along the same axes, in pixels; None if there is an outline.
    corners
        Shape (n, 2), (y, x) from the centre, in pixels; None for a disc or ball.
    """

    track: int
    centre: NDArray[np.float64]
    radii: NDArray[np.float64] | None = None
    corners: NDArray[np.float64] | None = None


@dataclass(frozen=True, eq=False)
class DrawnFrames:
    """Masks that are drawn when they are read; where two overlap, the lower id is seen.

    Attributes
    ----------
    frame_shape
        (Y, X) or (Z, Y, X).
    shapes
        The objects of each frame.
    """

    frame_shape: tuple[int, ...]
    shapes: Sequence[Sequence[DrawnObject]]

    @property
    def n_frames(self) -> int:
        """Number of frames."""
        return len(self.shapes)

    def read(self, t: int) -> NDArray[np.uint32]:
        """Return frame `t`, uint32."""
        return self.draw(t)[0]

    def draw(self, t: int) -> tuple[NDArray[np.uint32], int]:
        """Draw frame `t`; also return how many pixels are hidden below others."""
        labels = np.zeros(self.frame_shape, np.uint32)
        drawn = 0
        for shape in sorted(self.shapes[t], key=lambda shape: -shape.track):
            index = self._pixels(shape)
            labels[index] = shape.track
            drawn += len(index[0])
        return labels, drawn - int(np.count_nonzero(labels))

    def _pixels(self, shape: DrawnObject) -> tuple[NDArray[np.intp], ...]:
        """Return indices of the pixels whose centres are in a shape."""
        if shape.corners is not None:
            return polygon_pixels(shape.corners + shape.centre, self.frame_shape)
        return ball_pixels(shape.centre, shape.radii, self.frame_shape)


@dataclass(frozen=True, eq=False)
class Discs:
    """Discs or balls that are drawn when they are read.

    Where two overlap, a pixel belongs to the nearest centre, and to the lower id among equals.

    Attributes
    ----------
    frame_shape
        (Y, X) or (Z, Y, X).
    shapes
        The objects of each frame, with radii.
    """

    frame_shape: tuple[int, ...]
    shapes: Sequence[Sequence[DrawnObject]]

    @property
    def n_frames(self) -> int:
        """Number of frames."""
        return len(self.shapes)

    def read(self, t: int) -> NDArray[np.uint32]:
        """Return frame `t`, uint32."""
        labels = np.zeros(self.frame_shape, np.uint32)
        nearest = np.full(self.frame_shape, np.inf)
        for shape in sorted(self.shapes[t], key=lambda shape: shape.track):
            if shape.radii is None:
                continue
            index = ball_pixels(shape.centre, shape.radii, self.frame_shape)
            far = np.sum(((np.stack(index, axis=-1) - shape.centre) / shape.radii) ** 2, axis=-1)
            closer = far < nearest[index]
            chosen = tuple(axis[closer] for axis in index)
            labels[chosen], nearest[chosen] = shape.track, far[closer]
        return labels


def ball_pixels(
    centre: NDArray[np.float64], radii: NDArray[np.float64] | None, shape: tuple[int, ...]
) -> tuple[NDArray[np.intp], ...]:
    """Return indices of the pixels of a disc or ball, within a frame; none without radii.

    One that is too small to hold the centre of a pixel is the pixel that it is in.
    """
    if radii is None:
        return tuple(np.zeros(0, np.intp) for _ in shape)
    low = np.maximum(np.ceil(centre - radii), 0).astype(int)
    high = np.minimum(np.floor(centre + radii) + 1, shape).astype(int)
    box = tuple(slice(a, max(a, b)) for a, b in zip(low, high, strict=True))
    grid = np.ogrid[box]
    squares = [((axis - c) / r) ** 2 for axis, c, r in zip(grid, centre, radii, strict=True)]
    inside = np.nonzero(sum(squares[1:], squares[0]) <= 1)
    nearest = np.floor(centre + 0.5).astype(np.intp)
    if len(inside[0]) == 0 and (nearest >= 0).all() and (nearest < shape).all():
        return tuple(nearest[:, None])
    return tuple(index + start for index, start in zip(inside, low, strict=True))
