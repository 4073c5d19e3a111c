"""Compares this engine with SAM2's own video predictor on the same weights and frames."""

from __future__ import annotations

import contextlib
import io
import time
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, Literal
from unittest import mock

import numpy as np
import torch
from numpy.typing import NDArray
from PIL import Image
from torch import Tensor

from napari_sam2track.engine.clicks import Clicks
from napari_sam2track.engine.network.network import Network
from napari_sam2track.engine.propagation import Pass
from napari_sam2track.engine.views.views import Movie
from napari_sam2track.masks import Mask
from napari_sam2track.params import EngineParams
from napari_sam2track.prompts import Point, Prompt, PromptSet

#: Parameters that turn off all that SAM2 does not do.
PLAIN = EngineParams(
    mode="frame", fill_holes=0, min_part=0, keep_masks=False, max_conditioning=1000
)


@dataclass(frozen=True)
class Comparison:
    """Agreement of two runs.

    Attributes
    ----------
    frames, pixels
        Number of frames and pixels that were compared.
    flipped
        Pixels with different labels.
    logit_difference
        Largest absolute difference of the winning logits, where the labels agree.
    seconds, official_seconds
        Time that each took.
    """

    frames: int
    pixels: int
    flipped: int
    logit_difference: float
    seconds: float
    official_seconds: float


def compare(
    predictor: Any, movie: Movie, prompts: PromptSet, params: EngineParams, step: int = 1
) -> Comparison:
    """Follow the same prompts with this engine and with SAM2's predictor.

    Parameters
    ----------
    predictor
        A `sam2.sam2_video_predictor.SAM2VideoPredictor`; its weights serve for both.
    step
        1 for forward, -1 for backward.
    """
    begin = time.perf_counter()
    official = official_labels(predictor, movie, prompts, params.later_prompts, step)
    middle = time.perf_counter()
    order = range(movie.n_frames) if step > 0 else range(movie.n_frames - 1, -1, -1)
    run = Pass.over(Network(predictor), movie, prompts, params, "frame", order)
    ours = {r.frame: r.compose() for r in run}
    end = time.perf_counter()
    flipped, difference = 0, 0.0
    begun = min(official, key=lambda t: t * step)
    for t in ours:
        if (t - begun) * step < 0:  # before any object's first prompt there is nothing
            flipped += int((ours[t][0] > 0).sum())
    for t, (labels, logits) in official.items():
        flipped += int((labels != ours[t][0]).sum())
        same = (labels == ours[t][0]) & (labels > 0)
        if same.any():
            difference = max(difference, float(np.abs(logits - ours[t][1])[same].max()))
    pixels = len(official) * movie.height * movie.width
    return Comparison(len(official), pixels, flipped, difference, end - middle, middle - begin)


def official_labels(
    predictor: Any, movie: Movie, prompts: PromptSet, later: str, step: int
) -> dict[int, tuple[NDArray[np.uint32], NDArray[np.float32]]]:
    """Return labels and winning logits per frame by SAM2's predictor and the overlap rule.

    Each object has a session of its own: on a CPU the predictor fails with a dtype error as soon
    as it meets an object before that object's first prompt (sam2 issues 308 and 577).
    """
    shape = (movie.height, movie.width)
    out: dict[int, tuple[NDArray[np.uint32], NDArray[np.float32]]] = {}
    for object_id in prompts.objects:
        for t, logits in official_object(
            predictor, movie, prompts.of_object(object_id), later, step
        ).items():
            labels, best = out.setdefault(
                t, (np.zeros(shape, np.uint32), np.zeros(shape, np.float32))
            )
            wins = logits > best
            labels[wins] = object_id
            best[wins] = logits[wins]
    return out


def official_object(
    predictor: Any, movie: Movie, prompts: dict[int, Prompt], later: str, step: int
) -> dict[int, NDArray[np.float32]]:
    """Return logits (Y, X) per frame of one object by SAM2's predictor."""
    first = min(prompts)
    out: dict[int, NDArray[np.float32]] = {}
    with official_session(predictor, movie) as state:
        starts = [first]
        for t in sorted(prompts) if step > 0 else [first]:
            if t > first and later == "refine":
                _propagate(predictor, state, starts[-1], step, out)
                starts.append(t)
            add_prompt(predictor, state, t, 1, prompts[t])
        _propagate(predictor, state, starts[-1], step, out)
    return out


