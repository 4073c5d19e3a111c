"""Shapes in tables: a Shapes layer as napari saves it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from napari_sam2track.errors import FormatError, PromptError
from napari_sam2track.labels import checked_id
from napari_sam2track.parsing.csv_table import CsvTable
from napari_sam2track.prompts.drawn_shapes import drawn_prompt
from napari_sam2track.prompts.points_table import IN_PIXELS, object_in, unused
from napari_sam2track.prompts.prompt_words import OBJECT_COLUMNS, columns_of, plain_name
from napari_sam2track.prompts.table_places import counted, odd_places, read_places
from napari_sam2track.prompts.values import Key, Prompt, PromptSet

_TYPE, _CORNER, _INDEX = "shapetype", "vertexindex", "index"


@dataclass(frozen=True, eq=False)
class _Shape:
    """A shape of the table: its rows, and what it is called in a message."""

    index: int
    rows: NDArray[np.intp]
    where: str


def holds_shapes(table: CsvTable) -> bool:
    """Return whether a table is a Shapes layer of napari's."""
    names = {plain_name(name) for name in table.names}
    return _TYPE in names and _INDEX in names


def prompts_of_shapes(
    table: CsvTable,
    shape: tuple[int, int],
    z: int | None = None,
    pixel_size_yx: tuple[float, float] | None = None,
) -> tuple[PromptSet, tuple[str, ...]]:
    """Return the boxes and masks in a table of shapes, and notes on what it was read as.

    Parameters
    ----------
    table
        A row for each corner. Each shape is an object, the first one object 1, if no column of
        objects was added: napari does not save of which object a shape is.
    shape
        (height, width) of the image.
    z, pixel_size_yx
        See `read_places`.

    Raises
    ------
    FormatError
        With the line, if a shape encloses nothing or cannot be one object on one frame; or see
        `read_places`.
    """
    places = read_places(table, z, pixel_size_yx)
    named = {plain_name(name): name for name in table.names}
    types = [text.lower() for text in table.texts(named[_TYPE])]
    objects = columns_of(table.names, OBJECT_COLUMNS)
    shapes = _shapes(table, named)
    centres = [places.yx[s.rows].mean(axis=0) for s in shapes if places.here[s.rows[0]]]
    odd = odd_places(np.array(centres).reshape(-1, 2), shape, IN_PIXELS)
    found: dict[Key, Prompt] = {}
    turned = 0
    for one in shapes:
        rows = one.rows
        for what, values in (("frames", places.frames), ("planes", places.here)):
            if len(np.unique(values[rows])) > 1:
                raise FormatError(f"{one.where} lies on several {what}; draw it on one")
        if not places.here[rows[0]]:
            continue
        kinds = {types[row] for row in rows}
        if len(kinds) > 1:
            raise FormatError(
                f"{one.where} has the types {', '.join(sorted(kinds))}; give each shape an index "
                "of its own"
            )
        try:
            prompt = drawn_prompt(types[rows[0]], places.yx[rows], shape)
        except PromptError as error:
            raise FormatError(f"{one.where} {error}" + (f" ({odd})" if odd else "")) from error
        key = _object(table, one, objects), int(places.frames[rows[0]])
        if key in found:
            raise FormatError(
                f"{one.where} is a second shape of object {key[0]} on frame {key[1]}; keep one"
            )
        found[key] = prompt
        turned += types[rows[0]] == "rectangle" and prompt.mask is not None
    prompts = PromptSet(found)

    boxes = sum(prompt.box is not None for prompt in found.values())
    parts = [counted(boxes, "box", "boxes")] if boxes else []
    parts += [counted(len(found) - boxes, "mask")] if len(found) > boxes else []
    by = f"({objects[0]})" if objects else "(one a shape)"
    used = {*places.columns, *objects[:1], *(named.get(k, "") for k in (_TYPE, _CORNER))}
    n = counted(len(prompts.objects), "object")
    notes = [f"read as shapes of napari: {', '.join((*parts, n))} {by}{unused(table, used)}"]
    frames = len(prompts.frames)
    if not objects and frames > 1:
        notes.append(
            f"the shapes are on {frames} frames, and napari does not save of which object a shape "
            "is: add a column object_id if several are of one object"
        )
    if turned:
        notes.append(f"{counted(turned, 'turned rectangle')} taken as a mask")
    return prompts, (*notes, *places.notes, *(() if odd is None else (odd,)))


def _shapes(table: CsvTable, named: dict[str, Any]) -> list[_Shape]:
    """Return the shapes of a table in the order of their numbers, corners in theirs."""
    indices = table.whole_numbers(named[_INDEX])
    corners = np.arange(len(table))
    if _CORNER in named:
        corners = table.whole_numbers(named[_CORNER])
    order = np.lexsort((corners, indices))
    groups = np.split(order, np.flatnonzero(np.diff(indices[order])) + 1) if len(table) else []
    return [
        _Shape(int(indices[rows[0]]), rows, f"{table.where(rows[0])}: shape {indices[rows[0]]}")
        for rows in groups
    ]


def _object(table: CsvTable, one: _Shape, objects: list[str]) -> int:
    row = int(one.rows[0])
    if not objects:
        return checked_id(one.index + 1, f"{one.where}: the object, one more than the index,")
    return object_in(table, row, objects[0], table.texts(objects[0])[row])
