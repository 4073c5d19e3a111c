"""An array made of pages that are decoded whole: TIFF pages, image files, video frames."""

from __future__ import annotations

import math
import threading
from collections import OrderedDict
from collections.abc import Callable
from itertools import product
from typing import Any

import numpy as np
from numpy.typing import NDArray


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