def add_prompt(predictor: Any, state: Any, t: int, object_id: int, prompt: Prompt) -> None:
    """Give a prompt to SAM2's predictor."""
    if prompt.mask is not None:
        full = prompt.mask.to_frame(state["video_height"], state["video_width"])
        predictor.add_new_mask(state, t, object_id, full)
        return
    clicks = Clicks.of(prompt)
    corner = clicks.labels >= 2
    xy = clicks.points_yx[:, ::-1].astype(np.float32).copy()
    box = xy[corner].reshape(4) if corner.any() else None
    predictor.add_new_points_or_box(
        state, t, object_id, points=xy[~corner], labels=clicks.labels[~corner], box=box
    )


def _propagate(
    predictor: Any, state: Any, start: int, step: int, out: dict[int, NDArray[np.float32]]
) -> None:
    with quiet():
        for t, _, logits in predictor.propagate_in_video(
            state, start_frame_idx=start, reverse=step < 0
        ):
            out[t] = logits[0, 0].numpy()


@contextlib.contextmanager
def official_session(predictor: Any, movie: Movie) -> Iterator[Any]:
    """Yield a state of SAM2's predictor on a movie in memory: its own loader only takes files."""
    import sam2.sam2_video_predictor as module

    images = torch.stack(
        [load_as_sam2(movie.read(t), predictor.image_size) for t in range(movie.n_frames)]
    )
    loaded = mock.Mock(return_value=(images, movie.height, movie.width))
    with mock.patch.object(module, "load_video_frames", loaded):
        state = predictor.init_state(video_path="in memory")
    yield state


def load_as_sam2(frame_yxc: NDArray[np.uint8], size: int) -> Tensor:
    """Load a frame as `sam2.utils.misc` does, (3, size, size) float32."""
    small = np.array(Image.fromarray(frame_yxc).convert("RGB").resize((size, size))) / 255.0
    x = torch.from_numpy(small).permute(2, 0, 1).float()
    mean = torch.tensor((0.485, 0.456, 0.406))[:, None, None]
    std = torch.tensor((0.229, 0.224, 0.225))[:, None, None]
    return (x - mean) / std


@contextlib.contextmanager
def quiet() -> Iterator[None]:
    """Keep the progress bars of SAM2's predictor from the screen."""
    with contextlib.redirect_stderr(io.StringIO()):
        yield


@dataclass(frozen=True)
class Case:
    """One comparison.

    Attributes
    ----------
    name
        Subject of the comparison.
    prompts
        Prompts of all objects.
    later
        `EngineParams.later_prompts`.
    step
        1 for forward, -1 for backward.
    """

    name: str
    prompts: PromptSet
    later: Literal["refine", "fresh"] = "refine"
    step: int = 1


def cases(n_frames: int) -> tuple[Movie, list[Case]]:
    """Return a synthetic movie and the comparisons on it."""
    from napari_sam2track.frames import open_frames
    from napari_sam2track.samples import centre_pixels, moving_cells

    sample = moving_cells(n_frames, 150, 190, 4, seed=5)
    movie = open_frames(sample.images_tyx, axes="TYX")
    last, middle = n_frames - 1, n_frames // 2
    at = [centre_pixels(labels) for labels in sample.labels_tyx]

    def click(object_id: int, t: int, *extra: Point) -> Prompt:
        y, x = at[t][object_id]
        return Prompt(points=(Point(y, x), *extra))

    def given(object_id: int, t: int) -> Prompt:
        return Prompt(mask=Mask.from_frame(sample.labels_tyx[t] == object_id))

    def box(object_id: int, t: int) -> Prompt:
        y0, x0, y1, x1 = Mask.from_frame(sample.labels_tyx[t] == object_id).box
        return Prompt(box=(y0, x0, y1, x1))

    three = {(i, 0): click(i, 0) for i in (1, 2, 3)}
    return movie, [
        Case("one click", PromptSet({(1, 0): click(1, 0)})),
        Case("three objects, one click each", PromptSet(three)),
        Case(
            "clicks, a box, a mask",
            PromptSet(
                {(1, 0): click(1, 0, Point(3, 3, False)), (2, 0): box(2, 0), (3, 0): given(3, 0)}
            ),
        ),
        Case(
            "objects that begin later",
            PromptSet({(1, 0): click(1, 0), (2, middle): click(2, middle)}),
        ),
        Case(
            "a second prompted frame",
            PromptSet({(1, 0): click(1, 0), (1, middle): click(1, middle)}),
            later="fresh",
        ),
        Case(
            "a correction",
            PromptSet({(1, 0): click(1, 0), (1, middle): click(1, middle, Point(2, 2, False))}),
        ),
        Case("a corrected mask", PromptSet({(1, 0): click(1, 0), (1, middle): given(1, middle)})),
        Case(
            "backward", PromptSet({(1, last): click(1, last), (2, middle): box(2, middle)}), step=-1
        ),
    ]
