import numpy as np
import pytest

from napari_sam2track.labels import ArrayLabels
from napari_sam2track.linking import link_all, separate
from napari_sam2track.params import LinkParams
from napari_sam2track.samples import LabelSample, dividing_nuclei, growing_colony, shake
from napari_sam2track.tracks.tracked_movie import relabelled_frames


def squares(*frames: dict[int, tuple[int, int]], side: int = 6, size: int = 40) -> np.ndarray:
    """Frames of squares: label to (y, x) of the upper left corner."""
    movie = np.zeros((len(frames), size, size), np.uint32)
    for t, objects in enumerate(frames):
        for label, (y, x) in objects.items():
            movie[t, y : y + side, x : x + side] = label
    return movie


def mappings(movie: np.ndarray, **params) -> list[dict[int, int]]:
    """Label to track in each frame."""
    table = link_all(ArrayLabels(movie), LinkParams(**params))
    maps = (table.frame_map(t) for t in range(len(movie)))
    return [dict(zip(*(column.tolist() for column in m), strict=True)) for m in maps]


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
    table = link_all(ArrayLabels(movie), LinkParams(divisions="off"))
    assert (table.n_links, table.n_tracks) == (2, 2)


def test_overlap_below_the_minimum_begins_a_track():
    movie = squares({1: (2, 2)}, {1: (2, 5)})  # IoU 18 / 54
    assert mappings(movie, min_iou=0.33)[1] == {1: 1}
    assert mappings(movie, min_iou=0.34)[1] == {1: 2}


def test_the_further_an_object_moves_the_less_it_is_the_same():
    """From overlap to slivers to none: no step after which a longer way is taken again."""
    y, x = np.ogrid[:40, :60]
    same = []
    for step in range(18):
        movie = np.stack([(np.hypot(y - 20, x - 15 - k) <= 4).astype(np.uint32) for k in (0, step)])
        same.append(link_all(ArrayLabels(movie), LinkParams()).n_tracks == 1)
    assert same == sorted(same, reverse=True)
    assert 9 < same.count(True) < 15


@pytest.mark.parametrize("shape", [(3, 4, 2048), (3, 2048, 4), (3, 1, 1), (3, 1, 5, 600)])
def test_frames_of_any_shape(shape):
    movie = np.zeros(shape, np.uint32)
    movie[..., :2] = 1
    movie[..., 3:] = 2
    assert link_all(ArrayLabels(movie), LinkParams()).n_tracks == len(np.unique(movie[movie > 0]))


def test_an_empty_frame_does_not_hide_another_shape():
    frames = [np.zeros((4, 4), np.uint32), np.ones((4, 5), np.uint32)]

    class Frames:
        n_frames, frame_shape = 2, (4, 4)
        read = staticmethod(frames.__getitem__)

    with pytest.raises(ValueError, match=r"\(4, 4\) and \(4, 5\) pixels do not match"):
        link_all(Frames(), LinkParams())


def test_a_way_can_be_given_without_motion():
    movie = squares({1: (2, 2)}, {1: (2, 14)})
    counts = [
        link_all(ArrayLabels(movie), LinkParams(motion="off", max_distance=d)).n_tracks
        for d in (None, 10, 15)
    ]
    assert counts == [2, 2, 1]


@pytest.mark.parametrize(
    ("missing", "max_gap", "same"),
    [(0, 0, True), (1, 0, False), (1, 1, True), (2, 1, False), (2, 2, True)],
)
def test_gaps_count_missing_frames(missing, max_gap, same):
    movie = squares({5: (2, 2)}, *[{}] * missing, {3: (2, 3)})
    assert mappings(movie, max_gap=max_gap)[-1] == ({3: 1} if same else {3: 2})


def test_a_lost_track_does_not_take_an_object_that_has_one():
    movie = squares({1: (2, 2), 2: (2, 12)}, {2: (2, 9)}, {2: (2, 5)})
    # 2 drifts into the place where 1 was: it goes on as itself.
    assert mappings(movie, max_gap=5)[-1] == {2: 2}


