"""Parameters of reading prompts from files."""

from __future__ import annotations

from typing import Literal

from pydantic import Field

from napari_sam2track.params import Params, PixelSize
from napari_sam2track.parsing.sizes import parsed_sizes


class PromptParams(Params):
    """Reading of prompts from files of other programs."""

    pixel_size: PixelSize = Field(
        default=None,
        title="Pixel size",
        coerce_numbers_to_str=True,
        description="Size of a pixel in the unit of the places in a table of prompts (--prompts), "
        "or its height,width, such as 0.65 or 0.65,0.7; if not given, they are in pixels.",
    )

    @property
    def pixel_size_yx(self) -> tuple[float, float] | None:
        """Height and width of a pixel; None if places are in pixels."""
        return None if self.pixel_size is None else parsed_sizes(self.pixel_size)[1:]


class MaskPromptParams(Params):
    """Reading of masks as prompts."""

    void: Literal["auto", "keep"] = Field(
        default="auto",
        title="Void",
        description="What 255 is in masks (--mask-prompts) whose other labels are few and small, "
        "as in DAVIS: no object, left out with a note (auto), or object 255 (keep).",
    )
