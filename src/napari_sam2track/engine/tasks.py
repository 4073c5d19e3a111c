"""Frames to compute: each frame of an object depends on one prompt, and may be stale.

Each frame of an object follows from one prompted frame, in one direction: its *segment*. The
segment has a key, made of the prompt and of all settings that decide the result. A stored frame
whose key is another one is stale. So a correction, a deleted prompt, a new object, a run that was
stopped or killed are all the same: stale frames are computed, and nothing else.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, Literal

import numpy as np

from napari_sam2track.prompts import Prompt, PromptSet

Direction = Literal["forward", "backward", "both"]


@dataclass(frozen=True, slots=True)
class Segment:
    """The frames of one object that follow from one prompted frame.

    Attributes
    ----------
    prompted
        The prompted frame, whether it is one of ``frames`` or not.
    frames
        In the order in which they are computed: a range with step 1 or -1, not empty.
    key
        64 bits of all that the result depends on.
    """

    prompted: int
    frames: range
    key: int


@dataclass(frozen=True, eq=False)
class Task:
    """One object in one pass.

    Attributes
    ----------
    object_id
        Its id.
    prompts
        By frame; the first of them, or what ``state`` holds, is where it begins.
    segments
        Those of the wanted frames, in the order of the pass.
    frames
        All frames that are visited, in order. Those that are not stale give no new result:
        only their memories are needed.
    stale
        Frames without an up-to-date result.
    state
        Memory of the object before the first of ``frames`` (`Pass.memories`); None to begin.
    """

    object_id: int
    prompts: dict[int, Prompt]
    segments: tuple[Segment, ...]
    frames: range
    stale: frozenset[int] = field(repr=False)
    state: dict[str, Any] | None = field(default=None, repr=False)

    @property
    def step(self) -> int:
        """Direction of the pass."""
        return self.frames.step

    def after(self, frame: int, state: dict[str, Any]) -> Task:
        """Return the task from the frame after ``frame`` on, where ``state`` is the memory."""
        begin = frame + self.step
        rest = self.frames[self.frames.index(begin) :]
        prompts = {t: p for t, p in self.prompts.items() if t in rest}
        return replace(self, prompts=prompts, frames=rest, state=state)

    def key_of(self, t: int) -> int:
        """Return the key of a wanted frame."""
        return next(s.key for s in self.segments if t in s.frames)


def segments(
    prompts: dict[int, Prompt],
    first: int,
    last: int,
    direction: Direction,
    before: Literal["keep", "halfway"],
    salt: bytes = b"",
) -> list[Segment]:
    """Return the segments of an object: the prompt that each of its frames follows from.

    Parameters
    ----------
    prompts
        Of one object by frame; those outside the range do not count.
    first, last
        Range of frames, both included.
    direction
        Forward from each prompt to the next one; backward from the first prompt.
    before
        ``halfway``: the second half of the frames between two prompts follows backward from the
        later one.
    salt
        Anything else that decides the result.

    Returns
    -------
    list of Segment
        No frame is in two of them.
    """
    given = sorted(t for t in prompts if first <= t <= last)
    if not given:
        return []
    out: list[Segment] = []

    def add(prompted: int, frames: range) -> None:
        if len(frames):
            step = frames.step
            out.append(Segment(prompted, frames, key_of(prompted, prompts[prompted], step, salt)))

    if direction == "backward":
        add(given[0], range(given[0], first - 1, -1))
        return out
    for t, following in zip(given, [*given[1:], last + 1], strict=True):
        middle = following - 1
        if before == "halfway" and following <= last:
            middle = (t + following) // 2
            add(following, range(following - 1, middle, -1))
        add(t, range(t, middle + 1))
    if direction == "both":
        add(given[0], range(given[0] - 1, first - 1, -1))
    return out


def key_of(prompted: int, prompt: Prompt, step: int, salt: bytes) -> int:
    """Return 64 bits of a prompt, its frame, and the direction in which it is followed."""
    digest = hashlib.blake2b(salt, digest_size=8)
    # as plain numbers: the same prompt may have come as integers, numpy's or JSON's
    points = [(float(p.y), float(p.x), bool(p.positive)) for p in prompt.points]
    box = None if prompt.box is None else [float(v) for v in prompt.box]
    digest.update(repr((int(prompted), step, points, box)).encode())
    if prompt.mask is not None:
        digest.update(repr([int(v) for v in prompt.mask.box]).encode())
        digest.update(np.packbits(prompt.mask.crop).tobytes())
    return int.from_bytes(digest.digest(), "little")


def tasks_of(
    object_id: int,
    prompts: dict[int, Prompt],
    wanted: Sequence[Segment],
    stored_key: Callable[[int], int | None],
    step: int,
) -> list[Task]:
    """Return the tasks of one object in one direction, without memories of earlier runs.

    Parameters
    ----------
    wanted
        All segments of the object.
    stored_key
        Key of the stored result on a frame; None if there is none.
    step
        1 or -1.
    """
    ours = sorted(
        (s for s in wanted if s.frames.step == step), key=lambda s: s.prompted, reverse=step < 0
    )
    stale = [[t for t in s.frames if stored_key(t) != s.key] for s in ours]
    if step < 0:  # each follows from its own prompt alone
        spans = [[k, k] for k, frames in enumerate(stale) if frames]
    else:
        spans = []
        for k, frames in enumerate(stale):
            if not frames:
                continue
            goes_on = (
                spans
                and spans[-1][1] == k - 1
                and frames[0] == ours[k].frames[0]
                and stale[k - 1][-1] == ours[k - 1].frames[-1]
            )
            if goes_on:
                spans[-1][1] = k
            else:
                spans.append([k, k])
    out = []
    for a, b in spans:
        end = stale[b][-1]
        origin = ours[0].prompted if step > 0 else ours[a].prompted
        visited = range(origin, end + step, step)
        used = (
            {t: p for t, p in prompts.items() if t in visited}
            if step > 0
            else {origin: prompts[origin]}
        )
        chosen = tuple(ours[a : b + 1])
        missing = frozenset(t for part in stale[a : b + 1] for t in part)
        out.append(Task(object_id, used, chosen, visited, missing))
    return out


def whole_tasks(prompts: PromptSet, order: range) -> list[Task]:
    """Return a task for every object, from its first prompt through a range of frames."""
    out = []
    step = order.step
    first, last = min(order), max(order)
    for object_id in prompts.objects:
        given = prompts.of_object(object_id)
        start = prompts.first_frame(object_id)
        if start not in order:
            continue
        frames = range(start, last + 1) if step > 0 else range(start, first - 1, -1)
        given = (
            {t: p for t, p in given.items() if t in frames} if step > 0 else {start: given[start]}
        )
        segment = Segment(start, frames, 0)
        out.append(Task(object_id, given, (segment,), frames, frozenset(frames)))
    return out
