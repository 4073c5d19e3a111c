"""Stale frames of a run, from prompts, decisions and what is stored."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

from napari_sam2track.engine.results import ObjectResult
from napari_sam2track.engine.tasks import Segment, Task, key_of, segments, tasks_of
from napari_sam2track.params import EngineParams
from napari_sam2track.prompts import PromptSet
from napari_sam2track.session.decisions import Decisions, Division
from napari_sam2track.session.run_memories import DamagedMemoryError
from napari_sam2track.session.run_store import RunStore

#: Object id to frames.
Kept = Mapping[int, Collection[int]]


@dataclass(frozen=True)
class Plan:
    """Plan of a run: the prompts, the range, and what decides each object's result.

    Attributes
    ----------
    given
        The prompts of a person.
    decided
        Found objects and divisions, the run's decisions.
    engine
        The range of frames and the direction.
    last
        Last frame of the range, included.
    salt
        Bytes of all settings that decide the result of every object.
    kept
        Frames of objects that are left as they are, whatever their prompts are.
    """

    given: PromptSet
    decided: Decisions
    engine: EngineParams
    last: int
    salt: bytes
    kept: Kept = field(default_factory=dict)

    @cached_property
    def prompts(self) -> PromptSet:
        """Prompts of a person and found objects; the former win on the same frame."""
        found = {k: p for k, p in self.decided.found.items() if k[0] not in self._withdrawn}
        return PromptSet({**found, **dict(self.given.items())})

    @property
    def _applied(self) -> list[Division]:
        """Divisions that stand: a person's later prompt of the parent withdraws a division."""
        return [
            event
            for event in self.decided.divisions
            if event.daughters
            and not any(t >= event.frame for t in self.given.of_object(event.parent))
        ]

    @cached_property
    def _withdrawn(self) -> set[int]:
        """Daughters of divisions that were withdrawn, unless a person prompted them."""
        kept = {d for event in self._applied for d in event.daughters} | set(self.given.objects)
        return {d for event in self.decided.divisions for d in event.daughters} - kept

    @property
    def parents(self) -> dict[int, int]:
        """Parent of each daughter."""
        return {d: event.parent for event in self._applied for d in event.daughters}

    @cached_property
    def ends(self) -> dict[int, int]:
        """Last frames of objects that divided, unless a person prompted them later."""
        return {event.parent: event.frame - 1 for event in self._applied}

    @cached_property
    def _known_segments(self) -> dict[int, tuple[Segment, ...]]:
        return {}

    def segments(self, object_id: int) -> tuple[Segment, ...]:
        """Return the segments of an object: the prompt that each wanted frame follows from."""
        known = self._known_segments
        if object_id not in known:
            known[object_id] = tuple(self._segments(object_id))
        return known[object_id]

    def _segments(self, object_id: int) -> list[Segment]:
        given = self.prompts.of_object(object_id)
        found = (object_id, min(given, default=0)) in self.decided.found
        return segments(
            given,
            self.engine.start,
            min(self.last, self.ends.get(object_id, self.last)),
            # found objects begin where they were found, however they are corrected later
            "forward" if found else self.engine.direction,
            self.engine.before,
            self.salt,
        )

    def tasks(
        self, store: RunStore, step: int, objects: Collection[int] | None = None
    ) -> list[Task]:
        """Return the stale frames of objects (of all, if not given) in one direction, as tasks.

        Objects that are stale from the same frame on resume from memories of the same frame: the
        frames before it are then followed again in the same batches as before. In
        others they would be rounded differently, and a kill between two files of memories would
        show in the result.
        """
        works = []
        for i in self.prompts.objects if objects is None else objects:
            segments = self.segments(i)
            works += [
                _OpenTask(i, segments, task) for task in self._drafts(i, segments, store, step)
            ]
        together: dict[int, list[_OpenTask]] = {}
        for work in works:
            together.setdefault(work.begin, []).append(work)
        out: list[Task] = []
        for group in together.values():
            out += _going_on(group, store, step)
        return sorted(out, key=lambda task: (task.object_id, task.frames[0] * step))

    def _drafts(
        self, object_id: int, wanted: Sequence[Segment], store: RunStore, step: int
    ) -> list[Task]:
        """Return tasks that all begin at a prompt, without memories."""
        given, kept = self.prompts.of_object(object_id), self.kept.get(object_id, ())

        def key_at(t: int) -> int | None:
            if t in kept:
                return next((s.key for s in wanted if t in s.frames), None)
            return store.key(object_id, t)

        return tasks_of(object_id, given, wanted, key_at, step)

    @cached_property
    def _followed(self) -> dict[int, dict[int, range]]:
        """Frames of the segments of each object, by their keys."""
        return {i: {s.key: s.frames for s in self.segments(i)} for i in self.prompts.objects}

    def known(self, store: RunStore, t: int) -> Iterator[tuple[int, ObjectResult]]:
        """Yield the results on a frame that are not stale, see `engine.propagation.Known`."""
        frame = store.read(t)
        for key, result in () if frame is None else frame.results():
            if self.holds(result.object_id, t, key):
                yield self._followed[result.object_id][key].step, result

    def holds(self, object_id: int, t: int, key: int) -> bool:
        """Return whether the stored result of an object on a frame, with this key, is not stale."""
        frames = self._followed.get(object_id, {}).get(key)
        return frames is not None and t in frames

    def orphans(self, store: RunStore) -> dict[int, set[int]]:
        """Return the objects on each frame that no prompt leads to, as after a deleted first one.

        Results of another direction or range are no orphans, as long as their prompt is there.
        """
        out: dict[int, set[int]] = {}
        kept = [t for t in store.finished() if self.engine.start <= t <= self.last]
        for i in self.prompts.objects:
            given = self.prompts.of_object(i).items()
            alive = {key_of(t, p, step, self.salt) for t, p in given for step in (1, -1)}
            wanted = [s.frames for s in self.segments(i)]
            for t in kept:
                key = store.key(i, t)
                led = key is None or key in alive or any(t in frames for frames in wanted)
                if not led and t not in self.kept.get(i, ()):
                    out.setdefault(t, set()).add(i)
        return out

    def stale(self, store: RunStore) -> dict[int, list[int]]:
        """Return the stale frames of each object that has any."""
        found = {i: self.stale_of(store, i) for i in self.prompts.objects}
        return {i: frames for i, frames in found.items() if frames}

    def stale_of(self, store: RunStore, object_id: int) -> list[int]:
        """Return the stale frames of one object."""
        kept = self.kept.get(object_id, ())
        wanted = [(t, s.key) for s in self.segments(object_id) for t in s.frames]
        return sorted(t for t, key in wanted if t not in kept and store.key(object_id, t) != key)


