"""An array in a file, mapped anew for each read, so that pages read earlier do not pile up."""

from __future__ import annotations

from pathlib import Path
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray


class MappedArray:
    """Array-like over uncompressed numbers that lie in one piece in a file.

    A map that stays open counts everything that was ever read through it as resident memory;
    mapping takes some 0.1 ms, so it is done for each read. No file handle is kept either.

    Parameters
    ----------
    path
        The file.
    dtype, shape, order
        Of the array in it.
    offset
        Byte at which it begins.
    """

    def __init__(
        self,
        path: Path,
        dtype: np.dtype[Any],
        shape: tuple[int, ...],
        offset: int,
        order: Literal["C", "F"] = "C",
    ) -> None:
        self.path = path
        self.dtype = dtype
        self.shape = shape
        self.offset = offset
        self.order = order

    def __getitem__(self, index: tuple[int | slice, ...]) -> NDArray[Any]:
        """Copy the part that is indexed with integers and slices."""
        mapped = np.memmap(self.path, self.dtype, "r", self.offset, self.shape, self.order)
        return np.array(mapped[index])
