"""Masks as values: cropped to their bounding box."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray


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
    def from_frame(cls, mask_yx: NDArray[np.bool_]) -> Mask:
        """Cut a frame-sized mask (Y, X) down to its bounding box; empty gives a (0, 0) crop."""
        ys = np.flatnonzero(mask_yx.any(axis=1))
        if len(ys) == 0:
            return cls(np.zeros((0, 0), bool), 0, 0)
        xs = np.flatnonzero(mask_yx[ys[0] : ys[-1] + 1].any(axis=0))
        y0, x0 = int(ys[0]), int(xs[0])
        return cls(mask_yx[y0 : ys[-1] + 1, x0 : xs[-1] + 1].copy(), y0, x0)

    @property
    def box(self) -> tuple[int, int, int, int]:
        """Bounding box (y0, x0, y1, x1), the ends excluded."""
        return self.y0, self.x0, self.y0 + self.crop.shape[0], self.x0 + self.crop.shape[1]

    @property
    def area(self) -> int:
        """Number of pixels."""
        return int(self.crop.sum())

    def to_frame(self, height: int, width: int) -> NDArray[np.bool_]:
        """The mask in a frame of (height, width); parts outside are cut off."""
        out = np.zeros((height, width), bool)
        y0, x0, y1, x1 = self.box
        a0, b0, a1, b1 = max(y0, 0), max(x0, 0), min(y1, height), min(x1, width)
        if a0 < a1 and b0 < b1:
            out[a0:a1, b0:b1] = self.crop[a0 - y0 : a1 - y0, b0 - x0 : b1 - x0]
        return out
