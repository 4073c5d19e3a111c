"""The parameters of fine-tuning; forms, options and help are derived from them as from `params`."""

from __future__ import annotations

from typing import Literal

from pydantic import Field

from napari_sam2track.params import Params


class TuneParams(Params):
    """Fine-tuning of a model on one's own labels."""

    minutes: float = Field(
        default=10.0,
        gt=0,
        title="Minutes",
        description="How long to train; it ends earlier where nothing gets better.",
    )
    steps: int | None = Field(
        default=None,
        ge=1,
        title="Steps",
        description="So many steps instead of a time: the same result on every machine of a kind.",
    )
    what: Literal["all", "decoder"] = Field(
        default="all",
        title="What is trained",
        description="The whole network (all), or all but the image encoder (decoder): faster, "
        "less memory, less to be learnt.",
    )
    rate: float = Field(
        default=2e-4, gt=0, title="Learning rate", description="Highest learning rate."
    )
    decay: float = Field(default=0.05, ge=0, title="Weight decay", description="Of the optimiser.")
    keep: float = Field(
        default=0.5,
        ge=0,
        lt=1,
        title="Kept of the base",
        description="Part of the model to begin with in the new weights; with 0 it is better on "
        "frames like those it learnt from, and worse on others.",
    )
    windows: int = Field(
        default=4,
        ge=1,
        title="Windows",
        description="Windows of a step, with two objects each; twice as many of single frames.",
    )
    frames: int = Field(
        default=4,
        ge=2,
        le=16,
        title="Frames",
        description="Over how many frames objects are followed in a step.",
    )
    hold_out: float = Field(
        default=0.2,
        gt=0,
        lt=1,
        title="Hold out",
        description="Part of the movies that the model is judged by; of a single movie, of its "
        "frames.",
    )
    weight: float = Field(
        default=4.0,
        ge=1,
        title="Weight of corrections",
        description="How many times as often an object is shown on a frame where a person "
        "prompted or corrected it.",
    )
    every: float = Field(
        default=0.1,
        gt=0,
        le=1,
        title="Look every",
        description="Part of the training between two looks at held-out windows.",
    )
    patience: int = Field(
        default=4,
        ge=1,
        title="Patience",
        description="Stop after so many looks at which nothing was better than before.",
    )
    seed: int = Field(default=0, ge=0, title="Seed", description="Of all that is drawn.")
