"""Files of prompts of any kind: ours, and tables of points or shapes."""

from __future__ import annotations

import warnings
from dataclasses import dataclass
from os import PathLike
from pathlib import Path
from typing import Any

from napari_sam2track.errors import FormatError, PromptError, UsageError
from napari_sam2track.parsing.csv_table import read_csv_table
from napari_sam2track.parsing.json_text import read_json
from napari_sam2track.prompts.points_table import prompts_of_points
from napari_sam2track.prompts.prompt_params import PromptParams
from napari_sam2track.prompts.prompts_json import prompts_from_json
from napari_sam2track.prompts.shapes_table import holds_shapes, prompts_of_shapes
from napari_sam2track.prompts.values import PromptSet

_TABLES = (".csv", ".tsv")


@dataclass(frozen=True)
class FoundPrompts:
    """Prompts of a file.

    Attributes
    ----------
    prompts
        The prompts.
    notes
        What the file was read as, what of it is not used, and what was chosen by default.
    """

    prompts: PromptSet
    notes: tuple[str, ...] = ()


def read_prompts(
    path: Path,
    shape: tuple[int, int],
    params: PromptParams | None = None,
    z: int | None = None,
) -> FoundPrompts:
    """Read a file of prompts: our JSON, or a table of points or shapes.

    Parameters
    ----------
    path
        ``.json``, or ``.csv`` or ``.tsv``: a Points or Shapes layer as napari saves it, with
        columns of any program, or a table with columns x and y.
    shape
        (height, width) of the image, within which shapes are drawn.
    params
        What a person chose.
    z
        The plane that is worked on, for places with depth.

    Raises
    ------
    FormatError
        If the file is missing, of another kind, or cannot be read.
    UsageError
        If a pixel size is given for JSON, which is in pixels.
    """
    size = None if params is None else params.pixel_size_yx
    suffix = path.suffix.lower()
    if suffix in _TABLES:
        table = read_csv_table(path)
        read = prompts_of_shapes if holds_shapes(table) else prompts_of_points
        return FoundPrompts(*read(table, shape, z, size))
    if suffix != ".json":
        raise FormatError(
            f"{path} is no file of prompts; give .json, or a table (.csv, .tsv) of points or shapes"
        )
    if size is not None:
        raise UsageError(f"{path} is in pixels already; leave out --pixel-size (pixel_size)")
    content = read_json(path, way_out="export the prompts again")
    return FoundPrompts(prompts_from_json(content, str(path)))


def given_prompts(
    prompts: Any, shape: tuple[int, int], params: PromptParams, z: int | None = None
) -> PromptSet:
    """Return the prompts that a caller of the Python API gave: values, or a file.

    Notes on a file are warnings. See `read_prompts`.

    Raises
    ------
    PromptError
        If it is neither.
    """
    if isinstance(prompts, str | PathLike):
        path = Path(prompts)
        found = read_prompts(path, shape, params, z)
        for text in found.notes:
            warnings.warn(f"{path}: {text}", stacklevel=3)
        return found.prompts
    if not isinstance(prompts, PromptSet | None):
        raise PromptError(
            f"prompts is a {type(prompts).__name__}; give a PromptSet, a file of prompts, or "
            "points, boxes and masks"
        )
    if params.pixel_size is not None:
        raise UsageError("pixel_size is about a file of prompts; give one with prompts=")
    return PromptSet() if prompts is None else prompts
