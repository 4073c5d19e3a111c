"""Object-centric windows and prompts, drawn from clips."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from napari_sam2track.engine.views.windows import (
    Readable,
    Window,
    cut_window,
    reference_side,
    resample,
)
from napari_sam2track.masks import deepest_pixel
from napari_sam2track.training.synthetic.clips import Clips
from napari_sam2track.training.synthetic.scene import Rng

#: Spread of windows of the usual size around it, as a standard deviation of the logarithm.
USUAL_SPREAD = 0.12


@dataclass(frozen=True, eq=False)
class TrainingSample:
    """Windows of several objects over time.

    Attributes
    ----------
    images
        (T, B, S, S, 3) uint8.
    masks
        (T, B*K, S, S) bool: object n belongs to window n // K.
    known
        (T, B*K) bool: False after a division, when the identity is undefined.
    """

    images: Tensor
    masks: Tensor
    known: Tensor

    @property
    def per_window(self) -> int:
        """Objects in a window."""
        return self.masks.shape[1] // self.images.shape[1]


class _ClipFrames:
    """A clip in the form that windows can be cut from."""

    def __init__(self, images_tyxc: NDArray[np.uint8]) -> None:
        self.images = images_tyxc
        self.height, self.width = images_tyxc.shape[1:3]

    def read_window(self, t: int, y0: int, y1: int, x0: int, x1: int) -> NDArray[np.uint8]:
        return np.ascontiguousarray(self.images[t, y0:y1, x0:x1])


def _cut_labels(labels_yx: NDArray[np.integer], window: Window, size: int) -> NDArray[np.integer]:
    """Cut labels in a window, (size, size), uint8 or int32; 0 outside the frame."""
    h, w = labels_yx.shape
    y1, x1 = window.y0 + window.side, window.x0 + window.side
    outside = max(-window.y0, -window.x0, y1 - h, x1 - w)
    pad = min(max(0, int(np.ceil(outside)) + 1), int(np.ceil(window.side)) + 1)
    padded = np.pad(labels_yx, pad)
    x0, y0 = window.x0 + pad, window.y0 + pad
    return resample(padded, (x0, y0, x0 + window.side, y0 + window.side), size, nearest=True)


@dataclass(frozen=True)
class Drawing:
    """Settings of how windows are drawn.

    Attributes
    ----------
    n_frames
        Frames of a sample.
    per_window
        Objects of a window; those after the first are neighbours.
    size
        Side of the model's square.
    zoom
        Range of the window's side relative to `reference_side`.
    usual
        Part of the windows that have about the engine's usual side, instead of any in
        that range: the meaning of a click depends on how large objects usually are.
    jitter
        Most that the object is off-centre, as a fraction of the free space.
    sides
        Smallest and largest side of a window in pixels.
    fullest
        Most of a window that an object may fill.
    away
        How often the window is moved off the object on some later frames: it is absent there,
        while similar objects may be in view.
    """

    n_frames: int
    per_window: int = 2
    size: int = 128
    zoom: tuple[float, float] = (0.62, 1.9)
    jitter: float = 0.25
    sides: tuple[float, float] = (20.0, 480.0)
    fullest: float = 0.7
    away: float = 0.0
    usual: float = 0.0

    def of_all_sizes(self) -> Drawing:
        """Return a drawing with windows from parts of the object up to where it is tiny.

        From a click alone the engine tries all of them: a window too large, or too small, must
        get a low score.
        """
        return replace(self, zoom=(0.25, 4.0), fullest=0.95, usual=0.0)


def draw_windows(rng: Rng, clips: Clips, n: int, how: Drawing) -> TrainingSample:
    """Draw a batch of ``n`` windows."""
    drawn = [_draw(rng, clips, how) for _ in range(n)]
    images = np.stack([d[0] for d in drawn], 1)
    masks = np.concatenate([d[1] for d in drawn], 1)
    known = np.concatenate([d[2] for d in drawn], 1)
    return TrainingSample(
        torch.from_numpy(images), torch.from_numpy(masks), torch.from_numpy(known)
    )


@dataclass(frozen=True, eq=False)
class Object:
    """An object on some frames, to cut windows around.

    Attributes
    ----------
    movie
        Source of the images.
    times
        Its frames, in the order of the sample.
    labels
        (Y, X) uint8 or int32 labels of the n-th of them.
    label
        Of the object.
    centre
        (y, x) on the n-th of them in pixels; None where it is not.
    extent, area
        Longer side of its box, and its pixels, on the first of them.
    """

    movie: Readable
    times: Sequence[int]
    labels: Callable[[int], NDArray[np.integer]]
    label: int
    centre: Callable[[int], tuple[float, float] | None]
    extent: int
    area: int


def _draw(
    rng: Rng, clips: Clips, how: Drawing
) -> tuple[NDArray[np.uint8], NDArray[np.bool_], NDArray[np.bool_]]:
    n_frames = how.n_frames
    while True:
        k = int(rng.integers(len(clips)))
        n_all = clips.labels.shape[1]
        faster = n_frames > 1 and 2 * n_frames - 1 <= n_all and rng.random() < 0.3
        span = (n_frames - 1) * (1 + faster) + 1
        t0 = int(rng.integers(n_all - span + 1))
        times = np.arange(t0, t0 + span, 1 + faster)
        ended = clips.ended[k]
        if (ended >= n_all).all() and rng.random() < 0.5:
            times = times[::-1]  # only where nothing divides: backwards, daughters would merge
        labels = np.asarray(clips.labels[k][times])
        areas = np.bincount(labels[0].ravel(), minlength=256)
        areas[0] = 0
        choice = np.flatnonzero(areas >= 30)
        if len(choice) == 0:
            continue
        target = int(rng.choice(choice))
        if target in at_border(labels[0]) and rng.random() < 0.7:
            continue  # in a small clip there are many, in a movie few
        cut = cut_around(rng, _object(clips.images[k], labels, times, target), how)
        if cut is None:
            continue
        images, masks, ids = cut
        return images, masks, times[:, None] < ended[ids][None]


def at_border(labels_yx: NDArray[np.uint8]) -> set[int]:
    """Return labels that the frame may cut, and 0 where it is among them."""
    sides = (labels_yx[0], labels_yx[-1], labels_yx[:, 0], labels_yx[:, -1])
    return set(np.unique(np.concatenate(sides)).tolist())


def _object(
    images_tyxc: NDArray[np.uint8], labels_tyx: NDArray[np.uint8], times: NDArray[np.int_], i: int
) -> Object:
    """Return an object of a clip."""

    def centre(n: int) -> tuple[float, float] | None:
        ys, xs = np.nonzero(labels_tyx[n] == i)
        return (float(ys.mean()), float(xs.mean())) if len(ys) else None

    ys, xs = np.nonzero(labels_tyx[0] == i)
    extent = int(max(np.ptp(ys), np.ptp(xs))) + 1
    frames = _ClipFrames(images_tyxc)
    return Object(frames, times.tolist(), lambda n: labels_tyx[n], i, centre, extent, len(ys))


def cut_around(
    rng: Rng, target: Object, how: Drawing
) -> tuple[NDArray[np.uint8], NDArray[np.bool_], NDArray[np.int_]] | None:
    """Cut windows around an object, with neighbours.

    Returns
    -------
    images, masks, labels
        (T, S, S, 3) uint8; (T, K, S, S) bool, the object first; (K,) which labels they are. None
        if the object is too small or too large in its window.
    """
    size = how.size
    windows = _windows(rng, target, how)
    cut = np.stack([_cut_labels(target.labels(n), w, size) for n, w in enumerate(windows)])
    seen, areas = np.unique(cut[0], return_counts=True)
    good = seen[(seen > 0) & (areas >= 40) & (areas < how.fullest * size * size)].astype(np.int64)
    if target.label not in good:
        return None
    others = good[good != target.label]
    extra = rng.choice(others if len(others) else good, how.per_window - 1)
    ids = np.concatenate([[target.label], extra])
    images = np.stack(
        [cut_window(target.movie, t, w, size) for t, w in zip(target.times, windows, strict=True)]
    )
    masks = np.stack([cut == i for i in ids], 1)
    flips = [int(f) for f in np.flatnonzero(rng.random(2) < 0.5)]
    if flips:
        images = np.flip(images, tuple(f + 1 for f in flips))
        masks = np.flip(masks, tuple(f + 2 for f in flips))
    if rng.random() < 0.5:
        images, masks = images.transpose(0, 2, 1, 3), masks.transpose(0, 1, 3, 2)
    return np.ascontiguousarray(images), np.ascontiguousarray(masks), ids


def _windows(rng: Rng, target: Object, how: Drawing) -> list[Window]:
    """Return one window a frame: half of them stay in place, half follow as the engine's do."""
    lo, hi = np.log(how.zoom)
    # no random number is drawn if usual is 0: held-out windows of older scores stay the same
    usual = how.usual > 0 and rng.random() < how.usual
    zoom = rng.normal(0, USUAL_SPREAD) if usual else rng.uniform(lo, hi)
    side = reference_side(target.extent, target.area) * np.exp(zoom)
    side = float(np.clip(side, *how.sides))
    # not much larger than the frame, where the engine does not search either
    whole = 2.0 * max(target.movie.height, target.movie.width)
    side = min(side, max(whole, reference_side(target.extent, target.area)))
    room = how.jitter * max(side - target.extent, 0.0)
    first = target.centre(0)
    assert first is not None
    centre = np.array(first) + rng.uniform(-room, room, 2)
    follow = rng.random() < 0.5
    out = [Window(float(centre[0]), float(centre[1]), side)]
    for n in range(len(target.times) - 1):
        place = target.centre(n) if follow else None
        if place is not None:
            centre = np.array(place) + rng.normal(0, 0.03 * side, 2)
        out.append(Window(float(centre[0]), float(centre[1]), side))
    if how.away and len(out) > 2 and rng.random() < how.away:
        _look_away(rng, target, out)
    return out


