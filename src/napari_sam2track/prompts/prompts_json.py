"""Prompts as JSON, in files and sessions."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import numpy as np

from napari_sam2track.errors import FormatError, PromptError
from napari_sam2track.masks import Mask
from napari_sam2track.parsing.bounds import require_memory
from napari_sam2track.parsing.json_text import parsed_json
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

    decoded = content
    if isinstance(content, str):
        decoded = parsed_json(content, name, way_out="export the prompts again")
    version = decoded.get("version") if isinstance(decoded, Mapping) else None
    if isinstance(version, int) and version > VERSION:
        raise FormatError(
            f"{name} has version {str(version)[:20]} of the prompts format, this program knows "
            f"{VERSION}; update napari-sam2track"
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

    masks = [of_frame.mask for of_object in model.objects for of_frame in of_object.frames]
    area = sum(mask.height * mask.width for mask in masks if mask is not None)
    require_memory(2 * area, f"the masks of {name} ({area} pixels)")  # runs, and their crop
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
