import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from napari.layers import Labels

from napari_sam2track.errors import EditError
from napari_sam2track.labels import ArrayLabels
from napari_sam2track.tracks.editing.edits import Split
from napari_sam2track.tracks.editing.history import History
from napari_sam2track.tracks.editing.track_state import TrackState
from napari_sam2track.tracks.tracked_movie import table_of


def paint(array, indices, value):
    """What napari does: write, and tell about it."""
    old = array[indices].copy()
    array[indices] = value
    return indices, old, value


def check(state):
    true, now = table_of(state.labels, state.parents), state.table()
    for name in ("track", "frame", "area", "bbox", "centroid"):
        np.testing.assert_array_equal(now.detections[name], true.detections[name])


@settings(max_examples=40)
@given(st.integers(0, 999), st.sampled_from([(3, 8, 9), (3, 4, 6, 5)]), st.integers(1, 5))
def test_strokes_are_undone_bit_for_bit(seed, shape, n):
    rng = np.random.default_rng(seed)
    array = rng.integers(0, 4, shape).astype(np.uint16)
    before = array.copy()
    state = TrackState(ArrayLabels(array))
    history = History(state)
    atoms = []
    for _ in range(n):
        count = int(rng.integers(1, 30))
        indices = tuple(rng.integers(0, s, count) for s in shape)
        indices = tuple(np.unique(np.stack(indices, axis=1), axis=0).T)
        atoms.append(paint(array, indices, int(rng.integers(0, 6))))
    painted = array.copy()
    step = history.adopt(atoms)
    check(state)
    if step is None:
        np.testing.assert_array_equal(painted, before)
        return
    assert step.summary().pixels == (painted != before).sum()
    history.undo()
    np.testing.assert_array_equal(array, before)
    check(state)
    history.redo()
    np.testing.assert_array_equal(array, painted)
    check(state)


def test_napari_tells_strokes_like_that(small):
    array = small.labels.array
    before = array.copy()
    layer = Labels(array)
    history = History(small)
    layer.events.paint.connect(lambda event: history.adopt(event.value))
    layer.brush_size = 4
    layer.selected_label = 9
    with layer.block_history():  # as the mouse does: one stroke is one event
        layer.paint((2, 8, 8), 9)
        layer.paint((2, 8, 10), 9)
    assert small.places.frames(9) == [2]
    layer.fill((2, 0, 0), 5)
    check(small)
    layer.data_setitem((np.array([7, 7]), np.array([0, 1]), np.array([19, 19])), 9)
    assert small.places.area(9, 7) == 2
    check(small)
    assert len(history.steps) == 3
    history.do(Split(5, 6))
    for _ in range(4):
        history.undo()
    np.testing.assert_array_equal(array, before)
    check(small)


def test_a_box_without_a_mask_is_all_of_it(small):
    array = small.labels.array
    before = array.copy()
    box = np.s_[3:5, 14:18, 15:19]
    old = array[box].copy()
    array[box] = 9
    history = History(small)
    history.adopt([(box, None, old, 9)])
    assert (small.places.frames(9), small.places.area(9, 3)) == ([3, 4], 16)
    check(small)
    history.undo()
    np.testing.assert_array_equal(array, before)


def test_what_is_painted_away_loses_its_links(small):
    history = History(small)
    array = small.labels.array
    history.adopt([paint(array, np.nonzero(array == 1), 0)])
    assert small.parents == {}
    history.undo()
    assert small.parents == {2: 1, 3: 1}
    check(small)


def test_nothing_painted_is_no_step(small):
    history = History(small)
    array = small.labels.array
    assert history.adopt([]) is None
    assert history.adopt([paint(array, np.nonzero(array == 1), 1)]) is None
    assert not history.can_undo


@pytest.mark.parametrize("value", [-1, 2**32, np.int64(-1), np.int64(2**32)])
def test_values_that_are_no_ids_are_refused(small, value):
    places = np.nonzero(small.labels.array == 1)
    with pytest.raises(EditError, match=f"a painted label is {value}; ids are whole numbers"):
        History(small).adopt([(places, np.ones(len(places[0]), np.int64), value)])


def test_what_is_said_must_be_there(small):
    array = small.labels.array
    atom = paint(array, np.nonzero(array == 1), 7)
    array[:4] = 0
    with pytest.raises(EditError, match="were changed elsewhere"):
        History(small).adopt([atom])
    assert small.places.span(1) == (0, 3)
