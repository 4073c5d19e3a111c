"""The table of objects as a person sees and uses it."""

import random
import time
from dataclasses import replace

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from qtpy.QtCore import QPoint, Qt
from qtpy.QtGui import QIcon
from qtpy.QtWidgets import QApplication, QLineEdit

from napari_sam2track._widgets.objects_model import (
    FRAMES,
    HEADERS,
    ID,
    LOCK,
    NAME,
    SCORE,
    SHOW,
    STATE,
    ObjectsModel,
)
from napari_sam2track._widgets.objects_table import ObjectRow, ObjectsTable
from napari_sam2track._widgets.strip_image import COLOURS

LEFT = Qt.MouseButton.LeftButton
CTRL = Qt.KeyboardModifier.ControlModifier


def row(object_id, **changes):
    plain = ObjectRow(
        object_id,
        colour=(1.0, 0.0, 0.0, 1.0),
        name="",
        first=object_id,
        last=object_id + 9,
        n_frames=8,
        state="propagated",
        score=object_id / 5000,
        visible=True,
        locked=False,
    )
    return replace(plain, **changes)


def rows(*object_ids):
    return [row(object_id) for object_id in object_ids]


SIGNALS = (
    *("selected", "activated", "renamed", "visibility_changed", "lock_changed"),
    "delete_requested",
)


@pytest.fixture
def table(qtbot):
    table = ObjectsTable()
    qtbot.addWidget(table)
    table.resize(560, 300)
    table.show()
    table.heard = []
    for name in SIGNALS:
        getattr(table, name).connect(lambda *args, name=name: table.heard.append((name, *args)))
    return table


def at(table, object_id, column=NAME):
    index = table._index(object_id)
    return table._view.visualRect(index.siblingAtColumn(column)).center()


def click(qtbot, table, object_id, column=NAME, modifiers=Qt.KeyboardModifier.NoModifier):
    qtbot.mouseClick(table._view.viewport(), LEFT, modifiers, at(table, object_id, column))


def check(qtbot, table, object_id, column):
    """Click on a check box."""
    index = table._index(object_id).siblingAtColumn(column)
    box = table._view.visualRect(index)
    qtbot.mouseClick(table._view.viewport(), LEFT, pos=QPoint(box.left() + 10, box.center().y()))


def shown(table, column=ID):
    proxy = table._proxy
    return [proxy.index(k, column).data() for k in range(proxy.rowCount())]


def cell(table, object_id, column, role=Qt.ItemDataRole.DisplayRole):
    return table._index(object_id).siblingAtColumn(column).data(role)


def test_cells(table):
    table.set_rows([row(3, name="cell A", first=3, last=17, n_frames=14, score=0.834)])
    assert [cell(table, 3, c) for c in (ID, NAME, FRAMES, STATE, SCORE)] == [
        "3",
        "cell A",
        "3-17 (14)",
        "propagated",
        "0.83",
    ]
    for column, expected in ((ID, (255, 0, 0)), (STATE, COLOURS["propagated"])):
        icon = cell(table, 3, column, Qt.ItemDataRole.DecorationRole)
        for mode in (QIcon.Mode.Normal, QIcon.Mode.Selected):  # a selection does not tint it
            pixel = icon.pixmap(12, 12, mode).toImage().pixelColor(5, 5)
            assert pixel.getRgb()[:3] == expected
    tip = cell(table, 3, FRAMES, Qt.ItemDataRole.ToolTipRole)
    assert tip == "object 3 'cell A': frames 3 to 17, on 14 of them (1 missing)"
    table.set_rows([row(3, first=4, last=4, n_frames=1, score=None)])
    assert (cell(table, 3, FRAMES), cell(table, 3, SCORE)) == ("4", "")
    table.set_rows([row(3, n_frames=0)])
    assert cell(table, 3, FRAMES) == ""


def test_every_column_has_a_tooltip(table):
    for column in range(len(HEADERS)):
        tip = table._proxy.headerData(
            column, Qt.Orientation.Horizontal, Qt.ItemDataRole.ToolTipRole
        )
        assert tip


def test_a_click_selects(table, qtbot):
    table.set_rows(rows(1, 2, 3))
    click(qtbot, table, 2)
    click(qtbot, table, 2, STATE)
    assert table.heard == [("selected", 2)]
    qtbot.keyClick(table._view, Qt.Key.Key_Down)
    assert table.heard[1:] == [("selected", 3)]
    assert table.selected_ids() == [3]


def test_selecting_from_code_is_silent(table, qtbot):
    table.set_rows(rows(*range(1, 500)))
    table.select(400)
    assert table.selected_ids() == [400]
    assert table._view.viewport().rect().contains(at(table, 400))
    table.select(None)
    assert table.selected_ids() == []
    table.select(9999)
    assert table.selected_ids() == []
    assert table.heard == []
    table.select(2)
    click(qtbot, table, 2)
    assert table.heard == []
    click(qtbot, table, 3)
    assert table.heard == [("selected", 3)]


