"""What of a run is stale, from prompts, decisions and what is stored."""

from __future__ import annotations

from collections.abc import Collection, Iterator
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any

from napari_sam2track.decisions import Decisions
from napari_sam2track.engine.plan import Segment, Task, segments, tasks_of
from napari_sam2track.engine.results import ObjectResult
from napari_sam2track.params import EngineParams
from napari_sam2track.prompts import PromptSet
from napari_sam2track.run_store import RunStore


@dataclass(frozen=True)
class Plan:
    """What is wanted of each object.

    Attributes
    ----------
    said
        The prompts of a person.
    decided
        What was found and decided.
    engine
        The range of frames and the direction.
    last
        Last frame of the range, included.
    salt
        All that decides the result of every object.
    """

    said: PromptSet
    decided: Decisions
    engine: EngineParams
    last: int
    salt: bytes

    @cached_property
    def prompts(self) -> PromptSet:
        """What a person said and what was found; the former counts where both speak."""
        return PromptSet({**dict(self.decided.found.items()), **dict(self.said.items())})

    @cached_property
    def ends(self) -> dict[int, int]:
        """Last frames of objects that divided, unless a person says that they are there later."""
        return {
            i: end
            for i, end in self.decided.ends.items()
            if not any(t > end for t in self.said.of_object(i))
        }

    def segments(self, object_id: int) -> list[Segment]:
        """Which prompt each wanted frame of an object follows from."""
        said = self.said.of_object(object_id)
        return segments(
            self.prompts.of_object(object_id),
            self.engine.start,
            min(self.last, self.ends.get(object_id, self.last)),
            # what was found begins where it was found
            self.engine.direction if said else "forward",
            self.engine.before,
            self.salt,
        )

    def tasks(
        self, store: RunStore, step: int, objects: Collection[int] | None = None
    ) -> list[Task]:
        """The stale frames of objects (of all, if not given) in one direction."""
        out: list[Task] = []
        for object_id in self.prompts.objects if objects is None else objects:
            out += self._tasks_of(object_id, store, step)
        return out

    def _tasks_of(self, object_id: int, store: RunStore, step: int) -> list[Task]:
        wanted = self.segments(object_id)

        def memory_before(segment: Segment, t: int) -> int | None:
            known = store.memories(object_id, segment.key, step)
            before = [u for u in known if (u - t) * step < 0 and u in segment.frames]
            return max(before, key=lambda u: u * step) if before else None

        def key_at(t: int) -> int | None:
            return store.key(object_id, t)

        given = self.prompts.of_object(object_id)
        return [
            task
            if frame is None
            else replace(task, state=_recalled(store, object_id, wanted, step, frame))
            for task, frame in tasks_of(object_id, given, wanted, key_at, memory_before, step)
        ]

    @cached_property
    def _followed(self) -> dict[int, dict[int, range]]:
        """Of each object: the frames of its segments by their keys."""
        return {i: {s.key: s.frames for s in self.segments(i)} for i in self.prompts.objects}

    def known(self, store: RunStore, t: int) -> Iterator[tuple[int, ObjectResult]]:
        """What is stored on a frame and not stale, see `engine.propagation.Known`."""
        frame = store.read(t)
        for key, result in () if frame is None else frame.results():
            frames = self._followed.get(result.object_id, {}).get(key)
            if frames is not None and t in frames:
                yield frames.step, result

    def stale(self, store: RunStore) -> dict[int, list[int]]:
        """The frames of each object that would be computed, for those that have any."""
        out: dict[int, list[int]] = {}
        for task in [*self.tasks(store, 1), *self.tasks(store, -1)]:
            out.setdefault(task.object_id, []).extend(task.stale)
        return {i: sorted(frames) for i, frames in sorted(out.items())}


def _recalled(
    store: RunStore, object_id: int, wanted: list[Segment], step: int, frame: int
) -> dict[str, Any]:
    """What was remembered after a frame, brought up to date with prompts given since.

    A prompted frame before it may have been corrected, added or deleted after it was passed.
    """
    own = next(s for s in wanted if s.frames.step == step and frame in s.frames)
    state = store.load_memory(object_id, own.key, step, frame)
    if step < 0:
        return state
    known = {row[0]: row for row in state["bank"]["conditioning"]}
    keys = {s.prompted: s.key for s in wanted if s.frames.step == step}
    rows = []
    for t, key in sorted(keys.items()):
        if t in known and (t > frame or state["keys"].get(t) == key):
            rows.append(known[t])
        elif t <= frame and t in store.memories(object_id, key, step):
            other = store.load_memory(object_id, key, step, t)["bank"]["conditioning"]
            rows += [row for row in other if row[0] == t]
    # where none is left, what it was told is gone, but what it saw is still remembered
    state["bank"]["conditioning"] = rows or list(known.values())
    return state
