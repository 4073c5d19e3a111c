"""Axes of an array of labels: which are time, depth, rows and columns, decided once."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from numpy.typing import NDArray

from napari_sam2track.errors import FormatError

_WAY_OUT = (
    "give one letter an axis (--axes, or axes= in Python), such as TYX or TZYX; for a folder, "
    "those of one file, such as ZYX"
)


@dataclass(frozen=True, slots=True)
class LabelAxes:
    """The part that each axis of an array of labels plays.

    Attributes
    ----------
    shape
        Of the array.
    time, depth
        Positions of the axes of frames and planes; None if there are none.
    rows, columns
        Positions of Y and X, in this order.
    """

    shape: tuple[int, ...]
    time: int | None
    depth: int | None
    rows: int
    columns: int

    @property
    def n_frames(self) -> int:
        """Number of frames."""
        return 1 if self.time is None else self.shape[self.time]

    @property
    def frame_shape(self) -> tuple[int, ...]:
        """(Y, X), or (Z, Y, X)."""
        return tuple(self.shape[axis] for axis in self._kept)

    def index(self, t: int) -> tuple[int | slice, ...]:
        """Return the index of frame `t`: integers everywhere but along (Z,) Y and X."""
        index: list[int | slice] = [0] * len(self.shape)
        for axis in self._kept:
            index[axis] = slice(None)
        if self.time is not None:
            index[self.time] = t
        return tuple(index)

    def arrange(self, frame: NDArray[Any]) -> NDArray[Any]:
        """Transpose a frame that `index` cut out to the order (Z,) Y, X."""
        return frame.transpose([sorted(self._kept).index(axis) for axis in self._kept])

    @property
    def _kept(self) -> tuple[int, ...]:
        """Positions of (Z,) Y and X."""
        plane = self.rows, self.columns
        return plane if self.depth is None else (self.depth, *plane)


def label_axes(
    shape: tuple[int, ...], name: str, axes: str | None = None, known: str | None = None
) -> LabelAxes:
    """Decide what the axes of an array of labels mean.

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
    FormatError
        If there are no pixels, the letters do not fit, there are channels, or axes are unclear.

    Notes
    -----
    Without letters, the last two axes are rows and columns, and axes of length 1 are dropped;
    the one before is time, and two before are time and depth.
    A file that has depth and no time is a movie of planes, as everywhere in this program.
    """
    if len(shape) < 2 or 0 in shape:
        raise FormatError(
            f"{name} has shape {shape}: labels need rows, columns and at least one frame"
        )
    if axes is not None:
        letters = axes.strip().upper()
        if len(letters) != len(shape) or len(set(letters)) != len(letters):
            raise FormatError(f"axes {axes!r} do not fit {name} of shape {shape}; {_WAY_OUT}")
        stray = sorted(set(letters) - set("TZYX"))
        if stray or not {"Y", "X"} <= set(letters):
            raise FormatError(
                f"axes {axes!r} for {name}: labels have T, Z, Y and X, Y and X always; {_WAY_OUT}"
            )
        return _of_letters(letters, shape)
    if known is not None:
        letters = known.upper()
        if letters.count("Y") == letters.count("X") == 1:
            return _of_known(letters, shape, name)
    leading = [axis for axis, n in enumerate(shape[:-2]) if n > 1]
    if len(leading) > 2:
        raise FormatError(
            f"{name} has shape {shape}, which is neither (T, Y, X) nor (T, Z, Y, X): save one "
            f"channel, or {_WAY_OUT}"
        )
    time = leading[0] if leading else (0 if len(shape) > 2 else None)
    depth = leading[1] if len(leading) == 2 else None
    return LabelAxes(shape, time, depth, len(shape) - 2, len(shape) - 1)


def _of_letters(letters: str, shape: tuple[int, ...]) -> LabelAxes:
    time, depth = (letters.index(a) if a in letters else None for a in "TZ")
    return LabelAxes(shape, time, depth, letters.index("Y"), letters.index("X"))


def _of_known(letters: str, shape: tuple[int, ...], name: str) -> LabelAxes:
    """Decide the axes by a file's letters, which may be too many or leave some open."""
    found = _of_letters(letters, shape)
    others = [k for k, letter in enumerate(letters) if letter not in "TZYX" and shape[k] > 1]
    time, depth = found.time, found.depth
    unknown = [k for k in others if letters[k] in "QI"]
    if time is None and unknown:
        time = unknown[0]
        others.remove(time)
    if others:
        raise FormatError(
            f"{name} has axes {letters} of shape {shape}: label images have one value a pixel, "
            f"without channels; save one channel, axes TYX or TZYX, or {_WAY_OUT}"
        )
    if depth is not None and (time is None or shape[depth] == 1):
        time, depth = (depth if time is None else time), None
    return LabelAxes(shape, time, depth, found.rows, found.columns)
