"""Tracks that are likely to be wrong, in a list that shows their places."""

from __future__ import annotations

from collections.abc import Generator, Iterable
from typing import Any

from qtpy.QtWidgets import QProgressBar, QVBoxLayout, QWidget

from napari_sam2track._napari.background import Job
from napari_sam2track._napari.layer_values import layer_scale
from napari_sam2track._napari.project import Project
from napari_sam2track._widgets.forms import ParamsForm
from napari_sam2track._widgets.parts import Words, button, group, row
from napari_sam2track._widgets.rows_table import Row, RowsTable
from napari_sam2track.params import SuspectParams
from napari_sam2track.tracks.suspects.find import Suspect, find_suspects


class _StoppedError(Exception):
    """The person pressed Cancel."""


class SuspectsPanel(QWidget):
    """Panel to find, go through, and dismiss suspects."""

    def __init__(self) -> None:
        super().__init__()
        self._project: Project | None = None
        self.job: Job | None = None
        self._touched: set[int] = set()
        self._dismissed: set[tuple[int, int, tuple[str, ...]]] = set()
        self.suspects: list[Suspect] = []
        self.form = ParamsForm(SuspectParams)
        self.find_button = button(
            "Find suspects",
            "Look for tracks that are likely to be wrong: lost, jumping, too short, of odd size…",
            self.find,
        )
        self._stop = button("Cancel", "Look no further", self.cancel)
        self._stop.hide()
        self._bar = QProgressBar()
        self._bar.setToolTip("Frames that were looked at")
        self._bar.setTextVisible(False)
        self._bar.hide()
        self.table = RowsTable(
            ("Score", "Track", "Frame", "Reasons"),
            "The likeliest first. A click or Enter goes there; grey: the track was edited since",
        )
        self.table.chosen.connect(self.go_to)
        self._next = button("Next", "Go to the next suspect in the list", self.next)
        self._dismiss = button(
            "Dismiss", "Take it off the list: it is right as it is", self.dismiss
        )
        self.words, self.reason = Words(), Words()
        layout = QVBoxLayout(self)
        layout.setContentsMargins(0, 0, 0, 0)
        layout.addWidget(group("Parameters", self.form.native, False))
        layout.addWidget(row(self.find_button, self._stop))
        layout.addWidget(self._bar)
        layout.addWidget(self.words)
        layout.addWidget(self.table)
        layout.addWidget(self.reason)
        layout.addWidget(row(self._next, self._dismiss))

    def set_project(self, project: Project | None) -> None:
        """Show the suspects of a project, or none."""
        if self._project is not None:
            self._project.work.state.changed.disconnect(self._on_edit)
        if self.job is not None:
            self.job.stop()
            self.job = None
        self._project = project
        self.suspects, self._dismissed, self._touched = [], set(), set()
        self.setEnabled(project is not None)
        if project is not None:
            project.work.state.changed.connect(self._on_edit)
        self._ended("")
        self._show()

    def find(self) -> None:
        """Search for suspects in the background."""
        project = self._project
        if project is None or self.job is not None:
            return
        if self.form.problem:
            self.words.say(self.form.problem, "error")
            return
        params = self.form.value()
        assert isinstance(params, SuspectParams)
        table, labels = project.work.state.table(), project.work.labels
        geometry = project.plane.geometry
        dropped = [axis for axis, _ in geometry.fixed]
        scale = layer_scale(project.labels, geometry.frame_axis, dropped)
        at = [0]

        def progress(items: Iterable[Any], total: int, doing: str) -> Iterable[Any]:
            for k, item in enumerate(items):
                if job.stopped.is_set():
                    raise _StoppedError
                at[0] = k
                yield item

        def steps() -> Generator[list[Suspect], None, None]:
            yield find_suspects(table, labels, params, scale, progress)

        def look() -> None:
            if self.job is job:
                self._bar.setValue(at[0])
                project.pump.later("suspects", 100, look)

        job = Job(steps, self._found, lambda stopped: self._done(job), self._failed)
        self.job = job
        self._touched.clear()
        self._bar.setRange(0, project.plane.n_frames)
        self._bar.setValue(0)
        self._bar.show()
        self._stop.show()
        self.find_button.setEnabled(False)
        project.background.submit(job)
        look()

    def cancel(self) -> None:
        """Stop the search; the list stays as it is."""
        if self.job is not None:
            self.job.stop()

    def next(self) -> None:
        """Go to the next suspect."""
        n = len(self.suspects)
        if n:
            at = self.table.current()
            self.go_to(0 if at is None else (at + 1) % n)

    def dismiss(self) -> None:
        """Remove the chosen suspect from the list, and go to the one after it."""
        at = self.table.current()
        if at is None or at >= len(self.suspects):
            return
        gone = self.suspects.pop(at)
        self._dismissed.add(_key(gone))
        self._show()
        if self.suspects:
            self.go_to(min(at, len(self.suspects) - 1))

    def go_to(self, row_: int) -> None:
        """Go to a suspect."""
        if self._project is not None and row_ < len(self.suspects):
            self.table.select(row_)
            one = self.suspects[row_]
            self.reason.say(f"Track {one.track}, frame {one.frame}: {one.text}")
            self._project.go_to(one.track, one.frame)

    def _found(self, found: list[Suspect]) -> None:
        if self.job is None:
            return
        self.suspects = [s for s in found if _key(s) not in self._dismissed]
        self._show()

    def _done(self, job: Job) -> None:
        if self.job is job:
            self.job = None
            self._ended("")
            self._show()

    def _failed(self, error: BaseException) -> None:
        if self.job is None:
            return
        self.job = None
        self._ended("")
        if self._project is None or isinstance(error, _StoppedError):
            return
        if self._touched:
            self.words.say("The tracks were edited meanwhile: find suspects again", "warning")
        else:
            self._project.fail(error)

    def _ended(self, text: str) -> None:
        self._bar.hide()
        self._stop.hide()
        self.find_button.setEnabled(True)
        self.words.say(text)

    def _on_edit(self, changed: Any) -> None:
        self._touched |= changed.tracks
        if self._project is not None and self.suspects:
            self._project.pump.later("suspects list", 100, self._show_later)

    def _show_later(self) -> None:
        if self._project is not None:  # else the panel may be gone
            self._show()

    def _show(self) -> None:
        project = self._project
        if project is not None:
            there = project.work.state.places
            self.suspects = [s for s in self.suspects if s.track in there]
        old = [s.track in self._touched for s in self.suspects]
        self.table.set_rows(
            [
                Row((s.score, s.track, s.frame, s.text), s.text, gone)
                for s, gone in zip(self.suspects, old, strict=True)
            ]
        )
        has = bool(self.suspects)
        if not has:
            self.reason.say("")
        self._next.setEnabled(has)
        self._dismiss.setEnabled(has)
        if has:
            edited = f", {sum(old)} of them edited since" if any(old) else ""
            self.words.say(f"{len(self.suspects)} suspects{edited}")


def _key(suspect: Suspect) -> tuple[int, int, tuple[str, ...]]:
    return suspect.track, suspect.frame, suspect.kinds
