"""Scores before and after fine-tuning: those of the engine on held-out frames."""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import nn

from napari_sam2track.engine.network.network import Network
from napari_sam2track.training.labelled import LabelledMovie
from napari_sam2track.training.model_scores import Scores, first_masks, one_click

#: Objects and frames that are scored.
_OBJECTS, _FRAMES = 60, 10


def scores_of(model: nn.Module, movie: LabelledMovie, seed: int = 0) -> Scores:
    """Score the outlines and tracks of objects of a held-out movie by the engine.

    At most 60 objects of the first frame that has labels, over at most 10 more frames.

    Returns
    -------
    dict
        ``one click``: mean IoU of one click in the middle; ``J``: mean IoU of objects that are
        followed from their masks; ``J, left in place``: of those masks themselves; ``objects``.
        Without undefined scores: of a single frame there is no J.
    """
    network = Network(model.eval())
    first = min(movie.labelled, default=movie.first)
    stop = min(first + _FRAMES + 1, movie.end)
    labels = np.stack([movie.read(t) for t in range(first, stop)])
    ids = np.unique(labels[0])
    ids = ids[ids > 0]
    if len(ids) > _OBJECTS:
        kept = np.random.default_rng(seed).choice(ids, _OBJECTS, replace=False)
        labels = np.where(np.isin(labels, kept), labels, 0)
    known = _From(first, labels)
    with torch.inference_mode():
        clicks = one_click(network, movie.frames, known, [first])
        out = {"objects": clicks["objects"], "one click": clicks.get("size unknown", np.nan)}
        if labels[1:].any() and labels[0].any():
            followed = first_masks(network, movie.frames, known, first, _FRAMES)
            out |= {"J": followed["J"], "J, left in place": followed["left in place"]}
    return {name: float(value) for name, value in out.items()}


class _From:
    """Labels of the frames from one on, by their numbers in the movie."""

    def __init__(self, first: int, labels_tyx: NDArray[np.int32]) -> None:
        self.first, self.labels = first, labels_tyx

    def __getitem__(self, t: int) -> NDArray[np.int32]:
        return self.labels[t - self.first]

    def __len__(self) -> int:
        return self.first + len(self.labels)


def lines_of(before: dict[str, Any], after: dict[str, Any]) -> list[str]:
    """Return scores before and after, a line each."""
    return [
        f"{name}: {before[name]:.3f} -> {after[name]:.3f}"
        for name in before
        if name != "objects" and name in after
    ]
