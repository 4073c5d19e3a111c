"""Square windows that follow objects, and the resampling between window and frame.

Window mode is our own: each object is seen through a square that is some three diameters wide,
resampled to the model's square. What it costs does not depend on the size of the frame.

Coordinates follow napari: the centre of a pixel is at the integer, so that pixel ``i`` covers
``i - 0.5`` to ``i + 0.5``.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from typing import Protocol

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from napari_sam2track.masks import Mask

#: For so many frames an object that is not seen counts as lost, then as absent. A window that
#: grows meanwhile finds neighbours rather than the object (docs/crowds.md).
SEARCH_FRAMES = 8
#: Smallest side in pixels: below it there is nothing left to see around an object.
MIN_SIDE = 24.0


@dataclass(frozen=True, slots=True)
class Window:
    """A square of the frame.

    Attributes
    ----------
    cy, cx
        Centre in pixels of the frame.
    side
        Length of the side in pixels of the frame.
    """

    cy: float
    cx: float
    side: float

    @property
    def y0(self) -> float:
        """Upper edge in pixel-edge coordinates (pixel 0 begins at 0)."""
        return self.cy + 0.5 - self.side / 2

    @property
    def x0(self) -> float:
        """Left edge in pixel-edge coordinates (pixel 0 begins at 0)."""
        return self.cx + 0.5 - self.side / 2

    def to_model(self, points_yx: NDArray[np.float64], size: int) -> NDArray[np.float64]:
        """Points (N, 2) of the frame as edge coordinates (y, x) of the ``size`` square."""
        return (points_yx + 0.5 - (self.y0, self.x0)) * (size / self.side)


class Readable(Protocol):
    """What windows need of a movie; `frames.Frames` has it."""

    @property
    def height(self) -> int: ...  # noqa: D102
    @property
    def width(self) -> int: ...  # noqa: D102
    def read_window(self, t: int, y0: int, y1: int, x0: int, x1: int) -> NDArray[np.uint8]:  # noqa: D102
        ...


def reference_side(extent: float, area: float) -> float:
    """Side of the window for an object, in pixels.

    Three equivalent diameters, or 1.8 times the longer side of the bounding box where that is
    more: round cells get 3 diameters, and long rods are not drawn thinner than need be.

    Parameters
    ----------
    extent
        Longer side of the bounding box in pixels.
    area
        Number of pixels.
    """
    return max(1.8 * extent, 3.0 * 2.0 * math.sqrt(area / math.pi), MIN_SIDE)


def resample(
    image_yxc: NDArray[np.uint8],
    box: tuple[float, float, float, float],
    size: int,
    nearest: bool = False,
) -> NDArray[np.uint8]:
    """A float box (x0, y0, x1, y1) of an image (Y, X[, 3]) as a (size, size[, 3]) image."""
    method = Image.Resampling.NEAREST if nearest else Image.Resampling.BILINEAR
    return np.asarray(Image.fromarray(image_yxc).resize((size, size), method, box=box))


def cut_window(frames: Readable, t: int, window: Window, size: int) -> NDArray[np.uint8]:
    """One window of frame ``t`` as a (size, size, 3) uint8 image.

    Only the window's own pixels are read, plus the margin of the antialiasing filter. What lies
    outside the frame repeats its border.
    """
    margin = math.ceil(max(window.side / size, 1.0)) + 1
    y0, x0 = math.floor(window.y0) - margin, math.floor(window.x0) - margin
    y1 = math.ceil(window.y0 + window.side) + margin
    x1 = math.ceil(window.x0 + window.side) + margin
    h, w = frames.height, frames.width
    a0, a1 = min(max(y0, 0), h - 1), max(min(y1, h), 1)
    b0, b1 = min(max(x0, 0), w - 1), max(min(x1, w), 1)
    crop = frames.read_window(t, a0, a1, b0, b1)
    if (a0, a1, b0, b1) != (y0, y1, x0, x1):
        pad = ((max(a0 - y0, 0), max(y1 - a1, 0)), (max(b0 - x0, 0), max(x1 - b1, 0)), (0, 0))
        crop = np.pad(crop, pad, mode="edge")
        y0, x0 = min(y0, a0), min(x0, b0)
    left, top = window.x0 - x0, window.y0 - y0
    return resample(crop, (left, top, left + window.side, top + window.side), size)


def cut_mask(mask: Mask, window: Window, size: int) -> NDArray[np.bool_]:
    """A mask as the model's square sees it through a window, (size, size) bool."""
    pad = math.ceil(max(window.side / size, 1.0)) + 1
    y0, x0 = math.floor(window.y0) - pad, math.floor(window.x0) - pad
    reach = math.ceil(window.side) + 2 * pad + 1
    my0, mx0, my1, mx1 = mask.box
    crop = np.zeros((reach, reach), np.uint8)
    a0, b0, a1, b1 = max(my0, y0), max(mx0, x0), min(my1, y0 + reach), min(mx1, x0 + reach)
    if a0 < a1 and b0 < b1:
        inside = mask.crop[a0 - my0 : a1 - my0, b0 - mx0 : b1 - mx0]
        crop[a0 - y0 : a1 - y0, b0 - x0 : b1 - x0] = inside * np.uint8(255)
    left, top = window.x0 - x0, window.y0 - y0
    return resample(crop, (left, top, left + window.side, top + window.side), size) >= 128


