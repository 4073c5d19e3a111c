"""A session holds the pieces together; both front ends drive it.

Frames, prompts and parameters go in; `Session.propagate` is a generator that finishes one frame
a step and writes it to a `RunStore`. It computes what is stale, and nothing else: so a run can be
watched, stopped, gone on with, corrected and undone.
"""

from __future__ import annotations

import json
from collections.abc import Collection, Generator, Iterator
from dataclasses import dataclass, field, replace
from functools import cached_property
from typing import TYPE_CHECKING

from psygnal import Signal

from napari_sam2track.engine.tasks import whole_tasks
from napari_sam2track.errors import PromptError
from napari_sam2track.frames import Frames
from napari_sam2track.params import AutoParams, EngineParams
from napari_sam2track.prompts import Prompt, PromptSet, validate_prompts
from napari_sam2track.session.checks import check_prompts, check_range
from napari_sam2track.session.decisions import Decisions, Division
from napari_sam2track.session.session_file import FREE_ENGINE
from napari_sam2track.session.stale import Kept, Plan

if TYPE_CHECKING:
    from napari_sam2track.engine.divisions import Ask, FoundDivision
    from napari_sam2track.engine.embeddings import Encoder
    from napari_sam2track.engine.network.network import Network
    from napari_sam2track.engine.propagation import Known, Pass
    from napari_sam2track.engine.results import FrameResult, ObjectResult
    from napari_sam2track.engine.tasks import Task
    from napari_sam2track.masks import Patch
    from napari_sam2track.models.registry import ModelInfo
    from napari_sam2track.session.run_store import RunStore

#: Frames that a correction may follow again before it is shown.
_SHORT_WAY = 20


@dataclass(frozen=True)
class RunStep:
    """One step of a run.

    Attributes
    ----------
    done, total
        (object, frame) pairs finished in this run, and to be finished; the latter grows when
        objects are found.
    frame
        The frame of this step.
    result
        What was found on it.
    """

    done: int
    total: int
    frame: int
    result: FrameResult


