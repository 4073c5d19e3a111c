"""Drawing of a lineage tree: bars over time, joined where tracks divide."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping

import numpy as np
from qtpy.QtCore import QLineF, QRectF, Qt
from qtpy.QtGui import QColor, QFont, QFontMetrics, QPainter, QPalette, QPen, QWheelEvent
from qtpy.QtWidgets import QWidget

from napari_sam2track._widgets.lineage_layout import known_parents, layout
from napari_sam2track._widgets.parts import wrapped
from napari_sam2track._widgets.time_view import NOTCH, TimeView
from napari_sam2track.tracks.lineage import Parents, Spans, ancestors, children, descendants

RGBA = tuple[float, float, float, float]

#: Pixels of a row: a fitting height is chosen between the first two, Ctrl+wheel exceeds them.
LEAST_FIT, MOST_FIT = 13.0, 22.0
LEAST, MOST = 3.0, 48.0
#: Part of the colour that remains of tracks not related to the current one.
DIM = 0.35
#: A click so many pixels beside a short track is on it.
NEAR = 3.0


class LineageView(TimeView):
    """Tracks as bars over time.

    The wheel zooms in time, with Ctrl it changes the height of rows; dragging scrolls.
    """

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self._spans: dict[int, tuple[int, int]] = {}
        self._parents: dict[int, int] = {}
        self._children: dict[int, list[int]] = {}
        self._colours: dict[int, QColor] = {}
        self._ids = np.zeros(0, np.int64)
        self._rows: dict[int, float] = {}
        # (n, 3): begin, end and row of bars; (n, 4): end of parent, begin, rows of joints.
        self._bars = np.zeros((0, 3))
        self._joints = np.zeros((0, 4))
        self._ends: list[tuple[int, int]] = []
        self._track: int | None = None
        self._related: set[int] = set()
        self._row_zoom: float | None = None
        self._hint = ""
        self.setToolTip(
            wrapped(
                "Each bar is a track. Click to go there; the wheel zooms in time, Ctrl+wheel "
                "changes the height of rows, dragging scrolls."
            )
        )

    def set_tracks(
        self,
        spans: Spans,
        parents: Parents,
        colours: Mapping[int, RGBA],
        n_frames: int,
        hint: str = "",
    ) -> None:
        """Show tracks; ``hint`` is shown if there are none."""
        parents = known_parents(spans, parents)
        self._hint = hint
        self._colours = {
            track: QColor.fromRgbF(*(float(c) for c in colours.get(track, (0.5, 0.5, 0.5, 1.0))))
            for track in spans
        }
        if spans != self._spans or parents != self._parents:
            self._spans, self._parents = dict(spans), parents
            self._children = children(parents)
            self._rows = layout(spans, parents, gap=max(2, n_frames // 40))
            self._ids = np.array(list(spans), np.int64)
            self._bars = np.array(
                [(first, last + 1, self._rows[t]) for t, (first, last) in spans.items()], float
            ).reshape(-1, 3)
            self._ends = list(parents.items())
            self._joints = np.array(
                [
                    (spans[p][1] + 1, spans[c][0], self._rows[p], self._rows[c])
                    for c, p in self._ends
                ],
                float,
            ).reshape(-1, 4)
        self._relate()
        self.set_n_frames(n_frames)

    def set_current(self, track: int | None, frame: int) -> None:
        """Mark a track with its ancestors and descendants, and a frame; show them."""
        if track != self._track:
            self._track = track
            self._relate()
        if track in self._rows:
            middle = (self._rows[track] + 0.5) * self.row_height
            self.show_rows(middle - self.row_height, middle + self.row_height)
        self.set_frame(frame)

    def fit(self) -> None:
        """Show the whole time range, and rows as high as there is room for."""
        self._row_zoom = None
        self._show_range(self.axis.shown(0, self.axis.n_frames))
        self._place()

    @property
    def row_height(self) -> float:
        """Height of a row in pixels."""
        if self._row_zoom is not None:
            return self._row_zoom
        return min(max(self._area().height() / max(self._n_rows(), 1), LEAST_FIT), MOST_FIT)

    def _n_rows(self) -> int:
        return math.ceil(self._bars[:, 2].max()) + 1 if len(self._bars) else 0

    def _relate(self) -> None:
        track = self._track
        self._related = set()
        if track in self._spans:
            self._related = {
                track,
                *ancestors(track, self._parents),
                *descendants(track, self._parents),
            }

    # Methods that the base class calls.

    def extent(self) -> float:
        return self._n_rows() * self.row_height

    def hit(self, u: float, v: float) -> tuple[int, int] | None:
        axis, height = self.axis, self.row_height
        across = np.abs((self._bars[:, 2] + 0.5) * height - self.offset - v)
        begin, end = (axis.origin + (self._bars[:, k] - axis.start) * axis.scale for k in (0, 1))
        along = np.maximum(np.maximum(begin - u, u - end), 0)
        near = np.flatnonzero((across <= max(height / 2, NEAR)) & (along <= NEAR))
        if not near.size or u < axis.origin:
            return None
        best = near[np.argmin(across[near] + along[near])]
        track = int(self._ids[best])
        first, last = self._spans[track]
        return track, min(max(math.floor(axis.frame(u)), first), last)

    def describe(self, u: float, v: float) -> str:
        if (found := self.hit(u, v)) is None:
            return ""
        track, frame = found
        first, last = self._spans[track]
        parts = [f"track {track}", f"frames {first}-{last}" if last > first else f"frame {first}"]
        if track in self._parents:
            parts.append(f"parent {self._parents[track]}")
        if below := self._children.get(track):
            parts.append(f"daughters {', '.join(map(str, below))}")
        if last > first:
            parts.append(f"here frame {frame}")
        return " · ".join(parts)

    def wheelEvent(self, event: QWheelEvent) -> None:
        notches = event.angleDelta().y() / 120
        u, v = self._uv(event.position())
        modifiers = event.modifiers()
        if modifiers & Qt.KeyboardModifier.ControlModifier:
            self._zoom_rows(NOTCH**notches, v)
        elif notches and not modifiers & Qt.KeyboardModifier.ShiftModifier:
            self.zoom_time(NOTCH**notches, u)
        else:
            super().wheelEvent(event)
            return
        event.accept()

    def _zoom_rows(self, factor: float, v: float) -> None:
        old = self.row_height
        row = (v + self.offset) / old
        self._row_zoom = min(max(old * factor, LEAST), MOST)
        self._place()
        self._row_bar.setValue(round(row * self._row_zoom - v))

    # Painting: only visible parts.

    def paint_rows(self, painter: QPainter, area: QRectF) -> None:
        if not len(self._bars):
            painter.setPen(self.faint(0.6))
            self.write(painter, area, Qt.AlignmentFlag.AlignCenter, self._hint)
            return
        painter.setClipRect(area)
        height = self.row_height
        top = (self.offset - height) / height
        bottom = top + area.height() / height + 2
        self._paint_joints(painter, top, bottom)
        self._paint_bars(painter, area, top, bottom)

    def _paint_joints(self, painter: QPainter, top: float, bottom: float) -> None:
        axis, height, joints = self.axis, self.row_height, self._joints
        seen = np.flatnonzero(
            (np.minimum(joints[:, 2], joints[:, 3]) < bottom)
            & (np.maximum(joints[:, 2], joints[:, 3]) > top)
            & (np.minimum(joints[:, 0], joints[:, 1]) <= axis.stop)
            & (np.maximum(joints[:, 0], joints[:, 1]) >= axis.start)
        )
        groups: dict[bool, list[QLineF]] = {False: [], True: []}
        for k in seen:
            end, begin, above, below = joints[k]
            u, at = axis.position(end), axis.position(begin)
            v, to = ((row + 0.5) * height - self.offset for row in (above, below))
            lines = groups[self._related.issuperset(self._ends[k])]
            lines += [QLineF(u, v, u, to), QLineF(u, to, at, to)]
        dim = DIM if self._related else 0.7
        for related, width, alpha in ((False, 1.0, dim), (True, 2.0, 0.9)):
            if groups[related]:
                painter.setPen(QPen(self.faint(alpha), width))
                painter.drawLines(groups[related])

    def _paint_bars(self, painter: QPainter, area: QRectF, top: float, bottom: float) -> None:
        axis, height, bars = self.axis, self.row_height, self._bars
        seen = np.flatnonzero(
            (bars[:, 2] < bottom)
            & (bars[:, 2] > top)
            & (bars[:, 0] <= axis.stop)
            & (bars[:, 1] >= axis.start)
        )
        thick = min(max(height * 0.7, 2.0), height - 1, 16.0)
        font = QFont(self.font())
        font.setPixelSize(max(min(round(thick), 12), 1))
        metrics = QFontMetrics(font)
        painter.setFont(font)
        writes = thick >= 8
        flags = Qt.AlignmentFlag.AlignLeft | Qt.AlignmentFlag.AlignVCenter
        for k in seen:
            begin, end, row = bars[k]
            track = int(self._ids[k])
            u, to = axis.position(begin), axis.position(end)
            # Narrow bars stay visible.
            box = QRectF(u, (row + 0.5) * height - self.offset - thick / 2, max(to - u, 2), thick)
            colour = QColor(self._colours[track])
            if self._related and track not in self._related:
                colour.setAlphaF(DIM)
            painter.fillRect(box, colour)
            if track == self._track:
                painter.setPen(QPen(self.faint(1), 2))
                painter.drawRect(box)
            if writes:
                # The number stays visible for a track that began before the shown range.
                start = max(u, area.left()) + 3
                text, along = str(track), metrics.height()
                if not self.vertical:
                    along = metrics.horizontalAdvance(text)
                if start + along <= min(to, area.right()):
                    painter.setPen(self._ink(colour))
                    place = QRectF(start, box.top() - 2, along + 2, thick + 4)
                    centre = Qt.AlignmentFlag.AlignCenter
                    self.write(painter, place, centre if self.vertical else flags, text)

    def _ink(self, colour: QColor) -> QColor:
        """Return black or white, whichever is readable on a colour, blended with the background."""
        base, share = self.palette().color(QPalette.ColorRole.Base), colour.alphaF()
        mixed = [
            a * share + b * (1 - share)
            for a, b in zip(colour.getRgbF()[:3], base.getRgbF()[:3], strict=True)
        ]
        light = 0.299 * mixed[0] + 0.587 * mixed[1] + 0.114 * mixed[2]
        return QColor(0, 0, 0) if light > 0.55 else QColor(255, 255, 255)

    def tracks(self) -> Iterable[int]:
        """Return the tracks that are drawn, whether visible or not."""
        return self._spans.keys()
