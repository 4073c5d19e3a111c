"""Every parameter once: default, bounds, title, description.

The napari form, the command line's options, the session file and the provenance in exports
are all derived from these models, so a parameter that is not here does not exist. A title is
a form's label; a description is one sentence that reads well after an option's name.
"""

from __future__ import annotations

from typing import Literal

from pydantic import BaseModel, ConfigDict, Field


class Params(BaseModel):
    """What all groups of parameters share: they are values, and unknown names are refused."""

    model_config = ConfigDict(frozen=True, extra="forbid")


class LinkParams(Params):
    """How objects that were segmented frame by frame are joined into tracks."""

    min_iou: float = Field(
        default=0.3,
        gt=0.0,
        le=1.0,
        title="Minimum overlap",
        description="Two masks can be the same object if their intersection over union "
        "is at least this.",
    )
    max_gap: int = Field(
        default=1,
        ge=0,
        title="Longest gap",
        description="How many frames in a row an object may be missing and still keep its "
        "track; 0 ends a track at once.",
    )
    binary: Literal["auto", "yes", "no"] = Field(
        default="auto",
        title="Binary masks",
        description="Whether the masks are foreground only and have to be split into connected "
        "parts; auto: if no frame holds more than one value.",
    )
