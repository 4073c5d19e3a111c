import numpy as np
import pytest

from napari_sam2track.tracks.table import DETECTION, TrackTable


def rows(*pairs: tuple[int, int]) -> np.ndarray:
    out = np.zeros(len(pairs), DETECTION)
    out["track"], out["frame"] = np.array(pairs).T
    out["label"] = np.arange(len(pairs)) + 5
    return out


def test_rows_are_sorted_and_counted():
    table = TrackTable(rows((2, 1), (1, 0), (2, 0), (7, 3)), 4, (9, 9))
    assert table.detections["track"].tolist() == [1, 2, 2, 7]
    assert table.ids.tolist() == [1, 2, 7]
    assert (table.n_tracks, table.n_links, table.max_id, len(table)) == (3, 1, 7, 4)
    assert [len(t) for t in table.tracks()] == [1, 2, 1]


def test_frame_map_gives_labels_in_order():
    table = TrackTable(rows((2, 1), (1, 0), (2, 0), (7, 3)), 4, (9, 9))
    labels, tracks = table.frame_map(0)
    assert (labels.tolist(), tracks.tolist()) == ([6, 7], [1, 2])
    assert len(table.frame_map(2)[0]) == 0


def test_no_tracks_at_all():
    table = TrackTable(np.zeros(0, DETECTION), 4, (9, 9))
    assert (table.n_tracks, table.max_id, table.tracks()) == (0, 0, [])
    assert len(table.frame_map(3)[0]) == 0


@pytest.mark.parametrize(
    ("pairs", "parents", "message"),
    [
        (((1, 0), (1, 0)), {}, "track 1 is twice in frame 0"),
        (((1, 4),), {}, "frames 4 to 4 do not fit a movie of 4 frames"),
        (((0, 1),), {}, "track 0 is the background"),
        (((1, 0),), {1: 3}, r"parents name tracks that do not exist: \[3\]"),
    ],
)
def test_what_does_not_fit_is_refused(pairs, parents, message):
    with pytest.raises(ValueError, match=message):
        TrackTable(rows(*pairs), 4, (9, 9), parents)
