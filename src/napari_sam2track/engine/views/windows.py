"""Square windows that follow objects, and the resampling between window and frame.

Window mode is our own: each object is seen through a square that is some three diameters wide,
resampled to the model's square. Its cost does not depend on the size of the frame.

Coordinates follow napari: the centre of a pixel is at the integer, so that pixel ``i`` covers
``i - 0.5`` to ``i + 0.5``.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from typing import Literal, Protocol

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from napari_sam2track.masks import Mask

#: For so many frames an unseen object counts as lost, then as absent. A window that
#: grows meanwhile finds neighbours rather than the object (docs/figures/crowds.md).
SEARCH_FRAMES = 8
#: Smallest side in pixels: a smaller window shows nothing around an object.
MIN_SIDE = 24.0
#: Most pixels of a padded image, unless half of them are the image's own: 7 MB in RGB.
MOST_PIXELS = 1 << 20
#: So many times as much work it must save to resample along y before x.
ELONGATED = 8
Beyond = Literal["edge", "zero"]


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
        """Convert points (N, 2) of the frame to edge coordinates (y, x) of the ``size`` square."""
        return (points_yx + 0.5 - (self.y0, self.x0)) * (size / self.side)


class Readable(Protocol):
    """Interface of a movie that windows need; `frames.Frames` has it."""

    @property
    def height(self) -> int: ...  # noqa: D102
    @property
    def width(self) -> int: ...  # noqa: D102
    def read_window(self, t: int, y0: int, y1: int, x0: int, x1: int) -> NDArray[np.uint8]:  # noqa: D102
        ...


def reference_side(extent: float, area: float) -> float:
    """Return the side of the window for an object, in pixels.

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
    """Resample a float box (x0, y0, x1, y1) of an image (Y, X[, 3]) to (size, size[, 3])."""
    method = Image.Resampling.NEAREST if nearest else Image.Resampling.BILINEAR
    return np.asarray(Image.fromarray(image_yxc).resize((size, size), method, box=box))


def cut_window(frames: Readable, t: int, window: Window, size: int) -> NDArray[np.uint8]:
    """Cut a window of frame ``t`` as a (size, size, 3) uint8 image.

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
    pad = (max(a0 - y0, 0), max(y1 - a1, 0)), (max(b0 - x0, 0), max(x1 - b1, 0))
    start = window.y0 - min(y0, a0), window.x0 - min(x0, b0)
    return _resample_padded(crop, pad, start, window.side, size, "edge")


def cut_mask(mask: Mask, window: Window, size: int) -> NDArray[np.bool_]:
    """Return a mask as the model's square sees it through a window, (size, size) bool."""
    margin = math.ceil(max(window.side / size, 1.0)) + 1
    y0, x0 = math.floor(window.y0) - margin, math.floor(window.x0) - margin
    reach = math.ceil(window.side) + 2 * margin + 1
    my0, mx0, my1, mx1 = mask.box
    a0, b0, a1, b1 = max(my0, y0), max(mx0, x0), min(my1, y0 + reach), min(mx1, x0 + reach)
    if a0 >= a1 or b0 >= b1:
        return np.zeros((size, size), bool)
    crop = mask.crop[a0 - my0 : a1 - my0, b0 - mx0 : b1 - mx0] * np.uint8(255)
    pad = (a0 - y0, y0 + reach - a1), (b0 - x0, x0 + reach - b1)
    start = window.y0 - y0, window.x0 - x0
    return _resample_padded(crop, pad, start, window.side, size, "zero") >= 128


def _resample_padded(
    crop: NDArray[np.uint8],
    pad: tuple[tuple[int, int], tuple[int, int]],
    start: tuple[float, float],
    side: float,
    size: int,
    beyond: Beyond,
) -> NDArray[np.uint8]:
    """Resample a square of an image that is padded first, to a (size, size[, 3]) image.

    Pillow resamples along one axis, mostly x, rounds to 8 bits, then along the other one.
    The two steps are taken one by one here where the square would hold little but padding, and
    each axis is padded for its own step: nothing as large as the square is made of a frame that is
    long and narrow. Where Pillow would begin with the other axis, a pixel may differ by one grey
    level.

    Parameters
    ----------
    crop
        (Y, X[, 3]) uint8.
    pad
        Pixels before and after it, along y and along x.
    start
        Upper and left edge of the square in the padded image.
    side
        Of the square, in pixels.
    size
        Of the result.
    beyond
        Value of the padding: the border again, or 0.
    """
    h, w = crop.shape[:2]
    height, width = h + sum(pad[0]), w + sum(pad[1])
    if height * width <= max(MOST_PIXELS, 2 * h * w):
        y, x = start
        return resample(_padded(crop, pad, beyond), (x, y, x + side, y + side), size)
    # Of a tall crop the rows are resampled first: padded along x it would be the square.
    for axis in (0, 1) if h * width > ELONGATED * height * w else (1, 0):
        rows = crop.swapaxes(1, axis)
        shrunk = _resample_rows(rows, pad[axis], start[axis], side, size, beyond)
        crop = shrunk.swapaxes(1, axis)
    return np.ascontiguousarray(crop)


