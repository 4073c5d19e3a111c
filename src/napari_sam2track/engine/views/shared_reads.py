"""Windows of neighbours share reads.

Objects that touch have windows that overlap: read one by one, the same chunks of a file are
fetched and decompressed, and the same pixels mapped to grey values, again and again.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from napari_sam2track.engine.views.views import Movie, View, WindowView
from napari_sam2track.engine.views.windows import Window

#: A read for several windows may cover so many times the pixels of their own reads together.
MOST_MORE = 1.5
#: Most pixels of one shared read, which bounds the memory.
MOST_PIXELS = 1 << 24


@dataclass(frozen=True, eq=False)
class SharedReads:
    """A movie with some blocks of frame ``t`` in memory.

    Reads what lies in a block from there, and everything else from the movie.
    """

    movie: Movie
    t: int
    blocks: tuple[tuple[tuple[int, int, int, int], NDArray[np.uint8]], ...]

    @property
    def height(self) -> int:  # noqa: D102
        return self.movie.height

    @property
    def width(self) -> int:  # noqa: D102
        return self.movie.width

    @property
    def n_frames(self) -> int:  # noqa: D102
        return self.movie.n_frames

    def read(self, t: int) -> NDArray[np.uint8]:  # noqa: D102
        return self.movie.read(t)

    def read_window(self, t: int, y0: int, y1: int, x0: int, x1: int) -> NDArray[np.uint8]:  # noqa: D102
        if t == self.t:
            for (a0, a1, b0, b1), block in self.blocks:
                if a0 <= y0 and y1 <= a1 and b0 <= x0 and x1 <= b1:
                    return block[y0 - a0 : y1 - a0, x0 - b0 : x1 - b0]
        return self.movie.read_window(t, y0, y1, x0, x1)


def share_reads(movie: Movie, t: int, views: Sequence[View], size: int) -> Movie:
    """Return the movie with what several views need of frame ``t`` already read.

    Parameters
    ----------
    views
        Views that will be shown; only windows are used.
    size
        Side of the model's square.
    """
    boxes = [
        box_of(v.window, size, movie.height, movie.width)
        for v in views
        if isinstance(v, WindowView)
    ]
    merged = merge(boxes) if len(boxes) > 1 else []
    blocks = tuple((box, movie.read_window(t, *box)) for box, n in merged if n > 1)
    return SharedReads(movie, t, blocks) if blocks else movie


def box_of(window: Window, size: int, height: int, width: int) -> tuple[int, int, int, int]:
    """Return the box that `windows.cut_window` reads: y0, y1, x0, x1."""
    margin = math.ceil(max(window.side / size, 1.0)) + 1
    y0, x0 = math.floor(window.y0) - margin, math.floor(window.x0) - margin
    y1 = math.ceil(window.y0 + window.side) + margin
    x1 = math.ceil(window.x0 + window.side) + margin
    return (
        min(max(y0, 0), height - 1),
        max(min(y1, height), 1),
        min(max(x0, 0), width - 1),
        max(min(x1, width), 1),
    )


def merge(
    boxes: Sequence[tuple[int, int, int, int]],
) -> list[tuple[tuple[int, int, int, int], int]]:
    """Join boxes where that reads few pixels more; return each with how many went into it.

    Greedy, from the top: each box joins the block that grows least for it, if any may.
    """
    rows = np.array(sorted(boxes), np.int64).reshape(-1, 4)
    blocks = np.empty_like(rows)
    members = np.zeros(len(rows), np.int64)
    own = np.zeros(len(rows), np.int64)  # pixels that the members would read one by one
    areas = (rows[:, 1] - rows[:, 0]) * (rows[:, 3] - rows[:, 2])
    n = 0
    for row, area in zip(rows, areas, strict=True):
        known = blocks[:n]
        joined = np.stack(
            [
                np.minimum(known[:, 0], row[0]),
                np.maximum(known[:, 1], row[1]),
                np.minimum(known[:, 2], row[2]),
                np.maximum(known[:, 3], row[3]),
            ],
            axis=1,
        )
        total = (joined[:, 1] - joined[:, 0]) * (joined[:, 3] - joined[:, 2])
        may = (total <= MOST_MORE * (own[:n] + area)) & (total <= MOST_PIXELS)
        if may.any():
            k = int(np.where(may, total / (own[:n] + area), np.inf).argmin())
            blocks[k] = joined[k]
        else:
            k = n
            blocks[k] = row
            n += 1
        members[k] += 1
        own[k] += area
    return [
        ((int(b[0]), int(b[1]), int(b[2]), int(b[3])), int(m))
        for b, m in zip(blocks[:n], members[:n], strict=True)
    ]
