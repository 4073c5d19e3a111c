"""From the logits of objects to the label image of a frame."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np
import torch
import torch.nn.functional as F
from numpy.typing import NDArray

from napari_sam2track.engine.results import FrameResult, ObjectResult, State
from napari_sam2track.engine.views import View
from napari_sam2track.engine.windows import Shape
from napari_sam2track.masks import Mask, paint, resample_logits, tidy

#: Logit of pixels that a person gave: no prediction wins over them.
GIVEN_LOGIT = np.float32(1e4)


@dataclass(frozen=True, eq=False, slots=True)
class Seen:
    """One object on one frame, before painting.

    Attributes
    ----------
    object_id
        Its label.
    view
        What the network was shown.
    logits_yx
        (S/4, S/4) logits in the view.
    score, iou
        As in `ObjectResult`.
    prompted
        Whether a person prompted it on this frame.
    given
        The mask that the person gave, where it is to be kept as it is.
    """

    object_id: int
    view: View
    logits_yx: NDArray[np.float32]
    score: float
    iou: float
    prompted: bool
    given: Mask | None = None


@dataclass(frozen=True)
class Brush:
    """How logits become pixels.

    Attributes
    ----------
    fill_holes, min_part
        See `masks.tidy`.
    as_torch
        Enlarge with torch over the whole view, as SAM2 does, to agree with it to the last bit.
    """

    fill_holes: int
    min_part: int
    as_torch: bool = False

    def patch(self, seen: Seen, height: int, width: int) -> tuple[NDArray[np.float32], int, int]:
        """Logits at the pixels of the frame, and where they lie."""
        if seen.given is not None:
            y0, x0, _, _ = seen.given.box
            return np.where(seen.given.crop, GIVEN_LOGIT, np.float32(0)), y0, x0
        if self.as_torch:
            low = torch.from_numpy(seen.logits_yx)[None, None]
            full = F.interpolate(low, (height, width), mode="bilinear", align_corners=False)
            patch, y0, x0 = full[0, 0].numpy(), 0, 0
        else:
            patch, y0, x0 = resample_logits(seen.logits_yx, seen.view.region, height, width)
        return tidy(patch, self.fill_holes, self.min_part), y0, x0


def paint_frame(
    t: int, seen: Iterable[Seen], height: int, width: int, brush: Brush
) -> tuple[FrameResult, dict[int, Shape | None]]:
    """All objects of a frame by the overlap rule.

    Returns
    -------
    result
        The labels and what is known of each object.
    shapes
        Of each object's own mask, not of what others left of it: objects do not depend on one
        another.
    """
    labels = np.zeros((height, width), np.uint32)
    best = np.zeros((height, width), np.float32)
    ordered = sorted(seen, key=lambda s: s.object_id)
    shapes: dict[int, Shape | None] = {}
    for s in ordered:
        patch, y0, x0 = brush.patch(s, height, width)
        paint(labels, best, s.object_id, patch, y0, x0)
        shapes[s.object_id] = Shape.of(patch > 0, y0, x0)
    objects = []
    for s in ordered:
        # absent is what has no mask; one that others hide is still there
        present = shapes[s.object_id] is not None
        state = State.PROMPTED if s.prompted else State.PROPAGATED if present else State.ABSENT
        objects.append(ObjectResult(s.object_id, state, s.score, s.iou))
    return FrameResult(t, labels, best, tuple(objects)), shapes
