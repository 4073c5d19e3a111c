"""The rows of the table of objects, as Qt's model."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from itertools import groupby
from typing import Any

from qtpy.QtCore import QAbstractTableModel, QModelIndex, QObject, Qt, Signal
from qtpy.QtGui import QColor, QIcon, QPixmap

from napari_sam2track._widgets.strip_image import COLOURS

# Roles as plain numbers: Qt reads them some ten thousand times, and enums compare slowly.
DISPLAY = Qt.ItemDataRole.DisplayRole.value
EDIT = Qt.ItemDataRole.EditRole.value
CHECK = Qt.ItemDataRole.CheckStateRole.value
DECORATION = Qt.ItemDataRole.DecorationRole.value
ALIGNMENT = Qt.ItemDataRole.TextAlignmentRole.value
TIP = Qt.ItemDataRole.ToolTipRole.value
#: Role of the values for sorting and searching.
SORT = Qt.ItemDataRole.UserRole.value
SEARCH = SORT + 1
#: Pixels of a square of colour.
SWATCH = 12
#: With more blocks of new or gone rows than this, a reset is faster than changes one by one.
MANY_BLOCKS = 50

HEADERS = ("Id", "Name", "Frames", "State", "Score", "Show", "Lock")
ID, NAME, FRAMES, STATE, SCORE, SHOW, LOCK = range(len(HEADERS))
TIPS = (
    "Number of the object: its value in the labels, and its colour",
    "Name of the object; F2 to change it",
    "First and last frame of the object, and on how many of them it is",
    "What is known of the object",
    "How sure the model is that the object is there, from 0 to 1",
    "Whether the object is shown",
    "Whether the object is protected from changes",
)

RGBA = tuple[float, float, float, float]


@dataclass(frozen=True, slots=True)
class ObjectRow:
    """One object.

    Attributes
    ----------
    object_id
        Its number, which no other row has.
    colour
        RGBA, 0 to 1.
    name
        Its name, may be empty.
    first, last
        First and last frame, both included.
    n_frames
        Number of its frames.
    state
        A word for its state.
    score
        0 to 1; None: unknown.
    visible, locked
        Whether it is shown, and whether it is protected from changes.
    """

    object_id: int
    colour: RGBA
    name: str
    first: int
    last: int
    n_frames: int
    state: str
    score: float | None
    visible: bool
    locked: bool

    @property
    def frames(self) -> str:
        """Range of frames as in "3-17 (14)"; one number for an object on one frame."""
        if self.n_frames == 0:
            return ""
        if self.first == self.last:
            return f"{self.first}"
        return f"{self.first}-{self.last} ({self.n_frames})"


class ObjectsModel(QAbstractTableModel):
    """Rows that change cell by cell where they can.

    Attributes
    ----------
    renamed, visibility_changed, lock_changed
        Signals (object id, new value): someone edited a cell.
    """

    renamed = Signal(int, str)
    visibility_changed = Signal(int, bool)
    lock_changed = Signal(int, bool)

    def __init__(self, parent: QObject | None = None) -> None:
        super().__init__(parent)
        self._rows: list[ObjectRow] = []
        self._at: dict[int, int] = {}
        self._swatches: dict[int, QIcon] = {}

    @property
    def rows(self) -> Sequence[ObjectRow]:
        """All rows, in no particular order."""
        return self._rows

    def row_of(self, object_id: int) -> int | None:
        """Return the row of an object."""
        return self._at.get(object_id)

    def set_rows(self, rows: Iterable[ObjectRow]) -> None:
        """Show these rows; views are notified of differences only.

        Raises
        ------
        ValueError
            If two rows have the same object id.
        """
        wanted = {}
        for row in rows:
            if row.object_id in wanted:
                raise ValueError(f"two rows with the object id {row.object_id}")
            wanted[row.object_id] = row
        gone = [k for k, row in enumerate(self._rows) if row.object_id not in wanted]
        new = [row for object_id, row in wanted.items() if object_id not in self._at]
        blocks = _blocks(gone)
        if len(blocks) > MANY_BLOCKS or not self._rows:
            self.beginResetModel()
            self._rows = list(wanted.values())
            self._index()
            self.endResetModel()
            return
        for first, last in reversed(blocks):
            self.beginRemoveRows(QModelIndex(), first, last)
            del self._rows[first : last + 1]
            self.endRemoveRows()
        changed = []
        for k, row in enumerate(self._rows):
            if (now := wanted[row.object_id]) != row:
                self._rows[k] = now
                changed.append(k)
        blocks = _blocks(changed)
        if len(blocks) > MANY_BLOCKS:
            blocks = [(changed[0], changed[-1])]
        for first, last in blocks:
            self.dataChanged.emit(self.index(first, 0), self.index(last, len(HEADERS) - 1))
        if new:
            n = len(self._rows)
            self.beginInsertRows(QModelIndex(), n, n + len(new) - 1)
            self._rows += new
            self.endInsertRows()
        self._index()

    def _index(self) -> None:
        self._at = {row.object_id: k for k, row in enumerate(self._rows)}

    def change(self, object_id: int, **values: Any) -> None:
        """Change an object's row as the user does: emits a signal if it differs."""
        k = self._at[object_id]
        old, self._rows[k] = self._rows[k], replace(self._rows[k], **values)
        new = self._rows[k]
        if new == old:
            return
        self.dataChanged.emit(self.index(k, 0), self.index(k, len(HEADERS) - 1))
        if new.name != old.name:
            self.renamed.emit(object_id, new.name)
        if new.visible != old.visible:
            self.visibility_changed.emit(object_id, new.visible)
        if new.locked != old.locked:
            self.lock_changed.emit(object_id, new.locked)

    def _swatch(self, colour: QColor) -> QIcon:
        """Return a square of a colour, which keeps that colour in a selected row."""
        if (icon := self._swatches.get(colour.rgba())) is None:
            pixmap, icon = QPixmap(SWATCH, SWATCH), QIcon()
            pixmap.fill(colour)
            icon.addPixmap(pixmap, QIcon.Mode.Normal)
            icon.addPixmap(pixmap, QIcon.Mode.Selected)
            self._swatches[colour.rgba()] = icon
        return icon

    # Methods that Qt calls.

    def rowCount(self, parent: QModelIndex | None = None) -> int:
        return 0 if parent is not None and parent.isValid() else len(self._rows)

    def columnCount(self, parent: QModelIndex | None = None) -> int:
        return 0 if parent is not None and parent.isValid() else len(HEADERS)

    def headerData(self, section: int, orientation: Qt.Orientation, role: int = DISPLAY) -> Any:
        if orientation != Qt.Orientation.Horizontal:
            return None
        if role == DISPLAY:
            return HEADERS[section]
        return TIPS[section] if role == TIP else None

    def flags(self, index: QModelIndex) -> Qt.ItemFlag:
        flags = Qt.ItemFlag.ItemIsEnabled | Qt.ItemFlag.ItemIsSelectable
        if index.column() == NAME:
            flags |= Qt.ItemFlag.ItemIsEditable
        if index.column() in (SHOW, LOCK):
            flags |= Qt.ItemFlag.ItemIsUserCheckable
        return flags

    def data(self, index: QModelIndex, role: int = DISPLAY) -> Any:
        if not index.isValid():
            return None
        row, column = self._rows[index.row()], index.column()
        if role == SORT:
            return _sort_key(row, column)
        if role == DISPLAY:
            return _text(row, column)
        if role == EDIT:
            return row.name if column == NAME else None
        if role == CHECK and column in (SHOW, LOCK):
            on = row.visible if column == SHOW else row.locked
            return Qt.CheckState.Checked if on else Qt.CheckState.Unchecked
        if role == DECORATION:
            if column == ID:
                return self._swatch(QColor.fromRgbF(*row.colour))
            if column == STATE and row.state in COLOURS:
                return self._swatch(QColor(*COLOURS[row.state]))
        if role == ALIGNMENT and column in (ID, SCORE):
            return Qt.AlignmentFlag.AlignRight | Qt.AlignmentFlag.AlignVCenter
        if role == TIP:
            return _tip(row, column)
        if role == SEARCH:
            return f"{row.object_id} {row.name}"
        return None

    def setData(self, index: QModelIndex, value: Any, role: int = EDIT) -> bool:
        if not index.isValid():
            return False
        object_id, column = self._rows[index.row()].object_id, index.column()
        if role == EDIT and column == NAME:
            self.change(object_id, name=str(value).strip())
            return True
        if role == CHECK and column in (SHOW, LOCK):
            on = Qt.CheckState(value) == Qt.CheckState.Checked
            self.change(object_id, **{"visible" if column == SHOW else "locked": on})
            return True
        return False


