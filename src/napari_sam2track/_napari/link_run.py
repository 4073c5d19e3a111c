"""Links the labels of a project in the background, and writes the tracks when all are known."""

from __future__ import annotations

import time
from collections.abc import Generator
from functools import partial
from typing import Any

import numpy as np
from psygnal import Signal

from napari_sam2track._napari.background import Job
from napari_sam2track._napari.project import Project
from napari_sam2track.errors import EditError, Sam2TrackError, UsageError
from napari_sam2track.params import LinkParams
from napari_sam2track.tracks.tracked_movie import relabelled
from napari_sam2track.workspace.relinking import Linked, annotations_after, check_ids, link_steps

#: Seconds for which frames are written before the window has its turn.
_SLICE = 0.03


class LinkRun:
    """Runs one linking after the other.

    Attributes
    ----------
    active, writing
        Whether a linking is active, and whether labels are being written: nothing else may then.
    done, total
        Frames.
    text
        Status for a person.
    changed
        psygnal signal: one of these has changed.
    """

    changed = Signal()

    def __init__(self, project: Project) -> None:
        self._project = project
        self.active = self.writing = self._edited = False
        self.done = self.total = 0
        self.text = ""
        self._job: Job | None = None
        self._linked: Linked | None = None
        self._frames: Generator[int, None, None] | None = None

    def start(self, params: LinkParams) -> None:
        """Begin to link; reasons against it are reported."""
        project, work = self._project, self._project.work
        if self.active:
            return
        if work.busy:
            project.fail(UsageError("a run goes on; stop it first, then link"))
            return
        before = work.state.table()
        if not len(before):
            project.tell("info", "There is nothing to link: these labels are empty")
            return
        self._edited, self._linked = False, None
        work.state.changed.connect(self._on_edit)
        steps = partial(
            link_steps,
            work.labels,
            params,
            before,
            work.locked,
            work.next_id,
            bool(work.annotations.prompts.objects),
        )
        self._say("Linking…", True, 0, before.n_frames)
        self._job = Job(steps, self._take, self._end, self._fail)
        project.background.submit(self._job)

    def stop(self) -> None:
        """Cancel: nothing is changed. If labels are being written, they are written to the end."""
        if self._job is not None:
            self._job.stop()
            self._say("Stopping…", True)

    def close(self) -> None:
        """Cancel, or write to the end, without reports."""
        self.changed.disconnect()
        if self._job is not None:
            self._job.stop()
            self._leave()
            self._job = None
        if self._frames is not None:
            self._write(None)

    def _leave(self) -> None:
        self._project.work.state.changed.disconnect(self._on_edit)

    def _on_edit(self, changed: Any) -> None:
        self._edited = True

    def _take(self, item: tuple[int, int] | Linked) -> None:
        if isinstance(item, Linked):
            self._linked = item
        elif self._job is not None:
            self._say(f"Linking: frame {item[0]} of {item[1]}", True, *item)

    def _fail(self, error: BaseException) -> None:
        if self._job is None:
            return
        self._leave()
        self._job = None
        self._say("", False)
        self._project.fail(error)

    def _end(self, stopped: bool) -> None:
        if self._job is None:
            return
        self._leave()
        self._job, linked, work = None, self._linked, self._project.work
        self._linked = None
        if stopped or linked is None:
            self._say("Cancelled: nothing is changed", False)
            return
        try:
            if self._edited:
                raise EditError("the labels were changed while they were linked; link them again")
            check_ids(linked.table, work.labels.max_id)
            work.begin_relabel("link labels")
        except Sam2TrackError as error:
            self._say("", False)
            self._project.fail(error)
            return
        self.writing = True
        layer = self._project.labels
        self._editable, layer.editable = layer.editable, False  # no painting meanwhile
        self._frames = self._steps(linked)
        self._write(_SLICE)

    def _write(self, seconds: float | None) -> None:
        """Write frames for a while; None: all."""
        end = None if seconds is None else time.monotonic() + seconds
        frames = self._frames
        if frames is None:
            return
        try:
            for t in frames:
                if end is not None and time.monotonic() > end:
                    self._say(f"Writing: frame {t + 1} of {self.total}", True, t + 1, self.total)
                    self._project.pump.later("link", 0, partial(self._write, seconds))
                    return
        except Exception as error:  # noqa: BLE001  the labels are restored
            self._project.work.drop_relabel()
            self._written("")
            self._project.fail(error)

    def _steps(self, linked: Linked) -> Generator[int, None, None]:
        work = self._project.work
        written = False
        for t in range(work.labels.n_frames):
            if linked.changes(t):
                old = work.labels.read(t)
                new = linked.renamed(t, old)
                if not np.array_equal(new, old):
                    work.replace_frame(t, new, old)
                    written = True
            yield t
        table = relabelled(linked.table)
        if not written and dict(table.parents) == dict(work.state.parents):
            work.drop_relabel()
            self._written("Linked: the labels are these tracks already")
            return
        work.end_relabel(table, annotations_after(work.annotations, linked.ids))
        self._project.touched()
        parts = " (connected parts of binary masks)" if linked.split else ""
        self._written(
            f"Linked{parts}: {table.n_tracks} tracks, {len(set(table.parents.values()))} "
            "divisions. Undo takes it back"
        )

    def _written(self, text: str) -> None:
        self.writing, self._frames = False, None
        self._project.labels.editable = self._editable
        self._say(text, False)

    def _say(self, text: str, active: bool, done: int | None = None, total: int = 0) -> None:
        self.text, self.active = text, active
        if done is not None:
            self.done, self.total = done, total
        self.changed.emit()
