"""Prompts in files: our JSON, and the points that napari saves as CSV."""

from __future__ import annotations

import csv
import json
import math
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from napari_sam2track.errors import FormatError, PromptError
from napari_sam2track.labels import checked_id
from napari_sam2track.masks import Mask
from napari_sam2track.prompts.syntax import parse_label
from napari_sam2track.prompts.values import Point, Prompt, PromptSet

if TYPE_CHECKING:
    from napari_sam2track.prompts.schema import FrameModel, MaskModel

FORMAT = "sam2track-prompts"
VERSION = 1


def prompts_to_dict(prompts: PromptSet) -> dict[str, Any]:
    """Return prompts as plain values, for a session file or JSON.

    Returns
    -------
    ::

        {"format": "sam2track-prompts", "version": 1, "objects": [
            {"id": 1, "frames": [
                {"frame": 0, "points": [[y, x, label], ...], "box": [y0, x0, y1, x1]},
                {"frame": 9, "mask": {"y0": 3, "x0": 5, "height": 2, "width": 2,
                                      "runs": [1, 3]}}]}]}

    Coordinates are data pixels with the centre of a pixel at the integer; a label is 1
    (positive) or 0 (negative); keys without a value are left out. A mask is a crop whose first
    pixel is (y0, x0), as run lengths row by row, beginning with the pixels outside (maybe 0).
    """
    objects = []
    for object_id in prompts.objects:
        frames = [
            {"frame": frame, **_prompt_to_dict(prompt)}
            for frame, prompt in prompts.of_object(object_id).items()
        ]
        objects.append({"id": object_id, "frames": frames})
    return {"format": FORMAT, "version": VERSION, "objects": objects}


def prompts_to_json(prompts: PromptSet) -> str:
    """Return prompts as JSON text; see `prompts_to_dict` for its form."""
    return json.dumps(prompts_to_dict(prompts), allow_nan=False)


def prompts_from_json(content: str | Mapping[str, Any], name: str = "prompts") -> PromptSet:
    """Read what `prompts_to_json` or `prompts_to_dict` wrote.

    Parameters
    ----------
    content
        JSON text, or the values decoded from it.
    name
        Name of the content in a message, such as the file.

    Raises
    ------
    FormatError
        With the first place that is not valid.
    """
    from pydantic import ValidationError

    from napari_sam2track.prompts.schema import PromptsModel

    try:
        decoded = json.loads(content) if isinstance(content, str) else content
    except ValueError as error:
        raise FormatError(f"{name} is not JSON ({error}); export the prompts again") from error
    version = decoded.get("version") if isinstance(decoded, Mapping) else None
    if isinstance(version, int) and version > VERSION:
        raise FormatError(
            f"{name} has version {version} of the prompts format, this program knows {VERSION}; "
            "update napari-sam2track"
        )
    try:
        model = PromptsModel.model_validate(decoded)
    except ValidationError as error:
        first, count = error.errors()[0], error.error_count()
        place = ".".join(str(part) for part in first["loc"]) or "the whole"
        more = f" (and {count - 1} more)" if count > 1 else ""
        raise FormatError(
            f"{name} cannot be read as prompts: {place}: {first['msg']}{more}; "
            'a file begins with {"format": "sam2track-prompts", "version": 1, "objects": [...]}'
        ) from error

    prompts: dict[tuple[int, int], Prompt] = {}
    for of_object in model.objects:
        for of_frame in of_object.frames:
            key = of_object.id, of_frame.frame
            if key in prompts:
                raise FormatError(
                    f"{name} has object {key[0]} on frame {key[1]} twice; join the two"
                )
            prompts[key] = _prompt_from_model(of_frame, f"{name}, object {key[0]}")
    return PromptSet(prompts)


def prompts_from_csv(path: Path) -> PromptSet:
    """Read points that napari saved as CSV from a Points layer.

    Parameters
    ----------
    path
        A file with the columns ``axis-0``, ``axis-1`` (y, x: frame 0) or ``axis-0``, ``axis-1``,
        ``axis-2`` (frame, y, x), in data pixels. The features ``object_id`` (1 if there is none)
        and ``label`` (``positive`` or ``negative``; positive if there is none) may follow; other
        columns are ignored.

    Raises
    ------
    FormatError
        If the file cannot be read; the message names the line.
    """
    try:
        with path.open(newline="", encoding="utf-8-sig") as file:
            reader = csv.DictReader(file, skipinitialspace=True)
            rows = [(reader.line_num, row) for row in reader]
            columns = [name for name in reader.fieldnames or () if name]
    except (OSError, UnicodeDecodeError, csv.Error) as error:
        raise FormatError(
            f"{path} cannot be read as CSV ({error}); save the points again in napari"
        ) from error
    axes = sorted(name for name in columns if name.startswith("axis-"))
    if axes not in (["axis-0", "axis-1"], ["axis-0", "axis-1", "axis-2"]):
        raise FormatError(
            f"{path} has the columns {', '.join(columns) or 'none'}; needed are axis-0, axis-1, "
            "axis-2 (frame, y, x) or axis-0, axis-1 (y, x), as napari saves points"
        )
    points: dict[tuple[int, int], list[Point]] = {}
    for line, row in rows:
        key, point = _point_from_row(row, axes, f"{path}, line {line}")
        points.setdefault(key, []).append(point)
    return PromptSet({key: Prompt(points=tuple(found)) for key, found in points.items()})


