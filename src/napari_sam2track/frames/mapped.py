"""An array in a file, mapped anew for each read, so that pages read earlier do not pile up."""

from __future__ import annotations

from pathlib import Path
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from napari_sam2track.errors import FramesError
from napari_sam2track.frames.arrays import reading


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


def map_npy(path: Path) -> MappedArray:
    """Return the array in a ``.npy`` file.

    Raises
    ------
    FramesError
        If it is damaged, or something else.
    """
    with reading(path, "a numpy array"):
        found = np.load(path, mmap_mode="r", allow_pickle=False)
    if not isinstance(found, np.memmap):
        found.close()
        raise FramesError(
            f"{path} is an archive of arrays, not an array; call it .npz if it holds labels, or "
            "save one array with numpy.save"
        )
    order: Literal["C", "F"] = "C" if found.flags.c_contiguous else "F"
    return MappedArray(path, found.dtype, found.shape, found.offset, order)
