"""Lineage tree with its choices of tracks and direction."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from typing import Any, Literal, get_args

from qtpy.QtCore import QSignalBlocker, Qt, Signal
from qtpy.QtWidgets import QComboBox, QHBoxLayout, QToolButton, QVBoxLayout, QWidget

from napari_sam2track._widgets.lineage_view import RGBA, LineageView
from napari_sam2track._widgets.parts import wrapped
from napari_sam2track.tracks.lineage import Parents, Spans, lineage_ids

Choice = Literal["all", "lineage", "families"]
TEXTS: dict[Choice, str] = {
    "all": "All tracks",
    "lineage": "This lineage",
    "families": "Families only",
}
HINTS: dict[Choice, str] = {
    "all": "No tracks yet",
    "lineage": "Select a track to see its lineage",
    "families": "No track has divided yet",
}


class LineageTree(QWidget):
    """Tracks over time with their divisions.

    Attributes
    ----------
    clicked
        Signal (track, frame): someone clicked on a track.
    frame_clicked
        Signal (frame): someone clicked on the frame numbers.
    range_changed
        Signal (start, stop), in frames: someone scrolled or zoomed in time.
    choice_changed
        Signal ("all", "lineage" or "families"): someone chose which tracks are shown.
    """

    clicked = Signal(int, int)
    frame_clicked = Signal(int)
    range_changed = Signal(float, float)
    choice_changed = Signal(str)

    def __init__(
        self,
        parent: QWidget | None = None,
        orientation: Qt.Orientation = Qt.Orientation.Horizontal,
    ) -> None:
        super().__init__(parent)
        self.spans: dict[int, tuple[int, int]] = {}
        self._parents: dict[int, int] = {}
        self._colours: dict[int, RGBA] = {}
        self._n_frames = 0
        self._track: int | None = None

        self.view = LineageView()
        self.view.clicked.connect(self.clicked)
        self.view.frame_clicked.connect(self.frame_clicked)
        self.view.range_changed.connect(self.range_changed)
        self._choice = QComboBox()
        self._choice.setToolTip(
            wrapped(
                "Which tracks are shown: all, the relatives of the selected one, or those that "
                "have relatives"
            )
        )
        for choice, text in TEXTS.items():
            self._choice.addItem(text, choice)
        self._choice.currentIndexChanged.connect(self._choose)
        self._turn = QComboBox()
        self._turn.setToolTip("Which way time runs")
        self._turn.addItem("Left to right", Qt.Orientation.Horizontal)
        self._turn.addItem("Top to bottom", Qt.Orientation.Vertical)
        self._turn.currentIndexChanged.connect(self._turned)
        self._fit = QToolButton()
        self._fit.setText("Fit")
        self._fit.setToolTip("Show all of time")
        self._fit.clicked.connect(self.view.fit)

        top = QHBoxLayout()
        top.addWidget(self._choice)
        top.addWidget(self._turn)
        top.addStretch()
        top.addWidget(self._fit)
        layout = QVBoxLayout(self)
        layout.setContentsMargins(0, 0, 0, 0)
        layout.addLayout(top)
        layout.addWidget(self.view, stretch=1)
        self.set_orientation(orientation)
        self._update()

    def set_tracks(
        self, spans: Spans, parents: Parents, colours: Mapping[int, RGBA], n_frames: int
    ) -> None:
        """Show tracks. Zoom and current track stay. Emits nothing.

        Parameters
        ----------
        spans
            First and last frame of each track, both included.
        parents
            Daughter to parent; broken lineages are drawn as far as possible.
        colours
            RGBA of tracks, 0 to 1; grey where missing.
        n_frames
            Length of the movie.
        """
        self.spans, self._parents = dict(spans), dict(parents)
        self._colours, self._n_frames = dict(colours), n_frames
        self._update()

    def set_current(self, track: int | None, frame: int) -> None:
        """Mark a track with its ancestors and descendants, and a frame. Emits nothing."""
        moved, self._track = track != self._track, track
        if moved and self.choice() == "lineage":
            self._update()
        self.view.set_current(track, frame)

    def set_range(self, start: float, stop: float) -> None:
        """Show the frames from start to stop. Emits nothing."""
        self.view.set_range(start, stop)

    def choice(self) -> Choice:
        """Return the choice of tracks that are shown."""
        return self._choice.currentData()

    def set_choice(self, choice: Choice) -> None:
        """Choose which tracks are shown. Emits nothing.

        Raises
        ------
        ValueError
            If there is no such choice.
        """
        if choice not in get_args(Choice):
            raise ValueError(f"{choice!r} is none of {', '.join(get_args(Choice))}")
        blocker = QSignalBlocker(self._choice)
        self._choice.setCurrentIndex(self._choice.findData(choice))
        blocker.unblock()
        self._update()

    def orientation(self) -> Qt.Orientation:
        """Horizontal if time runs from left to right, Vertical if from top to bottom."""
        return Qt.Orientation.Vertical if self.view.vertical else Qt.Orientation.Horizontal

    def set_orientation(self, orientation: Qt.Orientation) -> None:
        """Choose the direction of time."""
        blocker = QSignalBlocker(self._turn)
        self._turn.setCurrentIndex(self._turn.findData(orientation))
        blocker.unblock()
        self._turned()

    def _turned(self, *_: Any) -> None:
        self.view.set_orientation(self._turn.currentData())

    def _choose(self, *_: Any) -> None:
        self._update()
        self.choice_changed.emit(self.choice())

    def _update(self) -> None:
        choice = self.choice()
        spans = shown_spans(self.spans, self._parents, choice, self._track)
        self.view.set_tracks(spans, self._parents, self._colours, self._n_frames, HINTS[choice])


def shown_spans(
    spans: Spans, parents: Parents, choice: Choice, track: int | None
) -> dict[int, tuple[int, int]]:
    """Return the tracks of a choice, in the order of ``spans``."""
    if choice == "all":
        return dict(spans)
    links = {c: p for c, p in parents.items() if c in spans and p in spans}
    roots = lineage_ids(spans, links)
    if choice == "lineage":
        wanted = {roots.get(track)} if track is not None else set()
    else:
        wanted = {root for root, n in Counter(roots.values()).items() if n > 1}
    return {t: span for t, span in spans.items() if roots[t] in wanted}
