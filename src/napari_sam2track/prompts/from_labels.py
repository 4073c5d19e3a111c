"""Label images as mask prompts."""

from __future__ import annotations

import operator
from collections.abc import Collection
from typing import Any

import numpy as np
from numpy.typing import NDArray

from napari_sam2track.errors import PromptError
from napari_sam2track.labels import checked_ids
from napari_sam2track.masks import Mask
from napari_sam2track.prompts.values import Prompt, PromptSet

#: Value of the pixels of no object in DAVIS-like masks; and what their objects go up to.
VOID, _MOST_BESIDE_VOID = 255, 32


def masks_from_labels(labels_yx: NDArray[Any], frame: int = 0) -> PromptSet:
    """Make every label of an image a mask prompt of the object with that id.

    Parameters
    ----------
    labels_yx
        Shape (Y, X), integers; 0 is background. Memory depends on the pixels, not on the ids.
    frame
        The frame that the labels belong to.

    Returns
    -------
    One prompt for each label; empty if there is none.

    Raises
    ------
    PromptError
        If the array is not an image of ids from 0 to 2**32 - 1.
    """
    from scipy.ndimage import find_objects

    frame = operator.index(frame)
    if labels_yx.ndim != 2 or labels_yx.dtype.kind not in "uib":
        raise PromptError(
            f"labels of shape {labels_yx.shape} and type {labels_yx.dtype} are no label image; "
            "give one frame (rows, columns) of whole numbers"
        )
    if labels_yx.dtype == bool:  # a mask is the object 1
        labels_yx = labels_yx.view(np.uint8)
    foreground_yx = labels_yx != 0
    ids, compact = np.unique(labels_yx[foreground_yx], return_inverse=True)
    ids = checked_ids(ids, "a label", PromptError)

    # Numbered 1..n first: find_objects makes one entry for every number up to the largest.
    compact_yx = np.zeros(labels_yx.shape, np.int32)
    compact_yx[foreground_yx] = compact + 1
    prompts = {}
    for number, where in enumerate(find_objects(compact_yx), 1):
        rows, columns = where
        mask = Mask(compact_yx[where] == number, rows.start, columns.start)
        prompts[int(ids[number - 1]), frame] = Prompt(mask=mask)
    return PromptSet(prompts)


def void_in(objects: Collection[int]) -> bool:
    """Return whether the value 255 of masks with these objects is no object, as in DAVIS.

    It is taken for none if the others are few and small: labels that are counted would not leave
    out all the numbers between.
    """
    others = [object_id for object_id in objects if object_id != VOID]
    return VOID in objects and bool(others) and max(others) <= _MOST_BESIDE_VOID
