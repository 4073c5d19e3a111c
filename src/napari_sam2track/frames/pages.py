"""An array made of pages that are decoded whole: TIFF pages, image files, video frames."""

from __future__ import annotations

import math
import threading
from collections import OrderedDict
from collections.abc import Callable, Mapping, Sequence
from itertools import product
from typing import Any

import numpy as np
from numpy.typing import NDArray

from napari_sam2track.frames.arrays import ArrayLike


class PagedArray:
    """Array-like of shape ``lead_shape + page_shape`` that decodes the pages asked for.

    Parameters
    ----------
    lead_shape
        Axes along which pages are counted (row-major).
    page_shape, dtype
        Of each page.
    read_page
        Decodes page number i; called under a lock, since layers slice from other threads.
    keep
        Number of pages to keep decoded: windows of one frame are mostly read one after another.
        0 if every read shall see what the files hold now.
    """

    def __init__(
        self,
        lead_shape: tuple[int, ...],
        page_shape: tuple[int, ...],
        dtype: np.dtype[Any],
        read_page: Callable[[int], NDArray[Any]],
        keep: int = 1,
    ) -> None:
        self.shape = (*lead_shape, *page_shape)
        self.dtype = dtype
        self._n_lead = len(lead_shape)
        self._read_page = read_page
        self._keep = keep
        self._kept: OrderedDict[int, NDArray[Any]] = OrderedDict()
        self._lock = threading.Lock()

    def __getitem__(self, index: tuple[int | slice, ...]) -> NDArray[Any]:
        """Index with one integer or slice for each axis."""
        lead, tail = index[: self._n_lead], index[self._n_lead :]
        lead_shape = self.shape[: self._n_lead]
        ranges = [
            range(*item.indices(size)) if isinstance(item, slice) else range(item, item + 1)
            for item, size in zip(lead, lead_shape, strict=True)
        ]
        with self._lock:
            parts = [self._page(position)[tail] for position in product(*ranges)]
        if all(isinstance(item, int) for item in lead):
            return parts[0]
        kept_shape = [
            len(r) for r, item in zip(ranges, lead, strict=True) if isinstance(item, slice)
        ]
        return np.stack(parts).reshape(*kept_shape, *parts[0].shape)

    def _page(self, position: tuple[int, ...]) -> NDArray[Any]:
        number = 0
        for entry, size in zip(position, self.shape[: self._n_lead], strict=True):
            number = number * size + entry
        page = self._kept.pop(number, None)
        if page is None:
            page = self._read_page(number)
        self._kept[number] = page
        while len(self._kept) > self._keep:
            self._kept.popitem(last=False)
        return page

    @property
    def n_pages(self) -> int:
        """Number of pages."""
        return math.prod(self.shape[: self._n_lead])


class FixedAxes:
    """Array-like that is another at one position of some of its axes.

    Parameters
    ----------
    array
        The other array.
    positions
        Axis to position.
    """

    def __init__(self, array: ArrayLike, positions: Mapping[int, int]) -> None:
        self._array = array
        self._positions = dict(positions)
        self.shape = tuple(n for axis, n in enumerate(array.shape) if axis not in positions)
        self.dtype = array.dtype

    def __getitem__(self, index: tuple[int | slice, ...]) -> NDArray[Any]:
        """Index with one integer or slice for each axis that is left."""
        rest = iter(index)
        axes = range(len(self._array.shape))
        full = (self._positions[a] if a in self._positions else next(rest) for a in axes)
        return np.asarray(self._array[tuple(full)])


class AddedAxes:
    """Array-like that is another with more axes of length 1, which its file left out.

    Parameters
    ----------
    array
        The other array.
    shape
        Its shape, and axes of length 1 between.
    """

    def __init__(self, array: ArrayLike, shape: tuple[int, ...]) -> None:
        self._array = array
        self.shape = shape
        self.dtype = array.dtype

    def __getitem__(self, index: tuple[int | slice, ...]) -> NDArray[Any]:
        """Index with one integer or slice for each axis."""
        sizes = list(self._array.shape)
        inner: list[int | slice] = []
        outer: list[int | slice | None] = []  # what makes the axes of length 1
        for item, size in zip(index, self.shape, strict=True):
            if sizes and sizes[0] == size:
                sizes.pop(0)
                inner.append(item)
                outer += [slice(None)] * isinstance(item, slice)
            elif isinstance(item, slice):
                outer.append(None)
        return np.asarray(self._array[tuple(inner)])[tuple(outer)]


class JoinedFrames:
    """Array-like of stacks one after another along time, each of which is opened when it is read.

    Parameters
    ----------
    lengths
        Number of frames of each stack.
    frame_shape, dtype
        Of a frame.
    open_stack
        Opens stack k; returns an array whose first axis is time, and what closes it.
    """

    def __init__(
        self,
        lengths: Sequence[int],
        frame_shape: tuple[int, ...],
        dtype: np.dtype[Any],
        open_stack: Callable[[int], tuple[ArrayLike, Callable[[], object] | None]],
    ) -> None:
        self._ends = np.cumsum(lengths)
        self.shape = (int(self._ends[-1]), *frame_shape)
        self.dtype = dtype
        self._open_stack = open_stack
        self._number = -1
        self._stack: ArrayLike | None = None
        self._close_stack: Callable[[], object] | None = None
        self._lock = threading.Lock()

    def __getitem__(self, index: tuple[int | slice, ...]) -> NDArray[Any]:
        """Index with a frame, and one integer or slice for each other axis."""
        t, *rest = index
        assert isinstance(t, int)
        k, inside = self.place_of(t)
        with self._lock:  # one stack is open at a time
            if k != self._number or self._stack is None:
                self._close()
                self._stack, self._close_stack = self._open_stack(k)
                self._number = k
            return np.asarray(self._stack[(inside, *rest)])

    def place_of(self, t: int) -> tuple[int, int]:
        """Return the stack of a frame, and its place in it."""
        k = int(np.searchsorted(self._ends, t, side="right"))
        return k, t - (int(self._ends[k - 1]) if k else 0)

    def close(self) -> None:
        """Close the stack that is open."""
        with self._lock:
            self._close()

    def _close(self) -> None:
        if self._close_stack is not None:
            self._close_stack()
        self._stack, self._close_stack, self._number = None, None, -1
