"""Runner of a session: computes stale frames in order, and nothing else.

So a run can be watched, stopped, resumed, corrected and undone.
"""

from __future__ import annotations

from collections.abc import Collection, Generator, Iterator
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

from napari_sam2track.engine.tasks import whole_tasks
from napari_sam2track.errors import PromptError
from napari_sam2track.prompts import Prompt, PromptSet, validate_prompts
from napari_sam2track.session.decisions import Decisions, Division
from napari_sam2track.session.run_store import RunStore
from napari_sam2track.session.session import Session
from napari_sam2track.session.stale import Plan
from napari_sam2track.session.stored_frame import StoredFrame

if TYPE_CHECKING:
    from napari_sam2track.engine.divisions import AskWhichAreTwo, FoundDivision
    from napari_sam2track.engine.embeddings import Encoder
    from napari_sam2track.engine.network.network import Network
    from napari_sam2track.engine.propagation import Known, Pass
    from napari_sam2track.engine.results import FrameResult, ObjectResult
    from napari_sam2track.engine.tasks import Task
    from napari_sam2track.masks import Patch

#: Frames that a correction may follow again before it is shown.
_SHORT_WAY = 20


@dataclass(frozen=True)
class RunStep:
    """One finished frame of a run.

    Attributes
    ----------
    done, total
        (object, frame) pairs finished in this run, and to be finished; the latter grows when
        objects are found.
    frame
        The frame of this step.
    result
        Results of the objects that were computed.
    stored
        All results stored of the frame now, also of other objects.
    """

    done: int
    total: int
    frame: int
    result: FrameResult
    stored: StoredFrame
    revision: int


