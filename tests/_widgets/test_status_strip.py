"""The strip as a person sees and uses it."""

import time

import numpy as np
import pytest
from qtpy.QtCore import QPoint, QPointF, Qt
from qtpy.QtGui import QWheelEvent
from qtpy.QtWidgets import QApplication, QLabel

from napari_sam2track._widgets.status_strip import StatusLegend, StatusStrip
from napari_sam2track._widgets.strip_image import COLOURS, LOWEST, STALE_DARK
from napari_sam2track.workspace.state_grid import ABSENT, PROPAGATED, STALE, STATES


def grid(n_objects, n_frames, state=PROPAGATED):
    states = np.full((n_objects, n_frames), state, np.uint8)
    return states, np.full((n_objects, n_frames), np.nan, np.float32)


@pytest.fixture
def strip(qtbot):
    strip = StatusStrip()
    qtbot.addWidget(strip)
    strip.resize(700, 140)
    strip.show()
    strip.heard = []
    strip.clicked.connect(lambda *args: strip.heard.append(args))
    return strip


def place(strip, row, frame):
    """Middle of a cell, in pixels of the viewport."""
    u = strip.axis.position(frame + 0.5)
    return QPoint(int(u), int((row + 0.5) * strip.row_height - strip.offset))


def colour(strip, row, frame):
    image = strip.viewport().grab().toImage()
    return image.pixelColor(place(strip, row, frame)).getRgb()[:3]


def wheel(strip, at, notches, modifiers=Qt.KeyboardModifier.NoModifier):
    view = strip.viewport()
    event = QWheelEvent(
        QPointF(at),
        QPointF(view.mapToGlobal(at)),
        QPoint(0, 0),
        QPoint(0, 120 * notches),
        Qt.MouseButton.NoButton,
        modifiers,
        Qt.ScrollPhase.NoScrollPhase,
        False,
    )
    QApplication.sendEvent(view, event)


def test_every_state_has_its_colour(strip):
    states, scores = grid(len(STATES), 20, 0)
    states[:, 5:] = np.arange(len(STATES))[:, None]
    strip.set_grid(range(1, 8), states, scores)
    for row, name in enumerate(STATES[1:], start=1):
        expected = {COLOURS[name], STALE_DARK} if name == "stale" else {COLOURS[name]}
        assert colour(strip, row, 10) in expected
    base = strip.palette().base().color().getRgb()[:3]
    assert colour(strip, 0, 10) == base
    assert colour(strip, 3, 2) == base
    assert {colour(strip, 4, t) for t in (10, 11)} == {COLOURS["stale"], STALE_DARK}


def test_a_low_score_is_red(strip):
    states, scores = grid(2, 20)
    scores[1, 7] = 0.02
    strip.set_grid([3, 8], states, scores)
    assert colour(strip, 1, 7) == LOWEST
    assert colour(strip, 1, 8) == COLOURS["propagated"]


def test_one_frame_changes(strip):
    strip.set_grid([3, 8], *grid(2, 20))
    strip.update_columns(7, np.array([STALE, ABSENT]), np.array([0.9, np.nan]))
    assert colour(strip, 1, 7) == COLOURS["absent"]
    assert colour(strip, 0, 7) in (COLOURS["stale"], STALE_DARK)
    assert colour(strip, 0, 6) == COLOURS["propagated"]
    strip.update_columns([1, 2], np.full((2, 2), ABSENT), np.ones((2, 2)))
    assert colour(strip, 1, 2) == COLOURS["absent"]


@pytest.mark.parametrize("state", [STALE, ABSENT])
def test_one_bad_frame_of_many_is_seen_and_a_click_leads_there(strip, qtbot, state):
    states, scores = grid(3, 20_000)
    states[1, 12_345] = state
    strip.set_grid([3, 8, 9], states, scores)
    seen = {COLOURS[STATES[state]]} | ({STALE_DARK} if state == STALE else set())
    assert colour(strip, 1, 12_345) in seen
    assert colour(strip, 0, 12_345) == COLOURS["propagated"]
    qtbot.mouseClick(strip.viewport(), Qt.MouseButton.LeftButton, pos=place(strip, 1, 12_345))
    assert strip.heard == [(8, 12_345)]


def test_clicks(strip, qtbot):
    strip.set_grid([3, 8], *grid(2, 20))
    qtbot.mouseClick(strip.viewport(), Qt.MouseButton.LeftButton, pos=place(strip, 1, 17))
    assert strip.heard == [(8, 17)]
    strip.set_current(3, 5)
    qtbot.mouseClick(strip.viewport(), Qt.MouseButton.LeftButton, pos=QPoint(4, 6))
    assert strip.heard[1:] == [(3, 5)]  # on its id: in the same frame
    below = QPoint(place(strip, 0, 4).x(), strip.viewport().height() - 4)
    with qtbot.waitSignal(strip.frame_clicked) as told:
        qtbot.mouseClick(strip.viewport(), Qt.MouseButton.LeftButton, pos=below)
    assert told.args == [4]
    assert len(strip.heard) == 2


def test_a_click_below_the_last_row_is_none(strip, qtbot):
    strip.set_grid([3, 8], *grid(2, 20))
    qtbot.mouseClick(strip.viewport(), Qt.MouseButton.LeftButton, pos=place(strip, 3, 17))
    qtbot.mouseClick(strip.viewport(), Qt.MouseButton.RightButton, pos=place(strip, 1, 17))
    assert not strip.heard


