"""The panels of the dock, with no viewer but its model."""

import numpy as np
import pytest
from qtpy.QtCore import Qt

from napari_sam2track._widgets.rows_table import Row, RowsTable


@pytest.fixture
def table(qtbot):
    made = RowsTable(("Score", "Track", "Frame", "Reasons"), "tip")
    qtbot.addWidget(made)
    rows = [Row((0.876, 3, 7, "jumped"), "why <3"), Row((0.5, 12, 1, "short"), old=True)]
    made.set_rows([*rows, Row((0.25, 1, 1, "lost"))])
    return made


def test_rows_show_their_values_and_whether_they_are_old(table):
    model = table.model()
    shown = [model.data(model.index(0, k)) for k in range(4)]
    assert shown == ["0.88", "3", "7", "jumped"]
    role = Qt.ItemDataRole.ForegroundRole
    assert model.data(model.index(0, 0), role) is None
    assert model.data(model.index(1, 0), role) is not None
    assert "why &lt;3" in model.data(model.index(0, 0), Qt.ItemDataRole.ToolTipRole)
    assert model.headerData(1, Qt.Orientation.Horizontal) == "Track"


def test_clicks_arrows_and_enter_choose(table, qtbot):
    chosen = []
    table.chosen.connect(chosen.append)
    table.resize(340, 200)
    table.show()
    at = table.visualRect(table.model().index(1, 3)).center()
    qtbot.mouseClick(table.viewport(), Qt.MouseButton.LeftButton, pos=at)
    qtbot.keyClick(table, Qt.Key.Key_Down)
    qtbot.keyClick(table, Qt.Key.Key_Return)
    assert chosen == [1, 2, 2]
    table.set_rows(table.rows()[:2])
    assert table.current() == 1 and chosen == [1, 2, 2]
    table.set_rows([])
    assert table.current() is None


@pytest.fixture
def dock(qtbot):
    """The dock on labels with two tracks that are one, with nothing but a model of a viewer."""
    from napari.components import ViewerModel

    from napari_sam2track._widgets.curate_dock import CurateDock

    viewer = ViewerModel()
    labels = np.zeros((6, 40, 60), np.uint8)
    for t in range(6):
        labels[t, 10:18, 4 + 3 * t : 12 + 3 * t] = 1 if t < 3 else 2
        labels[t, 28:36, 20:30] = 3
    viewer.add_labels(labels, name="cells")
    made = CurateDock(viewer)
    qtbot.addWidget(made)
    qtbot.waitUntil(lambda: made.project is not None)
    yield made
    made.close()


def test_nothing_is_wider_than_a_dock(dock):
    for panel in dock.panels:
        assert panel.minimumSizeHint().width() <= 320, type(panel).__name__


def test_everything_that_can_be_pressed_has_a_tooltip(dock):
    from qtpy.QtWidgets import QAbstractButton, QComboBox, QTableView

    for kind in (QAbstractButton, QComboBox, QTableView):
        for widget in dock.findChildren(kind):
            inner = type(widget.parent()).__name__ in ("QTableView", "RowsTable", "QCollapsible")
            spin = type(widget.parent()).__name__.endswith("SpinBox")
            if not inner and not spin:
                assert widget.toolTip(), (type(widget).__name__, widget.parent())


def test_link_from_the_panel(dock, qtbot):
    project = dock.project
    assert set(project.work.state.places.spans) == {1, 2, 3}
    dock.link.link_button.click()
    qtbot.waitUntil(lambda: not dock.link.run.active)
    assert project.work.state.places.spans == {1: (0, 5), 3: (0, 5)}
    assert "2 tracks" in dock.link.words.text()
    qtbot.waitUntil(dock.edit.undo_button.isEnabled)
    dock.edit.undo_button.click()
    qtbot.waitUntil(lambda: not project.work.busy)
    assert set(project.work.state.places.spans) == {1, 2, 3}


def test_a_locked_track_is_shown_so_and_kept(dock, qtbot):
    project = dock.project
    project.set_current(2)
    dock.edit.lock_button.click()
    assert project.work.locked == {2} and dock.edit.lock_button.isChecked()
    project.set_current(1)
    assert not dock.edit.lock_button.isChecked()
    assert dock.edit.here_label.text() == "Track 1: frames 0 to 2"


def test_an_edit_that_cannot_be_made_says_why(dock):
    dock.project.edit([], "nothing")
    assert "no edits to make" in dock.message.text()


def test_without_labels_nothing_can_be_pressed(dock):
    dock.viewer.layers.clear()
    assert dock.project is None
    assert not any(panel.isEnabled() for panel in dock.panels)
