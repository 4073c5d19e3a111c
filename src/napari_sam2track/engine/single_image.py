"""Objects of one image, with all masks that SAM2 proposes."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from napari_sam2track.engine.modes import choose_mode
from napari_sam2track.engine.network.network import Network
from napari_sam2track.engine.propagation import Pass
from napari_sam2track.engine.results import ObjectResult
from napari_sam2track.engine.views.views import Movie
from napari_sam2track.masks import resample_logits
from napari_sam2track.params import EngineParams, MaskParams
from napari_sam2track.prompts import PromptSet


@dataclass(frozen=True, eq=False, slots=True)
class MaskCandidate:
    """One of the masks that SAM2 proposed for an object.

    Attributes
    ----------
    object_id
        Of which object.
    rank
        1 for the best by predicted IoU.
    mask_yx
        (Y, X) bool.
    iou
        Predicted IoU.
    """

    object_id: int
    rank: int
    mask_yx: NDArray[np.bool_]
    iou: float


@dataclass(frozen=True, eq=False, slots=True)
class ImageMasks:
    """The objects of an image.

    Attributes
    ----------
    labels_yx
        (Y, X) uint32.
    objects
        Result for each object.
    candidates
        All proposals, by object and rank.
    mode, reason
        Mode of the network, and the reason.
    """

    labels_yx: NDArray[np.uint32]
    objects: tuple[ObjectResult, ...]
    candidates: tuple[MaskCandidate, ...]
    mode: str
    reason: str


def segment(
    network: Network,
    movie: Movie,
    t: int,
    prompts: PromptSet,
    params: MaskParams,
    candidates: bool = False,
) -> ImageMasks:
    """Outline objects on frame ``t`` from their prompts on it.

    Proposals are collected on request, since they cost as much again.
    """
    mode, reason = choose_mode(params.mode, network.image_size, prompts, movie.height, movie.width)
    engine = EngineParams(mode=mode, fill_holes=params.fill_holes, min_part=params.min_part)
    run = Pass.over(network, movie, prompts, engine, mode, range(t, t + 1))
    every: list[MaskCandidate] = []
    for object_id, view, logits_myx, ious_m in run.proposals(t) if candidates else ():
        for rank, m in enumerate(np.argsort(-ious_m, kind="stable"), start=1):
            patch, y0, x0 = resample_logits(logits_myx[m], view.region, movie.height, movie.width)
            mask = np.zeros((movie.height, movie.width), bool)
            mask[y0 : y0 + patch.shape[0], x0 : x0 + patch.shape[1]] = patch > 0
            every.append(MaskCandidate(object_id, rank, mask, float(ious_m[m])))
    (result,) = run
    every.sort(key=lambda c: (c.object_id, c.rank))
    return ImageMasks(result.labels_yx, result.objects, tuple(every), mode, reason)