def test_the_tip(strip):
    states, scores = grid(2, 20)
    states[0, 17], scores[0, 17] = STALE, 0.834
    strip.set_grid([3, 8], states, scores, names={3: "cell A"})
    at = place(strip, 0, 17)
    assert strip.tip_at(at) == "object 3 'cell A' · frame 17 · stale · score 0.83"
    at = place(strip, 1, 2)
    assert strip.tip_at(at) == "object 8 · frame 2 · propagated"
    assert strip.tip_at(place(strip, 5, 2)) == ""


def test_zoom_and_scroll(strip, qtbot):
    strip.set_grid(range(100), *grid(100, 2000))
    ranges = []
    strip.range_changed.connect(lambda *args: ranges.append(args))
    at = place(strip, 0, 1000)
    wheel(strip, at, 4, Qt.KeyboardModifier.ControlModifier)
    assert len(ranges) == 1
    assert strip.axis.span == pytest.approx(2000 / 1.25**4)
    assert strip.axis.position(1000.5) == pytest.approx(at.x(), abs=1)
    start = strip.axis.start
    wheel(strip, at, -1, Qt.KeyboardModifier.ShiftModifier)
    assert strip.axis.start > start
    wheel(strip, at, -1)
    assert strip.offset > 0
    strip.horizontalScrollBar().setValue(0)
    assert strip.axis.start == 0
    for _ in range(60):
        wheel(strip, at, -1, Qt.KeyboardModifier.ControlModifier)
    assert (strip.axis.start, strip.axis.stop) == (0, 2000)


def test_dragging_scrolls_and_is_no_click(strip, qtbot):
    strip.set_grid(range(100), *grid(100, 2000))
    strip.set_range(500, 1000)
    view, left = strip.viewport(), Qt.MouseButton.LeftButton
    qtbot.mousePress(view, left, pos=QPoint(300, 90))
    qtbot.mouseMove(view, QPoint(280, 70))
    qtbot.mouseMove(view, QPoint(200, 40))
    qtbot.mouseRelease(view, left, pos=QPoint(200, 40))
    assert not strip.heard
    assert strip.axis.start == pytest.approx(500 + 100 / strip.axis.scale, rel=0.01)
    assert strip.offset == 50


def test_the_current_object_and_frame_are_shown(strip):
    strip.set_grid(range(100), *grid(100, 2000))
    strip.set_range(0, 100)
    strip.set_current(90, 700)
    assert strip.axis.start <= 700 < strip.axis.stop
    top = 90 * strip.row_height - strip.offset
    assert 0 <= top <= strip.viewport().height() - strip.row_height
    strip.set_current(None, 3)
    assert strip.axis.start == 3
    assert not strip.heard


def test_the_marker_moves(strip):
    strip.set_grid([3], *grid(1, 600))
    text = strip.palette().text().color().getRgb()[:3]
    for frame in (100, 400):
        strip.set_current(3, frame)
        assert colour(strip, 0, frame) == text


def test_rows_are_as_high_as_there_is_room(strip):
    strip.set_grid([3], *grid(1, 20))
    assert strip.row_height == 14
    strip.set_grid(range(500), *grid(500, 20))
    assert strip.row_height == 6
    assert strip.verticalScrollBar().maximum() > 2000
    assert strip.offset == 0


def test_what_was_zoomed_to_stays_when_the_grid_changes(strip):
    strip.set_grid([3], *grid(1, 600))
    strip.set_range(100, 200)
    strip.set_grid([3, 4], *grid(2, 600))
    assert (strip.axis.start, strip.axis.stop) == (100, 200)
    strip.set_grid([3, 4], *grid(2, 50))
    assert (strip.axis.start, strip.axis.stop) == (0, 50)


def test_nothing_and_little(strip):
    strip.viewport().grab()
    strip.set_grid([], *grid(0, 0))
    strip.viewport().grab()
    strip.set_grid([], *grid(0, 30))
    strip.set_current(None, 29)
    strip.viewport().grab()
    strip.set_grid([1], *grid(1, 1))
    strip.set_current(1, 0)
    assert strip.tip_at(place(strip, 0, 0)) == "object 1 · frame 0 · propagated"


def test_what_does_not_fit_is_refused(strip):
    with pytest.raises(ValueError, match=r"states of shape \(2, 5\) for 1 objects"):
        strip.set_grid([1], *grid(2, 5))
    strip.set_grid([1, 2], *grid(2, 5))
    with pytest.raises(ValueError, match="no frame 5: there are 5"):
        strip.update_columns(5, np.zeros(2), np.zeros(2))
    with pytest.raises(ValueError, match=r"states of shape \(3, 1\), expected \(2, 1\)"):
        strip.update_columns(4, np.zeros(3), np.zeros(3))


def test_it_is_fluid(strip):
    rng = np.random.default_rng(0)
    states = rng.integers(0, 7, (200, 2000)).astype(np.uint8)
    strip.set_grid(range(200), states, rng.random((200, 2000), np.float32))
    begin = time.perf_counter()
    for t in range(50):
        strip.update_columns(t, states[:, t + 1], np.ones(200))
    assert (time.perf_counter() - begin) / 50 < 0.01  # far below; a busy machine is slow
    begin = time.perf_counter()
    strip.viewport().grab()
    assert time.perf_counter() - begin < 0.1


def test_the_legend_names_all_states(qtbot):
    legend = StatusLegend()
    qtbot.addWidget(legend)
    words = {label.text(): label.toolTip() for label in legend.findChildren(QLabel)}
    assert set(words) == {*STATES[1:], "low score"}
    assert all(words.values())
