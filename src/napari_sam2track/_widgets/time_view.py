"""Rows over time: the common base of the status strip and the lineage tree.

Everything is computed in two coordinates, pixels along time (u) and pixels across it (v). With
time from left to right they are x and y, with time from top to bottom y and x.
"""

from __future__ import annotations

import math

from qtpy.QtCore import QEvent, QPoint, QPointF, QRectF, QSignalBlocker, Qt, Signal
from qtpy.QtGui import (
    QColor,
    QFontMetrics,
    QHelpEvent,
    QMouseEvent,
    QPainter,
    QPaintEvent,
    QPalette,
    QPen,
    QResizeEvent,
    QTransform,
    QWheelEvent,
)
from qtpy.QtWidgets import QAbstractScrollArea, QApplication, QFrame, QScrollBar, QToolTip, QWidget

from napari_sam2track._widgets.time_axis import TimeAxis

#: Steps of the scroll bar of time for each frame.
FINE = 64
#: Factor of one notch of the wheel.
NOTCH = 1.25


class TimeView(QAbstractScrollArea):
    """A view with frames along one side and rows along the other.

    The wheel scrolls rows, with Shift time; with Ctrl it zooms in time. Dragging scrolls both.

    Attributes
    ----------
    clicked
        Signal (row's id, frame): someone clicked on an item.
    frame_clicked
        Signal (frame): someone clicked on the frame numbers.
    range_changed
        Signal (start, stop), in frames: someone scrolled or zoomed in time.
    """

    clicked = Signal(int, int)
    frame_clicked = Signal(int)
    range_changed = Signal(float, float)

    def __init__(
        self,
        parent: QWidget | None = None,
        orientation: Qt.Orientation = Qt.Orientation.Horizontal,
    ) -> None:
        super().__init__(parent)
        self._orientation = orientation
        self._axis = TimeAxis()
        self._frame = 0
        self._press: tuple[QPointF, TimeAxis, int] | None = None
        self._dragging = False
        self.setFrameShape(QFrame.Shape.NoFrame)
        self.viewport().setAttribute(Qt.WidgetAttribute.WA_OpaquePaintEvent)  # all is painted
        self.viewport().setMouseTracking(True)
        self.viewport().setCursor(Qt.CursorShape.CrossCursor)
        self.horizontalScrollBar().valueChanged.connect(self._bar_moved)
        self.verticalScrollBar().valueChanged.connect(self._bar_moved)
        self._set_policies()

    # Methods of a subclass.

    def extent(self) -> float:
        """Return the pixels that all rows need."""
        raise NotImplementedError

    def paint_rows(self, painter: QPainter, area: QRectF) -> None:
        """Paint an area, given in u and v; rows are moved by ``offset``."""
        raise NotImplementedError

    def hit(self, u: float, v: float) -> tuple[int, int] | None:
        """Return id and frame of the item at a place."""
        raise NotImplementedError

    def describe(self, u: float, v: float) -> str:
        """Return a description of the item at a place; empty without one."""
        raise NotImplementedError

    # State.

    @property
    def axis(self) -> TimeAxis:
        """Range of frames that is shown, and its place."""
        return self._axis

    @property
    def offset(self) -> int:
        """Number of pixels by which rows are scrolled."""
        return self._row_bar.value()

    @property
    def vertical(self) -> bool:
        """True if time runs from top to bottom."""
        return self._orientation == Qt.Orientation.Vertical

    def set_orientation(self, orientation: Qt.Orientation) -> None:
        """Let time run from left to right (Horizontal) or from top to bottom (Vertical)."""
        self._orientation = orientation
        self._set_policies()
        self._place()

    def set_n_frames(self, n_frames: int) -> None:
        """Set the length of the movie. The shown range stays, unless it was the whole movie."""
        old = self._axis
        axis = TimeAxis(n_frames, origin=old.origin, length=old.length)
        everything = old.start <= 0 and old.stop >= max(old.n_frames, 1)
        self._axis = axis.shown(0, n_frames) if everything else axis.shown(old.start, old.stop)
        self._place()

    def set_range(self, start: float, stop: float) -> None:
        """Show the frames from start to stop. Emits nothing."""
        self._axis = self._axis.shown(start, stop)
        self._place()

    def set_frame(self, frame: int) -> None:
        """Mark the current frame, and show it. Emits nothing."""
        self._frame = frame
        axis = self._axis.including(frame)
        if axis != self._axis:
            self._axis = axis
            self._place()
        self.viewport().update()

    def show_rows(self, first: float, last: float) -> None:
        """Scroll as little as needed to see the rows between two pixels."""
        height = self._area().height()
        if first < self.offset:
            self._row_bar.setValue(math.floor(first))
        elif last > self.offset + height:
            self._row_bar.setValue(math.ceil(last - height))

    # Geometry.

    @property
    def _time_bar(self) -> QScrollBar:
        return self.verticalScrollBar() if self.vertical else self.horizontalScrollBar()

    @property
    def _row_bar(self) -> QScrollBar:
        return self.horizontalScrollBar() if self.vertical else self.verticalScrollBar()

    def _set_policies(self) -> None:
        # Always visible: views of one movie below each other line up, and nothing jumps.
        on, off = Qt.ScrollBarPolicy.ScrollBarAlwaysOn, Qt.ScrollBarPolicy.ScrollBarAsNeeded
        self.setVerticalScrollBarPolicy(off if self.vertical else on)
        self.setHorizontalScrollBarPolicy(on if self.vertical else off)

    def _size(self) -> tuple[float, float]:
        """Return length of the viewport along time and across."""
        size = self.viewport().size()
        return (size.height(), size.width()) if self.vertical else (size.width(), size.height())

    def _gutter(self) -> float:
        """Return the space before the first frame, for the rows' ids."""
        metrics = QFontMetrics(self.font())
        return metrics.height() + 2 if self.vertical else metrics.horizontalAdvance("00000") + 6

    def _margin(self) -> float:
        """Return the space across, for the frames' numbers."""
        metrics = QFontMetrics(self.font())
        if self.vertical:
            return metrics.horizontalAdvance(str(max(self._axis.n_frames, 10))) + 12
        return metrics.height() + 6

    def _area(self) -> QRectF:
        """Return the area of rows, in u and v."""
        along, across = self._size()
        return QRectF(
            self._gutter(), 0, max(along - self._gutter(), 1), max(across - self._margin(), 1)
        )

    def _uv(self, point: QPointF | QPoint) -> tuple[float, float]:
        return (point.y(), point.x()) if self.vertical else (point.x(), point.y())

    def _place(self) -> None:
        """Fit the axis into the widget, and the scroll bars to the shown range."""
        area = self._area()
        self._axis = self._axis.placed(area.left(), area.width())
        axis, time, rows = self._axis, self._time_bar, self._row_bar
        blockers = [QSignalBlocker(time), QSignalBlocker(rows)]
        most = max(axis.n_frames, 1)
        time.setPageStep(max(round(axis.span * FINE), 1))
        time.setSingleStep(max(round(axis.span * FINE / 20), 1))
        time.setRange(0, max(round((most - axis.span) * FINE), 0))
        time.setValue(round(axis.start * FINE))
        rows.setPageStep(int(area.height()))
        rows.setSingleStep(20)
        rows.setRange(0, max(math.ceil(self.extent() - area.height()), 0))
        for blocker in blockers:
            blocker.unblock()
        self.viewport().update()

    # Events.

    def _bar_moved(self) -> None:
        value = self._time_bar.value()
        if value != round(self._axis.start * FINE):
            self._show_range(self._axis.moved(value / FINE - self._axis.start))
        self.viewport().update()

    def _show_range(self, axis: TimeAxis) -> None:
        """Show a range that the user chose."""
        if axis != self._axis:
            self._axis = axis
            self._place()
            self.range_changed.emit(axis.start, axis.stop)

    def resizeEvent(self, event: QResizeEvent) -> None:
        super().resizeEvent(event)
        self._place()

    def changeEvent(self, event: QEvent) -> None:
        super().changeEvent(event)
        if event.type() == QEvent.Type.FontChange:
            self._place()

    def wheelEvent(self, event: QWheelEvent) -> None:
        turn = event.angleDelta()
        notches = (turn.y() or turn.x()) / 120
        if event.modifiers() & Qt.KeyboardModifier.ControlModifier:
            self.zoom_time(NOTCH**notches, self._uv(event.position())[0])
            event.accept()
        elif event.modifiers() & Qt.KeyboardModifier.ShiftModifier or (
            not self.vertical and abs(turn.x()) > abs(turn.y())
        ):
            self._show_range(self._axis.moved(-notches * self._axis.span / 8))
            event.accept()
        else:
            super().wheelEvent(event)

    def zoom_time(self, factor: float, u: float) -> None:
        """Zoom in time as the user does, around a pixel."""
        self._show_range(self._axis.zoomed(factor, self._axis.frame(u)))

    def mousePressEvent(self, event: QMouseEvent) -> None:
        if event.button() == Qt.MouseButton.LeftButton:
            self._press, self._dragging = (event.position(), self._axis, self.offset), False

    def mouseMoveEvent(self, event: QMouseEvent) -> None:
        if self._press is None:
            return
        start, axis, offset = self._press
        way = event.position() - start
        if not self._dragging and way.manhattanLength() < QApplication.startDragDistance():
            return
        if not self._dragging:
            self._dragging = True
            self.viewport().setCursor(Qt.CursorShape.ClosedHandCursor)
        du, dv = self._uv(way)
        self._row_bar.setValue(round(offset - dv))
        self._show_range(axis.moved(-du / axis.scale))

    def mouseReleaseEvent(self, event: QMouseEvent) -> None:
        if event.button() != Qt.MouseButton.LeftButton or self._press is None:
            return
        self._press = None
        if self._dragging:
            self._dragging = False
            self.viewport().setCursor(Qt.CursorShape.CrossCursor)
            return
        u, v = self._uv(event.position())
        if v >= self._area().bottom():
            if u >= self._axis.origin and (frames := self._axis.frames(u)):
                self.frame_clicked.emit(frames[0])
        elif (found := self.hit(u, v)) is not None:
            self.clicked.emit(*found)

    def viewportEvent(self, event: QEvent) -> bool:
        if event.type() == QEvent.Type.ToolTip and isinstance(event, QHelpEvent):
            text = self.tip_at(event.pos())
            QToolTip.showText(event.globalPos(), text or self.toolTip(), self.viewport())
            return True
        return super().viewportEvent(event)

    def tip_at(self, point: QPoint) -> str:
        """Return the tooltip at a pixel; empty where there is no item."""
        u, v = self._uv(point)
        area = self._area()
        if v >= area.bottom() or u < area.left():
            return ""
        return self.describe(u, v)

    # Painting.

    def paintEvent(self, event: QPaintEvent) -> None:
        painter = QPainter(self.viewport())
        painter.fillRect(self.viewport().rect(), self.palette().color(QPalette.ColorRole.Base))
        if self.vertical:
            painter.setTransform(QTransform(0, 1, 1, 0, 0, 0))  # x and y change places
        area = self._area()
        painter.save()
        painter.setClipRect(QRectF(0, 0, area.right(), area.bottom()))
        self.paint_rows(painter, area)
        painter.restore()
        if self._axis.n_frames:
            self._paint_ticks(painter, area)
            self._paint_marker(painter, area)
        painter.end()

    def faint(self, alpha: float) -> QColor:
        """Return the colour of text with an opacity."""
        colour = self.palette().color(QPalette.ColorRole.Text)
        colour.setAlphaF(alpha)
        return colour

    def write(self, painter: QPainter, box: QRectF, flags: Qt.AlignmentFlag, text: str) -> None:
        """Write upright into a box that is given in u and v."""
        if self.vertical:
            painter.save()
            painter.setTransform(QTransform())
            box = QRectF(box.y(), box.x(), box.height(), box.width())
        painter.drawText(box, int(flags) if isinstance(flags, int) else flags.value, text)
        if self.vertical:
            painter.restore()

    def _paint_ticks(self, painter: QPainter, area: QRectF) -> None:
        metrics = QFontMetrics(self.font())
        widest = metrics.horizontalAdvance(str(self._axis.n_frames))
        size = metrics.height() if self.vertical else widest
        top, ahead = area.bottom(), Qt.AlignmentFlag.AlignCenter
        painter.setPen(self.faint(0.35))
        painter.drawLine(QPointF(area.left(), top), QPointF(area.right(), top))
        for frame in self._axis.ticks(size + 16):
            u = self._axis.position(frame + 0.5)
            painter.setPen(self.faint(0.35))
            painter.drawLine(QPointF(u, top), QPointF(u, top + 4))
            painter.setPen(self.faint(0.8))
            half = size / 2 + 2
            # The number of a frame at the end is moved, not cut off.
            u = min(max(u, area.left() + half), area.right() - half)
            box = QRectF(u - half, top + 4, 2 * half, self._margin() - 4)
            self.write(painter, box, ahead, str(frame))

    def _paint_marker(self, painter: QPainter, area: QRectF) -> None:
        left, right = (self._axis.position(self._frame + k) for k in (0, 1))
        if right < area.left() or left > area.right():
            return
        painter.setClipRect(QRectF(area.left(), 0, area.width(), area.bottom() + 4))
        halo = self.palette().color(QPalette.ColorRole.Base)
        text = self.palette().color(QPalette.ColorRole.Text)
        if right - left > 5:  # both sides of the frame, so that its state stays visible
            for colour, width in ((halo, 3.0), (text, 1.0)):
                painter.setPen(QPen(colour, width))
                painter.drawRect(QRectF(left, -2, right - left, area.bottom() + 4))
        else:
            middle = (left + right) / 2
            for colour, width in ((halo, 3.0), (text, 1.0)):
                painter.setPen(QPen(colour, width))
                painter.drawLine(QPointF(middle, 0), QPointF(middle, area.bottom() + 4))
        painter.setClipping(False)
