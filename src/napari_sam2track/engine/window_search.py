"""Finding the window for an object from its prompts.

A mask or a box says how large the object is; a click does not. Then windows on a scale of half
octaves are tried in one batch, and the best mask gives the window: one of high predicted
IoU, that is sensible in its window, and is also seen in windows a little smaller and larger.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
import torch.nn.functional as F
from numpy.typing import NDArray
from torch import Tensor

from napari_sam2track.engine.clicks import Clicks, decode_clicks
from napari_sam2track.engine.network.network import Network
from napari_sam2track.engine.views.views import Movie, WindowView
from napari_sam2track.engine.views.windows import MIN_SIDE, MaskExtent, Window
from napari_sam2track.masks import resample_logits
from napari_sam2track.prompts import Prompt

#: Fraction of its window that an object is expected to fill (three diameters wide), and how far
#: off, as a standard deviation of the logarithm, it may be.
FILL, FILL_SPREAD = math.pi / 4 / 9, 0.7
#: Number of steps of the scale to either side that are compared, and the weight of their
#: agreement: worth 0.08 of IoU on synthetic images (docs/guides/training.md).
ASKED, AGREEMENT = 2, 2.0
#: Masks of two windows are compared at the same points, so many to a side of the larger one.
_POINTS = 48
#: A smaller object is taken if its score is at least this part of that of a larger one.
NEARLY = 0.6


def sides(height: int, width: int, spread: float) -> list[float]:
    """Return the sides to try: half octaves from the smallest useful one to the whole frame.

    Parameters
    ----------
    height, width
        Size of the frame.
    spread
        Longest distance between the clicks of the object; windows are at least 1.5 times that.
    """
    longest = float(max(height, width))
    steps = [MIN_SIDE * 4 / 3 * 2.0 ** (k / 2) for k in range(32)]
    # the last but one not nearly the same as the last
    out = [s for s in steps if 1.5 * spread <= s < longest / 2**0.25]
    return [*out, max(longest, 1.5 * spread)]


def sensible(mask_nmyx: NDArray[np.bool_]) -> NDArray[np.float64]:
    """Return how sensible masks are as an object in the middle of its window, (N, M) in 0 to 1.

    The logarithm of the filled fraction is compared with what `reference_side` gives, and what
    touches the window's edge is halved: a part of something larger.
    """
    fill = mask_nmyx.mean(axis=(-2, -1))
    with np.errstate(divide="ignore"):
        off = (np.log(fill) - math.log(FILL)) / FILL_SPREAD
    good = np.exp(-0.5 * off**2)
    return np.where(touches_edge(mask_nmyx), 0.5 * good, good)


def touches_edge(mask_nmyx: NDArray[np.bool_]) -> NDArray[np.bool_]:
    """Return whether masks reach the edge of their window, (N, M)."""
    rows, columns = mask_nmyx[..., [0, -1], :], mask_nmyx[..., :, [0, -1]]
    edge: NDArray[np.bool_] = np.asarray(rows.any(axis=(-2, -1)) | columns.any(axis=(-2, -1)))
    return edge


def window_of(prompt: Prompt) -> Window | None:
    """Return the window that a prompt needs; None if it has neither mask nor box."""
    if prompt.mask is not None:
        shape = MaskExtent.of(prompt.mask.crop, prompt.mask.y0, prompt.mask.x0)
        return None if shape is None else shape.window()
    if prompt.box is not None:
        y0, x0, y1, x1 = prompt.box
        h, w = y1 - y0, x1 - x0
        area = math.pi / 4 * h * w
        return MaskExtent((y0 + y1) / 2, (x0 + x1) / 2, max(h, w), area).window()
    return None


def containing(window: Window, clicks: Clicks) -> Window:
    """Return a window for clicks that correct an object which was expected in ``window``.

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
    """Return the first local maximum that is nearly as high as the highest.

    In a clump a click has two good answers: the cell, and the clump, which scores higher since
    it stands alone. The smaller one is meant: a person can click on several of them.

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
    """Find a window for each object from its clicks alone.

    The scale of sides is tried round the clicks; then the windows that fit the best masks,
    unless these are empty.

    Parameters
    ----------
    clicks
        Of each object.
    batch
        Most windows at once.
    """
    scales = []
    for click in clicks:
        inside = click.points_yx[click.labels == 1]
        cy, cx = (inside if len(inside) else click.points_yx).mean(axis=0).tolist()
        spread = float(np.ptp(click.points_yx, axis=0).max())
        scales.append([Window(cy, cx, s) for s in sides(movie.height, movie.width, spread)])
    tried = [(n, window) for n, scale in enumerate(scales) for window in scale]
    seen = iter(_look(network, movie, t, clicks, tried, batch))
    best: dict[int, _Look] = {}
    for n, scale in enumerate(scales):
        looks = [next(seen) for _ in scale]
        look = looks[first_peak(_believed(looks))]
        if look is not None:
            best[n] = look
    asked = [(n, containing(look.shape.window(), clicks[n])) for n, look in best.items()]
    for (n, _), again in zip(asked, _look(network, movie, t, clicks, asked, batch), strict=True):
        best[n] = again or best[n]
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
    shape
        Of the best mask, in the frame.
    logits
        (M, h, w) float16 of all candidates, in the window's square.
    chosen
        Which of them is the best.
    """

    score: float
    window: Window
    shape: MaskExtent
    logits: Tensor
    chosen: int


