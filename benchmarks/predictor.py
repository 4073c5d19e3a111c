"""SAM2's own video predictor on a movie in memory: labels frame by frame, for benchmarks."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from typing import Any
from unittest import mock

import numpy as np
import torch
from numpy.typing import NDArray

from napari_sam2track.engine.official_predictor import add_prompt, official_session, quiet
from napari_sam2track.engine.views.views import Movie
from napari_sam2track.prompts import PromptSet

#: (frame, (Y, X) labels)
Labels = Iterator[tuple[int, NDArray[Any]]]


@torch.inference_mode()
def official(predictor: Any, movie: Movie, prompts: PromptSet) -> Labels:
    """Labels of one session with all objects, by the overlap rule."""
    with ExitStack() as stack:
        state = stack.enter_context(official_session(predictor, movie))
        stack.enter_context(quiet())
        if len({t for _, t in dict(prompts.items())}) > 1:
            stack.enter_context(float32_memories(predictor))
        for (object_id, t), prompt in prompts.items():
            add_prompt(predictor, state, t, object_id, prompt)
        for t, ids, logits in predictor.propagate_in_video(state):
            best, which = logits[:, 0].max(dim=0)
            yield t, np.where(best.numpy() > 0, np.array(ids)[which.numpy()], 0)


@torch.inference_mode()
def a_session_a_start(predictor: Any, movie: Movie, prompts: PromptSet) -> Labels:
    """The same from one session for each frame on which objects begin, one after the other."""
    best: dict[int, NDArray[Any]] = {}
    labels: dict[int, NDArray[Any]] = {}
    shape = (movie.height, movie.width)
    for start in sorted({t for _, t in dict(prompts.items())}):
        with official_session(predictor, movie) as state, quiet():
            for (object_id, t), prompt in prompts.items():
                if t == start:
                    add_prompt(predictor, state, t, object_id, prompt)
            for t, ids, logits in predictor.propagate_in_video(state):
                high, which = (x.numpy() for x in logits[:, 0].max(dim=0))
                wins = high > best.setdefault(t, np.zeros(shape, np.float32))
                labels.setdefault(t, np.zeros(shape, np.int64))[wins] = np.array(ids)[which][wins]
                best[t][wins] = high[wins]
    yield from labels.items()


@contextmanager
def float32_memories(predictor: Any) -> Iterator[None]:
    """Let the predictor store memories as float32; they have been rounded to bfloat16 before."""
    frame, memory = predictor._run_single_frame_inference, predictor._run_memory_encoder

    def run_frame(*args: Any, **kwargs: Any) -> Any:
        out, masks = frame(*args, **kwargs)
        if out["maskmem_features"] is not None:
            out["maskmem_features"] = out["maskmem_features"].float()
        return out, masks

    def run_memory(*args: Any, **kwargs: Any) -> Any:
        features, place = memory(*args, **kwargs)
        return features.float(), place

    with (
        mock.patch.object(predictor, "_run_single_frame_inference", run_frame),
        mock.patch.object(predictor, "_run_memory_encoder", run_memory),
    ):
        yield
