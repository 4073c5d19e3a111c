import numpy as np

from napari_sam2track.labels import ArrayLabels
from napari_sam2track.tracks.editing.edits import Delete
from napari_sam2track.tracks.editing.history import History
from napari_sam2track.tracks.editing.track_index import Places
from napari_sam2track.tracks.editing.track_state import TrackState
from napari_sam2track.tracks.table import DETECTION, TrackTable
from napari_sam2track.tracks.tracked_movie import table_of


def test_objects_without_pixels_are_nothing_to_edit():
    """A table may know places of which there is no mask; labels are the truth."""
    array = np.zeros((3, 6, 6), np.uint8)
    array[:, 1:3, 1:3] = 1
    bare = np.zeros(3, DETECTION)
    bare["track"], bare["frame"] = 2, [0, 1, 2]
    rows = np.concatenate([table_of(ArrayLabels(array)).detections, bare])
    table = TrackTable(rows, 3, (6, 6), {})
    state = TrackState(ArrayLabels(array), {}, table)
    assert state.places.ids == [1]
    assert state.table().n_tracks == 1
    History(state).do(Delete(1))
    assert state.table().n_tracks == 0
    assert not array.any()


def test_what_is_asked_of_tracks_that_are_not_there(small):
    places = small.places
    assert (places.frames(99), places.n_frames(99), places.area(99, 0)) == ([], 0, 0)
    assert places.get(99, 0) is None
    assert places.box(1, 9) is None
    assert 99 not in places
    assert len(places) == 4
    assert places.spans == {1: (0, 3), 2: (4, 9), 3: (4, 9), 5: (0, 9)}
    assert sorted(places.within([3, 4])) == [(1, 3), (2, 4), (3, 4), (5, 3)]


def test_a_table_and_back(small):
    table = table_of(small.labels, small.parents)
    again = Places(table).table(table.parents)
    for name in ("track", "frame", "label", "area", "centroid", "bbox"):
        np.testing.assert_array_equal(again.detections[name], table.detections[name])
    some = Places(table).table({}, tracks=[5, 2])
    assert some.ids.tolist() == [2, 5]
