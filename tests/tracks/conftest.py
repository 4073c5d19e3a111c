from collections.abc import Mapping

import numpy as np
import pytest

from napari_sam2track.labels import ArrayLabels
from napari_sam2track.tracks.editing.track_state import TrackState


def movie(spec: Mapping[int, Mapping[int, tuple[slice, ...]]], shape, dtype=np.uint32):
    """A label array of boxes: {track: {frame: box}}; later tracks lie on top."""
    array = np.zeros(shape, dtype)
    for track, boxes in spec.items():
        for t, box in boxes.items():
            array[(t, *box)] = track
    return array


@pytest.fixture
def small():
    """Mother 1 in frames 0 to 3, daughters 2 and 3 in 4 to 9; 5 in 0 to 9 without 4 and 5."""
    spec = {
        1: {t: np.s_[2:6, t : t + 5] for t in range(4)},
        2: {t: np.s_[2:5, 4 : 4 + t] for t in range(4, 10)},
        3: {t: np.s_[6:9, 4 : 4 + t] for t in range(4, 10)},
        5: {t: np.s_[12:16, t : t + 4] for t in (0, 1, 2, 3, 6, 7, 8, 9)},
    }
    return TrackState(ArrayLabels(movie(spec, (10, 18, 20))), {2: 1, 3: 1})
