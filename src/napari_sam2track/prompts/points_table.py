"""Points in tables: a Points layer as napari saves it, with columns of any program, and others."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from napari_sam2track.errors import FormatError
from napari_sam2track.labels import checked_id
from napari_sam2track.parsing.csv_table import CsvTable
from napari_sam2track.prompts.prompt_words import (
    LABEL_COLUMNS,
    OBJECT_COLUMNS,
    ROW_NUMBERS,
    columns_of,
    parse_label,
    plain_name,
    unknown_label,
)
from napari_sam2track.prompts.table_places import counted, odd_places, read_places
from napari_sam2track.prompts.values import Key, Point, Prompt, PromptSet

#: What to do about places in another unit, on the command line and in Python.
IN_PIXELS = "--pixel-size (pixel_size= in Python) divides them by the size of a pixel"

#: Columns by which a program is known.
_PROGRAMS = {"micro-sam": {"trackid", "state"}}


def prompts_of_points(
    table: CsvTable,
    shape: tuple[int, int],
    z: int | None = None,
    pixel_size_yx: tuple[float, float] | None = None,
) -> tuple[PromptSet, tuple[str, ...]]:
    """Return the clicks in a table, and notes on what it was read as.

    Parameters
    ----------
    table
        With places (see `read_places`), and maybe a column of objects (else all clicks are of
        object 1) and one of labels (else all are positive).
    shape
        (height, width) of the image.
    z, pixel_size_yx
        See `read_places`.

    Raises
    ------
    FormatError
        With the line, if an id or a label is none; or see `read_places`.
    """
    places = read_places(table, z, pixel_size_yx)
    rest = [name for name in table.names if name not in places.columns]
    objects, labels = columns_of(rest, OBJECT_COLUMNS), columns_of(rest, LABEL_COLUMNS)
    rows = np.flatnonzero(places.here).tolist()
    ids, no_id = _ids(table, objects[0] if objects else None, rows)
    positive, no_label = _positive(table, labels[0] if labels else None, rows)
    found: dict[Key, list[Point]] = {}
    for row, object_id, on_it in zip(rows, ids, positive, strict=True):
        y, x = places.yx[row].tolist()
        found.setdefault((object_id, int(places.frames[row])), []).append(Point(y, x, on_it))
    prompts = PromptSet({key: Prompt(points=tuple(points)) for key, points in found.items()})

    kind = "points of napari" if places.from_napari else "a table of points"
    used = {*places.columns, *objects[:1], *labels[:1]}
    names = {plain_name(name) for name in table.names}
    program = [name for name, columns in _PROGRAMS.items() if columns <= names]
    kind += f" with columns of {program[0]}" if program else ""
    n = counted(len(prompts.objects), "object")
    if objects:
        n += f" ({objects[0]})"
    elif len(rows) > 1:
        n += " (no column tells them apart, such as object_id)"
    notes = [f"read as {kind}: {counted(len(rows), 'point')}, {n}{unused(table, used)}"]
    if no_id:
        notes.append(f"{objects[0]} has no value in {counted(no_id, 'line')}: object 1")
    if no_label:
        notes.append(f"{labels[0]} has no value in {counted(no_label, 'line')}: positive")
    odd = odd_places(places.yx[places.here], shape, IN_PIXELS)
    return prompts, (*notes, *places.notes, *(() if odd is None else (odd,)))


def unused(table: CsvTable, used: set[str]) -> str:
    """Return a phrase that names the columns that were not used; empty if there are none."""
    rest = [
        name for name in table.names if name not in used and plain_name(name) not in ROW_NUMBERS
    ]
    return f"; columns not used: {', '.join(rest)}" if rest else ""


def _ids(table: CsvTable, column: str | None, rows: Sequence[int]) -> tuple[list[int], int]:
    """Return the objects of some rows, and how many have none."""
    if column is None:
        return [1] * len(rows), 0
    texts = table.texts(column)
    ids = [object_in(table, row, column, texts[row]) if texts[row] else 1 for row in rows]
    return ids, sum(not texts[row] for row in rows)


def object_in(table: CsvTable, row: int, column: str, text: str) -> int:
    """Return the id of an object in a cell; programs write whole numbers as 1.0 too.

    Raises
    ------
    FormatError
        With the line, if it is none.
    """
    try:
        number: float | str = float(text) if len(text) < 40 else text
    except ValueError:
        number = text
    return checked_id(number, f"{table.where(row)}: {column}")


def _positive(table: CsvTable, column: str | None, rows: Sequence[int]) -> tuple[list[bool], int]:
    """Return whether the points of some rows are positive, and how many do not say."""
    if column is None:
        return [True] * len(rows), 0
    texts = table.texts(column)
    found = []
    for row in rows:
        positive = parse_label(texts[row]) if texts[row] else True
        if positive is None:
            raise FormatError(f"{table.where(row)}: {unknown_label(texts[row], column)}")
        found.append(positive)
    return found, sum(not texts[row] for row in rows)
