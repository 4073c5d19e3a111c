"""Axes of an array: which is time, which is colour, decided once."""

from __future__ import annotations

import math
from collections import Counter
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from napari_sam2track.errors import FramesError

_LETTERS = "TZYXCSQI"
_WAY_OUT = (
    "give one letter per axis (--axes, or axes= in Python), for example TYX (T, Z, Y, X, C, or S)"
)


@dataclass(frozen=True, slots=True)
class Layout:
    """The part that each axis of an array plays.

    Attributes
    ----------
    axes
        One letter per axis of the array, upper case.
    shape
        Shape of the array.
    time
        Position of the axis whose steps are the frames; None for a single frame.
    y, x
        Positions of rows and columns.
    channels
        Positions of the channel axes (none, one, or two if the array has C and S).
    fixed
        (position, index) of every axis that is not read along.
    rgb
        See `Source.rgb`.
    """

    axes: str
    shape: tuple[int, ...]
    time: int | None
    y: int
    x: int
    channels: tuple[int, ...]
    fixed: tuple[tuple[int, int], ...]
    rgb: bool

    @property
    def n_frames(self) -> int:
        """Number of frames."""
        return 1 if self.time is None else self.shape[self.time]

    @property
    def height(self) -> int:
        """Number of rows."""
        return self.shape[self.y]

    @property
    def width(self) -> int:
        """Number of columns."""
        return self.shape[self.x]

    @property
    def n_channels(self) -> int:
        """Number of channels; 1 if there is no channel axis."""
        return math.prod(self.shape[axis] for axis in self.channels)

    @property
    def planar(self) -> bool:
        """True if each channel is a plane of its own, so that it can be read alone."""
        return len(self.channels) == 1 and self.channels[0] < max(self.y, self.x)

    def index(
        self, t: int, y0: int, y1: int, x0: int, x1: int, channel: int | None = None
    ) -> tuple[int | slice, ...]:
        """Return the index of a window of frame `t`; `channel` (of a `planar` layout) picks one.

        Time and fixed axes are integers, the others slices, so that any array-like understands.
        """
        index: list[int | slice] = [slice(None)] * len(self.shape)
        index[self.y], index[self.x] = slice(y0, y1), slice(x0, x1)
        for axis, position in self.fixed:
            index[axis] = position
        if self.time is not None:
            index[self.time] = t
        if channel is not None:
            index[self.channels[0]] = slice(channel, channel + 1)
        return tuple(index)

    def arrange(self, block: NDArray[Any]) -> NDArray[Any]:
        """Bring what `index` cut out into the order (Y, X, C); a view where possible."""
        kept = sorted((self.y, self.x, *self.channels))
        order = [kept.index(axis) for axis in (self.y, self.x, *self.channels)]
        block = block.transpose(order)
        return block.reshape(*block.shape[:2], -1)


def resolve_layout(
    shape: tuple[int, ...],
    dtype: np.dtype[Any],
    name: str,
    *,
    axes: str | None = None,
    known: str | None = None,
    z: int | None = None,
) -> Layout:
    """Decide what the axes of an array mean.

    Parameters
    ----------
    shape, dtype
        Of the array.
    name
        Of the movie, for messages.
    axes
        Axes given by a person: one letter per axis out of T, Z, Y, X, C, S (colour samples), and
        Q or I (unknown, taken as time), in either case.
    known
        Axes declared by the file, in the same letters; used if `axes` is None. Unknown letters are
        accepted there on axes of length 1.
    z
        Plane to use of a stack over time.

    Raises
    ------
    FramesError
        If the letters do not fit, cannot be guessed, or leave two axes to be taken as time.

    Notes
    -----
    Without letters, the last axis is colour if it has 3 or 4 entries (and two more axes come
    before it), rows and columns are the two before, and the one other axis longer than 1 is
    time. Z is taken as time where there is no T longer than 1.
    """
    if 0 in shape:
        raise FramesError(
            f"{name} is empty: its shape is {shape}; give a movie with at least one frame"
        )
    if axes is not None:
        letters = _checked(axes, shape, name)
    elif known is not None:
        letters = known.upper()
    else:
        letters = _guessed(shape, name)
    if letters.count("Y") != 1 or letters.count("X") != 1:
        raise FramesError(
            f"{name} has axes {letters!r} (shape {shape}): Y and X are needed once each; {_WAY_OUT}"
        )

    y, x = letters.index("Y"), letters.index("X")
    fixed = {
        axis: 0 for axis, size in enumerate(shape) if size == 1 and letters[axis] not in "YXCS"
    }
    if z is not None:
        fixed[_z_axis(letters, shape, z, name)] = z
    rest = [axis for axis in range(len(shape)) if letters[axis] not in "YXCS" and axis not in fixed]
    channels = tuple(axis for axis in range(len(shape)) if letters[axis] in "CS")
    long_channels = tuple(axis for axis in channels if shape[axis] > 1)
    fixed |= {axis: 0 for axis in channels if shape[axis] == 1}
    return Layout(
        axes=letters,
        shape=shape,
        time=_time_axis(letters, shape, rest, name),
        y=y,
        x=x,
        channels=long_channels,
        fixed=tuple(sorted(fixed.items())),
        rgb=_is_rgb(letters, shape, dtype, long_channels),
    )


