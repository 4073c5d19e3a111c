"""From the logits of an object in its view to its pixels in the frame."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
import torch.nn.functional as F
from numpy.typing import NDArray

from napari_sam2track.engine.views.views import View
from napari_sam2track.masks import Mask, Patch, resample_logits, tidy

#: Logit of pixels that a person painted: no prediction wins over them.
GIVEN_LOGIT = np.float32(1e4)


@dataclass(frozen=True)
class Brush:
    """Turns logits into pixels.

    Attributes
    ----------
    height, width
        Of the frame, in pixels.
    fill_holes, min_part
        See `masks.tidy`.
    as_torch
        Enlarge with torch over the whole view, as SAM2 does, to agree with it to the last bit.
    """

    height: int
    width: int
    fill_holes: int
    min_part: int
    as_torch: bool = False

    def patch(self, logits_yx: NDArray[np.float32], view: View) -> Patch:
        """Return the mask of an object from its logits (S/4, S/4) in a view."""
        if self.as_torch:
            low = torch.from_numpy(logits_yx)[None, None]
            size = (self.height, self.width)
            full = F.interpolate(low, size, mode="bilinear", align_corners=False)
            logits, y0, x0 = full[0, 0].numpy(), 0, 0
        else:
            logits, y0, x0 = resample_logits(logits_yx, view.region, self.height, self.width)
        return Patch.of(tidy(logits, self.fill_holes, self.min_part), y0, x0)

    def given(self, mask: Mask) -> Patch:
        """Return the mask that a person painted, as it is; parts outside the frame are cut off."""
        y0, x0, y1, x1 = mask.box
        a0, b0, a1, b1 = max(y0, 0), max(x0, 0), min(y1, self.height), min(x1, self.width)
        if a0 >= a1 or b0 >= b1:
            return Patch(np.zeros((0, 0), np.float32), 0, 0)
        crop = mask.crop[a0 - y0 : a1 - y0, b0 - x0 : b1 - x0]
        return Patch.of(np.where(crop, GIVEN_LOGIT, np.float32(0)), a0, b0)
