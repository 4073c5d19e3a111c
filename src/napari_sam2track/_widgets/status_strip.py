"""States of all objects on all frames at a glance: one coloured cell each."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence

import numpy as np
from numpy.typing import NDArray
from qtpy.QtCore import QLineF, QPoint, QRect, QRectF, QSize, Qt
from qtpy.QtGui import QColor, QFont, QFontMetrics, QImage, QPainter, QPalette, QPen, qRgba
from qtpy.QtWidgets import QGridLayout, QHBoxLayout, QLabel, QWidget

from napari_sam2track._widgets.parts import wrapped
from napari_sam2track._widgets.strip_image import (
    COLOURS,
    LOWEST,
    MEANINGS,
    RGB,
    STALE_DARK,
    cell_codes,
    colour_table,
    hatched,
    pooled,
)
from napari_sam2track._widgets.time_view import TimeView
from napari_sam2track.workspace.state_grid import STATES

#: Height of a row, in pixels: it depends on the room there is.
LOWEST_ROW, HIGHEST_ROW = 6, 14


class StatusStrip(TimeView):
    """A row for each object, a column for each frame, coloured by state and score.

    Where there are more frames than pixels, a pixel shows the worst of its frames, and a click on
    it goes to that frame.
    """

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self._ids: list[int] = []
        self._rows: dict[int, int] = {}
        self._names: dict[int, str] = {}
        self._states = np.zeros((0, 0), np.uint8)
        self._scores = np.zeros((0, 0), np.float32)
        self._codes = np.zeros((0, 0), np.uint8)
        self._object: int | None = None
        self._table = np.array([qRgba(*colour) for colour in colour_table()], np.uint32)
        self.setToolTip(
            wrapped(
                "Each row is an object, each column a frame. Click to go there; the wheel scrolls, "
                "Ctrl+wheel zooms in time, dragging scrolls."
            )
        )

    def set_grid(
        self,
        ids: Sequence[int],
        states: NDArray[np.uint8],
        scores: NDArray[np.float32],
        names: Mapping[int, str] | None = None,
    ) -> None:
        """Show the states of all objects.

        Parameters
        ----------
        ids
            Object ids, in the order of the rows.
        states
            (n_objects, n_frames) uint8, indices into `STATES`.
        scores
            (n_objects, n_frames) float32, 0 to 1; NaN: unknown.
        names
            Names of objects, for the tooltip; if not given, the earlier ones stay.

        Raises
        ------
        ValueError
            If the shapes do not belong together, or a state has no name.
        """
        if states.ndim != 2 or states.shape[0] != len(ids):
            raise ValueError(f"states of shape {states.shape} for {len(ids)} objects")
        codes = cell_codes(states, scores)
        self._ids = list(ids)
        self._rows = {object_id: row for row, object_id in enumerate(self._ids)}
        self._states, self._scores, self._codes = states.copy(), scores.copy(), codes
        if names is not None:
            self.set_names(names)
        if states.shape[1] != self.axis.n_frames:
            self.set_n_frames(states.shape[1])
        else:
            self._place()

    @property
    def ids(self) -> list[int]:
        """Object ids, in the order of the rows."""
        return list(self._ids)

    def set_names(self, names: Mapping[int, str]) -> None:
        """Set the names of objects, for the tooltip."""
        self._names = dict(names)

    def update_columns(
        self,
        frames: int | Sequence[int],
        states: NDArray[np.uint8],
        scores: NDArray[np.float32],
    ) -> None:
        """Change one frame, or some: states and scores are (n_objects,) or (n_objects, n).

        Raises
        ------
        ValueError
            If there is no such frame, or the shapes do not belong together.
        """
        columns = np.atleast_1d(np.asarray(frames, np.intp))
        if columns.size and not 0 <= columns.min() <= columns.max() < self._codes.shape[1]:
            raise ValueError(f"no frame {frames}: there are {self._codes.shape[1]}")
        shape = (len(self._ids), columns.size)
        states = np.asarray(states, np.uint8).reshape(len(states), -1)
        scores = np.asarray(scores, np.float32).reshape(len(scores), -1)
        if states.shape != shape:
            raise ValueError(f"states of shape {states.shape}, expected {shape}")
        codes = cell_codes(states, scores)
        self._states[:, columns], self._scores[:, columns] = states, scores
        self._codes[:, columns] = codes
        for column in columns:
            left = math.floor(self.axis.position(int(column))) - 1
            width = math.ceil(self.axis.scale) + 3
            self.viewport().update(QRect(left, 0, width, self.viewport().height()))

    def set_current(self, object_id: int | None, frame: int) -> None:
        """Mark an object's row and a frame, and show them. Emits nothing."""
        self._object = object_id
        if object_id in self._rows:
            top = self._rows[object_id] * self.row_height
            self.show_rows(top, top + self.row_height)
        self.set_frame(frame)

    @property
    def row_height(self) -> int:
        """Height of a row in pixels."""
        room = self._area().height() / max(len(self._ids), 1)
        return int(min(max(room, LOWEST_ROW), HIGHEST_ROW))

    def sizeHint(self) -> QSize:
        rows = min(max(len(self._ids), 3), 12)
        return QSize(420, int(rows * HIGHEST_ROW + self._margin()) + 20)

    def minimumSizeHint(self) -> QSize:
        return QSize(160, int(3 * HIGHEST_ROW + self._margin()) + 20)

    def extent(self) -> float:
        return len(self._ids) * self.row_height

    def hit(self, u: float, v: float) -> tuple[int, int] | None:
        row = int((v + self.offset) // self.row_height)
        if not 0 <= row < len(self._ids):
            return None
        if u < self.axis.origin:  # on the id: stay in the frame
            return self._ids[row], self._frame
        frames = self.axis.frames(u)
        if not frames:
            return None
        worst = int(np.argmax(self._codes[row, frames.start : frames.stop]))
        return self._ids[row], frames.start + worst

    def describe(self, u: float, v: float) -> str:
        if (found := self.hit(u, v)) is None:
            return ""
        object_id, frame = found
        row = self._rows[object_id]
        name, score = self._names.get(object_id, ""), float(self._scores[row, frame])
        parts = [
            f"object {object_id}" + (f" '{name}'" if name else ""),
            f"frame {frame}",
            STATES[self._states[row, frame]],
        ]
        if not math.isnan(score):
            parts.append(f"score {score:.2f}")
        return " · ".join(parts)

    def paint_rows(self, painter: QPainter, area: QRectF) -> None:
        height = self.row_height
        first = self.offset // height
        last = min(math.ceil((self.offset + area.height()) / height), len(self._ids))
        if first >= last or not self.axis.n_frames:
            return
        self._paint_cells(painter, first, last)
        if height >= 8:  # a line between rows
            painter.setPen(self.palette().color(QPalette.ColorRole.Base))
            tops = (row * height - self.offset for row in range(first, last))
            painter.drawLines([QLineF(area.left(), v, area.right(), v) for v in tops])
        self._paint_ids(painter, first, last)
        if self._object in self._rows:
            top = self._rows[self._object] * height - self.offset
            halo = self.palette().color(QPalette.ColorRole.Base)
            for colour, width in ((halo, 3.0), (self.faint(1), 1.0)):
                painter.setPen(QPen(colour, width))
                painter.drawRect(QRectF(area.left(), top, area.width() - 1, height))

    def _paint_cells(self, painter: QPainter, first: int, last: int) -> None:
        axis, height = self.axis, self.row_height
        if axis.scale >= 1:
            left, right = math.floor(axis.start), min(math.ceil(axis.stop), axis.n_frames)
            block = hatched(self._codes[first:last, left:right], first, left)
            u, width = axis.position(left), (right - left) * axis.scale
        else:
            # One column a pixel; TimeAxis.frames has the same edges.
            n = int(axis.length)
            edges = np.floor(axis.start + np.arange(n + 1) / axis.scale + 1e-9).astype(np.intp)
            edges[-1] = min(max(edges[-1], edges[-2] + 1), axis.n_frames)
            block = hatched(pooled(self._codes[first:last], edges), first)
            u, width = axis.origin, float(n)
        pixels = np.ascontiguousarray(self._table[block])  # the image borrows its memory
        rows, columns = pixels.shape
        image = QImage(
            pixels.view(np.uint8).data,
            columns,
            rows,
            4 * columns,
            QImage.Format.Format_ARGB32_Premultiplied,
        )
        top = first * height - self.offset
        target = QRectF(u, top, width, (last - first) * height)
        painter.drawImage(target, image, QRectF(image.rect()))

    def _paint_ids(self, painter: QPainter, first: int, last: int) -> None:
        height = self.row_height
        gutter = QRectF(0, 0, self.axis.origin, self._area().bottom())
        painter.fillRect(gutter, self.palette().color(QPalette.ColorRole.Base))
        font = QFont(self.font())
        font.setPixelSize(min(max(height, 9), QFontMetrics(font).height()))
        painter.setFont(font)
        every = math.ceil(10 / height)  # rows that are too low share a number
        flags = Qt.AlignmentFlag.AlignRight | Qt.AlignmentFlag.AlignVCenter
        for row in range(first, last):
            current = self._ids[row] == self._object
            if row % every and not current:
                continue
            top = row * height - self.offset
            box = QRectF(0, top + height / 2 - 8, self.axis.origin - 4, 16)
            if current:
                painter.fillRect(
                    QRectF(0, box.top() + 2, self.axis.origin - 1, 12),
                    self.palette().color(QPalette.ColorRole.Highlight),
                )
            role = QPalette.ColorRole.HighlightedText if current else QPalette.ColorRole.Text
            painter.setPen(self.palette().color(role))
            self.write(painter, box, flags, str(self._ids[row]))


class StatusLegend(QWidget):
    """Legend of the strip's colours: a swatch and a word each."""

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        layout = QGridLayout(self)
        layout.setContentsMargins(0, 0, 0, 0)
        layout.setHorizontalSpacing(8)
        layout.setVerticalSpacing(2)
        for k, (name, meaning) in enumerate(MEANINGS.items()):
            colour = LOWEST if name == "low score" else COLOURS[name]
            swatch, word = _Swatch(colour, name == "stale"), QLabel(name)
            swatch.setToolTip(meaning)
            word.setToolTip(meaning)
            pair = QHBoxLayout()
            pair.setSpacing(3)
            pair.addWidget(swatch)
            pair.addWidget(word)
            pair.addStretch()
            layout.addLayout(pair, *divmod(k, 4))


class _Swatch(QWidget):
    def __init__(self, colour: RGB, is_hatched: bool) -> None:
        super().__init__()
        self._colour, self._hatched = colour, is_hatched
        self.setFixedSize(12, 12)

    def paintEvent(self, event: object) -> None:
        painter = QPainter(self)
        painter.fillRect(self.rect(), QColor(*self._colour))
        if self._hatched:
            for x in range(0, 12, 4):
                for y in range(0, 12, 4):
                    if (x + y) // 4 % 2:
                        painter.fillRect(QRect(QPoint(x, y), QSize(4, 4)), QColor(*STALE_DARK))
        painter.end()
