"""A movie of any size that is computed where it is read, for benchmarks of time and memory."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from napari_sam2track.prompts import Point, Prompt, PromptSet

RADIUS = 16.0


@dataclass(frozen=True)
class Discs:
    """Bright discs on an even grid, each on a small circle of its own, over noise.

    It is what the engine calls a movie; a window costs what its own pixels cost.
    """

    n_frames: int
    height: int
    width: int
    n: int

    def centre(self, t: int, k: int) -> tuple[float, float]:
        """(y, x) of disc ``k``."""
        columns = int(np.ceil(np.sqrt(self.n)))
        rows = -(-self.n // columns)
        y = self.height * (k // columns + 0.5) / rows
        x = self.width * (k % columns + 0.5) / columns
        return y + 8 * np.sin(t / 9 + k), x + 8 * np.cos(t / 7 + k)

    def read(self, t: int) -> NDArray[np.uint8]:
        return self.read_window(t, 0, self.height, 0, self.width)

    def read_window(self, t: int, y0: int, y1: int, x0: int, x1: int) -> NDArray[np.uint8]:
        grey = np.random.default_rng(t).integers(45, 75, (y1 - y0, x1 - x0), np.uint8)
        for k in range(self.n):
            cy, cx = self.centre(t, k)
            ys = np.arange(max(y0, int(cy - RADIUS)), min(y1, int(cy + RADIUS) + 2))
            xs = np.arange(max(x0, int(cx - RADIUS)), min(x1, int(cx + RADIUS) + 2))
            if len(ys) and len(xs):
                inside = np.hypot(ys[:, None] - cy, xs[None] - cx) < RADIUS
                grey[ys[0] - y0 : ys[-1] + 1 - y0, xs[0] - x0 : xs[-1] + 1 - x0][inside] += 110
        return np.repeat(grey[..., None], 3, axis=-1)

    def clicks(self) -> PromptSet:
        """One click on each disc in the first frame."""
        return PromptSet(
            {(k + 1, 0): Prompt(points=(Point(*self.centre(0, k)),)) for k in range(self.n)}
        )

    def boxes(self) -> PromptSet:
        """A box around each disc in the first frame."""
        out = {}
        for k in range(self.n):
            y, x = self.centre(0, k)
            out[k + 1, 0] = Prompt(box=(y - RADIUS, x - RADIUS, y + RADIUS, x + RADIUS))
        return PromptSet(out)
