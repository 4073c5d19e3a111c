"""Labels that SAM2, a person and the linker write to, with one undo for all of them."""

from __future__ import annotations

import zlib
from collections.abc import Callable, Collection, Generator, Iterable, Mapping
from dataclasses import replace
from pathlib import Path

from napari_sam2track.engine.results import ObjectResult
from napari_sam2track.errors import UsageError
from napari_sam2track.frames import Frames
from napari_sam2track.labels import EditableLabels
from napari_sam2track.masks import compose_labels
from napari_sam2track.models.registry import ModelInfo
from napari_sam2track.params import EngineParams
from napari_sam2track.prompts import Prompt, PromptSet
from napari_sam2track.prompts.values import Key
from napari_sam2track.session.decisions import Decisions, Division
from napari_sam2track.session.run_store import RunStore
from napari_sam2track.session.runner import Runner, RunStep
from napari_sam2track.session.session import Session
from napari_sam2track.session.stale import Plan
from napari_sam2track.session.stored_frame import StoredFrame
from napari_sam2track.tracks.editing.changes import Change
from napari_sam2track.tracks.table import TrackTable
from napari_sam2track.workspace.annotations import Annotations, changed_keys
from napari_sam2track.workspace.annotations_after_edits import mask_prompt
from napari_sam2track.workspace.frame_merge import change_between, merge_frame
from napari_sam2track.workspace.labels_workspace import LabelsWorkspace, UndoNote
from napari_sam2track.workspace.state_grid import Grid, Results, fill