def _look_away(rng: Rng, target: Object, windows: list[Window]) -> None:
    """Move some windows, in place, so far that the object is not in them."""
    start = int(rng.integers(1, len(windows)))
    stop = min(len(windows), start + int(rng.integers(1, 5)))
    frame = (target.movie.height, target.movie.width)
    axis = int(rng.integers(2))
    for n in range(start, stop):
        window = windows[n]
        place = list(target.centre(n) or (window.cy, window.cx))
        towards = 1 if place[axis] < frame[axis] / 2 else -1  # the side with more to see
        place[axis] += towards * (0.5 * window.side + 0.8 * target.extent)
        half = 0.5 * window.side  # a window touches the frame at least
        place[axis] = min(max(place[axis], -half), frame[axis] - 1 + half)
        windows[n] = Window(place[0], place[1], window.side)


def augment(rng: Rng, images_tbyxc: Tensor) -> Tensor:
    """Change contrast, brightness, gamma and inversion, equally for all frames of a window."""
    b = images_tbyxc.shape[1]

    def per_window(low: float, high: float) -> Tensor:
        return torch.from_numpy(rng.uniform(low, high, (1, b, 1, 1, 1)).astype(np.float32))

    x = images_tbyxc.float() / 255.0
    x = ((x - 0.5) * per_window(0.55, 1.3) + 0.5 + per_window(-0.15, 0.15)).clamp(0, 1)
    x = x ** per_window(0.6, 1.5)
    flip = per_window(0, 1) < 0.1
    x = torch.where(flip, 1 - x, x)
    return (x * 255).round().to(torch.uint8)


