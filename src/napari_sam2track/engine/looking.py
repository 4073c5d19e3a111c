"""Finding the window for an object from its prompts.

A mask or a box says how large the object is; a click does not. Then windows on a scale of half
octaves are looked at in one batch, and the best mask gives the window: one that the network
believes in, that is sensible in its window, and that windows a little smaller and larger show too.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
import torch
import torch.nn.functional as F
from numpy.typing import NDArray
from torch import Tensor

from napari_sam2track.engine.network import Network
from napari_sam2track.engine.prompting import Clicks, encode_views, point_tensors
from napari_sam2track.engine.views import Movie, WindowView
from napari_sam2track.engine.windows import MIN_SIDE, Shape, Window
from napari_sam2track.masks import resample_logits
from napari_sam2track.prompts import Prompt

#: Fraction of its window that an object is expected to fill (three diameters wide), and how far
#: off, as a standard deviation of the logarithm, it may be.
FILL, FILL_SPREAD = math.pi / 4 / 9, 0.7
#: How many steps of the scale to either side are asked whether they see the same, and how much it
#: counts that they do. Without asking them, a click on held-out synthetic images has a mean IoU of
#: 0.52, with it 0.60; on real ones it is as good or a little better (docs/training.md).
ASKED, AGREEMENT = 2, 2.0
#: A smaller object is taken if its score is at least this part of that of a larger one.
NEARLY = 0.6


def sides(height: int, width: int, spread: float) -> list[float]:
    """Sides to look at: half octaves from the smallest useful one to the whole frame.

    Parameters
    ----------
    height, width
        Size of the frame.
    spread
        Longest distance between the clicks of the object; windows are at least 1.5 times that.
    """
    longest = float(max(height, width))
    steps = [MIN_SIDE * 4 / 3 * 2.0 ** (k / 2) for k in range(32)]
    out = [s for s in steps if 1.5 * spread <= s < longest]
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
    return np.where(touches_edge(mask_nmyx), 0.5 * good, good)


def touches_edge(mask_nmyx: NDArray[np.bool_]) -> NDArray[np.bool_]:
    """Whether masks reach the edge of their window, (N, M)."""
    rows, columns = mask_nmyx[..., [0, -1], :], mask_nmyx[..., :, [0, -1]]
    edge: NDArray[np.bool_] = np.asarray(rows.any(axis=(-2, -1)) | columns.any(axis=(-2, -1)))
    return edge


def window_of(prompt: Prompt) -> Window | None:
    """The window that a prompt asks for; None if it has neither mask nor box."""
    if prompt.mask is not None:
        shape = Shape.of(prompt.mask.crop, prompt.mask.y0, prompt.mask.x0)
        return None if shape is None else shape.window()
    if prompt.box is not None:
        y0, x0, y1, x1 = prompt.box
        h, w = y1 - y0, x1 - x0
        area = math.pi / 4 * h * w
        return Shape((y0 + y1) / 2, (x0 + x1) / 2, max(h, w), area).window()
    return None


def containing(window: Window, clicks: Clicks) -> Window:
    """A window for clicks that correct an object which was expected in ``window``.

    It stays where it is if the positive clicks lie well inside; else they are in its middle.
    """
    inside = clicks.points_yx[clicks.labels == 1]
    points = inside if len(inside) else clicks.points_yx
    off = np.abs(points - (window.cy, window.cx)).max()
    if off <= 0.4 * window.side:
        return window
    low, high = points.min(axis=0), points.max(axis=0)
    cy, cx = (low + high) / 2
    return Window(float(cy), float(cx), max(window.side, float((high - low).max()) / 0.8))


def first_peak(scores: Sequence[float]) -> int:
    """The first local maximum that is nearly as high as the highest.

    In a clump a click has two good answers, the cell and the clump, which is seen better since
    it stands alone. The smaller one is meant: it is what a person can click on more than once.

    Parameters
    ----------
    scores
        Of windows from the smallest to the largest; at least one.
    """
    around = [-math.inf, *scores, -math.inf]
    high = NEARLY * max(scores)
    return next(
        n
        for n, score in enumerate(scores)
        if score >= high and score >= max(around[n], around[n + 2])
    )


def first_look(
    network: Network, movie: Movie, t: int, clicks: Sequence[Clicks], batch: int
) -> list[Window]:
    """A window for each object from its clicks alone.

    The scale of sides is looked at round the clicks; then the windows that the best masks ask
    for; the best of both rounds stays.

    Parameters
    ----------
    clicks
        Of each object.
    batch
        Most windows at once.
    """
    tried: list[tuple[int, Window]] = []
    for n, click in enumerate(clicks):
        inside = click.points_yx[click.labels == 1]
        centre = (inside if len(inside) else click.points_yx).mean(axis=0)
        spread = float(np.ptp(click.points_yx, axis=0).max())
        middle = float(centre[0]), float(centre[1])
        tried += [(n, Window(*middle, side)) for side in sides(movie.height, movie.width, spread)]
    scale: dict[int, list[_Look]] = {}
    for look in _look(network, movie, t, clicks, tried, batch):
        scale.setdefault(look.object, []).append(look)
    best = {n: looks[first_peak(_believed(looks))] for n, looks in scale.items()}
    asked = [(n, look.shape.window()) for n, look in best.items()]
    for look in _look(network, movie, t, clicks, asked, batch):
        if look.score > best[look.object].score:
            best[look.object] = look
    fallback = float(min(movie.height, movie.width))
    out = []
    for n, click in enumerate(clicks):
        cy, cx = click.points_yx.mean(axis=0)
        found = best.get(n)
        out.append(Window(float(cy), float(cx), fallback) if found is None else found.window)
    return out


@dataclass(frozen=True, eq=False, slots=True)
class _Look:
    """The best mask of one object in one window.

    Attributes
    ----------
    logits
        (M, h, w) of all candidates in the window's square.
    chosen
        Which of them is the best.
    shape
        Of the best, in the frame.
    """

    object: int
    score: float
    window: Window
    shape: Shape
    logits: Tensor
    chosen: int


def _believed(looks: Sequence[_Look]) -> list[float]:
    """Scores of looks at one object, from small windows to large, as their neighbours bear out."""
    shared = np.full((len(looks), len(looks)), np.nan)
    for n, one in enumerate(looks):
        for m in range(n + 1, min(n + ASKED + 1, len(looks))):
            ious = overlaps(one.logits, looks[m].logits, looks[m].window.side / one.window.side)
            shared[n, m] = ious[one.chosen].max()
            shared[m, n] = ious[:, looks[m].chosen].max()
    return [
        look.score * (np.nanmean(row) ** AGREEMENT if np.isfinite(row).any() else 1.0)
        for look, row in zip(looks, shared, strict=True)
    ]


def overlaps(small_myx: Tensor, large_myx: Tensor, ratio: float) -> NDArray[np.float64]:
    """IoUs of masks in a window with masks in a larger one around the same point.

    Parameters
    ----------
    small_myx, large_myx
        (M, s, s) and (L, s, s) logits.
    ratio
        How many times the side of the first window the second one has, 1 or more.

    Returns
    -------
    array
        (M, L), 0 where both are empty.
    """
    size = small_myx.shape[-1]
    wide = max(size, round(size * ratio))
    large = F.interpolate(large_myx[None], (wide, wide), mode="bilinear", align_corners=False)[0]
    small = torch.zeros(len(small_myx), wide, wide, dtype=torch.bool)
    start = (wide - size) // 2
    small[:, start : start + size, start : start + size] = small_myx > 0
    a, b = small.flatten(1).float(), (large > 0).flatten(1).float()
    both = a @ b.T
    either = a.sum(1)[:, None] + b.sum(1)[None] - both
    ious: NDArray[np.float64] = (both / either.clamp(min=1)).double().numpy()
    return ious


def _look(
    network: Network,
    movie: Movie,
    t: int,
    clicks: Sequence[Clicks],
    tried: Sequence[tuple[int, Window]],
    batch: int,
) -> Iterator[_Look]:
    """Decode (object, window) pairs in batches of equally many clicks."""
    counts = {n: len(click.labels) for n, click in enumerate(clicks)}
    for count in sorted(set(counts.values())):
        group = [(n, window) for n, window in tried if counts[n] == count]
        for k in range(0, len(group), batch):
            part = group[k : k + batch]
            views = [WindowView(window) for _, window in part]
            features = encode_views(network, movie, t, views)
            points, labels = point_tensors([clicks[n] for n, _ in part], views, network)
            decoded = network.decode(
                network.without_memory(features), features, points, labels, trust=True
            )
            logits = decoded.candidates.float().cpu()
            candidates = logits.numpy()
            scores = decoded.ious.float().cpu().numpy() * sensible(candidates > 0)
            for i, m in enumerate(scores.argmax(axis=1)):
                region = views[i].region
                patch, y0, x0 = resample_logits(candidates[i, m], region, movie.height, movie.width)
                shape = Shape.of(patch > 0, y0, x0)
                if shape is not None:
                    yield _Look(
                        part[i][0], float(scores[i, m]), part[i][1], shape, logits[i], int(m)
                    )
