import numpy as np
import pytest

from napari_sam2track.errors import EditError
from napari_sam2track.labels import ArrayLabels
from napari_sam2track.tracks.editing.history import History
from napari_sam2track.tracks.editing.interpolation import Between
from napari_sam2track.tracks.editing.paint_edits import FillGap, PaintMask
from napari_sam2track.tracks.editing.track_state import TrackState


def ball(shape, centre, radii):
    grid = np.indices(shape)
    return sum(((g - c) / r) ** 2 for g, c, r in zip(grid, centre, radii, strict=True)) <= 1


def iou(a, b):
    return (a & b).sum() / (a | b).sum()


def pair(mask):
    box = tuple(slice(int(a.min()), int(a.max()) + 1) for a in np.nonzero(mask))
    return box, mask[box]


def placed(box, mask, shape):
    out = np.zeros(shape, bool)
    out[box] = mask
    return out


@pytest.mark.parametrize("w", [0.0, 0.25, 0.5, 0.9, 1.0])
@pytest.mark.parametrize("shape", [(90, 120), (40, 50, 60)])
def test_an_ellipse_that_moves_and_grows(shape, w):
    ndim = len(shape)
    begin = [np.full(ndim, 16.0), np.array([8.0, 6.0, 9.0])[:ndim]]
    end = [np.array(shape) - 17.5, np.array([12.0, 13.0, 9.0])[:ndim]]
    way = Between(pair(ball(shape, *begin)), pair(ball(shape, *end)))
    true = ball(shape, *((1 - w) * a + w * b for a, b in zip(begin, end, strict=True)))
    made = placed(*way.at(w), shape)
    assert iou(made, true) > (0.999 if w in (0, 1) else 0.92 if ndim == 2 else 0.88)
    assert made.sum() == pytest.approx(
        (1 - w) * ball(shape, *begin).sum() + w * ball(shape, *end).sum(), abs=1
    )


def test_shapes_without_thickness_do_not_vanish():
    line, dot = np.zeros((30, 30), bool), np.zeros((30, 30), bool)
    line[3, 2:9] = True
    dot[20, 20] = True
    way = Between(pair(line), pair(dot))
    for k in range(11):
        made = placed(*way.at(k / 10), (30, 30))
        assert made.sum() == round(7 - 0.6 * k)


@pytest.fixture
def gap():
    """A disk that moves, gone in frames 2 to 4; another one stands in its way in frame 3."""
    array = np.zeros((7, 60, 80), np.uint16)
    for t in (0, 1, 5, 6):
        array[t][ball((60, 80), (30, 12 + 8 * t), (7, 7))] = 4
    array[3][ball((60, 80), (30, 36), (4, 9))] = 9
    return TrackState(ArrayLabels(array))


def test_gaps_are_filled_on_the_way(gap):
    other = gap.labels.array[3] == 9
    History(gap).do(FillGap(4))
    for t in (2, 3, 4):
        true = ball((60, 80), (30, 12 + 8 * t), (7, 7))
        now = gap.labels.array[t] == 4
        assert iou(now, true & ~other if t == 3 else true) > 0.93
    np.testing.assert_array_equal(gap.labels.array[3] == 9, other)


def test_filling_over_others_and_in_some_frames_only(gap):
    History(gap).do(FillGap(4, 3, 3, "all"))
    assert gap.places.frames(4) == [0, 1, 3, 5, 6]
    assert iou(gap.labels.array[3] == 4, ball((60, 80), (30, 36), (7, 7))) > 0.95
    assert gap.places.area(9, 3) < 40


def test_no_room(gap):
    gap.labels.array[2:5] = 9
    gap.reread(range(2, 5))
    with pytest.raises(EditError, match="track 4 finds no room in frame 2 to 4: other tracks are"):
        History(gap).do(FillGap(4))
    History(gap).do(FillGap(4, over="all"))
    assert gap.places.n_frames(4) == 7


def test_filling_at_the_edge_of_the_frame():
    array = np.zeros((5, 12, 12), np.uint8)
    array[0, 0:4, 0:3] = array[4, 0:2, 9:12] = 1
    state = TrackState(ArrayLabels(array))
    History(state).do(FillGap(1))
    assert state.places.n_frames(1) == 5


def test_paint_erase_replace(gap):
    history = History(gap)
    before = gap.labels.array.copy()
    square = np.ones((6, 6), bool)
    history.do(PaintMask(4, 3, square, (28, 30)))
    assert (gap.labels.array[3, 28:34, 30:36] == 4).all()
    assert gap.places.box(4, 3) == (slice(28, 34), slice(30, 36))
    history.do(PaintMask(4, 3, square, (31, 30), "erase"))
    assert gap.places.box(4, 3) == (slice(28, 31), slice(30, 36))
    history.do(PaintMask(4, 3, square, (-3, 40), "replace"))
    assert gap.places.box(4, 3) == (slice(0, 3), slice(40, 46))
    assert gap.places.area(4, 3) == 18
    history.do(PaintMask(12, 3, np.ones((60, 80), bool), (0, 0), over="background"))
    assert gap.places.area(4, 3) == 18
    for _ in range(4):
        history.undo()
    np.testing.assert_array_equal(gap.labels.array, before)


def test_what_is_painted_over_may_vanish(small):
    history = History(small)
    history.do(PaintMask(9, 4, np.ones((18, 20), bool), (0, 0)))
    assert small.places.frames(2)[0] == 5
    for t in range(4):
        history.do(PaintMask(9, t, np.ones((18, 20), bool), (0, 0)))
    assert 1 not in small.places
    assert small.parents == {}
    for _ in range(5):
        history.undo()
    assert small.parents == {2: 1, 3: 1}
