"""What the engine gives back, frame by frame."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum

import numpy as np
from numpy.typing import NDArray


class State(StrEnum):
    """What is known of an object on a frame."""

    PROMPTED = "prompted"
    PROPAGATED = "propagated"
    ABSENT = "absent"


@dataclass(frozen=True, slots=True)
class ObjectResult:
    """One object on one frame.

    Attributes
    ----------
    object_id
        Id, which is its label.
    state
        See `State`.
    score
        Probability, 0 to 1, that the object is there.
    iou
        Predicted IoU of its mask, 0 to 1.
    """

    object_id: int
    state: State
    score: float
    iou: float


@dataclass(frozen=True, eq=False, slots=True)
class FrameResult:
    """One finished frame of a pass.

    Attributes
    ----------
    frame
        Its index.
    labels_yx
        (Y, X) uint32, only the objects of this pass.
    logits_yx
        (Y, X) float32, the logit that won each pixel, 0 on the background.
    objects
        The objects of this pass, by id.
    """

    frame: int
    labels_yx: NDArray[np.uint32]
    logits_yx: NDArray[np.float32]
    objects: tuple[ObjectResult, ...]
