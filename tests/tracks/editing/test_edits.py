import numpy as np
import pytest

from napari_sam2track.errors import EditError, UsageError
from napari_sam2track.labels import ArrayLabels
from napari_sam2track.tracks.editing.edits import (
    Delete,
    Divide,
    Merge,
    Relabel,
    SetParent,
    Split,
    Swap,
    UnsetParent,
)
from napari_sam2track.tracks.editing.history import History
from napari_sam2track.tracks.editing.paint_edits import FillGap, PaintMask
from napari_sam2track.tracks.editing.track_state import TrackState


@pytest.fixture
def pixels(small):
    """The small movie before any edit."""
    return small.labels.array.copy()


def do(state, *edits):
    return History(state).do_all(edits)


def test_relabel_takes_the_links_along(small, pixels):
    do(small, Relabel(1, 70_000), Relabel(3, 30))
    now = small.labels.array
    np.testing.assert_array_equal(now == 70_000, pixels == 1)
    np.testing.assert_array_equal(now == 30, pixels == 3)
    assert small.parents == {2: 70_000, 30: 70_000}
    assert small.next_id == 70_001


def test_merge_of_neighbours_in_time(small, pixels):
    do(small, Merge(1, 2))
    np.testing.assert_array_equal(small.labels.array == 1, np.isin(pixels, (1, 2)))
    assert small.places.span(1) == (0, 9)
    assert 2 not in small.places
    assert small.parents == {}  # track 3 begins before its mother would end


def test_merge_takes_the_first_parent_and_the_last_children(small):
    do(small, Split(2, 6), Split(6, 8))  # 2 to frame 5, 6 to frame 7, then 7
    do(small, SetParent(7, 6), UnsetParent(3))
    do(small, Merge(6, 2))  # the one that stays need not be the first
    assert small.parents == {6: 1, 7: 6}
    assert small.places.span(6) == (4, 7)


def test_merge_of_tracks_that_are_both_there(small, pixels):
    with pytest.raises(EditError, match="tracks 2 and 3 are both in frame 4 to 9, where they"):
        do(small, Merge(2, 3))
    np.testing.assert_array_equal(small.labels.array, pixels)
    do(small, Merge(2, 3, "union"))
    np.testing.assert_array_equal(small.labels.array == 2, np.isin(pixels, (2, 3)))
    assert small.parents == {2: 1}


def test_split_gives_children_to_the_later_part(small, pixels):
    step = do(small, Split(1, 2))
    assert step.summary().tracks == {1, 6, 2, 3}
    assert step.summary().frames == {2, 3}
    np.testing.assert_array_equal(small.labels.array[2:] == 6, pixels[2:] == 1)
    np.testing.assert_array_equal(small.labels.array[:2] == 1, pixels[:2] == 1)
    assert small.parents == {2: 6, 3: 6}


def test_split_within_a_gap(small):
    do(small, Split(5, 5))
    assert small.places.frames(5) == [0, 1, 2, 3]
    assert small.places.frames(6) == [6, 7, 8, 9]


def test_divide(small, pixels):
    do(small, Merge(1, 2))
    do(small, Divide(1, 3, 4))
    assert small.parents == {6: 1, 3: 1}
    np.testing.assert_array_equal(small.labels.array == 6, pixels == 2)
    with pytest.raises(EditError, match=r"3 cannot be the parent of 5: it goes on to frame 5, and"):
        do(small, Divide(3, 5, 6))


def test_swap_takes_the_children_along(small, pixels):
    do(small, Swap(1, 5, 2))
    now = small.labels.array
    np.testing.assert_array_equal(now[:2], pixels[:2])
    np.testing.assert_array_equal(now[2:] == 1, pixels[2:] == 5)
    np.testing.assert_array_equal(now[2:] == 5, pixels[2:] == 1)
    assert small.parents == {2: 5, 3: 5}
    do(small, Swap(5, 1, 2))
    np.testing.assert_array_equal(now, pixels)
    assert small.parents == {2: 1, 3: 1}


def test_swap_with_a_track_that_is_only_there_later(small, pixels):
    do(small, Swap(1, 2, 4))  # all of 2 becomes the end of 1
    np.testing.assert_array_equal(small.labels.array == 1, np.isin(pixels, (1, 2)))
    assert 2 not in small.places
    assert small.parents == {}