@dataclass
class Session:
    """What is worked on: a movie, a model, prompts, parameters.

    Parameters
    ----------
    frames
        The movie.
    model
        Entry of the registry; its weights are loaded when they are first needed.
    prompts
        May be changed at any time between runs.
    engine
        How objects are followed.
    auto
        How objects are found; None where prompts say where they are.
    device
        As torch names it; ``auto``: the best there is, found when the network is loaded.
    """

    frames: Frames
    model: ModelInfo
    prompts: PromptSet = field(default_factory=PromptSet)
    engine: EngineParams = field(default_factory=EngineParams)
    auto: AutoParams | None = None
    device: str = "cpu"
    #: What the run decided by itself; None before it begins.
    decided: Decisions | None = None
    #: Frames of objects that runs leave as they are: a person accepted or edited them.
    kept: Kept = field(default_factory=dict)
    #: Objects that are found get ids from here on: labels of others may have lower ones.
    free_from: int = 1
    #: Shared with what `dataclasses.replace` makes of a session.
    _loaded: _Loaded = field(default_factory=lambda: _Loaded(), repr=False)

    frame_done = Signal(object)
    prompts_changed = Signal(object)
    decided_changed = Signal(object)

    @property
    def network(self) -> Network:
        """The network with its weights, loaded on first use.

        In window mode a network that was made for whole frames is built for smaller squares.
        """
        from napari_sam2track.engine.network.network import Network
        from napari_sam2track.models.loading import load_network

        size = (self.decided or self.decide()).size
        loaded, wanted = self._loaded, (self.model, self._where, size)
        if loaded.network is None or loaded.network[0] != wanted:
            network = Network(load_network(self.model, self._where, image_size=size))
            loaded.network = wanted, network
        return loaded.network[1]

    @property
    def _where(self) -> str:
        from napari_sam2track.models.device import choose_device

        return choose_device("auto").device if self.device == "auto" else self.device

    def set_prompts(self, prompts: PromptSet) -> None:
        """Replace the prompts."""
        self.prompts = prompts
        self.prompts_changed.emit(prompts)

    def decide(self) -> Decisions:
        """What the network would be shown, in which size, and why."""
        from napari_sam2track.engine.modes import choose_mode, choose_window_size
        from napari_sam2track.models.loading import load_config

        if self._loaded.made_for is None or self._loaded.made_for[0] != self.model:
            self._loaded.made_for = self.model, int(load_config(self.model)["image_size"])
        made_for = self._loaded.made_for[1]
        height, width = self.frames.height, self.frames.width
        mode, reason = choose_mode(self.engine.mode, made_for, self.prompts, height, width)
        size = made_for
        if mode == "window":
            size, why = choose_window_size(self.engine.window_size, made_for, self._where)
            reason = f"{reason}; windows of {size} px, {why}" if size != made_for else reason
        return Decisions(mode, reason, size)

    def check(self, only: Collection[int] | None = None) -> None:
        """Refuse prompts and ranges that cannot be meant, before anything is computed.

        Parameters
        ----------
        only
            The objects that are to be followed; None: all.

        Raises
        ------
        PromptError
            If there are no prompts and nothing is to be found, or they do not fit the movie.
        UsageError
            If the range of frames does not fit the movie.
        """
        check_range(self.frames, self.engine)
        found = self.decided is not None and bool(self.decided.found)
        if self.auto is None and not self.prompts and not found:
            raise PromptError(
                "there are no prompts, so nothing to follow; give points, a box or masks"
            )
        chosen = PromptSet({k: p for k, p in self.prompts.items() if only is None or k[0] in only})
        check_prompts(self.frames, chosen, range(self.engine.start, self._last + 1))

    @property
    def _last(self) -> int:
        stop = self.engine.stop
        return self.frames.n_frames - 1 if stop is None else min(stop, self.frames.n_frames - 1)

    @cached_property
    def _weights(self) -> str:
        from napari_sam2track.models.download import verify

        return verify(self.model)

    @property
    def _computing(self) -> Network:
        """The network as this run uses it."""
        from napari_sam2track.engine.network.fast import fast_version

        return self.network if self.engine.equality == "exact" else fast_version(self.network)

    def _encoder(self, store: RunStore, size: int) -> Encoder:
        """What remembers embeddings from one run of this session to the next."""
        from napari_sam2track.engine.embeddings import Encoder

        megabyte, engine = 1 << 20, self.engine
        wanted = (
            *(store.folder, self.model, self._where, size),
            *(engine.cache_memory, engine.cache_disk, engine.equality),
        )
        loaded = self._loaded
        if loaded.embeddings is None or loaded.embeddings[0] != wanted:
            encoder = Encoder(
                self._computing,
                engine.cache_memory * megabyte,
                self._weights,
                store.folder / "embeddings" if engine.cache_disk else None,
                engine.cache_disk * megabyte,
            )
            loaded.embeddings = wanted, encoder
        return loaded.embeddings[1]

    @property
    def plan(self) -> Plan:
        """Which prompt each wanted frame follows from, as things are now."""
        asked = self.engine.model_dump(exclude=FREE_ENGINE | {"mode", "window_size"})
        decided = [self._decided.mode, self._decided.size]
        salt = json.dumps([asked, *decided, self._weights], sort_keys=True).encode()
        return Plan(self.prompts, self._decided, self.engine, self._last, salt, self.kept)

    def all_prompts(self) -> PromptSet:
        """What a person said and what was found; the former counts where both speak."""
        return self.prompts if self.decided is None else self.plan.prompts

    def stale(self, store: RunStore) -> dict[int, list[int]]:
        """The frames of each object that would be computed, for those that have any."""
        self._recall(store)
        return self.plan.stale(store)

    def look(self, store: RunStore, object_id: int, t: int) -> ObjectResult:
        """A prompted object on one frame, as a run would find it; nothing is stored.

        A correction is seen together with what is remembered from before it, if that is there and
        up to date; else a prompt is all that is known.

        Raises
        ------
        PromptError
            If the object has no prompt on the frame.
        """
        from napari_sam2track.engine.propagation import Pass

        movie = self.frames
        validate_prompts(self.prompts, movie.n_frames, movie.height, movie.width)
        if (object_id, t) not in self.prompts:
            raise PromptError(f"object {object_id} has no prompt on frame {t}; click on it there")
        note = store.load_note()
        if note is not None:
            self.decided = Decisions.from_dict(note)
        decided = self.decided or self.decide()
        task = self._correction(store, object_id, t) if note is not None else None
        if task is None:
            one = PromptSet({(object_id, t): self.prompts[object_id, t]})
            (task,) = whole_tasks(one, range(t, t + 1))
        known = self._known(store) if note is not None else None
        args = (self.engine, decided.mode, 1, self._encoder(store, decided.size), known)
        results = list(Pass(self.network, self.frames, [task], *args))
        return results[-1].objects[0]

    def _correction(self, store: RunStore, object_id: int, t: int) -> Task | None:
        """The way to a prompt that is not the first; None if it would be long."""
        if t <= self.all_prompts().first_frame(object_id):
            return None
        plan = replace(self.plan, last=t, kept={})
        for task in plan.tasks(store, 1, [object_id]):
            if task.stale == {t} and len(task.frames) <= _SHORT_WAY:
                return task
        return None

    # -- the run -------------------------------------------------------------------------------

    def propagate(
        self, store: RunStore, only: Collection[int] | None = None
    ) -> Generator[RunStep, None, None]:
        """Follow objects where they are stale.

        Closing the generator keeps all frames that were finished. After an error or a kill a run
        goes on from what was stored last, with the same result.

        Parameters
        ----------
        store
            Takes the frames; what it holds already is not computed again.
        only
            The objects that are followed; None: all.

        Yields
        ------
        RunStep
            After each frame.
        """
        from napari_sam2track.engine.propagation import Pass

        self.check(only)
        self._recall(store)
        store.open_journal()
        self._forget(store)
        count = _Count()
        # looking for new objects needs to know where the known ones are
        order = (-1, 1) if self._key_frames() else (1, -1)
        plan = self.plan
        work = {step: plan.tasks(store, step, only) for step in order}
        count.total = sum(len(task.stale) for tasks in work.values() for task in tasks)
        for step in order:
            mode = self._decided.mode
            run = Pass(
                self.network,
                self.frames,
                work[step],
                self.engine,
                mode,
                step,
                self._encoder(store, self._decided.size),
                self._known(store),
            )
            try:
                if step > 0:
                    yield from self._forward(store, run, count)
                else:
                    for result in run:
                        yield self._finish(store, run, result, count)
            except GeneratorExit:  # stopped between two frames
                self._keep_memories(store, run, every=True)
                raise
        store.close_journal()

    @property
    def _decided(self) -> Decisions:
        assert self.decided is not None
        return self.decided

    def _recall(self, store: RunStore) -> None:
        """Decisions of the run in the store, or the first one of a new run."""
        note = store.load_note()
        if note is not None:
            self.decided = Decisions.from_dict(note)
        elif self.decided is None:
            # decided once: what is found later must not change what a resumed run is shown
            self._decide(store, self.decide())
        else:
            self._decide(store, self.decided)

    def _decide(self, store: RunStore, decisions: Decisions) -> None:
        self.decided = decisions
        store.save_note(decisions.to_dict())
        self.decided_changed.emit(decisions)

    def _forget(self, store: RunStore) -> None:
        """Remove what is gone: objects, what comes after their ends, what no prompt leads to."""
        plan = self.plan
        gone = store.objects() - set(plan.prompts.objects)
        ends, orphans = plan.ends, plan.orphans(store)
        if not gone and not ends and not orphans:
            return
        for t in store.finished():
            past = {i for i, end in ends.items() if t > end}
            store.remove(t, gone | past | orphans.get(t, set()))

    def _known(self, store: RunStore) -> Known:
        """What is stored of the objects of a frame, as it counts for their neighbours."""
        plan = self.plan

        def known(t: int) -> Iterator[tuple[int, ObjectResult]]:
            nonlocal plan
            if plan.decided is not self._decided:  # objects were found since
                plan = self.plan
            return plan.known(store, t)

        return known

    def _finish(self, store: RunStore, run: Pass, result: FrameResult, count: _Count) -> RunStep:
        """Store a frame, and what is remembered of it."""
        progress = self._put(store, result, run.keys(result.frame), count)
        self._keep_memories(store, run)
        return progress

    def _put(
        self, store: RunStore, result: FrameResult, keys: dict[int, int], count: _Count
    ) -> RunStep:
        """Store a frame, count it, and tell of it."""
        store.put(result.frame, result.objects, keys)
        count.done += len(result.objects)
        self.frame_done.emit(result)
        return RunStep(count.done, count.total, result.frame, result)

    def _keep_memories(self, store: RunStore, run: Pass, every: bool = False) -> None:
        for task, t, state in run.memories(every):
            keys = {s.prompted: s.key for s in task.segments}
            if task.state is not None:
                keys = {**task.state.get("keys", {}), **keys}
            store.save_memory(task.object_id, task.key_of(t), task.step, t, {**state, "keys": keys})

    def _forward(self, store: RunStore, run: Pass, count: _Count) -> Iterator[RunStep]:
        """The forward pass, in which new objects are looked for and divisions found."""
        ask = self._ask()
        for t in [*self._key_frames(), None]:
            for result in run.until(t):
                # Before the frame is stored: if this fails, it is looked at again; and a run that
                # is killed between the two does not look for the same division on the next frame.
                splits = [] if ask is None else self._splits(store, result, ask)
                noted = [(i, split, self._note_split(store, i, split)) for i, split in splits]
                progress = self._finish(store, run, result, count)
                # before anybody can stop here, so that a stopped run finds it on the same frame
                divided = [
                    step
                    for i, split, daughters in noted
                    for step in self._divide(store, run, i, result.frame, split, daughters, count)
                ]
                yield progress
                yield from divided
            if t is not None:
                new = self._discover(store, t)
                yield from self._joined(store, run, new, count)

    def _joined(
        self, store: RunStore, run: Pass, objects: Collection[int], count: _Count
    ) -> Iterator[RunStep]:
        """Let objects take part in a pass, from where they begin."""
        tasks = self.plan.tasks(store, 1, objects)
        count.total += sum(len(task.stale) for task in tasks)
        for result in run.join(tasks):
            keys = {task.object_id: task.key_of(result.frame) for task in tasks}
            yield self._put(store, result, keys, count)

    def _key_frames(self) -> list[int]:
        """Frames on which new objects are still to be looked for."""
        auto = self.auto
        if auto is None or (self.prompts and auto.discover == 0):
            return []
        first, last = self.engine.start, self._last
        wanted = range(first, last + 1, auto.discover) if auto.discover else [first]
        return [t for t in wanted if t not in self._decided.looked]

    def _discover(self, store: RunStore, t: int) -> list[int]:
        """Look for objects that nothing covers; ids of those that were found."""
        from napari_sam2track.engine.discovery import discover

        auto, known = self.auto, self.all_prompts().objects
        assert auto is not None
        stored = store.read(t)
        found = discover(
            self._computing,
            self.frames,
            t,
            None if stored is None else stored.labels_yx,
            auto,
            self._decided.mode,
            self.engine.batch,
            next_id=self._next_id,
            room=auto.max_objects - len(known),
        )
        self._decide(store, self._decided.with_found(t, found))
        return list(found.objects)

    @property
    def _next_id(self) -> int:
        """An id that nobody has or had: also not a daughter of a division that was taken back."""
        known = {*self.prompts.objects, *self._decided.found.objects}
        return max(max(known, default=0) + 1, self.free_from)

    def _ask(self) -> Ask | None:
        """What says whether objects are two, the masks alone or the network; None: nobody asks."""
        engine = self.engine
        if engine.divisions == "off":
            return None
        from napari_sam2track.engine.divisions import two_parts
        from napari_sam2track.engine.network.batches import Batcher
        from napari_sam2track.engine.touching_daughters import TwoInTouch

        if engine.touching == "off" or self._decided.mode == "frame":
            return lambda t, asked, known: {i: two_parts(patch) for i, patch in asked.items()}
        return TwoInTouch(Batcher.of(self._computing, "window", engine), self.frames).ask

    def _splits(
        self, store: RunStore, result: FrameResult, ask: Ask
    ) -> list[tuple[int, FoundDivision]]:
        """Objects of a frame that have become two."""
        from napari_sam2track.session.splits import find_splits

        def stored_at(t: int) -> dict[int, Patch]:
            stored = store.read(t)
            return {} if stored is None else dict(stored.patches())

        return find_splits(result, stored_at, self.all_prompts(), self._decided.divisions, ask)

    def _note_split(self, store: RunStore, parent: int, split: FoundDivision) -> PromptSet:
        """Decide that an object became two; gives back the daughters, empty if only suggested."""
        later = any(t >= split.frame for t in self.prompts.of_object(parent))
        applied = self.engine.divisions != "suggest" and not later
        next_id = self._next_id
        parts = enumerate(split.parts if applied else ())
        daughters = PromptSet({(next_id + k, split.frame): Prompt(mask=m) for k, m in parts})
        event = Division(parent, split.frame, round(split.score, 3), daughters.objects)
        self._decide(store, self._decided.with_division(event, daughters))
        return daughters

    def _divide(
        self,
        store: RunStore,
        run: Pass,
        parent: int,
        t: int,
        split: FoundDivision,
        daughters: PromptSet,
        count: _Count,
    ) -> Iterator[RunStep]:
        """End a parent and let its daughters take part in the pass."""
        if not daughters:
            return
        for task in run.drop(parent):
            count.total -= sum(u > t for u in task.stale)
        for u in store.finished():
            if u >= split.frame:
                store.remove(u, [parent])
        yield from self._joined(store, run, daughters.objects, count)


@dataclass
class _Loaded:
    """What is expensive to make, and what it was made for."""

    made_for: tuple[object, int] | None = None
    network: tuple[object, Network] | None = None
    embeddings: tuple[object, Encoder] | None = None


@dataclass
class _Count:
    """Pairs of a run, as they become more."""

    done: int = 0
    total: int = 0
