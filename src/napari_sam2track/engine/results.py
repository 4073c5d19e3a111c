"""Results of the engine, frame by frame."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from enum import StrEnum

import numpy as np
from numpy.typing import NDArray

from napari_sam2track.masks import Patch, compose, compose_labels


class State(StrEnum):
    """State of an object on a frame.

    An object that is not seen is ``lost`` at first, then ``absent``: both are searched for at
    their last place. In the end it is not followed any more: ``stopped``, until prompted again.
    """

    PROMPTED = "prompted"
    PROPAGATED = "propagated"
    ABSENT = "absent"
    LOST = "lost"
    STOPPED = "stopped"


@dataclass(frozen=True, eq=False, slots=True)
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
    patch
        Its own mask, before neighbours win pixels of it; empty if it gave way to a neighbour.
    claim_strength, firm
        Strength of its claim on the mask, see `neighbours.Claim`.
    ceded
        Bool, of the shape of the mask: pixels that it gave to a neighbour; None for no pixel.
    """

    object_id: int
    state: State
    score: float
    iou: float
    patch: Patch
    claim_strength: float = 0.0
    firm: bool = False
    ceded: NDArray[np.bool_] | None = None


@dataclass(frozen=True, eq=False, slots=True)
class FrameResult:
    """One finished frame of a pass. Its size in memory does not depend on that of the frame.

    Attributes
    ----------
    frame
        Its index.
    height, width
        Of the frame, in pixels.
    objects
        The objects of this pass that were wanted on this frame, by id.
    """

    frame: int
    height: int
    width: int
    objects: tuple[ObjectResult, ...]

    def compose(self) -> tuple[NDArray[np.uint32], NDArray[np.float32]]:
        """Return (Y, X) labels by the overlap rule, and the logit that won each pixel, else 0."""
        return compose(self._patches(), self.height, self.width)

    @property
    def labels_yx(self) -> NDArray[np.uint32]:
        """(Y, X) labels, composed anew on each use."""
        return compose_labels(self._patches(), self.height, self.width)

    def _patches(self) -> Iterator[tuple[int, Patch]]:
        return ((o.object_id, o.patch) for o in self.objects)