def test_swap_drops_links_that_do_not_hold(small):
    do(small, Swap(1, 3, 6))
    assert small.places.frames(1) == [0, 1, 2, 3, 6, 7, 8, 9]
    assert small.parents == {}


def test_delete(small, pixels):
    do(small, Delete(2, 5, 6))
    assert small.places.frames(2) == [4, 7, 8, 9]
    np.testing.assert_array_equal(small.labels.array[7:], pixels[7:])
    do(small, Delete(2, start=8), Delete(2, stop=4))
    assert small.places.frames(2) == [7]
    assert small.parents == {2: 1, 3: 1}
    do(small, Delete(1))
    assert small.parents == {}
    assert not (small.labels.array == 1).any()


def test_parents(small):
    do(small, UnsetParent(3), SetParent(3, 1))
    assert small.parents == {2: 1, 3: 1}
    do(small, Split(2, 7), SetParent(6, 2), UnsetParent(2))
    assert small.parents == {3: 1, 6: 2}
    do(small, Delete(3, 6), SetParent(6, 3))  # in place of 2
    assert small.parents == {3: 1, 6: 3}


def test_a_deleted_id_is_not_given_away_again(small):
    history = History(small)
    history.do(Split(1, 2))
    history.undo()
    history.do(Split(5, 6))
    assert small.places.ids == [1, 2, 3, 5, 7]


@pytest.mark.parametrize(
    ("edit", "message"),
    [
        (Relabel(9, 4), "there is no track 9; tracks are 1 to 3, 5"),
        (Relabel(1, 2), "track 1 cannot become 2, which is a track already; merge them"),
        (Relabel(1, 0), "0 cannot be the id of a track; ids begin at 1"),
        (Relabel(1, 2**32), "the id 4294967296 does not fit these labels"),
        (Merge(1, 9), "there is no track 9"),
        (Merge(1, 1), "tracks 1 and 1 are the same; name two"),
        (Split(1, 0), "track 1 cannot be split at frame 0: .* one side; choose 1 to 3"),
        (Split(1, 4), "cannot be split at frame 4"),
        (Split(9, 4), "there is no track 9"),
        (Swap(1, 1, 2), "are the same"),
        (Swap(1, 9, 2), "there is no track 9"),
        (Swap(2, 3, 10), "2 and 3 cannot be exchanged from frame 10 on: they end in frame 9 and 9"),
        (Divide(1, 1, 2), "are the same"),
        (Divide(1, 2, 9), "cannot be split at frame 9"),
        (Divide(1, 5, 2), "track 1 cannot be the parent of 5: it goes on to frame 1, and 5 begins"),
        (Delete(9), "there is no track 9"),
        (Delete(1, 4, 6), "track 1 is in no frame from 4 to 6; it goes from 0 to 3"),
        (Delete(1, 4), "track 1 is in no frame from 4 to 3"),
        (Delete(1, 3, 2), "the range of frames from 3 to 2 is empty"),
        (SetParent(2, 2), "track 2 cannot be its own parent"),
        (SetParent(2, 9), "there is no track 9"),
        (SetParent(1, 2), "2 cannot be the parent of 1: it goes on to frame 9, and 1 begins"),
        (SetParent(2, 5), r"or let it divide \(divide 5,2@4\)"),
        (SetParent(2, 1), "track 1 is the parent of 2 already"),
        (UnsetParent(1), "track 1 has no parent"),
        (UnsetParent(9), "there is no track 9"),
        (FillGap(2), "track 2 has no gap to fill: it is in frame 4 to 9"),
        (FillGap(5, 7, 9), "no gap to fill: it is in frame 0 to 3, 6 to 9; choose other frames"),
        (PaintMask(1, 10, np.ones((1, 1), bool), (0, 0)), "frame 10 is outside the movie"),
        (PaintMask(1, -1, np.ones((1, 1), bool), (0, 0)), "frame -1 is outside the movie"),
        (PaintMask(1, 0, np.ones((1, 1, 1), bool), (0, 0)), "a mask of 3 axes at .* of 2 axes"),
        (PaintMask(1, 0, np.ones((1, 1), bool), (90, 0)), "changes nothing of track 1 in frame 0"),
        (PaintMask(9, 0, np.ones((1, 1), bool), (0, 0), "erase"), "there is no track 9"),
        (PaintMask(0, 0, np.ones((1, 1), bool), (0, 0)), "0 cannot be the id"),
    ],
)
def test_what_cannot_be_done_is_refused(small, pixels, edit, message):
    with pytest.raises(EditError, match=message) as error:
        do(small, edit)
    assert isinstance(error.value, UsageError)
    np.testing.assert_array_equal(small.labels.array, pixels)
    assert small.parents == {2: 1, 3: 1}


