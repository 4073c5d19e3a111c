"""Table of objects, with the current one."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from typing import Any

from qtpy.QtCore import (
    QItemSelection,
    QItemSelectionModel,
    QModelIndex,
    QPoint,
    QSize,
    QSortFilterProxyModel,
    Qt,
    Signal,
)
from qtpy.QtGui import QKeyEvent, QResizeEvent
from qtpy.QtWidgets import (
    QAbstractItemView,
    QHBoxLayout,
    QHeaderView,
    QLabel,
    QLineEdit,
    QMenu,
    QTableView,
    QVBoxLayout,
    QWidget,
)

from napari_sam2track._widgets.objects_model import (
    FRAMES,
    ID,
    LOCK,
    NAME,
    SCORE,
    SEARCH,
    SHOW,
    SORT,
    STATE,
    SWATCH,
    ObjectRow,
    ObjectsModel,
)

__all__ = ["ObjectRow", "ObjectsTable"]


class ObjectsTable(QWidget):
    """A table of objects with a search field above.

    Attributes
    ----------
    selected
        Signal (object id): someone chose an object.
    activated
        Signal (object id): someone double-clicked on it, or pressed Enter: go there.
    renamed
        Signal (object id, name).
    visibility_changed, lock_changed
        Signals (object id, whether it is shown or locked).
    delete_requested
        Signal (list of object ids): Delete was pressed, or chosen in the menu. The rows stay
        until `set_rows` leaves them out.
    """

    selected = Signal(int)
    activated = Signal(int)
    renamed = Signal(int, str)
    visibility_changed = Signal(int, bool)
    lock_changed = Signal(int, bool)
    delete_requested = Signal(list)

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self._quiet = False
        self._told: int | None = None
        self._model = ObjectsModel(self)
        self._model.renamed.connect(self.renamed)
        self._model.visibility_changed.connect(self.visibility_changed)
        self._model.lock_changed.connect(self.lock_changed)
        self._proxy = QSortFilterProxyModel(self)
        self._proxy.setSourceModel(self._model)
        self._proxy.setSortRole(SORT)
        self._proxy.setFilterRole(SEARCH)
        self._proxy.setFilterCaseSensitivity(Qt.CaseSensitivity.CaseInsensitive)

        self._search = QLineEdit()
        self._search.setPlaceholderText("Search id or name")
        self._search.setToolTip("Show only objects whose id or name contains this")
        self._search.setClearButtonEnabled(True)
        self._search.textChanged.connect(self._filter)
        self._count = QLabel()
        self._count.setToolTip("How many objects there are, and how many the search has found")
        self._view = _View()
        self._view.setModel(self._proxy)
        self._view.setSortingEnabled(True)
        self._view.sortByColumn(ID, Qt.SortOrder.AscendingOrder)
        self._view.doubleClicked.connect(self._double_clicked)
        self._view.entered_row.connect(self._entered)
        self._view.delete_pressed.connect(self._request_deletion)
        self._view.setContextMenuPolicy(Qt.ContextMenuPolicy.CustomContextMenu)
        self._view.customContextMenuRequested.connect(self._show_menu)
        self._view.selectionModel().selectionChanged.connect(self._selection_changed)
        self._size_columns()

        top = QHBoxLayout()
        top.addWidget(self._search, stretch=1)
        top.addWidget(self._count)
        layout = QVBoxLayout(self)
        layout.setContentsMargins(0, 0, 0, 0)
        layout.addLayout(top)
        layout.addWidget(self._view)
        self._show_count()

    def rows(self) -> list[ObjectRow]:
        """All rows, ascending by object id, also those that the search hides."""
        return sorted(self._model.rows, key=lambda row: row.object_id)

    def set_rows(self, rows: Iterable[ObjectRow]) -> None:
        """Show these objects. Selection and scroll position stay. Emits nothing.

        Raises
        ------
        ValueError
            If two rows have the same object id.
        """
        kept, current = self.selected_ids(), self._current_id()
        scrolled = self._view.verticalScrollBar().value()
        with self._quietly():
            self._model.set_rows(rows)
            if self.selected_ids() != kept:
                self._restore(kept, current)
            self._view.verticalScrollBar().setValue(scrolled)
        self._show_count()

    def selected_ids(self) -> list[int]:
        """Ids of all selected rows, ascending."""
        rows = self._view.selectionModel().selectedRows()
        return sorted(self._id(index) for index in rows)

    def select(self, object_id: int | None) -> None:
        """Select an object alone, and scroll to it; None or an unknown one clears the selection.

        Emits nothing.
        """
        with self._quietly():
            index = self._index(object_id)
            if index is None:
                self._view.selectionModel().clear()
            else:
                self._view.setCurrentIndex(index)
                self._view.scrollTo(index)
        self._told = self._current_id()

    # Inside.

    def _id(self, index: QModelIndex) -> int:
        return self._model.rows[self._proxy.mapToSource(index).row()].object_id

    def _index(self, object_id: int | None) -> QModelIndex | None:
        """Return the index of an object in the view; None if it is hidden or gone."""
        row = None if object_id is None else self._model.row_of(object_id)
        if row is None:
            return None
        index = self._proxy.mapFromSource(self._model.index(row, ID))
        return index if index.isValid() else None

    def _current_id(self) -> int | None:
        """The object of the current row, if it is selected."""
        index = self._view.currentIndex()
        if not index.isValid() or not self._view.selectionModel().isRowSelected(
            index.row(), QModelIndex()
        ):
            return None
        return self._id(index)

    def _restore(self, object_ids: list[int], current: int | None) -> None:
        selection = QItemSelection()
        for object_id in object_ids:
            if (index := self._index(object_id)) is not None:
                selection.select(index, index)
        model = self._view.selectionModel()
        flag = QItemSelectionModel.SelectionFlag
        if (index := self._index(current)) is not None:
            model.setCurrentIndex(index, flag.NoUpdate)
        model.select(selection, flag.ClearAndSelect | flag.Rows)

    @contextmanager
    def _quietly(self) -> Iterator[None]:
        self._quiet = True
        try:
            yield
        finally:
            self._quiet = False

    def _selection_changed(self, *_: Any) -> None:
        if self._quiet:
            return
        current = self._current_id()
        if current is not None and current != self._told:
            self.selected.emit(current)
        self._told = current

    def _double_clicked(self, index: QModelIndex) -> None:
        if index.column() not in (SHOW, LOCK):
            self.activated.emit(self._id(index))

    def _entered(self) -> None:
        if (current := self._current_id()) is not None:
            self.activated.emit(current)

    def _request_deletion(self) -> None:
        if object_ids := self.selected_ids():
            self.delete_requested.emit(object_ids)

    def _filter(self, text: str) -> None:
        with self._quietly():  # the current row may be hidden now, which no user chose
            self._proxy.setFilterFixedString(text.strip())
        self._told = self._current_id()
        self._show_count()

    def _show_count(self) -> None:
        n, shown = len(self._model.rows), self._proxy.rowCount()
        self._count.setText(f"{n}" if shown == n else f"{shown} of {n}")

    def _change_selected(self, **values: Any) -> None:
        for object_id in self.selected_ids():
            self._model.change(object_id, **values)

    def menu(self) -> QMenu | None:
        """Return a menu of actions on the selected rows; None if there are none."""
        object_ids = self.selected_ids()
        if not object_ids:
            return None
        rows = [row for row in self._model.rows if row.object_id in set(object_ids)]
        menu = QMenu(self)
        menu.setToolTipsVisible(True)

        def add(text: str, tip: str, slot: Any, usable: bool = True) -> None:
            action = menu.addAction(text)
            action.setToolTip(tip)
            action.setEnabled(usable)
            action.triggered.connect(slot)

        n = len(object_ids)
        some = "the object" if n == 1 else f"these {n} objects"
        add("Go to", "Show the object in the viewer", self._entered, n == 1)
        add("Rename", "Change the object's name (F2)", self._edit_name, n == 1)
        menu.addSeparator()
        for text, field, on in (
            ("Show", "visible", True),
            ("Hide", "visible", False),
            ("Lock", "locked", True),
            ("Unlock", "locked", False),
        ):
            add(
                text,
                f"{text} {some}",
                lambda _=False, field=field, on=on: self._change_selected(**{field: on}),
                any(getattr(row, field) != on for row in rows),
            )
        menu.addSeparator()
        deletion = "Delete" if n == 1 else f"Delete {n} objects"
        add(deletion, f"Delete {some} on all frames (Delete)", self._request_deletion)
        return menu

    def _show_menu(self, point: QPoint) -> None:
        if (menu := self.menu()) is not None:
            menu.aboutToHide.connect(menu.deleteLater)
            menu.popup(self._view.viewport().mapToGlobal(point))

    def _edit_name(self) -> None:
        index = self._index(self._current_id())
        if index is not None:
            name = index.siblingAtColumn(NAME)
            self._view.setCurrentIndex(name)
            self._view.edit(name)

    def _size_columns(self) -> None:
        metrics, header = self.fontMetrics(), self._view.horizontalHeader()
        header.setMinimumSectionSize(24)
        samples = {
            ID: "0000",
            FRAMES: "000-000 (00)",
            STATE: "propagated",
            SCORE: "Score",
            SHOW: "Show",
            LOCK: "Lock",
        }
        for column, sample in samples.items():
            extra = {ID: 22, STATE: 34}.get(column, 12)
            header.resizeSection(column, metrics.horizontalAdvance(sample) + extra)


class _View(QTableView):
    """A table that reports Enter and Delete."""

    entered_row = Signal()
    delete_pressed = Signal()

    def __init__(self) -> None:
        super().__init__()
        self.setSelectionBehavior(QAbstractItemView.SelectionBehavior.SelectRows)
        self.setSelectionMode(QAbstractItemView.SelectionMode.ExtendedSelection)
        self.setEditTriggers(
            QAbstractItemView.EditTrigger.EditKeyPressed
            | QAbstractItemView.EditTrigger.SelectedClicked
        )
        self.setHorizontalScrollMode(QAbstractItemView.ScrollMode.ScrollPerPixel)
        self.setShowGrid(False)
        self.setWordWrap(False)
        self.setIconSize(QSize(SWATCH, SWATCH))
        self.setTabKeyNavigation(False)  # Tab leaves the table
        self.verticalHeader().hide()
        # All rows have one height, so that none of thousands has to be measured.
        self.verticalHeader().setSectionResizeMode(QHeaderView.ResizeMode.Fixed)
        self.verticalHeader().setDefaultSectionSize(self.fontMetrics().height() + 8)
        self.setToolTip("Double-click goes to an object; F2 renames it, Delete deletes it")

    def resizeEvent(self, event: QResizeEvent) -> None:
        super().resizeEvent(event)
        # Names take the remaining width. (A stretched section would keep its width if empty.)
        header = self.horizontalHeader()
        others = header.length() - header.sectionSize(NAME)
        least = self.fontMetrics().horizontalAdvance("00000000")
        header.resizeSection(NAME, max(self.viewport().width() - others, least))

    def keyPressEvent(self, event: QKeyEvent) -> None:
        editing = self.state() == QAbstractItemView.State.EditingState
        if not editing and event.key() in (Qt.Key.Key_Return, Qt.Key.Key_Enter):
            self.entered_row.emit()
        elif not editing and event.key() in (Qt.Key.Key_Delete, Qt.Key.Key_Backspace):
            self.delete_pressed.emit()
        else:
            super().keyPressEvent(event)
