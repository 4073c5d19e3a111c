"""Places in tables: which columns are frame, plane, row and column, and in which unit."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from napari_sam2track.errors import FormatError
from napari_sam2track.parsing.bounds import MAX_FRAMES, checked_frame
from napari_sam2track.parsing.csv_table import CsvTable
from napari_sam2track.prompts.prompt_words import (
    COLUMN_COLUMNS,
    FRAME_COLUMNS,
    PLANE_COLUMNS,
    ROW_COLUMNS,
    columns_of,
)

_AXIS = re.compile(r"axis[-_ ]?([0-9]{1,2})", re.IGNORECASE)

#: Most axes of a layer of prompts: time, channel, depth, rows, columns.
_MOST_AXES = 5

#: Places within so much of both sides are in a corner, and fewer of them say nothing.
_CORNER, _LEAST_PLACES = 0.1, 3


@dataclass(frozen=True, eq=False)
class PromptPlaces:
    """Places of the rows of a table.

    Attributes
    ----------
    frames
        (N,) frame of each row.
    yx
        (N, 2), in pixels.
    here
        (N,) whether it is on the plane that is worked on.
    columns
        Names of the columns that were read.
    from_napari
        Whether the columns are called as napari calls them.
    notes
        What was left out.
    """

    frames: NDArray[np.int64]
    yx: NDArray[np.float64]
    here: NDArray[np.bool_]
    columns: tuple[str, ...]
    from_napari: bool
    notes: tuple[str, ...]


@dataclass(frozen=True)
class _Columns:
    """Names of the columns of places."""

    frame: str | None
    planes: tuple[str, ...]
    y: str
    x: str
    from_napari: bool

    @property
    def all(self) -> tuple[str, ...]:
        return (*(() if self.frame is None else (self.frame,)), *self.planes, self.y, self.x)


def read_places(
    table: CsvTable, z: int | None, pixel_size_yx: tuple[float, float] | None
) -> PromptPlaces:
    """Return the places of a table's rows.

    Parameters
    ----------
    table
        With napari's columns axis-0, axis-1 (y, x) or axis-0, axis-1, axis-2 (frame, y, x); one
        or two more axes before the last two are channel and plane. Or with columns x and y, and
        maybe frame and z.
    z
        The plane that is worked on.
    pixel_size_yx
        Divides the places.

    Raises
    ------
    FormatError
        If there are no such columns, a value is no number, or a plane has to be chosen.
    """
    columns = _columns(table)
    here, notes = _on_plane(table, columns.planes, z)
    yx = np.stack([table.numbers(columns.y), table.numbers(columns.x)], axis=1)
    if pixel_size_yx is not None:
        yx = yx / pixel_size_yx
    frames = _frames(table, columns)
    return PromptPlaces(frames, yx, here, columns.all, columns.from_napari, notes)


def odd_places(yx: NDArray[np.float64], shape: tuple[int, int], way_out: str) -> str | None:
    """Return a warning if most places are outside the image, or all in its first corner.

    Parameters
    ----------
    yx
        (N, 2), in pixels.
    shape
        (height, width) of the image.
    way_out
        What to do if they are not in pixels.
    """
    if not len(yx):
        return None
    outside = ((yx < -0.5) | (yx > np.array(shape) - 0.5)).any(axis=1)
    if 2 * int(outside.sum()) > len(yx):
        where = f"{int(outside.sum())} of {len(yx)} lie outside the image"
    elif len(yx) >= _LEAST_PLACES and (np.abs(yx) < _CORNER * np.array(shape)).all():
        where = f"all {len(yx)} lie in the first corner of the image"
    else:
        return None
    size = f"({shape[1]} wide, {shape[0]} high)"
    return f"{where} {size}: they may be in micrometers, not in pixels; {way_out}"


def counted(n: int, what: str, plural: str = "") -> str:
    """Return a number with its noun."""
    return f"{n} {what if n == 1 else plural or what + 's'}"


def _columns(table: CsvTable) -> _Columns:
    axes = {int(m[1]): name for name in table.names if (m := _AXIS.fullmatch(name))}
    if 2 <= len(axes) <= _MOST_AXES and sorted(axes) == list(range(len(axes))):
        names = [axes[k] for k in range(len(axes))]
        frame = names[0] if len(names) > 2 else None
        return _Columns(frame, tuple(names[1:-2]), names[-2], names[-1], True)
    rows = columns_of(table.names, ROW_COLUMNS)
    columns = columns_of(table.names, COLUMN_COLUMNS)
    if axes or not rows or not columns:
        raise FormatError(
            f"{table.path} has the columns {', '.join(table.names)[:300] or 'none'}; needed are "
            "axis-0, axis-1, axis-2 (frame, y, x) or axis-0, axis-1 (y, x), as napari saves them, "
            "or x and y, and frame if there are several: rename them"
        )
    frames = columns_of(table.names, FRAME_COLUMNS)
    planes = columns_of(table.names, PLANE_COLUMNS)
    return _Columns(
        frames[0] if frames else None, tuple(planes[:1]), rows[0], columns[0], from_napari=False
    )


def _frames(table: CsvTable, columns: _Columns) -> NDArray[np.int64]:
    if columns.frame is None:
        return np.zeros(len(table), np.int64)
    values = table.numbers(columns.frame)
    # napari shows a prompt on the nearest slice; other programs count
    frames = np.rint(values) if columns.from_napari else values
    bad = np.flatnonzero((frames != np.rint(frames)) | (frames < 0) | (frames >= MAX_FRAMES))
    if len(bad):
        k = int(bad[0])
        checked_frame(frames[k], f"{table.where(k)}: {columns.frame}")
    return frames.astype(np.int64)


def _on_plane(
    table: CsvTable, planes: Sequence[str], z: int | None
) -> tuple[NDArray[np.bool_], tuple[str, ...]]:
    """Return which rows are on the plane, and notes on the others."""
    here = np.ones(len(table), bool)
    if not planes or not len(table):
        return here, ()
    values = {name: np.rint(table.numbers(name)).astype(np.int64) for name in planes}
    several = [name for name in planes if len(np.unique(values[name])) > 1]
    if len(several) > 1:
        raise FormatError(
            f"{table.path} has several values in {' and in '.join(several)}, of which only one can "
            "be the plane; keep the rows of one, and remove the other column"
        )
    name = several[0] if several else planes[-1]
    there = _listed(values[name])
    if z is None and several:
        raise FormatError(
            f"{table.path} has places on several planes ({name} is {there}); choose one with --z "
            "(z= in Python), or keep the rows of one"
        )
    if z is None:
        return here, (f"all are on plane {there} ({name})",)
    here = values[name] == z
    if not here.any():
        raise FormatError(
            f"{table.path} has nothing on plane {z} ({name} is {there}); choose another one with "
            "--z (z= in Python)"
        )
    out = int((~here).sum())
    note = f"{counted(out, 'row')} on other planes than {z} ({name}) left out"
    return here, (note,) if out else ()


def _listed(values: NDArray[np.int64], most: int = 8) -> str:
    found = np.unique(values).tolist()
    return ", ".join(map(str, found[:most])) + (", ..." if len(found) > most else "")
