"""The lineage tree as a person sees and uses it."""

import time

import pytest
from qtpy.QtCore import QPoint, QPointF, Qt
from qtpy.QtGui import QWheelEvent
from qtpy.QtWidgets import QApplication, QComboBox, QToolButton

from napari_sam2track._widgets.lineage_tree import LineageTree, shown_spans

LEFT = Qt.MouseButton.LeftButton
#: 1 divides into 2 and 3, 3 into 4 and 5; 6 is alone.
SPANS = {1: (0, 19), 2: (20, 59), 3: (20, 39), 4: (40, 59), 5: (40, 49), 6: (5, 59)}
PARENTS = {2: 1, 3: 1, 4: 3, 5: 3}
COLOURS = {
    1: (1.0, 0.0, 0.0, 1.0),
    2: (0.0, 1.0, 0.0, 1.0),
    3: (0.0, 0.0, 1.0, 1.0),
    4: (1.0, 1.0, 0.0, 1.0),
    5: (0.0, 1.0, 1.0, 1.0),
    6: (1.0, 0.0, 1.0, 1.0),
}


@pytest.fixture(params=[Qt.Orientation.Horizontal, Qt.Orientation.Vertical])
def tree(qtbot, request):
    tree = LineageTree(orientation=request.param)
    qtbot.addWidget(tree)
    tree.resize(600, 400)
    tree.show()
    tree.set_tracks(SPANS, PARENTS, COLOURS, 60)
    tree.heard = []
    tree.clicked.connect(lambda *args: tree.heard.append(args))
    return tree


def place(tree, track, frame):
    """Pixel of the viewport where a track is on a frame."""
    view = tree.view
    u = view.axis.position(frame + 0.5)
    v = (view._rows[track] + 0.5) * view.row_height - view.offset
    return QPoint(int(v), int(u)) if view.vertical else QPoint(int(u), int(v))


def colour(tree, track, frame):
    image = tree.view.viewport().grab().toImage()
    return image.pixelColor(place(tree, track, frame)).getRgbF()[:3]


def click(qtbot, tree, track, frame):
    qtbot.mouseClick(tree.view.viewport(), LEFT, pos=place(tree, track, frame))


def wheel(tree, at, notches, modifiers=Qt.KeyboardModifier.NoModifier):
    view = tree.view.viewport()
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