def read_prompts(path: Path) -> PromptSet:
    """Read a file of prompts: ``.json`` (ours) or ``.csv`` (napari's points).

    Raises
    ------
    FormatError
        If the file is missing, of another kind, or cannot be read.
    """
    if path.suffix.lower() == ".csv":
        return prompts_from_csv(path)
    if path.suffix.lower() != ".json":
        raise FormatError(f"{path} is no file of prompts; give .json, or .csv saved by napari")
    try:
        text = path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise FormatError(f"{path} cannot be read ({error}); check the path") from error
    return prompts_from_json(text, str(path))


def mask_to_runs(mask: Mask) -> list[int]:
    """Return run lengths of a mask's crop, row by row, first the pixels outside (maybe 0)."""
    flat = np.concatenate(([False], mask.crop.ravel()))
    changes = np.flatnonzero(flat[1:] != flat[:-1])
    bounds = np.concatenate(([0], changes, [mask.crop.size]))
    runs: list[int] = np.diff(bounds).tolist()
    return runs if mask.crop.size else []


def mask_from_runs(runs: tuple[int, ...], height: int, width: int, y0: int, x0: int) -> Mask:
    """Return the mask of some runs, see `mask_to_runs`; `runs` add up to height * width."""
    values = np.arange(len(runs)) % 2 == 1
    crop = np.repeat(values, runs).reshape(height, width)
    return Mask(crop, y0, x0)


def _prompt_to_dict(prompt: Prompt) -> dict[str, Any]:
    plain: dict[str, Any] = {}
    if prompt.points:
        plain["points"] = [[float(p.y), float(p.x), int(p.positive)] for p in prompt.points]
    if prompt.box is not None:
        plain["box"] = [float(side) for side in prompt.box]
    if prompt.mask is not None:
        mask = prompt.mask
        plain["mask"] = {
            "y0": int(mask.y0),
            "x0": int(mask.x0),
            "height": mask.crop.shape[0],
            "width": mask.crop.shape[1],
            "runs": mask_to_runs(mask),
        }
    return plain


def _prompt_from_model(model: FrameModel, where: str) -> Prompt:
    points = tuple(Point(y, x, bool(label)) for y, x, label in model.points)
    mask = None if model.mask is None else _mask_from_model(model.mask)
    try:
        return Prompt(points, model.box, mask)
    except PromptError as error:
        raise FormatError(f"{where}, frame {model.frame}: {error}") from error


def _mask_from_model(model: MaskModel) -> Mask:
    return mask_from_runs(model.runs, model.height, model.width, model.y0, model.x0)


def _point_from_row(
    row: Mapping[str, str | None], axes: list[str], where: str
) -> tuple[tuple[int, int], Point]:
    """Return ((object id, frame), point) from one line of napari's table."""
    *frame, y, x = (_cell_number(row, axis, where) for axis in axes)
    object_id = 1
    if (row.get("object_id") or "").strip().lower() not in ("", "nan"):
        object_id = checked_id(_cell_number(row, "object_id", where), f"{where}: object_id")
    t = round(frame[0]) if frame else 0  # napari shows a point on the nearest slice
    if t < 0:
        raise FormatError(f"{where}: frame {t}; frames are counted from 0")
    label = (row.get("label") or "").strip()
    positive = True if label.lower() in ("", "nan") else parse_label(label)
    if positive is None:
        raise FormatError(f"{where}: label {label!r} is neither positive nor negative")
    return (object_id, t), Point(y, x, positive)


def _cell_number(row: Mapping[str, str | None], column: str, where: str) -> float:
    text = row.get(column)
    try:
        value = float(text or "")
    except ValueError:
        value = math.nan
    if not math.isfinite(value):
        raise FormatError(f"{where}: {column} is {text!r}, which is not a finite number")
    return value
