import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from napari_sam2track.formats.labels import from_arrays
from napari_sam2track.linking import link, link_all, separate
from napari_sam2track.params import LinkParams
from napari_sam2track.tracks.movie import RelabelledFrames, map_labels


def squares(*frames: dict[int, tuple[int, int]], side: int = 6, size: int = 40) -> np.ndarray:
    """Frames of squares: label to (y, x) of the upper left corner."""
    movie = np.zeros((len(frames), size, size), np.uint32)
    for t, objects in enumerate(frames):
        for label, (y, x) in objects.items():
            movie[t, y : y + side, x : x + side] = label
    return movie


def mappings(movie: np.ndarray, **params) -> list[dict[int, int]]:
    return [f.mapping for f in link(from_arrays(movie, "movie"), LinkParams(**params))]


def test_ids_that_change_every_frame_become_one_track():
    movie = squares({9: (2, 2), 4: (2, 20)}, {1: (2, 21), 2: (3, 2)}, {7: (4, 2), 8: (2, 22)})
    assert mappings(movie) == [{4: 1, 9: 2}, {1: 1, 2: 2}, {7: 2, 8: 1}]


def test_all_objects_are_decided_together():
    # Label 1 overlaps both; greedily it would take 10 (IoU 1/2), leaving 2 without a partner.
    movie = np.zeros((2, 1, 30), np.uint32)
    movie[0, 0, 0:12] = 1
    movie[0, 0, 12:18] = 2
    movie[1, 0, 6:18] = 10
    movie[1, 0, 0:6] = 11
    table = link_all(from_arrays(movie, "m"), LinkParams())
    assert table.n_links == 2
    assert table.n_tracks == 2


def test_overlap_below_the_minimum_begins_a_track():
    movie = squares({1: (2, 2)}, {1: (2, 5)})  # IoU 18 / 54
    assert mappings(movie, min_iou=0.33)[1] == {1: 1}
    assert mappings(movie, min_iou=0.34)[1] == {1: 2}


@pytest.mark.parametrize(
    ("missing", "max_gap", "same"),
    [(0, 0, True), (1, 0, False), (1, 1, True), (2, 1, False), (2, 2, True)],
)
def test_gaps_count_missing_frames(missing, max_gap, same):
    movie = squares({5: (2, 2)}, *[{}] * missing, {3: (2, 3)})
    last = mappings(movie, max_gap=max_gap)[-1]
    assert last == ({3: 1} if same else {3: 2})


def test_a_lost_track_does_not_take_an_object_that_has_one():
    movie = squares({1: (2, 2), 2: (2, 12)}, {2: (2, 9)}, {2: (2, 5)})
    # 2 drifts into the place where 1 was: it goes on as itself.
    assert mappings(movie, min_iou=0.1, max_gap=5)[-1] == {2: 2}


def test_a_gap_is_seen_in_the_iou_with_the_last_mask():
    movie = squares({1: (2, 2)}, {}, {1: (2, 5)})
    frames = list(link(from_arrays(movie, "m"), LinkParams()))
    assert np.isnan(frames[0].ious[0])
    assert frames[2].ious[0] == pytest.approx(18 / 54)


def test_relabelled_frames_have_track_ids_and_nothing_else_changes():
    movie = squares({9: (2, 2), 2**32 - 1: (2, 20)}, {}, {3: (2, 2)})
    source = from_arrays(movie, "m")
    table = link_all(source, LinkParams())
    out = np.stack([RelabelledFrames(source, table).read(t) for t in range(3)])
    np.testing.assert_array_equal(out > 0, movie > 0)
    assert out.dtype == np.uint32
    assert [sorted(set(f[f > 0].tolist())) for f in out] == [[1, 2], [], [1]]
    assert table.parents == {}


def test_two_frames_are_in_memory_whatever_the_movie():
    import gc
    import weakref

    alive: list[weakref.ref] = []

    class Frames:
        n_frames, frame_shape = 30, (20, 20)

        def read(self, t):
            frame = np.zeros((20, 20), np.uint32)
            frame[t % 15 : t % 15 + 5, 3:8] = t + 1
            alive.append(weakref.ref(frame))
            return frame

    for _ in link(Frames(), LinkParams(max_gap=5)):
        gc.collect()
        assert sum(ref() is not None for ref in alive) <= 2


@settings(deadline=None)
@given(st.lists(st.integers(1, 2**32 - 1), min_size=1, max_size=6, unique=True), st.booleans())
def test_labels_map_alike_by_table_and_by_search(ids, large):
    ids = sorted(ids if large else {i % 1000 + 1 for i in ids})
    labels = np.array(ids, np.uint32)
    frame = np.resize(np.array([0, *ids], np.uint32), (5, 5))
    known = labels[::2]
    out = map_labels(frame, known, np.arange(10, 10 + len(known), dtype=np.uint32))
    for label in [0, *ids]:
        expected = 10 + known.tolist().index(label) if label in known else 0
        assert (out[frame == label] == expected).all()


def binary(value: int) -> np.ndarray:
    return np.minimum(squares({1: (2, 2), 2: (2, 20)}, {1: (3, 2)}), 1) * np.uint32(value)


@pytest.mark.parametrize("value", [1, 255])
def test_binary_masks_are_split_into_connected_parts(value):
    frames, split = separate(from_arrays(binary(value), "m"), "auto")
    assert split
    assert link_all(frames, LinkParams()).n_tracks == 2
    assert (frames.n_frames, frames.frame_shape) == (2, (40, 40))


def test_binary_can_be_said_and_denied():
    movie = from_arrays(binary(255), "m")
    assert not separate(movie, "no")[1]
    labels = from_arrays(squares({1: (2, 2), 2: (2, 8)}), "m")
    assert not separate(labels, "auto")[1]
    frames, split = separate(labels, "yes")
    assert split
    assert frames.read(0).max() == 1  # the two squares touch


def test_one_object_whose_id_changes_is_not_binary():
    assert not separate(from_arrays(squares({1: (2, 2)}, {2: (2, 2)}), "m"), "auto")[1]


def test_empty_masks_are_not_binary_and_give_no_tracks():
    movie = from_arrays(np.zeros((3, 5, 5), np.uint32), "m")
    assert not separate(movie, "auto")[1]
    assert link_all(movie, LinkParams()).n_tracks == 0


def test_scrambled_bacteria_link_as_well_as_overlap_can(shared_data):
    from napari_sam2track.formats.labels import open_labels

    truth = open_labels(shared_data / "bacteria" / "01_GT" / "TRA")
    frames = [truth.read(t) for t in range(truth.n_frames)]
    rng = np.random.default_rng(0)
    scrambled = []
    for frame in frames:
        ids = np.unique(frame[frame > 0])
        scrambled.append(map_labels(frame, ids, rng.permutation(len(ids)).astype(np.uint32) + 1))
    source = from_arrays(scrambled, "bacteria")
    found = RelabelledFrames(source, link_all(source, LinkParams()))
    linked = map(found.read, range(len(frames)))
    wrong = links = 0
    last: dict[int, int] = {}
    for frame, found in zip(frames, linked, strict=True):
        ids, at = np.unique(frame, return_index=True)
        now = dict(zip(ids[1:].tolist(), found.ravel()[at[1:]].tolist(), strict=True))
        links += len(now.keys() & last.keys())
        wrong += sum(now[i] != last[i] for i in now.keys() & last.keys())
        last = now
    assert links > 200
    assert wrong <= 0.05 * links