def test_what_is_lost_is_looked_for_where_the_others_have_gone():
    # All drift by 5 a frame; 1 is missing for two, and 15 further on afterwards.
    frames = [{k: (2 + 9 * k, 2 + 5 * t) for k in range(1, 5)} for t in range(5)]
    for t in (2, 3):
        del frames[t][1]
    movie = squares(*frames, size=60)
    assert mappings(movie, max_gap=2)[-1][1] == mappings(movie, max_gap=2)[0][1]


def test_iou_is_that_with_the_moved_mask_before():
    movie = squares({1: (2, 2)}, {}, {1: (2, 5)})
    rows = link_all(ArrayLabels(movie), LinkParams()).detections
    assert np.isnan(rows["iou"][0])
    assert rows["iou"][1] == pytest.approx(18 / 54)


@pytest.mark.parametrize("deep", [False, True])
def test_a_cell_divides(deep):
    movie = squares({1: (10, 10), 2: (25, 25)}, {1: (10, 10), 2: (25, 25)}, {2: (25, 25)})
    movie[2, 10:16, 9:12] = 5
    movie[2, 10:16, 13:16] = 6
    if deep:
        movie = np.repeat(movie[:, None], 3, axis=1)
    table = link_all(ArrayLabels(movie), LinkParams())
    assert table.parents == {3: 1, 4: 1}
    assert table.frame_shape == movie.shape[1:]
    off = link_all(ArrayLabels(movie), LinkParams(divisions="off"))
    assert off.parents == {}
    assert off.n_tracks == 3


def test_two_that_touch_for_a_frame_stay_two():
    # 1 and 2 have one mask in frame 2; the others show that nothing moves.
    frame = {k: (30, 2 + 9 * k) for k in (3, 4)}
    movie = squares(*[{1: (5, 5), 2: (5, 11), **frame}] * 5)
    movie[2][movie[2] == 2] = 1
    tracks = mappings(movie, max_gap=1)
    assert tracks[4] == tracks[0]
    assert link_all(ArrayLabels(movie), LinkParams(max_gap=1)).parents == {}
    assert len(link_all(ArrayLabels(movie), LinkParams(max_gap=0)).parents) == 2


def test_relabelled_frames_have_track_ids_and_nothing_else_changes():
    movie = squares({9: (2, 2), 2**32 - 1: (2, 20)}, {}, {3: (2, 2)})
    source = ArrayLabels(movie)
    table = link_all(source, LinkParams())
    out = np.stack([relabelled_frames(source, table).read(t) for t in range(3)])
    np.testing.assert_array_equal(out > 0, movie > 0)
    assert out.dtype == np.uint32
    assert [sorted(set(f[f > 0].tolist())) for f in out] == [[1, 2], [], [1]]


def test_two_frames_are_in_memory_whatever_the_movie():
    import gc
    import weakref

    alive: list[weakref.ref] = []

    class Frames:
        n_frames, frame_shape = 30, (20, 20)

        def read(self, t):
            gc.collect()
            assert sum(ref() is not None for ref in alive) <= 2
            frame = np.zeros((20, 20), np.uint32)
            frame[t % 15 : t % 15 + 5, 3:8] = t + 1
            alive.append(weakref.ref(frame))
            return frame

    gc.freeze()  # what other tests left need not be gone through 30 times
    try:
        link_all(Frames(), LinkParams(max_gap=5))
    finally:
        gc.unfreeze()
    assert len(alive) == 30


@pytest.mark.parametrize("movie", [np.zeros((3, 5, 5), np.uint32), np.zeros((1, 5, 5), np.uint32)])
def test_empty_masks_give_no_tracks(movie):
    assert not separate(ArrayLabels(movie), "auto")[1]
    assert link_all(ArrayLabels(movie), LinkParams()).n_tracks == 0


def test_frames_of_two_shapes_are_refused():
    frames = [np.ones((4, 4), np.uint32), np.ones((4, 5), np.uint32)]

    class Frames:
        n_frames, frame_shape = 2, (4, 4)
        read = staticmethod(frames.__getitem__)

    with pytest.raises(ValueError, match=r"\(4, 4\) and \(4, 5\) pixels do not match"):
        link_all(Frames(), LinkParams())


