"""Edits of a long movie of large frames: they read and write boxes, and hold no pixels."""

import tracemalloc

import numpy as np
import pytest
import zarr

from napari_sam2track.labels import ArrayLabels
from napari_sam2track.tracks.editing.edits import Delete, Merge, Swap
from napari_sam2track.tracks.editing.history import History
from napari_sam2track.tracks.editing.track_state import TrackState
from napari_sam2track.tracks.table import DETECTION, TrackTable

N, SIDE, SIZE = 60, 2048, 40


class Counting(ArrayLabels):
    """Labels of which nobody may read a frame, and that count the pixels that go in and out."""

    pixels = 0

    def read(self, t):
        raise AssertionError(f"frame {t} was read")

    def read_box(self, t, box):
        values = super().read_box(t, box)
        Counting.pixels += values.size
        return values

    def write_box(self, t, box, values):
        super().write_box(t, box, values)
        Counting.pixels += values.size


@pytest.fixture
def state(tmp_path):
    """Tracks 1 and 2, squares of 40 pixels in every frame; 3 goes on from frame 45 for 1."""
    array = zarr.create_array(
        str(tmp_path / "labels.zarr"),
        shape=(N, SIDE, SIDE),
        chunks=(1, 256, 256),
        dtype=np.uint16,
        config={"write_empty_chunks": False},
    )
    rows = np.zeros(2 * N, DETECTION)
    for k, (t, left) in enumerate((t, left) for t in range(N) for left in (300, 1200)):
        track = 2 if left == 1200 else 1 if t < 45 else 3
        y, x = 5 * t, left + t
        array[t, y : y + SIZE, x : x + SIZE] = track
        centroid = (0, y + (SIZE - 1) / 2, x + (SIZE - 1) / 2)
        box = (0, y, x, 1, y + SIZE, x + SIZE)
        rows[k] = (track, t, track, SIZE * SIZE, centroid, box, np.nan)
    return TrackState(Counting(array), {}, TrackTable(rows, N, (SIDE, SIDE)))


def test_boxes_only(state):
    history = History(state)
    Counting.pixels = 0
    tracemalloc.start()
    try:
        history.do_all([Merge(1, 3), Swap(1, 2, 20), Delete(2, 20)])
        history.undo()
        history.redo()
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    touched = (15 + 2 * 40 + 40) * SIZE * SIZE  # of the three edits
    # Planned once; checked and written when done, undone and done again.
    assert Counting.pixels == 7 * touched
    assert peak < 4e6, peak
    assert history.nbytes < 1e6
    assert state.places.frames(2) == list(range(20))
    assert state.labels.array[59, 295, 1259] == 1
