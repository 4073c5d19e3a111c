"""Prompts of a person for objects: points, boxes and masks on frames, as frozen values."""

from napari_sam2track.prompts.from_labels import masks_from_labels
from napari_sam2track.prompts.problems import validate_prompts
from napari_sam2track.prompts.prompts_json import (
    mask_from_runs,
    mask_to_runs,
    prompts_from_json,
    prompts_to_dict,
    prompts_to_json,
)
from napari_sam2track.prompts.reading import FoundPrompts, read_prompts
from napari_sam2track.prompts.syntax import (
    format_object_points,
    format_points,
    parse_box,
    parse_mask_source,
    parse_object_points,
    parse_points,
    prompts_from_boxes,
    prompts_from_texts,
)
from napari_sam2track.prompts.values import Box, Point, Prompt, PromptSet

__all__ = [
    "Box",
    "FoundPrompts",
    "Point",
    "Prompt",
    "PromptSet",
    "format_object_points",
    "format_points",
    "mask_from_runs",
    "mask_to_runs",
    "masks_from_labels",
    "parse_box",
    "parse_mask_source",
    "parse_object_points",
    "parse_points",
    "prompts_from_boxes",
    "prompts_from_json",
    "prompts_from_texts",
    "prompts_to_dict",
    "prompts_to_json",
    "read_prompts",
    "validate_prompts",
]