def _checked(axes: str, shape: tuple[int, ...], name: str) -> str:
    letters = axes.strip().upper()
    unknown = sorted(set(letters) - set(_LETTERS))
    if unknown:
        raise FramesError(f"axes {axes!r} for {name}: {unknown[0]!r} is not an axis; {_WAY_OUT}")
    if len(letters) != len(shape):
        raise FramesError(
            f"axes {axes!r} for {name} names {len(letters)} axes, but the array has {len(shape)} "
            f"(shape {shape}); {_WAY_OUT}"
        )
    letter, times = Counter(letters).most_common(1)[0]
    if times > 1:
        raise FramesError(f"axes {axes!r} for {name}: {letter} is there {times} times; {_WAY_OUT}")
    return letters


def _guessed(shape: tuple[int, ...], name: str) -> str:
    if len(shape) < 2:
        raise FramesError(
            f"{name} has shape {shape}: an image needs at least rows and columns; "
            "give an array of (frames, rows, columns)"
        )
    # S, not C: samples of one picture. An image that is three pixels wide is no movie.
    tail = "YXS" if len(shape) > 2 and shape[-1] in (3, 4) else "YX"
    lead = shape[: len(shape) - len(tail)]
    if sum(size > 1 for size in lead) > 1:
        raise FramesError(
            f"{name} has {len(shape)} axes (shape {shape}), and which of them is time cannot be "
            f"guessed; give one letter per axis (--axes, or axes= in Python), such as TCYX or TZYX"
        )
    # Q on axes of length 1: they are dropped, whatever they were.
    return "".join("T" if size > 1 else "Q" for size in lead) + tail


def _z_axis(letters: str, shape: tuple[int, ...], z: int, name: str) -> int:
    axis = letters.find("Z")
    if axis < 0:
        raise FramesError(
            f"z={z} was given, but {name} has no Z axis (axes {letters!r}, shape {shape}); "
            "leave z out, or name the axes with --axes (axes= in Python)"
        )
    if not 0 <= z < shape[axis]:
        raise FramesError(
            f"z={z} is outside {name}, which has {shape[axis]} planes; "
            f"choose one from 0 to {shape[axis] - 1}"
        )
    return axis


def _time_axis(letters: str, shape: tuple[int, ...], rest: list[int], name: str) -> int | None:
    if not rest:
        return None
    if len(rest) == 1:
        return rest[0]
    names = [letters[axis] for axis in rest]
    if len(rest) == 2 and "Z" in names:
        planes = shape[rest[names.index("Z")]]
        raise FramesError(
            f"{name} has both time and depth (axes {letters!r}, shape {shape}); "
            f"choose a plane with z=0 to z={planes - 1}"
        )
    raise FramesError(
        f"{name} has {len(rest)} axes that could be time (axes {letters!r}, shape {shape}); "
        + _WAY_OUT
    )


def _is_rgb(
    letters: str, shape: tuple[int, ...], dtype: np.dtype[Any], channels: tuple[int, ...]
) -> bool:
    if len(channels) != 1 or shape[channels[0]] not in (3, 4):
        return False
    return letters[channels[0]] == "S" or dtype == np.uint8
