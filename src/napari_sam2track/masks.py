"""Masks as values: cropped to their bounding box."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

#: Two pieces of a mask: least area of the smaller one over that of the larger one.
LEAST_RATIO = 0.4
#: Two pieces of a mask: least part of the mask's area that the two make up together.
LEAST_SHARE = 0.9

#: Smallest logit of a pixel that float16 does not round to the background.
LEAST_LOGIT = np.float16(6e-5)
#: Pixels for which logits are computed at once: temporary arrays are five times as large.
_AT_ONCE = 1 << 18


@dataclass(frozen=True, eq=False, slots=True)
class Mask:
    """A binary mask, stored as the crop that holds it.

    Attributes
    ----------
    crop
        Shape (h, w), bool.
    y0, x0
        Pixel of the frame at ``crop[0, 0]``.
    """

    crop: NDArray[np.bool_]
    y0: int
    x0: int

    @classmethod
    def from_frame(cls, mask_yx: NDArray[np.bool_], top: int = 0, left: int = 0) -> Mask:
        """Cut a mask (Y, X) down to its bounding box; empty gives a (0, 0) crop.

        ``mask_yx[0, 0]`` is pixel (``top``, ``left``) of the frame.
        """
        ys = np.flatnonzero(mask_yx.any(axis=1))
        if len(ys) == 0:
            return cls(np.zeros((0, 0), bool), 0, 0)
        xs = np.flatnonzero(mask_yx[ys[0] : ys[-1] + 1].any(axis=0))
        y0, x0 = int(ys[0]), int(xs[0])
        crop = mask_yx[y0 : ys[-1] + 1, x0 : xs[-1] + 1].copy()
        return cls(crop, top + y0, left + x0)

    @property
    def box(self) -> tuple[int, int, int, int]:
        """Bounding box (y0, x0, y1, x1), the ends excluded."""
        return self.y0, self.x0, self.y0 + self.crop.shape[0], self.x0 + self.crop.shape[1]

    @property
    def area(self) -> int:
        """Number of pixels."""
        return int(self.crop.sum())

    def to_frame(self, height: int, width: int) -> NDArray[np.bool_]:
        """Return the mask in a frame of (height, width); parts outside are cut off."""
        out = np.zeros((height, width), bool)
        y0, x0, y1, x1 = self.box
        a0, b0, a1, b1 = max(y0, 0), max(x0, 0), min(y1, height), min(x1, width)
        if a0 < a1 and b0 < b1:
            out[a0:a1, b0:b1] = self.crop[a0 - y0 : a1 - y0, b0 - x0 : b1 - x0]
        return out


@dataclass(frozen=True, eq=False, slots=True)
class Patch:
    """Logits of one object on one frame, stored as the crop that holds its mask.

    Attributes
    ----------
    logits_yx
        Shape (h, w), float16 or float32: above 0 in the mask, 0 elsewhere.
    y0, x0
        Pixel of the frame at ``logits_yx[0, 0]``.
    """

    logits_yx: NDArray[np.floating[Any]]
    y0: int
    x0: int

    @classmethod
    def of(cls, logits_yx: NDArray[np.floating[Any]], y0: int, x0: int) -> Patch:
        """Cut logits (rows, columns), whose first pixel is (y0, x0), down to those above 0."""
        inside = logits_yx > 0
        ys = np.flatnonzero(inside.any(axis=1))
        if len(ys) == 0:
            return cls(np.zeros((0, 0), logits_yx.dtype), 0, 0)
        xs = np.flatnonzero(inside.any(axis=0))
        part = np.s_[ys[0] : ys[-1] + 1, xs[0] : xs[-1] + 1]
        logits = np.where(inside[part], logits_yx[part], logits_yx.dtype.type(0))
        return cls(logits, y0 + int(ys[0]), x0 + int(xs[0]))

    def __bool__(self) -> bool:
        return self.logits_yx.size > 0

    def half(self) -> Patch:
        """Return the patch with float16 logits; no pixel of the object becomes background."""
        logits = self.logits_yx
        if logits.dtype != np.float16:
            clipped = np.clip(logits, LEAST_LOGIT, np.finfo(np.float16).max)
            logits = np.where(logits > 0, clipped, 0).astype(np.float16)
        return Patch(logits, self.y0, self.x0)

    @property
    def mask(self) -> Mask:
        """The pixels of the object."""
        return Mask(self.logits_yx > 0, self.y0, self.x0)


def compose(
    patches: Iterable[tuple[int, Patch]], height: int, width: int
) -> tuple[NDArray[np.uint32], NDArray[np.float32]]:
    """Compose all objects of a frame by the overlap rule (see `paint`), in any order.

    Parameters
    ----------
    patches
        (object id, patch), inside the frame.

    Returns
    -------
    labels_yx, logits_yx
        (Y, X) labels, and the logit that won each pixel (0 where there is background).
    """
    labels = np.zeros((height, width), np.uint32)
    best = np.zeros((height, width), np.float32)
    for object_id, patch in patches:
        paint(labels, best, object_id, patch.logits_yx, patch.y0, patch.x0)
    return labels, best


def compose_labels(
    patches: Iterable[tuple[int, Patch]], height: int, width: int
) -> NDArray[np.uint32]:
    """Return the labels (Y, X) of `compose`, with room for logits only where there are objects."""
    labels = np.zeros((height, width), np.uint32)
    known = [(object_id, patch) for object_id, patch in patches if patch]
    if known:
        boxes = np.array([(p.y0, p.x0, *np.add((p.y0, p.x0), p.logits_yx.shape)) for _, p in known])
        (y0, x0), (y1, x1) = boxes[:, :2].min(axis=0).tolist(), boxes[:, 2:].max(axis=0).tolist()
        part = labels[y0:y1, x0:x1]
        best = np.zeros(part.shape, np.float32)
        for object_id, patch in known:
            paint(part, best, object_id, patch.logits_yx, patch.y0 - y0, patch.x0 - x0)
    return labels


def deepest_pixel(mask_yx: NDArray[np.bool_]) -> tuple[int, int]:
    """Return the pixel (y, x) of a mask furthest from its outline: where a person clicks."""
    from scipy.ndimage import distance_transform_edt

    depth = distance_transform_edt(np.pad(mask_yx, 1))[1:-1, 1:-1]
    y, x = np.unravel_index(int(depth.argmax()), mask_yx.shape)
    return int(y), int(x)


def polygon_pixels(
    corners: NDArray[np.float64], shape: tuple[int, ...]
) -> tuple[NDArray[np.intp], NDArray[np.intp]]:
    """Return indices of the pixels whose centres are in a polygon, within a frame of (Y, X).

    By the even-odd rule: each row is filled between its first and second crossing with the
    polygon, its third and fourth, and so on. Takes as long as there are pixels to fill, however
    large the polygon is.
    """
    ends = np.roll(corners, -1, axis=0)
    low = np.minimum(corners[:, 0], ends[:, 0])
    high = np.maximum(corners[:, 0], ends[:, 0])
    first = np.maximum(np.ceil(low), 0).astype(np.intp)
    # A row through a corner crosses one of the two sides that meet there.
    last = np.minimum(np.ceil(high), shape[0]).astype(np.intp)
    counts = np.maximum(last - first, 0)
    side = np.repeat(np.arange(len(corners)), counts)
    rows = np.arange(len(side)) - np.repeat(np.cumsum(counts) - counts, counts) + first[side]
    (y0, x0), (y1, x1) = corners[side].T, ends[side].T
    crossings = x0 + (rows - y0) * (x1 - x0) / (y1 - y0)
    order = np.lexsort((crossings, rows))
    begins = np.maximum(np.ceil(crossings[order[::2]]), 0).astype(np.intp)
    stops = np.minimum(np.floor(crossings[order[1::2]]) + 1, shape[1]).astype(np.intp)
    lengths = np.maximum(stops - begins, 0)
    filled = np.repeat(rows[order[::2]], lengths)
    offsets = np.arange(len(filled)) - np.repeat(np.cumsum(lengths) - lengths, lengths)
    return filled, np.repeat(begins, lengths) + offsets


#: Two discs in touch are 2.2 times as long as wide, by the spread of their pixels.
LEAST_LENGTH = 1.6


def cut_across(mask: NDArray[np.bool_]) -> NDArray[np.uint8] | None:
    """Cut a mask through its middle, across its longest axis.

    Parameters
    ----------
    mask
        (Y, X) or (Z, Y, X), bool.

    Returns
    -------
    array or None
        Of the same shape, uint8: 1 on the side with the smaller coordinates, 2 on the other one, 0
        outside. None if the mask is not `LEAST_LENGTH` times as long as along its next axis.
    """
    places = np.argwhere(mask)
    if len(places) < 8:
        return None
    away = places - places.mean(axis=0)
    spread, axes = np.linalg.eigh(away.T @ away / len(away))
    if spread[-1] < LEAST_LENGTH**2 * spread[-2]:
        return None
    axis = axes[:, -1]
    axis = axis * np.sign(axis[np.abs(axis).argmax()])  # the sign of an axis is arbitrary
    out = mask.astype(np.uint8)
    out[mask] += away @ axis > 0
    return out


def paint(
    labels_yx: NDArray[np.uint32],
    logits_yx: NDArray[np.float32],
    object_id: int,
    patch_yx: NDArray[np.floating[Any]],
    y0: int,
    x0: int,
) -> None:
    """Paint an object's logits into a frame, in place: the highest logit wins.

    Ties go to the lower id; only logits above 0 are part of an object.

    Parameters
    ----------
    labels_yx, logits_yx
        (Y, X) labels and the logit that won each pixel (0 where there is background).
    object_id
        The label to paint.
    patch_yx, y0, x0
        Logits of the object and where ``patch_yx[0, 0]`` lies, inside the frame.
    """
    part = (slice(y0, y0 + patch_yx.shape[0]), slice(x0, x0 + patch_yx.shape[1]))
    labels, best = labels_yx[part], logits_yx[part]
    wins = (patch_yx > best) | ((patch_yx == best) & (patch_yx > 0) & (labels > object_id))
    labels[wins] = object_id
    best[wins] = patch_yx[wins]


def resample_logits(
    logits_yx: NDArray[np.float32],
    region: tuple[float, float, float, float],
    height: int,
    width: int,
) -> tuple[NDArray[np.float32], int, int]:
    """Return logits of a model's grid, bilinearly, at the pixels where they can be above 0.

    The same arithmetic as torch's ``interpolate(mode="bilinear", align_corners=False)`` from the
    grid to the region, but only for the rows and columns around positive logits.

    Parameters
    ----------
    logits_yx
        (h, w) grid that covers the region.
    region
        (y0, x0, height, width) of the region in edge coordinates of the frame: (0, 0, Y, X) is
        the whole frame.
    height, width
        Size of the frame; the result is clipped to it.

    Returns
    -------
    patch, y0, x0
        Logits (rows, columns) and where they lie; an empty patch where nothing is above 0.
    """
    ys = np.flatnonzero((logits_yx > 0).any(axis=1))
    if len(ys) == 0:
        return np.zeros((0, 0), np.float32), 0, 0
    xs = np.flatnonzero((logits_yx > 0).any(axis=0))
    y0, yi, yf = _taps(logits_yx.shape[0], int(ys[0]), int(ys[-1]), region[0], region[2], height)
    x0, xi, xf = _taps(logits_yx.shape[1], int(xs[0]), int(xs[-1]), region[1], region[3], width)
    patch = np.empty((len(yf), len(xf)), np.float32)
    step = _AT_ONCE // max(len(xf), 1) + 1
    for rows in (slice(k, k + step) for k in range(0, len(yf), step)):
        top, bottom = logits_yx[yi[0][rows]], logits_yx[yi[1][rows]]
        upper = top[:, xi[0]] * (1 - xf) + top[:, xi[1]] * xf
        lower = bottom[:, xi[0]] * (1 - xf) + bottom[:, xi[1]] * xf
        patch[rows] = upper * (1 - yf[rows, None]) + lower * yf[rows, None]
    return patch, y0, x0


def _taps(
    n: int, first: int, last: int, start: float, length: float, size: int
) -> tuple[int, tuple[NDArray[np.intp], NDArray[np.intp]], NDArray[np.float32]]:
    """Return pixels near grid cells ``first`` to ``last``: first pixel, both cells, fraction."""
    cell = length / n  # pixels of the frame per cell of the grid
    lo = max(int(np.floor(start + (first - 0.5) * cell)), int(np.ceil(start - 0.5)), 0)
    hi = min(
        int(np.ceil(start + (last + 1.5) * cell)), int(np.floor(start + length - 0.5)) + 1, size
    )
    # as torch does it (float32 scale, fused multiply-add): the last bits of the fractions are
    # part of SAM2's result
    at = float(np.float32(n / length)) * (np.arange(lo, max(hi, lo)) + 0.5 - start) - 0.5
    at = np.maximum(at, 0).astype(np.float32)
    low = np.minimum(at.astype(np.intp), n - 1)
    high = np.minimum(low + 1, n - 1)
    return lo, (low, high), at - low.astype(np.float32)


def tidy(patch_yx: NDArray[np.float32], fill_holes: int, min_part: int) -> NDArray[np.float32]:
    """Fill small holes and drop small parts of the pixels above 0.

    SAM2 does the former in a CUDA extension, and not at all without it.

    Parameters
    ----------
    patch_yx
        (rows, columns) logits.
    fill_holes
        Largest hole to fill, in pixels; 0 fills none. Filled pixels get the logit 0.1.
    min_part
        Smallest part to keep, in pixels; the largest part always stays.
    """
    if (fill_holes <= 0 and min_part <= 1) or patch_yx.size == 0:
        return patch_yx
    from scipy import ndimage as ndi

    out = patch_yx
    if fill_holes > 0:
        gaps, n = ndi.label(np.pad(out <= 0, 1, constant_values=True))
        if n > 1:
            area = np.bincount(gaps.ravel())
            small = area <= fill_holes
            small[0] = small[gaps[0, 0]] = False  # the masks themselves, and the background
            out = np.where(small[gaps[1:-1, 1:-1]], np.float32(0.1), out)
    if min_part > 1:
        parts, n = ndi.label(out > 0, structure=np.ones((3, 3)))
        if n > 1:
            area = np.bincount(parts.ravel())
            drop = area < min_part
            drop[0] = False
            drop[1 + int(area[1:].argmax())] = False
            out = np.where(drop[parts], np.float32(-0.1), out)
    return out


def two_pieces(mask: NDArray[np.bool_]) -> NDArray[np.uint8] | None:
    """Return the two comparable pieces that a mask consists of, as 1 and 2; None if it does not.

    Parameters
    ----------
    mask
        (Y, X) or (Z, Y, X), bool. Crumbs may make up a tenth of it; they are 0.
    """
    from scipy import ndimage as ndi

    pieces, n = ndi.label(mask)
    if n < 2:
        return None
    areas = np.bincount(pieces.ravel())[1:]
    large, small = np.argsort(-areas, kind="stable")[:2]
    if areas[small] < LEAST_RATIO * areas[large]:
        return None
    if areas[small] + areas[large] < LEAST_SHARE * areas.sum():
        return None
    first, second = sorted((int(large), int(small)))
    out = np.zeros(mask.shape, np.uint8)
    out[pieces == first + 1], out[pieces == second + 1] = 1, 2
    return out
