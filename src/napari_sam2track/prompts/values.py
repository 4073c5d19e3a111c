"""Prompts as frozen values: the annotations of a person for an object on a frame."""

from __future__ import annotations

import math
import operator
from collections.abc import Iterator, Mapping
from dataclasses import dataclass

import numpy as np

from napari_sam2track.errors import PromptError
from napari_sam2track.labels import checked_id
from napari_sam2track.masks import Mask

Box = tuple[float, float, float, float]
"""(y0, x0, y1, x1) in data pixels, centres of pixels at integers."""

Key = tuple[int, int]
"""(object id, frame)."""


@dataclass(frozen=True, slots=True)
class Point:
    """A click.

    Attributes
    ----------
    y, x
        Data pixels, the centre of a pixel at the integer.
    positive
        True for a positive click, on the object; False for a negative one.

    Raises
    ------
    PromptError
        If a coordinate is not finite.
    """

    y: float
    x: float
    positive: bool = True

    def __post_init__(self) -> None:
        if not (math.isfinite(self.y) and math.isfinite(self.x)):
            raise PromptError(f"point y={self.y}, x={self.x} is not finite; give pixel coordinates")


@dataclass(frozen=True, slots=True, eq=False)
class Prompt:
    """All prompts of one object on one frame.

    Attributes
    ----------
    points
        Clicks, in the order given.
    box
        (y0, x0, y1, x1) in data pixels.
    mask
        Outlined by hand or by another program. It stands alone.

    Raises
    ------
    PromptError
        If a mask comes with points or a box, or a coordinate of the box is not finite.
    """

    points: tuple[Point, ...] = ()
    box: Box | None = None
    mask: Mask | None = None

    def __post_init__(self) -> None:
        if self.mask is not None and (self.points or self.box is not None):
            other = "points" if self.points else "a box"
            raise PromptError(
                f"a mask and {other} were given for one object on one frame; SAM2 takes either: "
                f"leave out the mask, or give {other} on another frame"
            )
        if self.box is not None and not all(math.isfinite(side) for side in self.box):
            raise PromptError(f"box {self.box} is not finite; give pixel coordinates")

    def __bool__(self) -> bool:
        return bool(self.points) or self.box is not None or self.mask is not None

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, Prompt):
            return NotImplemented
        if (self.points, self.box) != (other.points, other.box):
            return False
        mine, theirs = self.mask, other.mask
        if mine is None or theirs is None:
            return mine is theirs
        return mine.box == theirs.box and np.array_equal(mine.crop, theirs.crop)

    def __hash__(self) -> int:
        return hash((self.points, self.box, None if self.mask is None else self.mask.box))

    def merged(self, later: Prompt) -> Prompt:
        """Join with a later prompt: points add up, a later box or mask replaces the earlier one.

        Raises
        ------
        PromptError
            If that would join a mask with points or a box.
        """
        return Prompt(
            self.points + later.points,
            self.box if later.box is None else later.box,
            self.mask if later.mask is None else later.mask,
        )