@dataclass(frozen=True, slots=True)
class Shape:
    """What a window needs to know of a mask.

    Attributes
    ----------
    cy, cx
        Centroid in pixels.
    extent
        Longer side of the bounding box in pixels.
    area
        Number of pixels.
    """

    cy: float
    cx: float
    extent: float
    area: float

    @classmethod
    def of(cls, mask_yx: NDArray[np.bool_], y0: int = 0, x0: int = 0) -> Shape | None:
        """The shape of a mask whose first pixel lies at (y0, x0); None if it is empty."""
        ys, xs = np.nonzero(mask_yx)
        if len(ys) == 0:
            return None
        extent = max(int(ys.max() - ys.min()), int(xs.max() - xs.min())) + 1
        return cls(y0 + float(ys.mean()), x0 + float(xs.mean()), float(extent), float(len(ys)))

    @classmethod
    def of_mask(cls, mask: Mask) -> Shape:
        """The shape of a mask that has pixels."""
        shape = cls.of(mask.crop, mask.y0, mask.x0)
        assert shape is not None
        return shape

    def window(self) -> Window:
        """The window for an object of this shape."""
        return Window(self.cy, self.cx, reference_side(self.extent, self.area))


#: Part of the last step that an object is expected to go on by.
MOMENTUM = 0.5
#: How far from the expected place, in radii, and how much larger or smaller, as a logarithm of
#: the size, an object may be: standard deviations.
PLACE_SPREAD, SIZE_SPREAD = 1.5, 0.4
#: The side follows the object's size by this part a frame, and rests within the dead band.
GROWTH, DEAD_BAND = 0.15, 1.15


@dataclass(frozen=True, slots=True)
class Motion:
    """Where an object was last seen, and the window for the next frame.

    ``on_track`` says that it was seen on the frame before: only then is a step a speed.
    """

    cy: float
    cx: float
    vy: float
    vx: float
    side: float
    on_track: bool = False

    @classmethod
    def at(cls, window: Window) -> Motion:
        """At rest in the middle of a window."""
        return cls(window.cy, window.cx, 0.0, 0.0, window.side)

    def expected(self, height: int, width: int) -> Window:
        """The window for the next frame; its centre stays in the frame."""
        cy = min(max(self.cy + MOMENTUM * self.vy, 0.0), height - 1.0)
        cx = min(max(self.cx + MOMENTUM * self.vx, 0.0), width - 1.0)
        return Window(cy, cx, self.side)

    def agreement(self, shape: Shape | None, height: int, width: int) -> float:
        """How well what was found agrees with what was expected, 0 to 1; 0 for nothing."""
        if shape is None:
            return 0.0
        expected, radius = self.expected(height, width), self.side / 6
        away = math.hypot(shape.cy - expected.cy, shape.cx - expected.cx) / radius
        size = math.log(reference_side(shape.extent, shape.area) / self.side)
        return math.exp(-0.5 * (away / PLACE_SPREAD) ** 2 - 0.5 * (size / SIZE_SPREAD) ** 2)

    def seen(self, shape: Shape | None) -> Motion:
        """After a frame on which the object had this shape, or none."""
        if shape is None:
            return replace(self, vy=0.0, vx=0.0, on_track=False)
        ratio = reference_side(shape.extent, shape.area) / self.side
        side = self.side
        if not 1 / DEAD_BAND < ratio < DEAD_BAND:
            side *= min(max(ratio, 0.5), 2.0) ** GROWTH
        vy, vx = (shape.cy - self.cy, shape.cx - self.cx) if self.on_track else (0.0, 0.0)
        return Motion(shape.cy, shape.cx, vy, vx, side, on_track=True)

    def told(self, shape: Shape | None, window: Window | None) -> Motion:
        """After a frame that a person prompted.

        Parameters
        ----------
        shape
            What was found there.
        window
            What the prompt asks for; None if it does not say how large the object is.
        """
        if shape is None:
            return self.seen(None) if window is None else Motion.at(window)
        new = (self if window is None else replace(self, side=window.side)).seen(shape)
        if max(abs(new.vy), abs(new.vx)) > self.side / 2:
            return replace(new, vy=0.0, vx=0.0)  # it had been lost: this jump is not a speed
        return new