def binary(value: int) -> np.ndarray:
    return np.minimum(squares({1: (2, 2), 2: (2, 20)}, {1: (3, 2)}), 1) * np.uint32(value)


@pytest.mark.parametrize("value", [1, 255])
def test_binary_masks_are_split_into_connected_parts(value):
    frames, split = separate(ArrayLabels(binary(value)), "auto")
    assert split
    assert link_all(frames, LinkParams()).n_tracks == 2
    assert (frames.n_frames, frames.frame_shape) == (2, (40, 40))


def test_binary_can_be_said_and_denied():
    assert not separate(ArrayLabels(binary(255)), "no")[1]
    labels = ArrayLabels(squares({1: (2, 2), 2: (2, 8)}))
    assert not separate(labels, "auto")[1]
    frames, split = separate(labels, "yes")
    assert split
    assert frames.read(0).max() == 1  # the two squares touch


def test_one_object_whose_id_changes_is_not_binary():
    assert not separate(ArrayLabels(squares({1: (2, 2)}, {2: (2, 2)})), "auto")[1]


MOVIES = {
    "colony": (lambda: growing_colony(36, 640, seed=9), 0, 3),
    "colony and jumps": (
        lambda: shake(growing_colony(36, 640, seed=9), jumps={20: (-30, 45), 31: (40, 10)}),
        0,
        4,
    ),
    "nuclei": (lambda: dividing_nuclei(30, n_cells=80, speed=2.5), 1, 3),
    "drift": (lambda: dividing_nuclei(20, 256, n_cells=30, drift=(9, 6)), 0, 18),
    "crossing": (lambda: dividing_nuclei(30, n_cells=40, speed=3, crossing=True), 6, 25),
    "missing": (lambda: shake(dividing_nuclei(30, n_cells=60), missing=0.03), 3, 8),
}


@pytest.mark.parametrize("name", MOVIES)
def test_synthetic_movies_link_as_they_are(name, errors):
    make, most_wrong, most_missed = MOVIES[name]
    sample = make()
    wrong, missed, total = errors(sample, LinkParams())
    assert total > 250
    assert wrong <= most_wrong
    assert missed <= most_missed


@pytest.mark.parametrize("name", ["colony and jumps", "drift"])
def test_motion_is_what_makes_it_so(name, errors):
    sample = MOVIES[name][0]()
    on, off = (errors(sample, LinkParams(motion=m))[1] for m in ("on", "off"))
    assert off > 5 * max(on, 1)


def test_objects_without_overlap_are_found_by_distance(errors):
    sample = dividing_nuclei(20, n_cells=15, radius=4, speed=9, divisions=0, seed=1)
    near, far = (errors(sample, LinkParams(max_distance=d))[1] for d in (0, 40))
    assert far < near / 3


def test_scrambled_bacteria_link_as_they_are(shared_data, errors):
    from napari_sam2track.formats.tracks_files import open_tracks

    with open_tracks(shared_data / "bacteria" / "01_GT" / "TRA") as movie:
        labels = np.stack([movie.labels.read(t) for t in range(movie.labels.n_frames)])
        sample = LabelSample(labels, movie.table.parents)
    assert errors(sample, LinkParams()) == (0, 0, 326)


def test_real_cells_that_touch_for_a_frame_part_again(shared_data):
    from napari_sam2track.formats.labels.open_labels import open_labels

    with open_labels(shared_data / "cellseg" / "data_small.npz") as stack:
        table = link_all(stack, LinkParams())
    # In frame 6 the cells 8 and 15 of frame 5 have one mask, 5; in frame 7 they are 8 and 7.
    tracks = [dict(zip(*(c.tolist() for c in table.frame_map(t)), strict=True)) for t in (5, 7)]
    assert (tracks[0][8], tracks[0][15]) == (tracks[1][8], tracks[1][7])