def _resample_rows(
    image: NDArray[np.uint8],
    pad: tuple[int, int],
    start: float,
    side: float,
    size: int,
    beyond: Beyond,
) -> NDArray[np.uint8]:
    """Resample the rows of an image, each padded first, to ``size`` pixels; some at a time."""
    step = max(1, MOST_PIXELS // (image.shape[1] + sum(pad)))
    blocks = []
    for k in range(0, len(image), step):
        block = _padded(image[k : k + step], ((0, 0), pad), beyond)
        shape, box = (size, len(block)), (start, 0.0, start + side, float(len(block)))
        resized = Image.fromarray(block).resize(shape, Image.Resampling.BILINEAR, box=box)
        blocks.append(np.asarray(resized))
    return np.concatenate(blocks)


def _padded(
    image: NDArray[np.uint8], pad: tuple[tuple[int, int], tuple[int, int]], beyond: Beyond
) -> NDArray[np.uint8]:
    """`numpy.pad` along the first two axes, which for small images is several times as fast."""
    (up, down), (left, right) = pad
    h, w = image.shape[:2]
    if not (up or down or left or right):
        return image
    out = np.zeros((up + h + down, left + w + right, *image.shape[2:]), np.uint8)
    rows = out[up : up + h]
    rows[:, left : left + w] = image
    if beyond == "edge":
        rows[:, :left], rows[:, left + w :] = image[:, :1], image[:, -1:]
        out[:up], out[up + h :] = rows[0], rows[-1]
    return out


@dataclass(frozen=True, slots=True)
class MaskExtent:
    """Place and size of a mask, for its window.

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
    def of(cls, mask_yx: NDArray[np.bool_], y0: int = 0, x0: int = 0) -> MaskExtent | None:
        """Measure a mask whose first pixel lies at (y0, x0); None if it is empty."""
        # counts, not the places of all pixels, which would take 16 bytes for each
        rows, columns = np.count_nonzero(mask_yx, axis=1), np.count_nonzero(mask_yx, axis=0)
        area = int(rows.sum())
        if area == 0:
            return None
        (cy, height), (cx, width) = (_spread(counts, area) for counts in (rows, columns))
        return cls(y0 + cy, x0 + cx, float(max(height, width)), float(area))

    @classmethod
    def of_mask(cls, mask: Mask) -> MaskExtent:
        """Measure a mask that has pixels."""
        shape = cls.of(mask.crop, mask.y0, mask.x0)
        assert shape is not None
        return shape

    def window(self) -> Window:
        """Return the window for an object of this size."""
        return Window(self.cy, self.cx, reference_side(self.extent, self.area))


def _spread(counts: NDArray[np.intp], area: int) -> tuple[float, int]:
    """Return mean place and extent of pixels, from their number in each row."""
    at = np.flatnonzero(counts)
    return float((counts @ np.arange(len(counts))) / area), int(at[-1] - at[0]) + 1


#: Part of the last step by which an object is expected to move on.
MOMENTUM = 0.5
#: How far from the expected place, in radii, and how much larger or smaller, as a logarithm of
#: the size, an object may be: standard deviations.
PLACE_SPREAD, SIZE_SPREAD = 1.5, 0.4
#: The side follows the object's size by this part a frame, and rests within the dead band.
GROWTH, DEAD_BAND = 0.15, 1.15


@dataclass(frozen=True, slots=True)
class WindowMotion:
    """Last known place of an object, and the window for the next frame.

    ``on_track`` says that it was seen on the frame before: only then is a step a speed.
    """

    cy: float
    cx: float
    vy: float
    vx: float
    side: float
    on_track: bool = False

    @classmethod
    def at(cls, window: Window) -> WindowMotion:
        """Make a motion at rest in the middle of a window."""
        return cls(window.cy, window.cx, 0.0, 0.0, window.side)

    def expected(self, height: int, width: int) -> Window:
        """Return the window for the next frame; its centre stays in the frame."""
        cy = min(max(self.cy + MOMENTUM * self.vy, 0.0), height - 1.0)
        cx = min(max(self.cx + MOMENTUM * self.vx, 0.0), width - 1.0)
        return Window(cy, cx, self.side)

    def agreement(self, shape: MaskExtent | None, height: int, width: int) -> float:
        """Return how well a shape agrees with the expected one, 0 to 1; 0 for None."""
        if shape is None:
            return 0.0
        expected, radius = self.expected(height, width), self.side / 6
        away = math.hypot(shape.cy - expected.cy, shape.cx - expected.cx) / radius
        size = math.log(reference_side(shape.extent, shape.area) / self.side)
        return math.exp(-0.5 * (away / PLACE_SPREAD) ** 2 - 0.5 * (size / SIZE_SPREAD) ** 2)

    def seen(self, shape: MaskExtent | None) -> WindowMotion:
        """Return the motion after a frame on which the object had this shape, or none."""
        if shape is None:
            return replace(self, vy=0.0, vx=0.0, on_track=False)
        ratio = reference_side(shape.extent, shape.area) / self.side
        side = self.side
        if not 1 / DEAD_BAND < ratio < DEAD_BAND:
            side *= min(max(ratio, 0.5), 2.0) ** GROWTH
        vy, vx = (shape.cy - self.cy, shape.cx - self.cx) if self.on_track else (0.0, 0.0)
        return WindowMotion(shape.cy, shape.cx, vy, vx, side, on_track=True)

    def told(self, shape: MaskExtent | None, window: Window | None) -> WindowMotion:
        """Return the motion after a frame that a person prompted.

        Parameters
        ----------
        shape
            Shape of the resulting mask.
        window
            Window of the prompt; None if the prompt does not say how large the object is.
        """
        if shape is None:
            return self.seen(None) if window is None else WindowMotion.at(window)
        new = (self if window is None else replace(self, side=window.side)).seen(shape)
        if max(abs(new.vy), abs(new.vx)) > self.side / 2:
            return replace(new, vy=0.0, vx=0.0)  # it had been lost: this jump is not a speed
        return new
