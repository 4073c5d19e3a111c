"""Prompts from numbers and arrays of Python."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from napari_sam2track.errors import PromptError
from napari_sam2track.masks import Mask
from napari_sam2track.prompts.from_labels import masks_from_labels
from napari_sam2track.prompts.values import Point, Prompt, PromptSet

#: A click (t, y, x), positive; or (t, y, x, positive), where 0 is a negative click.
Click = Sequence[float]


def prompts_from_numbers(
    points: Mapping[int, Iterable[Click]] | None = None,
    boxes: Mapping[int, Sequence[float] | Iterable[Sequence[float]]] | None = None,
    masks: Mapping[int, Any] | None = None,
    *,
    shape: tuple[int, int],
    frame: int | None = None,
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
    shape
        (height, width) of a frame, which masks must have.
    frame
        The frame of all points and boxes, which are given without t then.

    Raises
    ------
    PromptError
        If something has other numbers or another shape, or two prompts cannot be joined.
    """
    found = PromptSet()
    known_t: list[float] = [] if frame is None else [frame]
    t_text = "t, " if frame is None else ""
    for object_id, clicks in _items(points, "points", "object ids to clicks"):
        wanted = f"{t_text}y, x), or ({t_text}y, x, 0) for a negative click"
        for click in _each(clicks, f"the points of object {object_id}", f"[({wanted}]"):
            what = f"a point of object {object_id}"
            t, y, x, *flag = *known_t, *_numbers(click, 3 - len(known_t), what, wanted, more=1)
            if flag and flag[0] not in (0, 1):
                raise PromptError(
                    f"{what} is {click!r}: its last number says whether it is on the object, and "
                    f"is 1 or 0; give ({wanted}"
                )
            point = Point(y, x, not flag or bool(flag[0]))
            found = found.add(object_id, _frame(t), Prompt(points=(point,)))
    for object_id, given in _items(boxes, "boxes", "object ids to boxes"):
        wanted = f"{t_text}y0, x0, y1, x1)"
        what = f"a box of object {object_id}"
        rows = list(_each(given, what, f"({wanted}"))
        for box in [rows] if all(np.ndim(each) == 0 for each in rows) else rows:
            t, y0, x0, y1, x1 = *known_t, *_numbers(box, 5 - len(known_t), what, wanted)
            known = found.get((object_id, _frame(t)))
            if known is not None and known.box is not None:
                raise PromptError(
                    f"object {object_id} has two boxes on frame {_frame(t)}; give one"
                )
            found = found.add(object_id, _frame(t), Prompt(box=(y0, x0, y1, x1)))
    for t, labels in _items(masks, "masks", "frames to label images (Y, X)"):
        labels_yx = _of_shape(labels, shape, f"the label image of frame {t}")
        found = found.merge(masks_from_labels(labels_yx, _frame(t)))
    return found


def mask_prompt_from(mask: Any, shape: tuple[int, int]) -> Prompt:
    """Return a prompt of a mask (Y, X), true where the object is.

    Raises
    ------
    PromptError
        If it is empty, has another shape than a frame, or holds NaN.
    """
    mask_yx = _of_shape(mask, shape, "the mask")
    if mask_yx.dtype.kind == "f" and np.isnan(mask_yx).any():
        raise PromptError("the mask holds NaN; give true and false")
    if not mask_yx.any():
        raise PromptError("the mask is empty; outline the object, or forget its prompt")
    return Prompt(mask=Mask.from_frame(mask_yx != 0))


def _items(given: Any, name: str, kind: str) -> Iterator[tuple[Any, Any]]:
    if given is None:
        return
    if not isinstance(given, Mapping):
        raise PromptError(f"{name} is a {type(given).__name__}; give a dictionary of {kind}")
    yield from given.items()


def _each(values: Any, what: str, wanted: str) -> Iterator[Any]:
    if isinstance(values, str) or not isinstance(values, Iterable):
        raise PromptError(f"{what} are {values!r}; give {wanted}")
    yield from values


def _numbers(values: Any, n: int, what: str, wanted: str, more: int = 0) -> list[float]:
    """Return finite numbers as floats: `n` of them, or up to `more` beyond.

    Raises
    ------
    PromptError
        If they are not as many as wanted, or not finite numbers.
    """
    try:
        numbers = [float(value) for value in values]
    except (TypeError, ValueError) as error:
        raise PromptError(f"{what} is {values!r}; give ({wanted}") from error
    if not n <= len(numbers) <= n + more or not np.isfinite(numbers).all():
        raise PromptError(f"{what} is {values!r}; give ({wanted}")
    return numbers


def _frame(t: Any) -> int:
    try:
        number = float(t)
    except (TypeError, ValueError) as error:
        raise PromptError(f"frame {t!r} is no number; frames are counted from 0") from error
    if not number.is_integer():
        raise PromptError(f"frame {t!r} is not a whole number; frames are counted from 0")
    return int(number)


def _of_shape(values: Any, shape: tuple[int, int], what: str) -> NDArray[Any]:
    array = np.asarray(values)
    if array.shape != shape:
        raise PromptError(
            f"{what} has shape {array.shape}, but frames of this movie have {shape}; give masks of "
            "the movie's own size"
        )
    return array
