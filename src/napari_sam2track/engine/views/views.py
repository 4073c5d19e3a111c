"""Views: the part of a frame that fills the model's square, all of it or a window.

A view maps prompts into the square and logits back into the frame, so that the scheduler is the
same in both modes.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np
import torch
import torch.nn.functional as F
from numpy.typing import NDArray
from PIL import Image
from torch import Tensor

from napari_sam2track.engine.views.windows import Readable, Window, cut_mask, cut_window
from napari_sam2track.masks import Mask


class Movie(Readable, Protocol):
    """Interface of a movie that the engine needs; `frames.Frames` has it."""

    @property
    def n_frames(self) -> int: ...  # noqa: D102
    def read(self, t: int) -> NDArray[np.uint8]: ...  # noqa: D102


class View(Protocol):
    """A part of a frame that is shown to the model."""

    @property
    def region(self) -> tuple[float, float, float, float]:
        """(y0, x0, height, width) in edge coordinates of the frame."""

    def image(self, movie: Movie, t: int, size: int) -> NDArray[np.uint8]:
        """Return the pixels of frame ``t``, (size, size, 3)."""

    def points(self, points_yx: NDArray[np.float64], size: int) -> NDArray[np.floating[Any]]:
        """Return points (N, 2) as (x, y) of the square."""

    def mask(self, mask: Mask, size: int) -> Tensor:
        """Return a mask as (size, size) float in {0, 1}."""


@dataclass(frozen=True, slots=True)
class FrameView:
    """The whole frame, squashed to the square as SAM2 does.

    Points are mapped as by SAM2's predictor, which takes pixel indices times the scale.
    """

    height: int
    width: int

    @property
    def region(self) -> tuple[float, float, float, float]:  # noqa: D102
        return 0.0, 0.0, float(self.height), float(self.width)

    def image(self, movie: Movie, t: int, size: int) -> NDArray[np.uint8]:  # noqa: D102
        # bicubic with antialiasing: what SAM2's own loader does
        return np.asarray(Image.fromarray(movie.read(t)).resize((size, size)))

    def points(self, points_yx: NDArray[np.float64], size: int) -> NDArray[np.floating[Any]]:  # noqa: D102
        # in float32 and in this order, to agree with SAM2 to the last bit
        xy = points_yx[:, ::-1].astype(np.float32)
        scaled = xy / np.array([self.width, self.height], np.float32) * np.float32(size)
        return np.asarray(scaled, np.float32)

    def mask(self, mask: Mask, size: int) -> Tensor:  # noqa: D102
        full = torch.from_numpy(mask.to_frame(self.height, self.width))[None, None].float()
        if full.shape[-2:] == (size, size):
            return full[0, 0]
        small = F.interpolate(
            full, (size, size), mode="bilinear", align_corners=False, antialias=True
        )
        return (small[0, 0] >= 0.5).float()


@dataclass(frozen=True, slots=True)
class WindowView:
    """A window around one object."""

    window: Window

    @property
    def region(self) -> tuple[float, float, float, float]:  # noqa: D102
        return self.window.y0, self.window.x0, self.window.side, self.window.side

    def image(self, movie: Movie, t: int, size: int) -> NDArray[np.uint8]:  # noqa: D102
        return cut_window(movie, t, self.window, size)

    def points(self, points_yx: NDArray[np.float64], size: int) -> NDArray[np.floating[Any]]:  # noqa: D102
        return self.window.to_model(points_yx, size)[:, ::-1]

    def mask(self, mask: Mask, size: int) -> Tensor:  # noqa: D102
        return torch.from_numpy(cut_mask(mask, self.window, size)).float()