class Workspace(LabelsWorkspace):
    """Workspace of one movie: labels, annotations and runs.

    Everything here happens in one thread, but for the generator that `begin_run` returns and the
    function that `looker` returns, which are for another one.

    Parameters
    ----------
    frames
        The movie.
    labels
        Written to in place; the value of a label is its object.
    folder
        For results of runs; made if it is missing.
    model, engine, device
        How objects are followed; see `configure`.
    annotations, parents, table
        Values from earlier work.
    """

    follows = True

    def __init__(
        self,
        frames: Frames,
        labels: EditableLabels,
        folder: Path,
        model: ModelInfo,
        engine: EngineParams | None = None,
        device: str = "cpu",
        annotations: Annotations | None = None,
        parents: Mapping[int, int] | None = None,
        table: TrackTable | None = None,
    ) -> None:
        super().__init__(labels, folder, annotations, parents, table)
        self.frames = frames
        self.grid = Grid.empty((), frames.n_frames)
        self._previews: dict[Key, ObjectResult] = {}
        self.configure(model, engine or EngineParams(), device)

    def configure(self, model: ModelInfo, engine: EngineParams, device: str) -> None:
        """Follow with another model or other parameters from the next run on.

        Raises
        ------
        UsageError
            While a run is active.
        """
        self._not_busy("choose another model")
        self.session = Session(self.frames, model, engine=engine, device=device)
        seen = f"{self.frames.channels}{self.frames.intensity}"
        shown = f"{engine.mode}-{engine.window_size or 'auto'}-{engine.equality}"
        name = f"{model.name}-{shown}-{zlib.crc32(seen.encode()):08x}"
        size = (self.frames.n_frames, self.frames.height, self.frames.width)
        folder = self.folder / "runs" / "".join(c if c.isalnum() else "-" for c in name)
        self.store = RunStore(folder, size, precise=engine.equality == "exact")
        self._previews.clear()
        self._plan: Plan | None = None
        self._results = Results(self.frames.n_frames)
        for t in self.store.finished():
            self._results.enter(t, self.store.read(t))

    # -- state ---------------------------------------------------------------------------------

    def plan(self) -> Plan | None:
        """Return the plan of each object, over the whole movie; None before the first run."""
        if self._plan is None:
            note = self.store.load_note()
            if note is None:
                return None
            whole = {"start": 0, "stop": None, "direction": "both"}
            session = self.asked(self.session.engine.model_copy(update=whole))
            self._plan = session.plan(Decisions.from_dict(note))
        return self._plan

    @property
    def decided(self) -> Decisions | None:
        """Decisions of the first run; None before it."""
        plan = self.plan()
        return None if plan is None else plan.decided

    def suggested(self) -> tuple[Division, ...]:
        """Divisions that runs found and did not apply."""
        plan = self.plan()
        return tuple(d for d in plan.decided.divisions if not d.daughters) if plan else ()

    def stale(self) -> dict[int, list[int]]:
        """Return the frames of each object that a run would compute anew, or for the first time."""
        plan = self.plan()
        if plan is not None:
            return plan.stale(self.store)
        whole, kept = set(range(self.frames.n_frames)), self.annotations.kept
        return {i: sorted(whole - kept.of(i)) for i in self.annotations.prompts.objects}

    def unseen(self) -> list[Key]:
        """Return prompts without results: neither a run nor a preview has computed them."""
        kept = self.annotations.kept
        return [
            (i, t)
            for i, t in self.annotations.prompts
            if (i, t) not in self._previews and t not in kept.of(i) and self.store.key(i, t) is None
        ]

    def refresh(self, objects: Collection[int] | None = None, frame: int | None = None) -> None:
        """Enter the present states of some objects (None: all) in the grid.

        Parameters
        ----------
        frame
            The only frame on which anything changed; None: any may have.
        """
        ids = self.objects
        if ids != self.grid.ids:
            new = set(ids) - set(self.grid.ids)
            self.grid = self.grid.for_objects(ids)
            objects, frame = None if objects is None else {*objects, *new}, None
        wanted = set(ids) if objects is None else set(objects)
        known = self.annotations, self.state.places, self._results, self.plan()
        fill(self.grid, wanted, *known, frame)
        self.grid_changed.emit(frame)

    # -- annotations ---------------------------------------------------------------------------

    def set_prompts(self, prompts: PromptSet, title: str = "prompts") -> list[Key]:
        """Replace the prompts: a step. Pixels that only a removed prompt had brought vanish.

        Returns
        -------
        list
            (object, frame) of prompts that are new or changed, for a preview.
        """
        keys = changed_keys(self.annotations.prompts, prompts)
        if not keys:
            return []
        before = self.annotations
        self._annotate(before.prompted(prompts))
        self.history.mark(UndoNote(title, before, self.annotations))
        gone: dict[int, set[int]] = {}
        for i, t in keys:
            self._previews.pop((i, t), None)
            if (i, t) not in prompts:
                gone.setdefault(t, set()).add(i)
        for t, ids in gone.items():
            self._write(t, ids)
        self.refresh({i for i, _ in keys})
        return [k for k in keys if k in prompts]

    def put_prompts(self, given: PromptSet, title: str) -> list[Key]:
        """Put prompts in the place of those for the same objects and frames; see `set_prompts`."""
        known = dict(self.annotations.prompts.items())
        return self.set_prompts(PromptSet({**known, **dict(given.items())}), title)

    def accept(self, object_id: int, frames: Collection[int]) -> bool:
        """Accept an object on frames: a step. Where it is accepted on all of them, reopen them.

        Returns
        -------
        bool
            False if nothing is known of the object on any of the frames.
        """
        places, annotations = self.state.places, self.annotations
        there = set(places.frames(object_id)) if object_id in places else set()
        known = len(frames) == 1 and object_id in self.grid.ids  # its absence can be accepted
        wanted = [t for t in frames if t in there or known]
        if not wanted:
            return False
        if set(wanted) <= annotations.approved.of(object_id):
            self.say(annotations.reopened(object_id, wanted), f"open object {object_id} again")
        else:
            self.say(annotations.accepted(object_id, wanted), f"accept object {object_id}")
        return True

    def looker(self, key: Key) -> tuple[Prompt, Callable[[], ObjectResult]]:
        """Return a prompt, and the function that previews its object in another thread."""
        runner = Runner(self.asked(), self.store)
        return self.annotations.prompts[key], lambda: runner.look(*key)

    def accept_look(self, key: Key, prompt: Prompt, result: ObjectResult) -> bool:
        """Show the preview of an object, unless its prompt has changed since."""
        i, t = key
        now = self.annotations.prompts.get(key)
        if (
            now != prompt
            or i in self.locked
            or t in self.annotations.kept.of(i)
            or self._relabelling
        ):
            return False
        self._previews[key] = result
        self._write(t)
        self.refresh([i])
        return True

    def _drawn(self, object_id: int, t: int) -> Prompt | None:
        """Return the prompt for a drawn mask; None if it is empty, or of a track of others."""
        places = self.state.places
        if places.box(object_id, t) is None:
            return None
        ours = object_id in self.annotations.prompts.objects
        if not ours and places.n_frames(object_id) > 1:
            return None
        return mask_prompt(self.state, object_id, t)

    # -- runs ----------------------------------------------------------------------------------

    def begin_run(
        self,
        only: Collection[int] | None = None,
        start: int = 0,
        stop: int | None = None,
        direction: str = "both",
    ) -> Generator[RunStep, None, None]:
        """Begin to follow objects; each yielded item is to be handed to `receive`, in this thread.

        Parameters
        ----------
        only
            Objects; None: all. Those that are locked are left out.
        start, stop, direction
            See `EngineParams`.

        Raises
        ------
        UsageError
            If a run is active already, or there is nothing to follow.
        """
        self._not_busy("start another one")
        plan = self.plan()  # includes found objects
        prompts = self.annotations.prompts if plan is None else plan.prompts
        ids = set(prompts.objects) if only is None else set(only) & set(prompts.objects)
        ids -= self.locked
        if not ids:
            raise UsageError(
                "there is nothing to follow: click on an object, draw a box or paint a mask first"
            )
        last = self.frames.n_frames - 1 if stop is None else stop
        ids = {i for i in ids if any(start <= t <= last for t in prompts.of_object(i))}
        if not ids:
            raise UsageError(
                f"no object has a prompt within frames {start} to {last}; widen the range"
            )
        engine = {"start": start, "stop": stop, "direction": direction}
        session = self.asked(self.session.engine.model_copy(update=engine))
        runner = Runner(replace(session, free_from=self.next_id), self.store)
        what = f"follow {len(ids)} objects" if len(ids) > 1 else f"follow object {min(ids)}"
        note = UndoNote(what, self.annotations, self.annotations, self._journal.begin())
        self._busy = self.history.mark(note)
        return runner.propagate(ids)

    def receive(self, progress: RunStep) -> None:
        """Write the result of a run on a frame."""
        ids = [o.object_id for o in progress.result.objects]
        for i in ids:
            self._previews.pop((i, progress.frame), None)
        plan = self._plan
        if plan is not None and not set(ids) <= set(plan.prompts.objects):
            self._plan = None  # objects were found since
        removed = self.store.take_removed()
        t = progress.frame
        now = progress.revision == self.store.revision(t)  # else objects were removed meanwhile
        stored = progress.stored if now else self.store.read(t)
        changed = {t: stored} | {t: self.store.read(t) for t in removed}
        for t, stored in sorted(changed.items()):
            self._results.enter(t, stored)
            self._show(t, stored)
        self.refresh(*((None, None) if removed else (ids, progress.frame)))

    def end_run(self) -> None:
        """End a run that is finished, was stopped, or failed: it is one step to undo."""
        step = self._busy
        assert step is not None and isinstance(step.note, UndoNote)
        note = step.note
        self._plan = None
        for t in self.store.take_removed():
            stored = self.store.read(t)
            self._results.enter(t, stored)
            self._show(t, stored)
        self._link_found()
        self._busy = None
        self.store.close_journal()
        number = self.store.take_journal()
        assert note.journal is not None
        if number is None and not self._journal.frames(note.journal):
            self.history.forget(step)
            self._journal.drop(note.journal)
        else:
            run = None if number is None else (self.store, number)
            self.history.annotate(step, replace(note, run=run))
        self.refresh()

    def _link_found(self) -> None:
        """Enter the parents of daughters that a run found and followed."""
        plan, places, known = self.plan(), self.state.places, self.state.parents
        found = {} if plan is None else plan.parents
        links = {
            d: (known.get(d), p)
            for d, p in found.items()
            if d in places and p in places and known.get(d) != p
        }
        if links:
            self.state.apply([Change((), links)])

    # -- inside --------------------------------------------------------------------------------

    def asked(self, engine: EngineParams | None = None) -> Session:
        """Return a session of the present annotations, which shares the network with all others."""
        return replace(
            self.session,
            prompts=self.annotations.prompts,
            kept=dict(self.annotations.kept),
            engine=engine or self.session.engine,
        )

    def _annotate(self, annotations: Annotations) -> None:
        if annotations != self.annotations:
            self._plan = None
        super()._annotate(annotations)

    def _forget(self, keys: Iterable[Key] | None) -> None:
        for key in list(self._previews) if keys is None else keys:
            self._previews.pop(key, None)

    def _undone(self, note: UndoNote, annotations: Annotations) -> None:
        if note.run is not None:
            store, number = note.run
            changed = store.undo(number)
            store.settle()
            for t in changed or ():
                if store is self.store:
                    self._results.enter(t, store.read(t))
        self._forget(changed_keys(self.annotations.prompts, annotations.prompts))
        self._plan = None

    def _clear(self, before: Annotations) -> None:
        """Remove pixels of prompts that were deleted and previewed while a run was active.

        They belong to the step of the run, not to that of the prompt.
        """
        for i, t in changed_keys(before.prompts, self.annotations.prompts):
            if (i, t) not in self.annotations.prompts:
                self._write(t, {i}, noted=False)

    def _write(self, t: int, gone: Collection[int] = (), noted: bool = True) -> None:
        """Show a frame as it is stored; see `_show`."""
        self._show(t, self.store.read(t), gone, noted)

    def _show(
        self,
        t: int,
        stored: StoredFrame | None,
        gone: Collection[int] = (),
        noted: bool = True,
    ) -> None:
        """Compose a frame anew from results, and write what differs.

        Parameters
        ----------
        stored
            Results of runs on it; None for none.
        gone
            Objects whose pixels vanish unless a run found them.
        noted
            Whether the change can be undone with the last step.
        """
        alive = {*self.annotations.prompts.objects, *gone}
        plan, ended = self.plan(), set[int]()
        if plan is not None:
            alive |= set(plan.decided.found.objects)
            ended = {i for i, end in plan.ends.items() if t > end}
        patches = {} if stored is None else {i: p for i, p in stored.patches() if i in alive}
        patches |= {i: o.patch for (i, u), o in self._previews.items() if u == t}
        kept = self.annotations.kept.at(t) | self.locked
        shown = ((i, patches[i]) for i in sorted(patches) if i not in kept)
        found = compose_labels(shown, *self.labels.frame_shape)
        old = self.labels.read(t)
        new = merge_frame(old, found, {*patches, *gone, *ended}, kept)
        if self._busy is not None:
            self._note_frame(t, old)
        if self._busy is not None or not noted:
            self.state.write_frame(t, new, old)
        elif change := change_between(t, old, new):
            self.history.extend(change)
