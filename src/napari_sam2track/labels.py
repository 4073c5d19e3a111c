"""Movies of label images: their ids, interfaces to read and change them, and the size of pixels.

Ids of objects, tracks and labels are whole numbers from 1 to `MAX_ID`, which 32 bits hold. Values
from a file, a layer or a person are checked here before numpy makes them 32 bits: numpy cuts
off fractions and wraps values that are too large, without an error.
"""

from __future__ import annotations

import operator
import re
import reprlib
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from types import TracebackType
from typing import Any, Protocol, Self

import numpy as np
from numpy.typing import NDArray

from napari_sam2track.errors import FormatError

#: The largest id; 0 is the background.
MAX_ID = 2**32 - 1


class Closing:
    """Base with `close` and ``with`` for a class whose objects have an attribute ``_close``.

    ``_close`` releases the file; None if there is none.
    """

    _close: Callable[[], object] | None

    def close(self) -> None:
        """Release the file, if there is one."""
        if self._close is not None:
            self._close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        exc_type: type[BaseException] | None,
        exc: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self.close()


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
        """Return frame `t`, of `frame_shape`, uint32; 0 is the background; safe to change."""
        ...


class EditableLabels(LabelFrames, Protocol):
    """A movie of label images of which boxes can be read and written."""

    @property
    def max_id(self) -> int:
        """The largest id that can be written."""
        ...

    def read_box(self, t: int, box: tuple[slice, ...]) -> NDArray[np.uint32]:
        """Return a box of frame `t`, a slice for each axis of `frame_shape`; a copy."""
        ...

    def write_box(self, t: int, box: tuple[slice, ...], values: NDArray[np.uint32]) -> None:
        """Replace the pixels of a box."""
        ...


@dataclass(frozen=True, eq=False)
class MappedFrames:
    """A movie of label images of which each frame is changed when it is read.

    Attributes
    ----------
    source
        The movie; it stays as it is.
    change
        Takes a frame number and the frame; returns the changed frame, of the same shape.
    """

    source: LabelFrames
    change: Callable[[int, NDArray[np.uint32]], NDArray[np.uint32]]

    @property
    def n_frames(self) -> int:
        """Number of frames."""
        return self.source.n_frames

    @property
    def frame_shape(self) -> tuple[int, ...]:
        """Shape of a frame."""
        return self.source.frame_shape

    def read(self, t: int) -> NDArray[np.uint32]:
        """Frame `t`, changed, uint32."""
        return self.change(t, self.source.read(t))


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
        """The largest id that the array's type can hold, at most 32 bits."""
        return min(int(np.iinfo(self.array.dtype).max), MAX_ID)

    def read(self, t: int) -> NDArray[np.uint32]:
        """Return frame `t`, uint32; a copy."""
        return np.array(self.array[t], np.uint32)

    def read_box(self, t: int, box: tuple[slice, ...]) -> NDArray[np.uint32]:
        """Return the pixels of a box of frame `t`, uint32; a copy."""
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
    """Size of a pixel and time between frames, with units.

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
        """Return the scales of the axes of a movie: (t, y, x) for `ndim` 3, (t, z, y, x) for 4."""
        return (self.time, self.z, self.y, self.x) if ndim == 4 else (self.time, self.y, self.x)


def checked_id(value: Any, what: str, error: type[Exception] = FormatError, least: int = 1) -> int:
    """Return an id as a number of Python.

    Parameters
    ----------
    value
        A number of Python or numpy, or its digits as text.
    what
        Name of the value in a message: "a.csv, line 3: track_id".
    error
        Class of the error.
    least
        0 where the background, or no id at all, is allowed.

    Raises
    ------
    FormatError
        Or `error`, if it is no whole number, as True and "1_0" are none, or out of range.
    """
    number = _whole(value)
    if number is None or not least <= number <= MAX_ID:
        said = f"{value:.12g}" if isinstance(value, float) else reprlib.repr(value)
        raise error(
            f"{what} is {said}; ids are whole numbers from {least} to {MAX_ID}"
            + (" (0 is background)" if least else "")
        )
    return number


def checked_ids(
    values: NDArray[Any], what: str, error: type[Exception] = FormatError, least: int = 1
) -> NDArray[np.uint32]:
    """Return an array of ids as 32 bits; the first bad value is refused as by `checked_id`."""
    if values.dtype.kind in "iuf":
        # float32 cannot tell 2**32 from the largest id
        wide = values.astype(np.float64) if values.dtype.kind == "f" else values
        good = (wide >= least) & (wide <= MAX_ID)
        if wide.dtype.kind == "f":
            good &= wide == np.floor(wide)
        if not good.all():
            checked_id(wide[~good][0].item(), what, error, least)
        return values.astype(np.uint32)
    each = [checked_id(value, what, error, least) for value in values.ravel().tolist()]
    return np.array(each, np.uint32).reshape(values.shape)


def id_in_model(value: Any) -> int:
    """Check an id in a model of pydantic, which turns a ValueError into an error of its own."""
    return checked_id(value, "the id", ValueError)


def _whole(value: Any) -> int | None:
    """Return a value as a whole number; None if it is none."""
    if isinstance(value, bool | np.bool_):
        return None
    if isinstance(value, str):
        return int(value) if re.fullmatch(r"\s*[0-9]{1,20}\s*", value) else None
    if isinstance(value, float | np.floating):
        return int(value) if value.is_integer() else None
    try:
        return operator.index(value)
    except TypeError:
        return None
