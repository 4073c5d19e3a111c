"""Finding objects without prompts: a grid of points, filters, and the best of what overlaps.

In window mode the grid lies over tiles of several sizes, so that small objects get enough pixels.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray

from napari_sam2track.engine.clicks import Clicks, decode_clicks, encode_views
from napari_sam2track.engine.network.batches import Mode, memory_guard
from napari_sam2track.engine.network.network import Network
from napari_sam2track.engine.views.views import FrameView, Movie, View, WindowView
from napari_sam2track.engine.views.windows import MaskExtent, Window
from napari_sam2track.engine.window_search import sensible, touches_edge
from napari_sam2track.masks import Mask, deepest_pixel, resample_logits, tidy
from napari_sam2track.params import AutoParams
from napari_sam2track.prompts import Prompt, PromptSet

#: Tiles are halved down to this side in pixels, and overlap by half.
SMALLEST_TILE = 96
#: Part of the least quality from which a candidate gets a closer look.
SEED_QUALITY = 0.5
#: Logits at which stability is judged.
STABILITY_OFFSET = 1.0
#: Most pixels of a new object that known ones may cover, as a fraction of it.
MAX_COVERED = 0.3


@dataclass(frozen=True, eq=False, slots=True)
class Proposal:
    """A mask that may be an object, and how good it is."""

    mask: Mask
    quality: float


@torch.inference_mode()
def discover(
    network: Network,
    movie: Movie,
    t: int,
    labels_yx: NDArray[np.uint32] | None,
    params: AutoParams,
    mode: Mode,
    batch: int,
    next_id: int,
    room: int,
) -> PromptSet:
    """Objects on frame ``t`` that no label covers, as mask prompts.

    Parameters
    ----------
    labels_yx
        (Y, X) objects that are known on this frame; None for none.
    next_id
        Id of the first new object.
    room
        Most new objects.
    """
    with memory_guard(network, batch):
        found = propose(network, movie, t, params, mode, batch)
        if mode == "window":
            seeds = keep_best(found, params.max_overlap)
            found = look_closer(network, movie, t, seeds, params, batch)
    found = keep_best(found, params.max_overlap)
    prompts = PromptSet()
    taken = np.zeros((movie.height, movie.width), bool) if labels_yx is None else labels_yx > 0
    for proposal in found:
        if len(prompts) >= room:
            break
        y0, x0, y1, x1 = proposal.mask.box
        covered = taken[y0:y1, x0:x1] & proposal.mask.crop
        if covered.sum() > MAX_COVERED * proposal.mask.area:
            continue
        free = proposal.mask.to_frame(movie.height, movie.width) & ~taken
        if free.sum() < params.min_area:
            continue
        prompts = prompts.add(next_id + len(prompts), t, Prompt(mask=Mask.from_frame(free)))
        taken |= free
    return prompts


def tiles(height: int, width: int, mode: Mode) -> list[View]:
    """Return the views that the grid is laid over: the frame, or tiles of several sizes."""
    if mode == "frame":
        return [FrameView(height, width)]
    out: list[View] = []
    side = float(max(height, width))
    while True:
        for cy in _centres(height, side):
            out += [WindowView(Window(cy, cx, side)) for cx in _centres(width, side)]
        if side / 2 < SMALLEST_TILE:
            return out
        side /= 2


def _centres(length: int, side: float) -> list[float]:
    """Centres of tiles that overlap by half and cover ``length`` pixels."""
    if side >= length:
        return [(length - 1) / 2]
    n = int(np.ceil((length - side) / (side / 2))) + 1
    return list(np.linspace(side / 2 - 0.5, length - side / 2 - 0.5, n))


def propose(
    network: Network, movie: Movie, t: int, params: AutoParams, mode: Mode, batch: int
) -> list[Proposal]:
    """All masks of the grids that pass the filters, unsorted and overlapping."""
    size, step = network.image_size, network.image_size / params.grid
    at = (np.arange(params.grid) + 0.5) * step
    grid = torch.tensor([(x, y) for y in at for x in at], dtype=torch.float32)
    out: list[Proposal] = []
    for view in tiles(movie.height, movie.width, mode):
        y0, x0, h, w = view.region
        ys, xs = y0 + grid[:, 1] / size * h, x0 + grid[:, 0] / size * w
        inside = (ys >= 0) & (ys < movie.height) & (xs >= 0) & (xs < movie.width)
        points = grid[inside].to(network.device)
        features = encode_views(network, movie, t, [view])
        conditioned = network.without_memory(features)
        for k in range(0, len(points), batch):
            part = points[k : k + batch, None]
            many = features.expand(len(part))
            decoded = network.decode(
                conditioned.expand(len(part), -1, -1, -1),
                many,
                part,
                torch.ones(len(part), 1, dtype=torch.int32, device=network.device),
            )
            out += _filtered(
                decoded.candidates.cpu().numpy(),
                decoded.ious.cpu().numpy(),
                view,
                movie,
                params,
                mode,
            )
    return out


def _filtered(
    logits_nmyx: NDArray[np.float32],
    ious_nm: NDArray[np.float32],
    view: View,
    movie: Movie,
    params: AutoParams,
    mode: Mode,
) -> list[Proposal]:
    """Return the candidates that are sure, stable, and (in tiles) whole."""
    stability = _stability(logits_nmyx)
    # in tiles of the wrong size this is only a first guess, which a closer look will judge
    least = params.min_quality * (SEED_QUALITY if mode == "window" else 1.0)
    good = (ious_nm >= least) & (stability >= params.min_stability)
    quality = ious_nm * stability
    if mode == "window":
        masks = logits_nmyx > 0
        quality = quality * sensible(masks)
        good &= ~touches_edge(masks)
    out = []
    for n, m in np.argwhere(good):
        patch, y0, x0 = resample_logits(logits_nmyx[n, m], view.region, movie.height, movie.width)
        crop = tidy(patch, params.min_area, params.min_area) > 0
        if crop.sum() >= params.min_area:
            out.append(Proposal(Mask.from_frame(crop, y0, x0), float(quality[n, m])))
    return out


def _stability(logits_nmyx: NDArray[np.float32]) -> NDArray[np.float64]:
    """IoU between the masks at a high and at a low threshold, (N, M)."""
    high = (logits_nmyx > STABILITY_OFFSET).sum((-2, -1))
    low = (logits_nmyx > -STABILITY_OFFSET).sum((-2, -1))
    stability: NDArray[np.float64] = high / np.maximum(low, 1)
    return stability


def look_closer(
    network: Network,
    movie: Movie,
    t: int,
    seeds: list[Proposal],
    params: AutoParams,
    batch: int,
) -> list[Proposal]:
    """Click on the middle of each proposal again, in a window of its size.

    Only masks that are sure and stable there stay, reduced to the part that was clicked on.
    """
    out: list[Proposal] = []
    for k in range(0, len(seeds), batch):
        part = [(p.mask, _middle(p.mask)) for p in seeds[k : k + batch]]
        views = [WindowView(MaskExtent.of_mask(mask).window()) for mask, _ in part]
        clicks = [Clicks(np.array([point]), np.ones(1, np.int32)) for _, point in part]
        decoded = decode_clicks(network, movie, t, clicks, views)
        logits, ious = decoded.candidates.cpu().numpy(), decoded.ious.cpu().numpy()
        stability = _stability(logits)
        quality = ious * stability * sensible(logits > 0)
        for n, m in enumerate(quality.argmax(axis=1)):
            if ious[n, m] < params.min_quality or stability[n, m] < params.min_stability:
                continue
            mask = _part_at(logits[n, m], views[n], part[n][1], movie, params.min_area)
            if mask is not None:
                out.append(Proposal(mask, float(quality[n, m])))
    return out


def _middle(mask: Mask) -> tuple[float, float]:
    """The pixel (y, x) that is furthest from the outline."""
    y, x = deepest_pixel(mask.crop)
    return float(mask.y0 + y), float(mask.x0 + x)


def _part_at(
    logits_yx: NDArray[np.float32],
    view: View,
    point_yx: tuple[float, float],
    movie: Movie,
    min_area: int,
) -> Mask | None:
    """The connected part of a mask under a point; None if there is none, or it is small."""
    from scipy import ndimage as ndi

    patch, y0, x0 = resample_logits(logits_yx, view.region, movie.height, movie.width)
    parts, _ = ndi.label(tidy(patch, min_area, 0) > 0)
    y, x = round(point_yx[0]) - y0, round(point_yx[1]) - x0
    if not (0 <= y < patch.shape[0] and 0 <= x < patch.shape[1]) or parts[y, x] == 0:
        return None
    mask = Mask.from_frame(parts == parts[y, x], y0, x0)
    return mask if mask.area >= min_area else None


def keep_best(proposals: list[Proposal], max_overlap: float) -> list[Proposal]:
    """Non-maximum suppression by the IoU of masks, best first; ties keep their order."""
    kept: list[Proposal] = []
    for proposal in sorted(proposals, key=lambda p: -p.quality):
        if all(mask_iou(proposal.mask, k.mask) <= max_overlap for k in kept):
            kept.append(proposal)
    return kept


def mask_iou(a: Mask, b: Mask) -> float:
    """IoU of two cropped masks."""
    ay0, ax0, ay1, ax1 = a.box
    by0, bx0, by1, bx1 = b.box
    y0, x0, y1, x1 = max(ay0, by0), max(ax0, bx0), min(ay1, by1), min(ax1, bx1)
    if y0 >= y1 or x0 >= x1:
        return 0.0
    both = (
        a.crop[y0 - ay0 : y1 - ay0, x0 - ax0 : x1 - ax0]
        & b.crop[y0 - by0 : y1 - by0, x0 - bx0 : x1 - bx0]
    ).sum()
    return float(both / (a.area + b.area - both))