def random_point(rng: Rng, mask_yx: NDArray[np.bool_]) -> tuple[float, float]:
    """Return a random pixel of a mask that has some, as (x, y) edge coordinates."""
    flat = np.flatnonzero(mask_yx)
    p = int(flat[rng.integers(len(flat))])
    return p % mask_yx.shape[1] + 0.5, p // mask_yx.shape[1] + 0.5


def deepest_point(mask_yx: NDArray[np.bool_]) -> tuple[float, float]:
    """Return the pixel furthest from the outline of a mask, as (x, y) edge coordinates."""
    y, x = deepest_pixel(mask_yx)
    return x + 0.5, y + 0.5


def click(rng: Rng | None, mask_yx: NDArray[np.bool_]) -> tuple[float, float]:
    """Return a click on a mask: a random pixel, or the deepest one where ``rng`` is None."""
    return deepest_point(mask_yx) if rng is None else random_point(rng, mask_yx)


def first_clicks(rng: Rng | None, masks_nyx: Tensor) -> tuple[Tensor, Tensor]:
    """Return one positive click on each mask: points (N, 1, 2) and labels (N, 1)."""
    points = [
        click(None if rng is None or rng.random() < 0.3 else rng, m) for m in masks_nyx.numpy()
    ]
    return torch.tensor(points).float()[:, None], torch.ones(len(points), 1, dtype=torch.int32)


def boxes(rng: Rng | None, masks_nyx: Tensor) -> tuple[Tensor, Tensor]:
    """Return a box (jittered by some 6 %) around each mask: points (N, 2, 2) and labels 2, 3."""
    out = []
    for mask in masks_nyx.numpy():
        ys, xs = np.flatnonzero(mask.any(1)), np.flatnonzero(mask.any(0))
        box = np.array([xs[0], ys[0], xs[-1] + 1, ys[-1] + 1], float)
        if rng is not None:
            size = np.tile([box[2] - box[0], box[3] - box[1]], 2)
            box += rng.normal(0, 0.06, 4) * size
        out.append(box.reshape(2, 2))
    return (
        torch.tensor(np.array(out)).float(),
        torch.tensor([[2, 3]] * len(out), dtype=torch.int32),
    )


def corrections(rng: Rng | None, predicted_nyx: Tensor, truth_nyx: Tensor) -> tuple[Tensor, Tensor]:
    """Return one click on each error: points (N, 1, 2) and labels (N, 1), -1 for none.

    Training draws any wrong pixel; evaluation takes the deepest point of the larger error.
    """
    points, labels = [], []
    for mask, truth in zip(predicted_nyx.numpy(), truth_nyx.numpy(), strict=True):
        missed, extra = truth & ~mask, mask & ~truth
        a, b = int(missed.sum()), int(extra.sum())
        if a + b == 0:
            there = bool(truth.any())
            points.append(click(rng, truth) if there else (0.0, 0.0))
            labels.append(1 if there else -1)  # -1: no click at all
            continue
        positive = a >= b if rng is None else bool(rng.random() < a / (a + b))
        points.append(click(rng, missed if positive else extra))
        labels.append(int(positive))
    return torch.tensor(points).float()[:, None], torch.tensor(labels, dtype=torch.int32)[:, None]