def test_renaming(table, qtbot):
    table.set_rows(rows(1, 2))
    table.select(2)
    table._view.setCurrentIndex(table._index(2).siblingAtColumn(NAME))
    qtbot.keyClick(table._view, Qt.Key.Key_F2)
    editor = table._view.viewport().findChild(QLineEdit)
    qtbot.keyClicks(editor, " mother ")
    qtbot.keyClick(editor, Qt.Key.Key_Delete)  # edits text, deletes no object
    with qtbot.waitSignal(table.renamed):
        qtbot.keyClick(editor, Qt.Key.Key_Return)
    assert table.heard == [("renamed", 2, "mother")]
    assert cell(table, 2, NAME) == "mother"
    table._edit_name()
    editor = [e for e in table._view.viewport().findChildren(QLineEdit) if e.isVisible()][-1]
    qtbot.keyClick(editor, Qt.Key.Key_Return)
    qtbot.waitUntil(lambda: table._view.state() == table._view.State.NoState)
    assert len(table.heard) == 1  # the same name


def test_only_names_are_edited(table):
    table.set_rows(rows(1))
    index = table._model.index(0, STATE)
    assert not table._model.flags(index) & Qt.ItemFlag.ItemIsEditable
    assert not table._model.setData(index, "x", Qt.ItemDataRole.EditRole)
    assert not table.heard


@pytest.mark.parametrize(
    ("column", "signal", "field"),
    [(SHOW, "visibility_changed", "visible"), (LOCK, "lock_changed", "locked")],
)
def test_check_boxes(table, qtbot, column, signal, field):
    table.set_rows(rows(1, 2))
    before = getattr(table.rows()[1], field)
    check(qtbot, table, 2, column)
    assert (signal, 2, not before) in table.heard
    assert getattr(table.rows()[1], field) is not before
    check(qtbot, table, 2, column)
    assert table.heard[-1] == (signal, 2, before)
    assert getattr(table.rows()[0], field) is before


def test_deletion_is_asked_for(table, qtbot):
    table.set_rows(rows(1, 2, 3, 4))
    qtbot.keyClick(table._view, Qt.Key.Key_Delete)
    assert not table.heard
    click(qtbot, table, 4)
    click(qtbot, table, 2, modifiers=CTRL)
    qtbot.keyClick(table._view, Qt.Key.Key_Delete)
    assert table.heard[-1] == ("delete_requested", [2, 4])
    assert len(table.rows()) == 4  # not for the table to decide


def test_double_click_and_enter_go_there(table, qtbot):
    table.set_rows(rows(1, 2))
    view = table._view.viewport()
    qtbot.mouseClick(view, LEFT, pos=at(table, 2, FRAMES))
    qtbot.mouseDClick(view, LEFT, pos=at(table, 2, FRAMES))
    assert table.heard[-1] == ("activated", 2)
    qtbot.keyClick(table._view, Qt.Key.Key_Return)
    assert table.heard == [("selected", 2), ("activated", 2), ("activated", 2)]
    qtbot.mouseDClick(view, LEFT, pos=at(table, 2, SHOW))
    assert table.heard.count(("activated", 2)) == 2  # that was for the check box


def test_the_menu(table, qtbot):
    table.set_rows([row(1), row(2, visible=False), row(3)])
    assert table.menu() is None
    click(qtbot, table, 1)
    click(qtbot, table, 2, modifiers=CTRL)
    actions = {a.text(): a for a in table.menu().actions() if a.text()}
    assert list(actions) == [
        *("Go to", "Rename", "Show", "Hide", "Lock", "Unlock", "Delete 2 objects")
    ]
    assert [t for t, a in actions.items() if not a.isEnabled()] == ["Go to", "Rename", "Unlock"]
    assert all(a.toolTip() for a in actions.values())
    table.heard.clear()
    actions["Hide"].trigger()
    assert table.heard == [("visibility_changed", 1, False)]  # the other was hidden
    actions["Lock"].trigger()
    assert table.heard[1:] == [("lock_changed", 1, True), ("lock_changed", 2, True)]
    actions["Delete 2 objects"].trigger()
    assert table.heard[-1] == ("delete_requested", [1, 2])


def test_the_menu_opens(table, qtbot):
    table.set_rows(rows(1))
    table.select(1)
    table._view.customContextMenuRequested.emit(at(table, 1))
    popup = QApplication.activePopupWidget()
    assert "Delete" in [a.text() for a in popup.actions()]
    popup.close()


