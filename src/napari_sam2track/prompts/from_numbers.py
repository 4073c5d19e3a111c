"""Prompts from numbers and arrays of Python."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import numpy as np

from napari_sam2track.errors import PromptError
from napari_sam2track.prompts.from_labels import masks_from_labels
from napari_sam2track.prompts.values import Point, Prompt, PromptSet

#: A click (t, y, x), positive; or (t, y, x, positive), where 0 is a negative click.
Click = Sequence[float]


def prompts_from_numbers(
    points: Mapping[int, Iterable[Click]] | None = None,
    boxes: Mapping[int, Sequence[float] | Iterable[Sequence[float]]] | None = None,
    masks: Mapping[int, Any] | None = None,
) -> PromptSet:
    """Return prompts from clicks, boxes and label images.

    Parameters
    ----------
    points
        Object id to clicks, (t, y, x) or (t, y, x, positive), in pixels.
    boxes
        Object id to a box (t, y0, x0, y1, x1) in pixels, or to several on different frames.
    masks
        Frame to a label image (Y, X), whose values are object ids.

    Raises
    ------
    PromptError
        If a click or a box has other numbers, or two prompts cannot be joined.
    """
    found = PromptSet()
    for object_id, clicks in (points or {}).items():
        for click in clicks:
            t, y, x, *rest = _numbers(click, (3, 4), f"a point of object {object_id}", "t, y, x")
            point = Point(y, x, not rest or bool(rest[0]))
            found = found.add(object_id, _frame(t), Prompt(points=(point,)))
    for object_id, given in (boxes or {}).items():
        several: Any = [given] if np.ndim(np.asarray(given, object)) == 1 else given
        for box in several:
            wanted = "t, y0, x0, y1, x1"
            t, y0, x0, y1, x1 = _numbers(box, (5,), f"a box of object {object_id}", wanted)
            found = found.add(object_id, _frame(t), Prompt(box=(y0, x0, y1, x1)))
    for t, labels_yx in (masks or {}).items():
        found = found.merge(masks_from_labels(np.asarray(labels_yx), t))
    return found


def _numbers(values: Any, lengths: tuple[int, ...], what: str, wanted: str) -> list[float]:
    """Return numbers as floats.

    Raises
    ------
    PromptError
        If they are not as many as wanted, or not finite numbers.
    """
    try:
        numbers = [float(value) for value in values]
    except (TypeError, ValueError) as error:
        raise PromptError(f"{what} is {values!r}; give the numbers ({wanted})") from error
    if len(numbers) not in lengths or not np.isfinite(numbers).all():
        raise PromptError(f"{what} is {values!r}; give the numbers ({wanted})")
    return numbers


def _frame(t: float) -> int:
    if not t.is_integer():
        raise PromptError(f"frame {t:g} is not a whole number; frames are counted from 0")
    return int(t)