def _believed(looks: Sequence[_Look | None]) -> list[float]:
    """Score looks at one object in a scale of windows, by their neighbours' agreement.

    A mask that is seen in one window alone, and not in those a little smaller and larger, is
    worth little; an empty one nothing.
    """
    shared = np.zeros((len(looks), len(looks)))
    for n, small in enumerate(looks):
        for m, large in enumerate(looks[n + 1 : n + 1 + ASKED], n + 1):
            if small is not None and large is not None:
                ratio = large.window.side / small.window.side
                ious = overlaps(small.logits, large.logits, ratio)
                shared[n, m] = ious[small.chosen].max()
                shared[m, n] = ious[:, large.chosen].max()
    out = []
    for n, look in enumerate(looks):
        near = [m for m in range(n - ASKED, n + ASKED + 1) if 0 <= m < len(looks) and m != n]
        agreement = float(shared[n, near].mean()) if near else 1.0
        out.append(0.0 if look is None else look.score * agreement**AGREEMENT)
    return out


def overlaps(small_myx: Tensor, large_myx: Tensor, ratio: float) -> NDArray[np.float64]:
    """Return IoUs of masks in a window with masks in a larger one around the same point.

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
    at = (torch.arange(_POINTS) - (_POINTS - 1) / 2) * 2 / _POINTS  # in the larger window, -1 to 1

    def sampled(logits: Tensor, scale: float) -> Tensor:
        grid = torch.stack(torch.meshgrid(at * scale, at * scale, indexing="xy"), -1)[None]
        values = F.grid_sample(logits.float()[None], grid, align_corners=False)[0]
        return (values > 0).flatten(1).float()  # beyond its window a mask is empty

    a, b = sampled(small_myx, ratio), sampled(large_myx, 1.0)
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
) -> list[_Look | None]:
    """Return the best masks in (object, window) pairs, in their order; None for nothing.

    Pairs of equally many clicks are decoded in batches.
    """
    out: list[_Look | None] = [None] * len(tried)
    counts = [len(clicks[n].labels) for n, _ in tried]
    for count in sorted(set(counts)):
        group = [k for k, c in enumerate(counts) if c == count]
        for start in range(0, len(group), batch):
            part = group[start : start + batch]
            views = [WindowView(tried[k][1]) for k in part]
            of_part = [clicks[tried[k][0]] for k in part]
            decoded = decode_clicks(network, movie, t, of_part, views, trust=True)
            logits = decoded.candidates.float().cpu()
            scores = decoded.ious.float().cpu().numpy() * sensible(logits.numpy() > 0)
            for i, (k, m) in enumerate(zip(part, scores.argmax(axis=1).tolist(), strict=True)):
                patch, y0, x0 = resample_logits(
                    logits[i, m].numpy(), views[i].region, movie.height, movie.width
                )
                shape = MaskExtent.of(patch > 0, y0, x0)
                if shape is not None:
                    score = float(scores[i, m])
                    out[k] = _Look(score, views[i].window, shape, logits[i].half(), m)
    return out
