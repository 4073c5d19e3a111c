"""A short table to choose places from: suspects, divisions."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from qtpy.QtCore import QAbstractTableModel, QModelIndex, Qt, Signal
from qtpy.QtGui import QColor, QKeyEvent
from qtpy.QtWidgets import QAbstractItemView, QHeaderView, QTableView, QWidget

from napari_sam2track._widgets.parts import wrapped

_ROLE = Qt.ItemDataRole


@dataclass(frozen=True)
class Row:
    """A line.

    Attributes
    ----------
    cells
        One value for each column; the last one is text and gets the room that is left.
    tip
        Longer text of the row.
    old
        Whether it may be outdated.
    """

    cells: tuple[Any, ...]
    tip: str = ""
    old: bool = False


class _Model(QAbstractTableModel):
    def __init__(self, headers: Sequence[str]) -> None:
        super().__init__()
        self.headers, self.rows = tuple(headers), list[Row]()

    def set_rows(self, rows: Sequence[Row]) -> None:
        self.beginResetModel()
        self.rows = list(rows)
        self.endResetModel()

    def rowCount(self, parent: QModelIndex | None = None) -> int:
        return 0 if parent is not None and parent.isValid() else len(self.rows)

    def columnCount(self, parent: QModelIndex | None = None) -> int:
        return len(self.headers)

    def headerData(self, section: int, orientation: Any, role: int = _ROLE.DisplayRole) -> Any:
        if role == _ROLE.DisplayRole and orientation == Qt.Orientation.Horizontal:
            return self.headers[section]
        return None

    def data(self, index: QModelIndex, role: int = _ROLE.DisplayRole) -> Any:
        row = self.rows[index.row()]
        value = row.cells[index.column()]
        if role == _ROLE.DisplayRole:
            return f"{value:.2f}" if isinstance(value, float) else str(value)
        if role == _ROLE.ToolTipRole:
            return wrapped(row.tip)
        if role == _ROLE.ForegroundRole and row.old:
            return QColor(140, 140, 140)
        if role == _ROLE.TextAlignmentRole and not isinstance(value, str):
            return int(Qt.AlignmentFlag.AlignRight | Qt.AlignmentFlag.AlignVCenter)
        return None


class RowsTable(QTableView):
    """Table whose rows are chosen by a click, by arrows, or by Enter.

    Parameters
    ----------
    headers
        Of the columns.
    tip
        Of the whole.

    Attributes
    ----------
    chosen
        Signal (row): the user chose it.
    """

    chosen = Signal(int)

    def __init__(self, headers: Sequence[str], tip: str, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self._model = _Model(headers)
        self.setModel(self._model)
        self.setToolTip(wrapped(tip))
        self.setSelectionBehavior(QAbstractItemView.SelectionBehavior.SelectRows)
        self.setSelectionMode(QAbstractItemView.SelectionMode.SingleSelection)
        self.setEditTriggers(QAbstractItemView.EditTrigger.NoEditTriggers)
        self.setWordWrap(False)
        self.setMinimumHeight(130)
        self.verticalHeader().hide()
        self.verticalHeader().setDefaultSectionSize(22)
        across = self.horizontalHeader()
        last = len(headers) - 1
        for k in range(last):
            across.setSectionResizeMode(k, QHeaderView.ResizeMode.Fixed)
            self.setColumnWidth(k, 50)
        across.setSectionResizeMode(last, QHeaderView.ResizeMode.Stretch)
        self.clicked.connect(lambda index: self.chosen.emit(index.row()))

    def set_rows(self, rows: Sequence[Row]) -> None:
        """Show rows; the one that was current stays so, by its number. Emits nothing."""
        at = self.current()
        self._model.set_rows(rows)
        if at is not None and rows:
            self.select(min(at, len(rows) - 1))

    def rows(self) -> list[Row]:
        """Return the rows that are shown."""
        return list(self._model.rows)

    def current(self) -> int | None:
        """Return the row that is chosen; None for none."""
        index = self.currentIndex()
        return index.row() if index.isValid() else None

    def select(self, row: int) -> None:
        """Choose a row. Emits nothing."""
        self.setCurrentIndex(self._model.index(row, 0))

    def keyPressEvent(self, event: QKeyEvent) -> None:
        """Choose by Enter; arrows choose the next row."""
        super().keyPressEvent(event)
        keys = (Qt.Key.Key_Return, Qt.Key.Key_Enter, Qt.Key.Key_Up, Qt.Key.Key_Down)
        row = self.current()
        if event.key() in keys and row is not None:
            self.chosen.emit(row)