@dataclass(frozen=True)
class _OpenTask:
    """A task before it is decided from which memory it resumes."""

    object_id: int
    segments: Sequence[Segment]
    task: Task

    @property
    def begin(self) -> int:
        """First stale frame, in the direction of the pass."""
        return next(t for t in self.task.frames if t in self.task.stale)

    def remembered(self, store: RunStore, step: int) -> set[int]:
        """Return the frames before the first stale one that have memories which still hold."""
        first, begin = self.task.frames[0], self.begin
        return {
            t
            for s in self.segments
            if s.frames.step == step
            for t in store.memories(self.object_id, s.key, step)
            if t in s.frames and first * step <= t * step < begin * step
        }

    def going_on(self, store: RunStore, step: int, frame: int | None) -> Task:
        """Return the task that resumes from a memory, or begins anew."""
        if frame is None:
            return self.task
        state = _recalled(store, self.object_id, self.segments, step, frame)
        return self.task.after(frame, state)


def _going_on(group: Sequence[_OpenTask], store: RunStore, step: int) -> list[Task]:
    """Return tasks that resume together, from the last memory that all have undamaged."""
    while True:
        known = [work.remembered(store, step) for work in group]
        at = _common(known, [work.task.frames[0] for work in group], step)
        try:
            return [
                work.going_on(store, step, at if at in frames else None)
                for work, frames in zip(group, known, strict=True)
            ]
        except DamagedMemoryError:
            continue  # the damaged one is not listed any more


def _common(known: list[set[int]], first: list[int], step: int) -> int | None:
    """Return the last frame from which all can resume together; None if there is none.

    Parameters
    ----------
    known
        Frames of which each has memories.
    first
        Frames where each would begin anew: an object does so if its frame comes later.
    """
    for t in sorted(set().union(*known), key=lambda u: -u * step):
        pairs = zip(known, first, strict=True)
        if all(t in frames or start * step > t * step for frames, start in pairs):
            return t
    return None


def _recalled(
    store: RunStore, object_id: int, wanted: Sequence[Segment], step: int, frame: int
) -> dict[str, Any]:
    """Return the memory after a frame, brought up to date with later changes of prompts.

    A prompted frame before it may have been corrected, added or deleted since.
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
    # if no conditioning frame is left, those of before are better than none
    state["bank"]["conditioning"] = rows or list(known.values())
    return state