def _blocks(numbers: Sequence[int]) -> list[tuple[int, int]]:
    """Return first and last of each run of ascending numbers."""
    runs = []
    for _, group in groupby(enumerate(numbers), lambda pair: pair[1] - pair[0]):
        run = [number for _, number in group]
        runs.append((run[0], run[-1]))
    return runs


def _text(row: ObjectRow, column: int) -> str | None:
    match column:
        case 0:
            return str(row.object_id)
        case 1:
            return row.name
        case 2:
            return row.frames
        case 3:
            return row.state
        case 4:
            return "" if row.score is None else f"{row.score:.2f}"
    return None


def _sort_key(row: ObjectRow, column: int) -> Any:
    """Return a number or a text, since Qt compares them."""
    match column:
        case 0:
            return row.object_id
        case 1:
            return row.name.casefold()
        case 2:
            return row.first + row.last * 1e-7 if row.n_frames else -1.0
        case 3:
            return row.state
        case 4:
            return -1.0 if row.score is None else float(row.score)
        case 5:
            return int(row.visible)
    return int(row.locked)


def _tip(row: ObjectRow, column: int) -> str:
    title = f"object {row.object_id}" + (f" '{row.name}'" if row.name else "")
    match column:
        case 2 if row.n_frames:
            gaps = row.last - row.first + 1 - row.n_frames
            what = f"frames {row.first} to {row.last}, on {row.n_frames} of them"
            return f"{title}: {what}" + (f" ({gaps} missing)" if gaps else "")
        case 3:
            return f"{title}: {row.state}"
        case 4:
            return f"{title}: " + ("no score" if row.score is None else f"score {row.score:.3f}")
        case 5:
            return f"{title} is " + ("shown" if row.visible else "hidden")
        case 6:
            return f"{title} is " + ("locked" if row.locked else "not locked")
    return title