def test_search(table, qtbot):
    table.set_rows([row(1, name="Mother"), row(2), row(12, name="b.1"), row(31)])
    assert table._count.text() == "4"
    table.select(2)
    qtbot.keyClicks(table._search, "1")
    assert shown(table) == ["1", "12", "31"]
    assert table._count.text() == "3 of 4"
    table._search.clear()
    qtbot.keyClicks(table._search, "moth")
    assert shown(table) == ["1"]
    table._search.clear()
    qtbot.keyClicks(table._search, "b.")  # not a pattern
    assert shown(table) == ["12"]
    table._search.clear()
    assert len(shown(table)) == 4
    assert table.heard == []


@pytest.mark.parametrize("column", range(len(HEADERS)))
def test_sorting(table, column):
    given_rows = [
        row(10, name="b", first=5, score=0.5, state="stale", locked=True),
        row(9, name="A", first=100, score=None, state="absent", visible=False),
        row(2, name="c", first=20, score=0.1, state="propagated"),
    ]
    table.set_rows(given_rows)
    keys = [
        lambda r: r.object_id,
        lambda r: r.name.lower(),
        lambda r: r.first,
        lambda r: r.state,
        lambda r: -1 if r.score is None else r.score,
        lambda r: r.visible,
        lambda r: r.locked,
    ]
    for order, down in ((Qt.SortOrder.AscendingOrder, False), (Qt.SortOrder.DescendingOrder, True)):
        table._view.sortByColumn(column, order)
        found = [keys[column](r) for i in shown(table) for r in given_rows if r.object_id == int(i)]
        assert found == sorted(found, reverse=down)


def test_two_rows_of_one_object_are_refused(table):
    with pytest.raises(ValueError, match="two rows with the object id 2"):
        table.set_rows(rows(1, 2, 2))


def test_selection_and_scroll_position_stay(table, qtbot):
    table.set_rows(rows(*range(1, 1000)))
    table.select(500)
    click(qtbot, table, 502, modifiers=CTRL)
    table._view.verticalScrollBar().setValue(480)
    table.heard.clear()
    new = [row(i, score=0.5) for i in range(1, 1000) if i != 700] + rows(2000)
    table.set_rows(new)
    assert table.selected_ids() == [500, 502]
    assert table._view.verticalScrollBar().value() == 480
    new = [r for r in new if r.object_id % 2 == 0]  # so much that all is laid out anew
    table.set_rows(new)
    assert table.selected_ids() == [500, 502]
    table.set_rows([r for r in new if r.object_id != 500])
    assert table.selected_ids() == [502]
    assert table.heard == []


def test_an_object_that_goes_selects_no_other(table, qtbot):
    table.set_rows(rows(1, 2, 3))
    click(qtbot, table, 2)
    table.set_rows(rows(1, 3))
    assert table.selected_ids() == []
    assert table.heard == [("selected", 2)]
    click(qtbot, table, 3)
    assert table.heard[1:] == [("selected", 3)]


def test_only_what_differs_is_told(qtbot):
    model = ObjectsModel()
    model.set_rows(rows(*range(1, 2001)))
    resets, changes, inserted, removed = [], [], [], []
    model.modelReset.connect(lambda: resets.append(1))
    model.dataChanged.connect(lambda a, b, *_: changes.append((a.row(), b.row())))
    model.rowsInserted.connect(lambda _, a, b: inserted.append((a, b)))
    model.rowsRemoved.connect(lambda _, a, b: removed.append((a, b)))
    model.set_rows(rows(*range(1, 2001)))
    assert not (resets or changes or inserted or removed)
    new = rows(*range(1, 1001), *range(1003, 2001), 5000, 5001)
    new[4] = replace(new[4], name="x")
    model.set_rows(new)
    assert (resets, changes) == ([], [(4, 4)])
    assert (inserted, removed) == ([(1998, 1999)], [(1000, 1001)])


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=50)
@given(steps=st.lists(st.sets(st.integers(1, 200)), min_size=2, max_size=4), data=st.data())
def test_whatever_comes_it_is_what_is_shown(table, steps, data):
    for ids in steps:
        given_rows = [row(i, score=data.draw(st.sampled_from([0.1, 0.9]))) for i in ids]
        random.Random(0).shuffle(given_rows)
        table.set_rows(given_rows)
        assert table.rows() == sorted(given_rows, key=lambda r: r.object_id)
        assert shown(table) == [str(i) for i in sorted(ids)]
        for r in given_rows:
            assert table._model.rows[table._model.row_of(r.object_id)] == r
    assert table.heard == []


def test_it_is_fluid(table):
    table.set_rows(rows(*range(1, 2001)))
    changed = [row(i, score=0.9) for i in range(1, 2001)]
    begin = time.perf_counter()
    table.set_rows(changed)
    table._view.grab()
    assert time.perf_counter() - begin < 0.5  # far below; a busy machine is slow
