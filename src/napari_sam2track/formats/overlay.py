"""Pictures of results: labels in colour over the movie."""

from __future__ import annotations

import colorsys
from functools import lru_cache

import numpy as np
from numpy.typing import NDArray

from napari_sam2track.prompts import Prompt

#: Turning the hue by the golden ratio keeps neighbouring ids apart.
_TURN = 0.61803398875
POSITIVE, NEGATIVE = (0, 220, 0), (230, 0, 0)


@lru_cache(maxsize=4096)
def colour_of(object_id: int) -> tuple[int, int, int]:
    """Return the colour of an object, the same in every frame and every run."""
    hue = (object_id * _TURN + 0.13) % 1.0
    light = 0.58 if object_id % 2 else 0.5
    r, g, b = colorsys.hls_to_rgb(hue, light, 0.9)
    return round(255 * r), round(255 * g), round(255 * b)


def draw_overlay(
    frame_yxc: NDArray[np.uint8],
    labels_yx: NDArray[np.uint32],
    prompts: dict[int, Prompt] | None = None,
    opacity: float = 0.4,
) -> NDArray[np.uint8]:
    """Draw a frame with its objects in colour, outlined, and its prompts as crosses and boxes.

    Parameters
    ----------
    frame_yxc
        (Y, X, 3) uint8.
    labels_yx
        (Y, X) uint32.
    prompts
        Prompts of this frame by object; positive points are green, negative ones red.
    opacity
        Of the colour inside an object, 0 to 1; outlines are opaque.

    Returns
    -------
    (Y, X, 3) uint8, a new array.
    """
    out = frame_yxc.copy()
    inside = labels_yx > 0  # the rest, most of a frame, stays as it is
    ids, index = np.unique(labels_yx[inside], return_inverse=True)
    colours = np.array([colour_of(int(i)) for i in ids], np.float32).reshape(-1, 3)
    alpha = np.where(_outlines(labels_yx)[inside], np.float32(1), np.float32(opacity))[:, None]
    under = frame_yxc[inside]
    out[inside] = (under + alpha * (colours[index] - under)).round()
    for prompt in (prompts or {}).values():
        for point in prompt.points:
            _cross(out, round(point.y), round(point.x), POSITIVE if point.positive else NEGATIVE)
        if prompt.box is not None:
            _rectangle(out, prompt.box, POSITIVE)
    return out


def _outlines(labels_yx: NDArray[np.uint32]) -> NDArray[np.bool_]:
    """Return pixels of objects that touch another label, on a side or at the frame's border."""
    padded = np.pad(labels_yx, 1)
    inner = padded[1:-1, 1:-1]
    differs: NDArray[np.bool_] = (
        (inner != padded[:-2, 1:-1])
        | (inner != padded[2:, 1:-1])
        | (inner != padded[1:-1, :-2])
        | (inner != padded[1:-1, 2:])
    )
    differs &= labels_yx > 0
    return differs


def _cross(image_yxc: NDArray[np.uint8], y: int, x: int, colour: tuple[int, int, int]) -> None:
    h, w = image_yxc.shape[:2]
    reach = max(3, round(min(h, w) / 80))
    for inset, paint in ((0, (255, 255, 255)), (1, colour)):
        arm, thick = reach - inset, 1 - inset
        rows, cols = (
            slice(max(y - arm, 0), max(y + arm + 1, 0)),
            slice(max(x - thick, 0), x + thick + 1),
        )
        image_yxc[rows, cols] = paint
        rows, cols = (
            slice(max(y - thick, 0), y + thick + 1),
            slice(max(x - arm, 0), max(x + arm + 1, 0)),
        )
        image_yxc[rows, cols] = paint


def _rectangle(
    image_yxc: NDArray[np.uint8],
    box: tuple[float, float, float, float],
    colour: tuple[int, int, int],
) -> None:
    h, w = image_yxc.shape[:2]
    y0, y1 = (min(max(round(v), 0), h - 1) for v in (box[0], box[2]))
    x0, x1 = (min(max(round(v), 0), w - 1) for v in (box[1], box[3]))
    image_yxc[[y0, y1], x0 : x1 + 1] = colour
    image_yxc[y0 : y1 + 1, [x0, x1]] = colour