class Runner:
    """Follows the objects of a session into a store.

    Parameters
    ----------
    session
        What the run is computed from.
    store
        Takes the frames; what it already holds is not computed again.

    Attributes
    ----------
    decided
        Decisions of the run; None before they are known.
    """

    def __init__(self, session: Session, store: RunStore) -> None:
        self.session, self.store = session, store
        self.decided: Decisions | None = session.decided
        self._done = self._total = 0

    # -- plan ----------------------------------------------------------------------------------

    def recall(self) -> Decisions:
        """Return the decisions of the run in the store; those of a new run are made and stored."""
        note = self.store.load_note()
        if note is not None:
            self.decided = Decisions.from_dict(note)
            return self.decided
        # decided once: later findings must not change the mode of a resumed run
        return self._decide(self.decided or self.session.decide())

    def _decide(self, decisions: Decisions) -> Decisions:
        self.decided = decisions
        self.store.save_note(decisions.to_dict())
        return decisions

    @property
    def _decided(self) -> Decisions:
        assert self.decided is not None
        return self.decided

    @property
    def plan(self) -> Plan:
        """Segments of each object: the prompt that each wanted frame follows from, at present."""
        return self.session.plan(self._decided)

    def all_prompts(self) -> PromptSet:
        """Return the prompts of a person and found objects; the former win on the same frame."""
        return self.session.prompts if self.decided is None else self.plan.prompts

    def stale(self) -> dict[int, list[int]]:
        """Return the frames of each object that would be computed, for those that have any."""
        self.recall()
        return self.plan.stale(self.store)

    # -- what computes -------------------------------------------------------------------------

    @property
    def network(self) -> Network:
        """The network with its weights; for windows it may be built for smaller squares."""
        session = self.session
        return session.models.network(session.model, session.where, self._decided.size)

    @property
    def _computing(self) -> Network:
        session, size = self.session, self._decided.size
        return session.models.computing(session.model, session.where, size, session.engine)

    def _encoder(self) -> Encoder:
        session, size = self.session, self._decided.size
        return session.models.encoder(session.model, session.where, size, session.engine)

    def _pass(self, tasks: list[Task], step: int, known: Known | None) -> Pass:
        from napari_sam2track.engine.propagation import Pass

        session, mode = self.session, self._decided.mode
        how = session.engine, mode, step, self._encoder(), known
        return Pass(self.network, session.frames, tasks, *how)

    # -- one click -----------------------------------------------------------------------------

    def look(self, object_id: int, t: int) -> ObjectResult:
        """Return the result of a prompted object on one frame, as a run would; nothing is stored.

        A correction is computed with the memories from before it, if they are stored and not
        stale; else with its prompt alone.

        Raises
        ------
        PromptError
            If the object has no prompt on the frame.
        """
        prompts, frames = self.session.prompts, self.session.frames
        validate_prompts(prompts, frames.n_frames, frames.height, frames.width)
        if (object_id, t) not in prompts:
            raise PromptError(f"object {object_id} has no prompt on frame {t}; click on it there")
        note = self.store.load_note()
        if note is not None:
            self.decided = Decisions.from_dict(note)
        elif self.decided is None:
            self.decided = self.session.decide()
        task = self._correction(object_id, t) if note is not None else None
        if task is None:
            one = PromptSet({(object_id, t): prompts[object_id, t]})
            (task,) = whole_tasks(one, range(t, t + 1))
        known = self._known() if note is not None else None
        return list(self._pass([task], 1, known))[-1].objects[0]

    def _correction(self, object_id: int, t: int) -> Task | None:
        """Return the task that ends at a correction; None for a first prompt, or if it is long."""
        if t <= self.all_prompts().first_frame(object_id):
            return None
        plan = replace(self.plan, last=t, kept={})
        for task in plan.tasks(self.store, 1, [object_id]):
            if task.stale == {t} and len(task.frames) <= _SHORT_WAY:
                return task
        return None

    # -- the run -------------------------------------------------------------------------------

    def propagate(self, only: Collection[int] | None = None) -> Generator[RunStep, None, None]:
        """Follow objects where they are stale.

        Closing the generator keeps all finished frames. After an error or a kill a run
        resumes from the last stored frame, with the same result.

        Parameters
        ----------
        only
            The objects that are followed; None: all.

        Yields
        ------
        RunStep
            After each frame.
        """
        self.session.check(only)
        self.recall()
        self.store.open_journal()
        self._forget()
        self._done = 0
        # the search for new objects needs the masks of the known ones
        order = (-1, 1) if self._key_frames() else (1, -1)
        plan = self.plan
        tasks = {step: plan.tasks(self.store, step, only) for step in order}
        self._total = sum(len(task.stale) for some in tasks.values() for task in some)
        for step in order:
            run = self._pass(tasks[step], step, self._known())
            try:
                if step > 0:
                    yield from self._forward(run)
                else:
                    for result in run:
                        yield self._finish(run, result)
            except GeneratorExit:  # stopped between two frames
                self._keep_memories(run, every=True)
                raise
        self.store.close_journal()

    def _forget(self) -> None:
        """Remove results of deleted objects, after the ends of parents, and without a prompt."""
        plan, store = self.plan, self.store
        gone = store.objects() - set(plan.prompts.objects)
        ends, orphans = plan.ends, plan.orphans(store)
        if not gone and not ends and not orphans:
            return
        for t in store.finished():
            past = {i for i, end in ends.items() if t > end}
            store.remove(t, gone | past | orphans.get(t, set()))

    def _known(self) -> Known:
        """Return a function that gives the stored results of a frame, for claims of neighbours."""
        plan = self.plan

        def known(t: int) -> Iterator[tuple[int, ObjectResult]]:
            nonlocal plan
            if plan.decided is not self._decided:  # objects were found since
                plan = self.plan
            return plan.known(self.store, t)

        return known

    def _finish(self, run: Pass, result: FrameResult) -> RunStep:
        """Store a frame, and the memories after it."""
        step = self._put(result, run.keys(result.frame))
        self._keep_memories(run)
        return step

    def _put(self, result: FrameResult, keys: dict[int, int]) -> RunStep:
        """Store a frame and count it."""
        stored = self.store.put(result.frame, result.objects, keys)
        self._done += len(result.objects)
        revision = self.store.revision(result.frame)
        return RunStep(self._done, self._total, result.frame, result, stored, revision)

    def _keep_memories(self, run: Pass, every: bool = False) -> None:
        """Store the memories after the last finished frame, for the objects where that is due."""
        if run.at is not None:
            self.store.save_memories(run.at, run.step, self._states(run, every))

    def _states(self, run: Pass, every: bool) -> Iterator[tuple[tuple[int, int], Any]]:
        for task, t, state in run.memories(every):
            keys = {s.prompted: s.key for s in task.segments}
            if task.state is not None:
                keys = {**task.state.get("keys", {}), **keys}
            yield (task.object_id, task.key_of(t)), {**state, "keys": keys}

    def _forward(self, run: Pass) -> Iterator[RunStep]:
        """Go through the forward pass, with the search for new objects and divisions."""
        ask = self._ask()
        for t in [*self._key_frames(), None]:
            for result in run.until(t):
                # Before the frame is stored: if this fails, the frame is searched again; a run that
                # is killed between the two does not search the next frame for the same division.
                found = [] if ask is None else self._divisions(result, ask)
                noted = [(i, event, self._note_division(i, event)) for i, event in found]
                step = self._finish(run, result)
                # before the run can stop here, so that a stopped run finds it on the same frame
                divided = [
                    each
                    for i, event, daughters in noted
                    for each in self._divide(run, i, result.frame, event, daughters)
                ]
                yield step
                yield from divided
            if t is not None:
                yield from self._joined(run, self._discover(t))

    def _joined(self, run: Pass, objects: Collection[int]) -> Iterator[RunStep]:
        """Let objects take part in a pass, from their first frames."""
        tasks = self.plan.tasks(self.store, 1, objects)
        self._total += sum(len(task.stale) for task in tasks)
        for result in run.join(tasks):
            keys = {task.object_id: task.key_of(result.frame) for task in tasks}
            yield self._put(result, keys)

    # -- new objects ---------------------------------------------------------------------------

    def _key_frames(self) -> list[int]:
        """Return the frames that are still to be searched for new objects."""
        auto = self.session.auto
        if auto is None or (self.session.prompts and auto.discover == 0):
            return []
        first, last = self.session.engine.start, self.session.last
        wanted = range(first, last + 1, auto.discover) if auto.discover else [first]
        return [t for t in wanted if t not in self._decided.looked]

    def _discover(self, t: int) -> list[int]:
        """Search for objects on uncovered places of a frame; return the ids of those found."""
        from napari_sam2track.engine.discovery import discover

        auto, known = self.session.auto, self.all_prompts().objects
        assert auto is not None
        stored = self.store.read(t)
        found = discover(
            self._computing,
            self.session.frames,
            t,
            None if stored is None else stored.labels_yx,
            auto,
            self._decided.mode,
            self.session.engine.batch,
            next_id=self._next_id,
            room=auto.max_objects - len(known),
        )
        self._decide(self._decided.with_found(t, found))
        return list(found.objects)

    @property
    def _next_id(self) -> int:
        """Id that was never used, also not by a daughter of a division that was withdrawn."""
        known = {*self.session.prompts.objects, *self._decided.found.objects}
        return max(max(known, default=0) + 1, self.session.free_from)

    def _ask(self) -> AskWhichAreTwo | None:
        """Return the function that says whether objects are two; None if divisions are off."""
        engine = self.session.engine
        if engine.divisions == "off":
            return None
        from napari_sam2track.engine.divisions import two_parts
        from napari_sam2track.engine.network.batches import Batcher
        from napari_sam2track.engine.touching_daughters import TwoInTouch

        if engine.touching == "off" or self._decided.mode == "frame":
            return lambda t, asked, known: {i: two_parts(patch) for i, patch in asked.items()}
        return TwoInTouch(Batcher.of(self._computing, "window", engine), self.session.frames).ask

    def _divisions(
        self, result: FrameResult, ask: AskWhichAreTwo
    ) -> list[tuple[int, FoundDivision]]:
        """Return the objects of a frame that have become two."""
        from napari_sam2track.session.splits import find_splits

        def stored_at(t: int) -> dict[int, Patch]:
            stored = self.store.read(t)
            return {} if stored is None else dict(stored.patches())

        return find_splits(result, stored_at, self.all_prompts(), self._decided.divisions, ask)

    def _note_division(self, parent: int, event: FoundDivision) -> PromptSet:
        """Decide that an object became two; return the daughters, none if only suggested."""
        later = any(t >= event.frame for t in self.session.prompts.of_object(parent))
        applied = self.session.engine.divisions != "suggest" and not later
        next_id = self._next_id
        parts = enumerate(event.parts if applied else ())
        daughters = PromptSet({(next_id + k, event.frame): Prompt(mask=m) for k, m in parts})
        division = Division(parent, event.frame, round(event.score, 3), daughters.objects)
        self._decide(self._decided.with_division(division, daughters))
        return daughters

    def _divide(
        self, run: Pass, parent: int, t: int, event: FoundDivision, daughters: PromptSet
    ) -> Iterator[RunStep]:
        """End a parent and let its daughters take part in the pass."""
        if not daughters:
            return
        for task in run.drop(parent):
            self._total -= sum(u > t for u in task.stale)
        for u in self.store.finished():
            if u >= event.frame:
                self.store.remove(u, [parent])
        yield from self._joined(run, daughters.objects)
