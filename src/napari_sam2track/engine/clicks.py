"""Prompts and views as the network's input."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Self

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from napari_sam2track.engine.network.network import Decoded, Features, Network
from napari_sam2track.engine.views.shared_reads import share_reads
from napari_sam2track.engine.views.views import Movie, View
from napari_sam2track.prompts import Prompt


@dataclass(frozen=True, eq=False, slots=True)
class Clicks:
    """Points of one object on one frame, a box as its two corners.

    Attributes
    ----------
    points_yx
        (P, 2) in pixels of the frame.
    labels
        (P,) int32: 1 positive, 0 negative, 2 and 3 the corners of a box, which come first.
    """

    points_yx: NDArray[np.float64]
    labels: NDArray[np.int32]

    @classmethod
    def of(cls, prompt: Prompt) -> Self:
        """The points and the box of a prompt."""
        points = [(p.y, p.x) for p in prompt.points]
        labels = [int(p.positive) for p in prompt.points]
        if prompt.box is not None:
            y0, x0, y1, x1 = prompt.box
            points = [(y0, x0), (y1, x1), *points]
            labels = [2, 3, *labels]
        return cls(np.array(points, float).reshape(-1, 2), np.array(labels, np.int32))


def point_tensors(
    clicks: Sequence[Clicks], views: Sequence[View], network: Network
) -> tuple[Tensor, Tensor]:
    """Clicks of objects with equally many points: (N, P, 2) as (x, y), and labels (N, P)."""
    size = network.image_size
    points = np.stack([v.points(c.points_yx, size) for c, v in zip(clicks, views, strict=True)])
    labels = np.stack([c.labels for c in clicks])
    device = network.device
    return torch.from_numpy(points).float().to(device), torch.from_numpy(labels).to(device)


def encode_views(network: Network, movie: Movie, t: int, views: Sequence[View]) -> Features:
    """Embed what the views show of frame ``t``."""
    shared = share_reads(movie, t, views, network.image_size)
    images = np.stack([view.image(shared, t, network.image_size) for view in views])
    return network.encode_images(network.normalise(torch.from_numpy(images)))


def decode_clicks(
    network: Network,
    movie: Movie,
    t: int,
    clicks: Sequence[Clicks],
    views: Sequence[View],
    trust: bool = False,
) -> Decoded:
    """Decode equally many clicks of each object in its view, without any memory.

    ``trust`` as in `Network.decode`.
    """
    features = encode_views(network, movie, t, views)
    points, labels = point_tensors(clicks, views, network)
    return network.decode(network.without_memory(features), features, points, labels, trust=trust)