def test_tracks_have_their_colours_where_they_are(tree):
    for track, (first, last) in SPANS.items():
        for frame in (last - 1, (first + 3 * last) // 4):
            assert colour(tree, track, frame) == pytest.approx(COLOURS[track][:3], abs=0.01)
    base = tree.view.palette().base().color().getRgbF()[:3]
    assert colour(tree, 5, 55) == pytest.approx(base, abs=0.01)


def test_parents_and_daughters_are_joined(tree):
    # Midway between parent and daughter, where the parent ends, is a line.
    view = tree.view
    image = view.viewport().grab().toImage()
    u = round(view.axis.position(20))
    v = round(((view._rows[1] + view._rows[2]) / 2 + 0.5) * view.row_height)
    base = view.palette().base().color().getRgb()
    points = [
        (v + dv, u + du) if view.vertical else (u + du, v + dv)
        for du in (-1, 0, 1)
        for dv in (-1, 0, 1)
    ]
    assert any(image.pixelColor(*point).getRgb() != base for point in points)


def test_clicks(tree, qtbot):
    click(qtbot, tree, 3, 33)
    click(qtbot, tree, 6, 7)
    assert tree.heard == [(3, 33), (6, 7)]
    click(qtbot, tree, 5, 56)  # where no track is
    assert len(tree.heard) == 2


def test_a_track_of_one_frame_can_be_clicked(tree, qtbot):
    tree.set_tracks({7: (3000, 3000)}, {}, {}, 10_000)
    click(qtbot, tree, 7, 3000)
    assert tree.heard == [(7, 3000)]


def test_the_tip(tree):
    tip = tree.view.tip_at(place(tree, 3, 33))
    assert tip == "track 3 · frames 20-39 · parent 1 · daughters 4, 5 · here frame 33"
    assert tree.view.tip_at(place(tree, 5, 56)) == ""


def test_relatives_stay_bright(tree):
    tree.set_current(4, 58)
    for track, frame in ((1, 15), (3, 35)):
        assert colour(tree, track, frame) == pytest.approx(COLOURS[track][:3], abs=0.01)
    for track, frame in ((2, 40), (5, 45), (6, 40)):  # sister, cousin, stranger
        assert colour(tree, track, frame) != pytest.approx(COLOURS[track][:3], abs=0.1)
    tree.set_current(None, 58)
    assert colour(tree, 6, 40) == pytest.approx(COLOURS[6][:3], abs=0.01)
    assert tree.heard == []


def test_choices(tree, qtbot):
    heard = []
    tree.choice_changed.connect(heard.append)
    assert set(tree.view.tracks()) == set(SPANS)
    tree.set_choice("families")
    assert set(tree.view.tracks()) == {1, 2, 3, 4, 5}
    tree.set_choice("lineage")
    assert set(tree.view.tracks()) == set()
    tree.view.viewport().grab()  # a hint
    tree.set_current(6, 10)
    assert set(tree.view.tracks()) == {6}
    tree.set_current(5, 40)
    assert set(tree.view.tracks()) == {1, 2, 3, 4, 5}
    assert heard == []
    box = tree._choice
    qtbot.keyClick(box, Qt.Key.Key_Down)
    assert heard == ["families"] == [tree.choice()]
    with pytest.raises(ValueError, match="'none' is none of all, lineage, families"):
        tree.set_choice("none")


def test_shown_spans_of_circles_and_strangers():
    spans = {1: (0, 1), 2: (0, 1), 3: (0, 1)}
    assert set(shown_spans(spans, {1: 2, 2: 1}, "families", None)) == {1, 2}
    assert set(shown_spans(spans, {3: 99}, "families", None)) == set()
    assert set(shown_spans(spans, {}, "lineage", 99)) == set()


def test_zoom(tree):
    ranges = []
    tree.range_changed.connect(lambda *args: ranges.append(args))
    at = place(tree, 3, 30)
    wheel(tree, at, 2)
    assert tree.view.axis.span == pytest.approx(60 / 1.25**2)
    assert len(ranges) == 1
    after = place(tree, 3, 30)
    assert (after - at).manhattanLength() <= 1
    height = tree.view.row_height
    wheel(tree, at, 3, Qt.KeyboardModifier.ControlModifier)
    assert tree.view.row_height == pytest.approx(height * 1.25**3)
    assert len(ranges) == 1
    fit = next(b for b in tree.findChildren(QToolButton) if b.text() == "Fit")
    fit.click()
    assert (tree.view.axis.start, tree.view.axis.stop) == (0, 60)
    assert tree.view.row_height == height


def test_dragging_scrolls(tree, qtbot):
    tree.set_range(20, 40)
    view, at = tree.view.viewport(), place(tree, 3, 30)
    way = QPoint(0, -60) if tree.view.vertical else QPoint(-60, 0)
    qtbot.mousePress(view, LEFT, pos=at)
    qtbot.mouseMove(view, at + way / 2)
    qtbot.mouseMove(view, at + way)
    qtbot.mouseRelease(view, LEFT, pos=at + way)
    assert tree.view.axis.start == pytest.approx(20 + 60 / tree.view.axis.scale, rel=0.01)
    assert tree.heard == []


def test_the_current_track_is_scrolled_to(tree):
    tree.set_tracks(dict.fromkeys(range(200), (0, 59)), {}, {}, 60)
    tree.set_current(150, 3)
    where = place(tree, 150, 3)
    assert tree.view.viewport().rect().contains(where)
    assert tree.view.offset > 0


def test_the_tree_can_be_turned(tree, qtbot):
    before = tree.orientation()
    key = Qt.Key.Key_Up if tree.view.vertical else Qt.Key.Key_Down
    qtbot.keyClick(tree._turn, key)
    assert tree.orientation() != before
    click(qtbot, tree, 3, 33)
    assert tree.heard == [(3, 33)]


def test_tracks_that_grow_keep_the_view(tree):
    tree.set_range(10, 30)
    tree.set_current(2, 25)
    tree.set_tracks({**SPANS, 7: (30, 31)}, PARENTS, COLOURS, 60)
    assert (tree.view.axis.start, tree.view.axis.stop) == (10, 30)
    tree.set_tracks({}, {}, {}, 0)
    tree.view.viewport().grab()
    tree.set_current(2, 0)


def test_broken_lineages_are_drawn(tree):
    tree.set_tracks({1: (0, 5), 2: (3, 9)}, {1: 2, 2: 1}, {}, 10)
    tree.set_current(1, 3)
    tree.view.viewport().grab()
    assert tree.view.tip_at(place(tree, 2, 8)).startswith("track 2 · frames 3-9 · parent 1")


def test_it_is_fluid(tree):
    spans = {k: (k % 50, k % 50 + 40) for k in range(1000)}
    tree.set_tracks(spans, {}, {}, 100)
    begin = time.perf_counter()
    tree.view.viewport().grab()
    assert time.perf_counter() - begin < 0.1  # far below; a busy machine is slow


def test_every_control_has_a_tooltip(tree):
    for kind in (QComboBox, QToolButton):
        for control in tree.findChildren(kind):
            assert control.toolTip()
