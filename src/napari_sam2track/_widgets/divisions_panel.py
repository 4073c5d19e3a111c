"""Candidates for divisions, from a run or a scan of the labels: accept or refuse."""

from __future__ import annotations

from functools import partial
from typing import Any

from qtpy.QtWidgets import QProgressBar, QVBoxLayout, QWidget

from napari_sam2track._napari.background import Job
from napari_sam2track._napari.project import Project
from napari_sam2track._widgets.parts import Words, button, row
from napari_sam2track._widgets.rows_table import Row, RowsTable
from napari_sam2track.workspace.division_candidates import (
    DivisionCandidate,
    scan_steps,
    still_open,
    suggested,
)


class DivisionsPanel(QWidget):
    """A list of candidates."""

    def __init__(self) -> None:
        super().__init__()
        self._project: Project | None = None
        self.job: Job | None = None
        self._scanned: list[DivisionCandidate] = []
        self.candidates: list[DivisionCandidate] = []
        self.find_button = button(
            "Find divisions",
            "Look for masks that fall in two, and for tracks that begin where another one ends or "
            "becomes smaller",
            self.find,
        )
        self._stop = button("Cancel", "Look no further", self.cancel)
        self._stop.hide()
        self._bar = QProgressBar()
        self._bar.setToolTip("Frames that were looked at")
        self._bar.setTextVisible(False)
        self._bar.hide()
        self.words = Words()
        self.table = RowsTable(
            ("Score", "Track", "Frame", "Why"),
            "Where a track may divide, the likeliest first. A click or Enter goes there",
        )
        self.table.chosen.connect(self.go_to)
        self.accept_button = button(
            "Accept",
            "The track ends here and has two daughters; runs follow each of them from here",
            self.accept,
        )
        self._refuse = button("Refuse", "It is no division, and is not shown again", self.refuse)
        layout = QVBoxLayout(self)
        layout.setContentsMargins(0, 0, 0, 0)
        layout.addWidget(row(self.find_button, self._stop))
        layout.addWidget(self._bar)
        layout.addWidget(self.words)
        layout.addWidget(self.table)
        layout.addWidget(row(self.accept_button, self._refuse))

    def set_project(self, project: Project | None) -> None:
        """Show the candidates of a project, or none."""
        if self._project is not None:
            self._project.changed.disconnect(self._on_changed)
            self._project.work.state.changed.disconnect(self._on_changed)
        if self.job is not None:
            self.job.stop()
            self.job = None
        self._project, self._scanned = project, []
        self.setEnabled(project is not None)
        if project is not None:
            project.changed.connect(self._on_changed)
            project.work.state.changed.connect(self._on_changed)
        self._ended()
        self.words.say("")
        self._renew()

    def find(self) -> None:
        """Scan all frames in the background."""
        project = self._project
        if project is None or self.job is not None:
            return
        steps = partial(scan_steps, project.work.labels, project.work.state.table())
        self.job = Job(steps, self._take, lambda _: self._ended(), self._failed)
        self._bar.setRange(0, project.plane.n_frames)
        self._bar.setValue(0)
        self._bar.show()
        self._stop.show()
        self.find_button.setEnabled(False)
        project.background.submit(self.job)

    def cancel(self) -> None:
        """Stop the scan."""
        if self.job is not None:
            self.job.stop()

    def accept(self) -> None:
        """Make the chosen candidate a division."""
        project, chosen = self._project, self._chosen()
        if project is None or chosen is None:
            return
        edits = chosen.edits(project.work.follows)
        project.edit(edits, f"{chosen.parent} divides at frame {chosen.frame}")
        self._renew()

    def refuse(self) -> None:
        """Refuse the chosen candidate, which is shown no more."""
        project, chosen = self._project, self._chosen()
        if project is not None and chosen is not None:
            project.refuse(chosen.parent, chosen.frame)
            self._renew()

    def go_to(self, row_: int) -> None:
        """Go to a candidate."""
        if self._project is not None and row_ < len(self.candidates):
            self.table.select(row_)
            one = self.candidates[row_]
            self._project.go_to(one.parent, one.frame)
            self._buttons()

    def _chosen(self) -> DivisionCandidate | None:
        at = self.table.current()
        return None if at is None or at >= len(self.candidates) else self.candidates[at]

    def _take(self, item: tuple[int, int] | list[DivisionCandidate]) -> None:
        if self.job is None:
            return
        if isinstance(item, list):
            self._scanned = item
            self._renew()
            if not self.candidates:
                self.words.say("No division was found that the tracks do not have")
        else:
            self._bar.setValue(item[0])

    def _failed(self, error: BaseException) -> None:
        if self.job is not None:
            self._ended()
            if self._project is not None:
                self._project.fail(error)

    def _ended(self) -> None:
        self.job = None
        self._bar.hide()
        self._stop.hide()
        self.find_button.setEnabled(True)

    def _on_changed(self, _: Any = None) -> None:
        if self._project is not None:
            self._project.pump.later("divisions", 200, self._renew_later)

    def _renew_later(self) -> None:
        if self._project is not None:  # else the panel may be gone
            self._renew()

    def _renew(self) -> None:
        """Show the candidates that are still open."""
        project = self._project
        self.candidates = []
        if project is not None and project.is_open:
            every = (*suggested(project.work.suggested()), *self._scanned)
            self.candidates = still_open(every, project.work.state, project.refused)
        self.table.set_rows(
            [
                Row(
                    (c.score, c.parent, c.frame, c.text),
                    f"Track {c.parent}, frame {c.frame}: {c.text}",
                )
                for c in self.candidates
            ]
        )
        if self.candidates:
            self.words.say(f"{len(self.candidates)} candidates")
        elif self.words.text().endswith("candidates"):
            self.words.say("")
        self._buttons()

    def _buttons(self) -> None:
        for made in (self.accept_button, self._refuse):
            made.setEnabled(self._chosen() is not None)
