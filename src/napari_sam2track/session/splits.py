"""Divisions on a frame that was just followed: objects that have become two."""

from __future__ import annotations

from collections.abc import Callable, Collection
from functools import cache

from napari_sam2track.engine.divisions import (
    LASTING,
    AskWhichAreTwo,
    FoundDivision,
    Patches,
    TwoParts,
    find_split,
)
from napari_sam2track.engine.results import FrameResult
from napari_sam2track.prompts import PromptSet
from napari_sam2track.session.decisions import Division


def find_splits(
    result: FrameResult,
    stored_at: Callable[[int], Patches],
    prompts: PromptSet,
    told: Collection[Division],
    ask: AskWhichAreTwo,
) -> list[tuple[int, FoundDivision]]:
    """Return the objects of a frame that have become two, and where, without known divisions.

    Parameters
    ----------
    result
        The frame.
    stored_at
        From a frame to the masks of all objects that are stored of it.
    prompts
        All prompts: a prompt says that its object is one.
    told
        Known divisions. A division is reported once, also if in between the object looks
        like one for a moment.
    ask
        Says whether objects are two.
    """
    t = result.frame
    mine = {o.object_id: o.patch for o in result.objects}
    frames = {i: [u for u in sorted(prompts.of_object(i)) if u <= t] for i in mine}
    asked = [i for i, patch in mine.items() if patch and frames[i] and frames[i][-1] < t]

    @cache
    def patches(u: int) -> Patches:
        return {**stored_at(u), **(mine if u == t else {})}

    def two_at(u: int, i: int) -> TwoParts | None:
        patch = mine[i] if u == t else patches(u).get(i)
        return ask(u, {i: patch}, lambda: patches(u))[i] if patch else None

    now = ask(t, {i: mine[i] for i in asked}, lambda: patches(t)) if asked else {}
    out = []
    for i in [i for i, two in now.items() if two is not None]:
        first = frames[i][-1] + 1
        split = find_split(t, first, lambda u, i=i: two_at(u, i))  # type: ignore[misc]
        if split is None:
            continue
        corrected = len(frames[i]) > 1 and split.frame == first
        if corrected and t - first + 1 < LASTING:
            continue  # a person has just prompted it as one object
        before = [d.frame for d in told if d.parent == i and d.frame <= split.frame]
        if before:
            since = range(max(*before, first, split.frame - LASTING), split.frame)
            if max(before) == split.frame or any(two_at(u, i) is not None for u in since):
                continue
        out.append((i, split))
    return out
