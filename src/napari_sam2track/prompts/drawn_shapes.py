"""Shapes that a person drew as prompts: rectangles are boxes, ellipses and polygons are masks."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from napari_sam2track.errors import PromptError
from napari_sam2track.masks import Mask, polygon_pixels
from napari_sam2track.prompts.values import Prompt

#: Corners of a rectangle may be so far, in pixels, from those of an upright one.
_UPRIGHT = 0.01

#: Corners of the polygon that an ellipse is drawn as: 10,000 pixels long, it is right to 0.1.
_ELLIPSE = 720

_CLOSED = ("rectangle", "ellipse", "polygon")


def drawn_prompt(kind: str, corners_yx: NDArray[np.float64], shape: tuple[int, int]) -> Prompt:
    """Return the prompt that a shape means, within an image.

    Parameters
    ----------
    kind
        As napari names it: rectangle, ellipse, polygon; or line, path.
    corners_yx
        (N, 2), in pixels: the corners; of an ellipse, the four of the rectangle round it.
    shape
        (height, width) of the image.

    Returns
    -------
    Prompt
        A box of an upright rectangle, else a mask of the pixels whose centres are inside.

    Raises
    ------
    PromptError
        If it encloses nothing, or lies outside the image. The message goes on after its name.
    """
    kind = kind.strip().lower()
    if kind not in _CLOSED:
        raise PromptError(
            f"is a {kind[:40] or 'shape without type'}, which encloses nothing; draw a rectangle, "
            "ellipse or polygon"
        )
    n = len(corners_yx)
    if n < 3 if kind == "polygon" else n != 4:
        wanted = "at least three" if kind == "polygon" else "four"
        raise PromptError(f"is a {kind} with {n} corners, and needs {wanted}; draw it again")
    low, high = corners_yx.min(axis=0), corners_yx.max(axis=0)
    if (high < -0.5).any() or (low > np.array(shape) - 0.5).any():
        raise PromptError(
            f"lies outside the image ({shape[1]} wide, {shape[0]} high), at y {low[0]:g} to "
            f"{high[0]:g}, x {low[1]:g} to {high[1]:g}; draw it round the object"
        )
    flat = not (low < high).all()
    if kind == "rectangle" and (flat or _is_upright(corners_yx)):
        most = np.array(shape) - 1.0
        (y0, x0), (y1, x1) = np.clip(low, 0, most).tolist(), np.clip(high, 0, most).tolist()
        if not (y0 < y1 and x0 < x1):
            raise PromptError("is a rectangle without area; draw it round the object")
        return Prompt(box=(y0, x0, y1, x1))
    outline = _ellipse(corners_yx) if kind == "ellipse" else corners_yx
    rows, columns = polygon_pixels(outline, shape)
    if not len(rows):
        raise PromptError(f"is {_article(kind)} that holds no centre of a pixel; draw it larger")
    y0, x0 = int(rows.min()), int(columns.min())
    crop = np.zeros((int(rows.max()) - y0 + 1, int(columns.max()) - x0 + 1), bool)
    crop[rows - y0, columns - x0] = True
    return Prompt(mask=Mask(crop, y0, x0))


def _article(kind: str) -> str:
    return f"an {kind}" if kind == "ellipse" else f"a {kind}"


def _is_upright(corners_yx: NDArray[np.float64]) -> bool:
    """Return whether four corners are those of the rectangle round them."""
    low, high = corners_yx.min(axis=0), corners_yx.max(axis=0)
    to_low, to_high = np.abs(corners_yx - low), np.abs(corners_yx - high)
    near = (np.minimum(to_low, to_high) <= _UPRIGHT).all()
    return bool(near) and len(np.unique(to_low < to_high, axis=0)) == 4


def _ellipse(corners_yx: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return the ellipse in a rectangle, which may be turned, as a polygon."""
    centre = corners_yx.mean(axis=0)
    one, other = (corners_yx[1] - corners_yx[0]) / 2, (corners_yx[3] - corners_yx[0]) / 2
    angle = np.linspace(0, 2 * np.pi, _ELLIPSE, endpoint=False)[:, None]
    return np.asarray(centre + np.cos(angle) * one + np.sin(angle) * other)
