"""Checks of prompts against the size of the movie."""

from __future__ import annotations

from collections.abc import Iterator
from enum import IntEnum

from napari_sam2track.errors import PromptError
from napari_sam2track.masks import Mask
from napari_sam2track.parsing.bounds import MAX_SIDE
from napari_sam2track.prompts.values import Box, Prompt, PromptSet


class _Rank(IntEnum):
    """Ranks of problems, the worst first: a prompt for another movie explains the rest."""

    FRAME = 0
    MASK = 1
    BOX = 2
    POINT = 3
    NEGATIVE = 4


def find_problems(prompts: PromptSet, n_frames: int, height: int, width: int) -> list[str]:
    """List everything that is wrong with prompts for a movie of this size, the worst first.

    Parameters
    ----------
    n_frames, height, width
        Of the movie, in frames and pixels.

    Returns
    -------
    One sentence each; empty if all is well.
    """
    found: list[tuple[_Rank, str]] = []
    for (object_id, frame), prompt in prompts.items():
        where = f"object {object_id} on frame {frame}"
        if frame >= n_frames:
            found.append(
                (
                    _Rank.FRAME,
                    f"frame {frame}, prompted for object {object_id}, is outside the movie, which "
                    f"has {n_frames} frames; choose one from 0 to {n_frames - 1}",
                )
            )
        found += _of_prompt(prompt, where, height, width)
        only_negative = prompt.points and not any(point.positive for point in prompt.points)
        if only_negative and prompt.box is None and frame == prompts.first_frame(object_id):
            found.append(
                (
                    _Rank.NEGATIVE,
                    f"{where} has negative clicks alone, and nothing before them says what the "
                    "object is; add a positive click, a box or a mask",
                )
            )
    return [text for _, text in sorted(found, key=lambda item: item[0])]


def validate_prompts(prompts: PromptSet, n_frames: int, height: int, width: int) -> None:
    """Check all prompts against a movie.

    Raises
    ------
    PromptError
        With the worst problem, and the number of others.
    """
    problems = find_problems(prompts, n_frames, height, width)
    if problems:
        more = f" (and {len(problems) - 1} more)" if len(problems) > 1 else ""
        raise PromptError(problems[0] + more)


def _of_prompt(prompt: Prompt, where: str, height: int, width: int) -> Iterator[tuple[_Rank, str]]:
    size = f"the image ({width} wide, {height} high)"
    for point in prompt.points:
        # Half a pixel around the centres of the outer pixels still belongs to them.
        if not (-0.5 <= point.y <= height - 0.5 and -0.5 <= point.x <= width - 0.5):
            yield (
                _Rank.POINT,
                f"point x={point.x:g}, y={point.y:g} of {where} lies outside {size}; "
                f"x goes from 0 to {width - 1}, y from 0 to {height - 1}",
            )
    if prompt.box is not None:
        yield from _of_box(prompt.box, where, size, height, width)
    if prompt.mask is not None:
        yield from _of_mask(prompt.mask, where, size, height, width)


def _of_box(
    box: Box, where: str, size: str, height: int, width: int
) -> Iterator[tuple[_Rank, str]]:
    y0, x0, y1, x1 = box
    named = f"box x0={x0:g}, y0={y0:g}, x1={x1:g}, y1={y1:g} of {where}"
    if not (y0 < y1 and x0 < x1):
        yield _Rank.BOX, f"{named} has no area; x0 must be below x1 and y0 below y1"
    elif max(map(abs, box)) > MAX_SIDE:
        yield _Rank.BOX, f"{named} goes beyond any image; draw it round the object, in {size}"
    elif y1 <= -0.5 or x1 <= -0.5 or y0 >= height - 0.5 or x0 >= width - 0.5:
        yield _Rank.BOX, f"{named} lies outside {size}; draw it around the object"


def _of_mask(
    mask: Mask, where: str, size: str, height: int, width: int
) -> Iterator[tuple[_Rank, str]]:
    if mask.area == 0:
        yield _Rank.MASK, f"the mask of {where} is empty; outline the object, or leave it out"
        return
    y0, x0, y1, x1 = mask.box
    if y0 < 0 or x0 < 0 or y1 > height or x1 > width:
        yield (
            _Rank.MASK,
            f"the mask of {where} covers rows {y0} to {y1 - 1} and columns {x0} to {x1 - 1}, "
            f"beyond {size}; it was made for another size: give one of the movie's own",
        )
