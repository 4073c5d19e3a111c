"""Checks before a run: refuse ranges and prompts that do not fit the movie."""

from __future__ import annotations

from napari_sam2track.errors import PromptError, UsageError
from napari_sam2track.frames import Frames
from napari_sam2track.params import EngineParams
from napari_sam2track.prompts import PromptSet, validate_prompts


def check_range(frames: Frames, engine: EngineParams) -> None:
    """Refuse a range of frames that is not in the movie, or empty.

    Raises
    ------
    UsageError
        With the range, and a range that would do.
    """
    n, first, last = frames.n_frames, engine.start, engine.stop
    if first >= n or (last is not None and last >= n):
        asked = first if first >= n else last
        raise UsageError(
            f"frame {asked} is outside {frames.name}, which has {n} frames; choose a range within "
            f"0 to {n - 1}"
        )
    if last is not None and last < first:
        raise UsageError(
            f"the range of frames from {first} to {last} is empty; give a last frame that is not "
            "before the first"
        )


def check_prompts(frames: Frames, prompts: PromptSet, span: range) -> None:
    """Refuse prompts that do not fit the movie, or of which none is in the range.

    Raises
    ------
    PromptError
        With the worst problem.
    """
    if not prompts:
        return
    validate_prompts(prompts, frames.n_frames, frames.height, frames.width)
    for object_id in prompts.objects:
        given = sorted(prompts.of_object(object_id))
        if not any(t in span for t in given):
            raise PromptError(
                f"object {object_id} has no prompt within frames {span[0]} to {span[-1]} (it has "
                f"some on {given}); widen the range, prompt inside it, or leave it out"
            )
