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

_LABELS_WAY_OUT = (
    "give one letter an axis (--axes, or axes= in Python), such as TYX or TZYX; for a folder, "
    "those of one file, such as ZYX"
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
    depth
        Position of the axis of planes, where a frame is a volume (labels only); else None.
    y, x
        Positions of rows and columns.
    channels
        Positions of the channel axes (none, one, or two if the array has C and S).
    fixed
        (position, index) of every axis that is not read along.
    rgb
        See `Source.rgb`.
    notes
        What was assumed, in words.
    """

    axes: str
    shape: tuple[int, ...]
    time: int | None
    depth: int | None
    y: int
    x: int
    channels: tuple[int, ...]
    fixed: tuple[tuple[int, int], ...]
    rgb: bool = False
    notes: tuple[str, ...] = ()

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
    def frame_shape(self) -> tuple[int, ...]:
        """(Y, X), or (Z, Y, X)."""
        plane = self.height, self.width
        return plane if self.depth is None else (self.shape[self.depth], *plane)

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
        block = self._transposed(block, (self.y, self.x, *self.channels))
        return block.reshape(*block.shape[:2], -1)

    def whole(self, t: int) -> tuple[int | slice, ...]:
        """Return the index of frame `t`, as large as it is."""
        index = list(self.index(t, 0, self.height, 0, self.width))
        index[self.y] = index[self.x] = slice(None)
        return tuple(index)

    def arrange_labels(self, block: NDArray[Any]) -> NDArray[Any]:
        """Bring labels that `whole` cut out into the order (Z,) Y, X; a view."""
        depth = () if self.depth is None else (self.depth,)
        return self._transposed(block, (*depth, self.y, self.x))

    @staticmethod
    def _transposed(block: NDArray[Any], order: tuple[int, ...]) -> NDArray[Any]:
        """Return a block, whose axes are those of `order` ascending, with its axes in `order`."""
        kept = sorted(order)
        return block.transpose([kept.index(axis) for axis in order])


def size_text(shape: tuple[int, ...]) -> str:
    """Return a size as people write it, width first."""
    return " x ".join(str(n) for n in reversed(shape))


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
        depth=None,
        y=y,
        x=x,
        channels=long_channels,
        fixed=tuple(sorted(fixed.items())),
        rgb=_is_rgb(letters, shape, dtype, long_channels),
        notes=_assumed(letters, shape, rest, axes),
    )


def resolve_label_layout(
    shape: tuple[int, ...], name: str, *, axes: str | None = None, known: str | None = None
) -> Layout:
    """Decide what the axes of an array of labels mean: time and depth, but no channels.

    Parameters
    ----------
    shape
        Of the array.
    name
        Name of the file in a message.
    axes
        Axes given by a person: one letter an axis, T, Z, Y or X.
    known
        Axes declared by the file; other letters than these are fine on axes of length 1, and
        Q and I stand for time.

    Raises
    ------
    FramesError
        If there are no pixels, the letters do not fit, there are channels, or axes are unclear.

    Notes
    -----
    Without letters, the last two axes are rows and columns, and axes of length 1 are dropped;
    the one before is time, and two before are time and depth.
    A file that has depth and no time is a movie of planes, as everywhere in this program.
    """
    if len(shape) < 2 or 0 in shape:
        raise FramesError(
            f"{name} has shape {shape}: labels need rows, columns and at least one frame"
        )
    if axes is not None:
        letters = axes.strip().upper()
        if len(letters) != len(shape) or len(set(letters)) != len(letters):
            raise FramesError(
                f"axes {axes!r} do not fit {name} of shape {shape}; {_LABELS_WAY_OUT}"
            )
        if set(letters) - set("TZYX") or not {"Y", "X"} <= set(letters):
            raise FramesError(
                f"axes {axes!r} for {name}: labels have T, Z, Y and X, Y and X always; "
                + _LABELS_WAY_OUT
            )
    elif known is not None and known.upper().count("Y") == known.upper().count("X") == 1:
        letters = _label_letters(known.upper(), shape, name)
    else:
        leading = [axis for axis, n in enumerate(shape[:-2]) if n > 1]
        if len(leading) > 2:
            raise FramesError(
                f"{name} has shape {shape}, which is neither (T, Y, X) nor (T, Z, Y, X): save one "
                f"channel, or {_LABELS_WAY_OUT}"
            )
        first = leading or ([0] if len(shape) > 2 else [])
        names = dict(zip(first, "TZ", strict=False))
        letters = "".join(names.get(axis, "Q") for axis in range(len(shape) - 2)) + "YX"
    time, depth = (letters.index(letter) if letter in letters else None for letter in "TZ")
    y, x = letters.index("Y"), letters.index("X")
    fixed = tuple((k, 0) for k in range(len(shape)) if k not in (time, depth, y, x))
    return Layout(letters, shape, time, depth, y, x, (), fixed)


def _label_letters(letters: str, shape: tuple[int, ...], name: str) -> str:
    """Return T, Z, Y and X for a file's letters, which may be too many or leave some open."""
    others = [k for k, letter in enumerate(letters) if letter not in "TZYX" and shape[k] > 1]
    time = letters.find("T")
    unknown = [k for k in others if letters[k] in "QI"]
    if time < 0 and unknown:
        time = unknown[0]
        others.remove(time)
    if others:
        raise FramesError(
            f"{name} has axes {letters} of shape {shape}: label images have one value a pixel, "
            f"without channels; save one channel, axes TYX or TZYX, or {_LABELS_WAY_OUT}"
        )
    depth = letters.find("Z")
    if time < 0:
        time, depth = depth, -1  # planes are frames
    elif depth >= 0 and shape[depth] == 1:
        depth = -1
    meant = {time: "T", depth: "Z", letters.index("Y"): "Y", letters.index("X"): "X"}
    return "".join(meant.get(k, "Q") for k in range(len(shape)))


def _assumed(
    letters: str, shape: tuple[int, ...], rest: list[int], axes: str | None
) -> tuple[str, ...]:
    """Return what was assumed of axes that nobody gave."""
    if axes is None and rest and letters[rest[0]] == "Z":
        return (f"its {shape[rest[0]]} planes (Z) are taken as frames, as it has no time",)
    return ()


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
