"""Finding the window for an object that was only clicked on: its size is unknown.

Windows on an octave scale of sides are looked at in one batch; the best mask gives the window.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from napari_sam2track.engine.network import Decoded, Network
from napari_sam2track.engine.prompting import Clicks, encode_views, point_tensors
from napari_sam2track.engine.views import Movie, WindowView
from napari_sam2track.engine.windows import MIN_SIDE, Shape, Window
from napari_sam2track.masks import resample_logits

#: Fraction of its window that an object is expected to fill (three diameters wide), and how far
#: off, as a standard deviation of the logarithm, it may be.
FILL, FILL_SPREAD = math.pi / 4 / 9, 1.0


def sides(height: int, width: int, spread: float) -> list[float]:
    """Sides to look at: octaves from the smallest useful one to the whole frame.

    Parameters
    ----------
    height, width
        Size of the frame.
    spread
        Longest distance between the clicks of the object; windows are at least 1.5 times that.
    """
    longest = float(max(height, width))
    octaves = [MIN_SIDE * 4 / 3 * 2.0**k for k in range(16)]
    out = [s for s in octaves if 1.5 * spread <= s < longest]
    return [*out, max(longest, 1.5 * spread)]


def sensible(mask_nmyx: NDArray[np.bool_]) -> NDArray[np.float64]:
    """How sensible masks are as an object in the middle of its window, (N, M) in 0 to 1.

    The logarithm of the filled fraction is compared with what `reference_side` gives, and what
    touches the window's edge is halved: a part of something larger.
    """
    fill = mask_nmyx.mean(axis=(-2, -1))
    with np.errstate(divide="ignore"):
        off = (np.log(fill) - math.log(FILL)) / FILL_SPREAD
    good = np.exp(-0.5 * off**2)
    edge = mask_nmyx[..., [0, -1], :].any(axis=(-2, -1)) | mask_nmyx[..., :, [0, -1]].any(
        axis=(-2, -1)
    )
    return np.where(edge, 0.5 * good, good)


def first_look(
    network: Network, movie: Movie, t: int, clicks: Sequence[Clicks], batch: int
) -> list[Window]:
    """A window for each object from its clicks alone.

    Parameters
    ----------
    clicks
        Of each object.
    batch
        Most windows at once.
    """
    tried: list[tuple[int, WindowView]] = []
    for n, click in enumerate(clicks):
        inside = click.points_yx[click.labels == 1]
        centre = (inside if len(inside) else click.points_yx).mean(axis=0)
        spread = float(np.ptp(click.points_yx, axis=0).max())
        middle = float(centre[0]), float(centre[1])
        tried += [
            (n, WindowView(Window(*middle, side)))
            for side in sides(movie.height, movie.width, spread)
        ]
    best: list[tuple[float, Window | None]] = [(-1.0, None)] * len(clicks)
    for k in range(0, len(tried), batch):
        part = tried[k : k + batch]
        views = [view for _, view in part]
        features = encode_views(network, movie, t, views)
        conditioned = network.without_memory(features)
        for count in sorted({len(clicks[n].labels) for n, _ in part}):
            rows = [i for i, (n, _) in enumerate(part) if len(clicks[n].labels) == count]
            points, labels = point_tensors(
                [clicks[part[i][0]] for i in rows], [views[i] for i in rows], network
            )
            decoded = network.decode(
                conditioned[rows], features.take(rows), points, labels, trust=True
            )
            for i, score, window in _judge(decoded, [views[i] for i in rows], movie):
                n = part[rows[i]][0]
                if score > best[n][0]:
                    best[n] = (score, window)
    fallback = float(min(movie.height, movie.width))
    out = []
    for (_, found), click in zip(best, clicks, strict=True):
        cy, cx = click.points_yx.mean(axis=0)
        out.append(found or Window(float(cy), float(cx), fallback))
    return out


def _judge(
    decoded: Decoded, views: list[WindowView], movie: Movie
) -> list[tuple[int, float, Window]]:
    """(row, score, window of the mask) for the best candidate of each row that has a mask."""
    candidates = decoded.candidates.cpu().numpy()
    scores = decoded.ious.cpu().numpy() * sensible(candidates > 0)
    out = []
    for i, m in enumerate(scores.argmax(axis=1)):
        patch, y0, x0 = resample_logits(
            candidates[i, m], views[i].region, movie.height, movie.width
        )
        shape = Shape.of(patch > 0, y0, x0)
        if shape is not None:
            out.append((i, float(scores[i, m]), shape.window()))
    return out