class PromptSet:
    """All prompts of a movie: an immutable mapping from (object id, frame) to `Prompt`.

    Iteration is by object, then by frame. Every change returns a new set.

    Parameters
    ----------
    prompts
        Object ids from 1 to 2**32 - 1, frames from 0; empty prompts are left out.

    Raises
    ------
    PromptError
        If an id or a frame is out of range.
    """

    __slots__ = ("_by_object", "_prompts")

    def __init__(self, prompts: Mapping[Key, Prompt] | None = None) -> None:
        checked = {_checked_key(key): prompt for key, prompt in (prompts or {}).items() if prompt}
        self._prompts = dict(sorted(checked.items(), key=lambda item: item[0]))
        self._by_object: dict[int, dict[int, Prompt]] = {}
        for (object_id, frame), prompt in self._prompts.items():
            self._by_object.setdefault(object_id, {})[frame] = prompt

    def __len__(self) -> int:
        return len(self._prompts)

    def __iter__(self) -> Iterator[Key]:
        return iter(self._prompts)

    def __contains__(self, key: object) -> bool:
        return key in self._prompts

    def __getitem__(self, key: Key) -> Prompt:
        return self._prompts[key]

    def get(self, key: Key) -> Prompt | None:
        """Return the prompt of an object on a frame; None if there is none."""
        return self._prompts.get(key)

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, PromptSet):
            return NotImplemented
        return self._prompts == other._prompts

    def __hash__(self) -> int:
        return hash(tuple(self._prompts.items()))

    def __repr__(self) -> str:
        return f"<PromptSet: {len(self)} prompts for {len(self._by_object)} objects>"

    def items(self) -> Iterator[tuple[Key, Prompt]]:
        """Return ((object id, frame), prompt) by object, then by frame."""
        return iter(self._prompts.items())

    @property
    def objects(self) -> tuple[int, ...]:
        """Ids of the objects, ascending."""
        return tuple(self._by_object)

    @property
    def frames(self) -> tuple[int, ...]:
        """Frames on which any object is prompted, ascending."""
        return tuple(sorted({frame for _, frame in self._prompts}))

    def of_object(self, object_id: int) -> dict[int, Prompt]:
        """Return the prompts of one object by frame, ascending; empty for an unknown object."""
        return dict(self._by_object.get(object_id, {}))

    def at_frame(self, frame: int) -> dict[int, Prompt]:
        """Return the prompts on one frame by object id, ascending."""
        return {
            object_id: prompts[frame]
            for object_id, prompts in self._by_object.items()
            if frame in prompts
        }

    def first_frame(self, object_id: int) -> int:
        """Return the first frame on which an object is prompted.

        Raises
        ------
        PromptError
            If the object has no prompt.
        """
        if object_id not in self._by_object:
            known = ", ".join(map(str, self.objects[:10])) or "none"
            raise PromptError(f"object {object_id} has no prompt; objects with prompts: {known}")
        return next(iter(self._by_object[object_id]))

    def add(self, object_id: int, frame: int, prompt: Prompt) -> PromptSet:
        """Return the set with one more prompt, joined (see `Prompt.merged`) to an existing one.

        Raises
        ------
        PromptError
            If it cannot be joined, or the id or frame is out of range.
        """
        key = _checked_key((object_id, frame))
        there = self._prompts.get(key)
        return self.put(object_id, frame, prompt if there is None else there.merged(prompt))

    def put(self, object_id: int, frame: int, prompt: Prompt) -> PromptSet:
        """Return the set with this prompt in place of that of the object on the frame."""
        return PromptSet({**self._prompts, (object_id, frame): prompt})

    def merge(self, other: PromptSet) -> PromptSet:
        """Return the set with all prompts of another, joined where object and frame are equal.

        Raises
        ------
        PromptError
            If two of them cannot be joined; the message names object and frame.
        """
        joined = dict(self._prompts)
        for key, prompt in other.items():
            try:
                joined[key] = joined[key].merged(prompt) if key in joined else prompt
            except PromptError as error:
                raise PromptError(f"object {key[0]}, frame {key[1]}: {error}") from error
        return PromptSet(joined)

    def remove(self, object_id: int, frame: int | None = None) -> PromptSet:
        """Return the set without an object's prompt on one frame, or (None) without the object.

        Raises
        ------
        PromptError
            If there is no such prompt.
        """
        gone = {key for key in self._prompts if key[0] == object_id and frame in (None, key[1])}
        if not gone:
            where = "" if frame is None else f" on frame {frame}"
            raise PromptError(
                f"object {object_id} has no prompt{where}, so there is nothing to remove"
            )
        return PromptSet({key: p for key, p in self._prompts.items() if key not in gone})


def _checked_key(key: Key) -> Key:
    object_id, frame = checked_id(key[0], "an object id", PromptError), operator.index(key[1])
    if frame < 0:
        raise PromptError(f"frame {frame} is before the movie; frames are counted from 0")
    return object_id, frame
