"""Movies of label images: what reads them, what changes them, and how large their pixels are."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray


class LabelFrames(Protocol):
    """A movie of label images that is read frame by frame."""

    @property
    def n_frames(self) -> int:
        """Number of frames."""
        ...

    @property
    def frame_shape(self) -> tuple[int, ...]:
        """Shape of a frame, in pixels: (Y, X), or (Z, Y, X)."""
        ...

    def read(self, t: int) -> NDArray[np.uint32]:
        """Frame `t`, of `frame_shape`, uint32, 0 is the background; the caller's to change."""
        ...


class EditableLabels(LabelFrames, Protocol):
    """A movie of label images of which boxes can be read and written."""

    @property
    def max_id(self) -> int:
        """The largest id that can be written."""
        ...

    def read_box(self, t: int, box: tuple[slice, ...]) -> NDArray[np.uint32]:
        """The pixels of a box of frame `t`: one slice for each axis of `frame_shape`; a copy."""
        ...

    def write_box(self, t: int, box: tuple[slice, ...], values: NDArray[np.uint32]) -> None:
        """Replace the pixels of a box."""
        ...


@dataclass(frozen=True, eq=False)
class ArrayLabels:
    """Labels in an array of numpy, zarr, or another that is indexed like them.

    Attributes
    ----------
    array
        (T, Y, X) or (T, Z, Y, X), unsigned integers. It is changed in place by `write_box`.
    """

    array: Any

    @property
    def n_frames(self) -> int:
        """Number of frames."""
        return int(self.array.shape[0])

    @property
    def frame_shape(self) -> tuple[int, ...]:
        """Shape of a frame."""
        return tuple(int(n) for n in self.array.shape[1:])

    @property
    def max_id(self) -> int:
        """The largest id that the array's type can hold, and that is an id: 32 bits."""
        return min(int(np.iinfo(self.array.dtype).max), 0xFFFFFFFF)

    def read(self, t: int) -> NDArray[np.uint32]:
        """Frame `t`, uint32; a copy."""
        return np.array(self.array[t], np.uint32)

    def read_box(self, t: int, box: tuple[slice, ...]) -> NDArray[np.uint32]:
        """The pixels of a box of frame `t`, uint32; a copy."""
        return np.array(self.array[(t, *box)], np.uint32)

    def write_box(self, t: int, box: tuple[slice, ...], values: NDArray[np.uint32]) -> None:
        """Replace the pixels of a box.

        Raises
        ------
        OverflowError
            If a value does not fit the array's type: ids are never wrapped.
        """
        largest = np.iinfo(self.array.dtype).max
        if values.size and int(values.max()) > largest:
            raise OverflowError(
                f"the id {int(values.max())} does not fit labels of type {self.array.dtype} "
                f"(at most {largest}); keep them as uint32"
            )
        self.array[(t, *box)] = values.astype(self.array.dtype)


@dataclass(frozen=True, slots=True)
class Scale:
    """What a frame and a pixel are in the world.

    Attributes
    ----------
    time
        Time between two frames.
    z, y, x
        Size of a pixel.
    time_unit, space_unit
        As OME-Zarr and UDUNITS spell them: "second", "micrometer"; None: frames and pixels.
    """

    time: float = 1.0
    z: float = 1.0
    y: float = 1.0
    x: float = 1.0
    time_unit: str | None = None
    space_unit: str | None = None

    def of_axes(self, ndim: int) -> Sequence[float]:
        """Scales of the axes of a movie: (t, y, x) for `ndim` 3, (t, z, y, x) for 4."""
        return (self.time, self.z, self.y, self.x) if ndim == 4 else (self.time, self.y, self.x)