def test_labels_that_cannot_hold_a_new_id():
    array = np.zeros((3, 4, 4), np.uint8)
    array[:, 1, 1] = 255
    state = TrackState(ArrayLabels(array))
    for edit in (
        Split(255, 1),
        PaintMask(256, 0, np.ones((2, 2), bool), (0, 0)),
        Relabel(255, 300),
    ):
        with pytest.raises(EditError, match=r"the id \d+ does not fit these labels, .* up to 255"):
            History(state).do(edit)
    assert state.places.ids == [255]
    assert array.sum() == 3 * 255


def test_what_changed_is_told_once(small):
    heard = []
    small.changed.connect(heard.append)
    history = History(small)
    history.do_all([Delete(5, 0, 1), UnsetParent(2)])
    history.undo()
    assert len(heard) == 2
    assert heard[0] == heard[1]
    assert (heard[0].frames, heard[0].tracks, heard[0].lineage) == ({0, 1}, {5, 2, 1}, True)
    assert heard[0].pixels == 32


def test_no_steps(small):
    history = History(small)
    with pytest.raises(EditError, match="nothing to undo"):
        history.undo()
    with pytest.raises(EditError, match="nothing to do again"):
        history.redo()
    with pytest.raises(EditError, match="there are no edits to make"):
        history.do_all([])


def test_a_new_edit_forgets_what_was_undone(small):
    history = History(small)
    history.do(Delete(5))
    history.undo()
    assert (history.can_undo, history.can_redo) == (False, True)
    history.do(Delete(2))
    assert (history.can_undo, history.can_redo) == (True, False)
    history.clear()
    assert not history.can_undo


def test_old_steps_are_forgotten_beyond_the_limit(small):
    one = History(small).do(Delete(5, 0, 0)).nbytes
    history = History(small, limit_bytes=3 * one)
    for t in (1, 2, 3, 6, 7):
        history.do(Delete(5, t, t))
    assert len(history.steps) == 3
    assert history.nbytes <= 3 * one
    small_history = History(small, limit_bytes=1)
    small_history.do(Delete(2))
    assert small_history.can_undo


def test_labels_that_were_changed_elsewhere(small):
    history = History(small)
    history.do(Delete(5, 0, 0))
    small.labels.array[0, 13, 1] = 3
    with pytest.raises(EditError, match="the labels of frame 0 were changed elsewhere"):
        history.undo()
    assert small.labels.array[0, 13, 1] == 3
    assert (history.can_undo, small.places.span(5)) == (True, (1, 9))
    small.labels.array[9] = 0
    with pytest.raises(EditError, match="the labels of frame 9 were changed elsewhere"):
        history.do(Delete(2))
    heard = []
    small.changed.connect(heard.append)
    small.reread([9, 0])
    assert small.places.span(2) == (4, 8)
    assert small.places.frames(3)[0] == 0
    assert heard[0].frames == {0, 9}
    history.do(Delete(2))
    small.labels.array[:4] = 0
    small.reread(range(4))
    assert small.parents == {}  # the mother is gone


def test_an_error_while_writing_leaves_nothing_half_done(small, pixels):
    class Breaking(ArrayLabels):
        writes = 0

        def write_box(self, t, box, values):
            type(self).writes += 1
            if self.writes == 3:
                self.array[(t, *box)] = values * (np.arange(values.shape[1]) % 2 == 0)
                raise OSError("the disk is full")
            super().write_box(t, box, values)

    state = TrackState(Breaking(small.labels.array), small.parents)
    with pytest.raises(OSError, match="full"):
        History(state).do(Delete(5))
    np.testing.assert_array_equal(small.labels.array, pixels)
    assert state.places.span(5) == (0, 9)


def test_links_of_tracks_that_are_not_there_are_left_out(small):
    state = TrackState(small.labels, {2: 1, 3: 88, 99: 1}, small.table())
    assert state.parents == {2: 1}
    with pytest.raises(TypeError):
        state.parents[3] = 1


def test_a_mask_that_is_not_there(small):
    with pytest.raises(EditError, match="track 1 is not in frame 9"):
        small.mask(1, 9)
