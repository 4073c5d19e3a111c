import itertools

import numpy as np
import pytest

from napari_sam2track.samples import LabelSample, dividing_nuclei, growing_colony, shake
from napari_sam2track.tracks.lineage import lineage_problems


def spans(sample: LabelSample) -> dict[int, tuple[int, int]]:
    found: dict[int, tuple[int, int]] = {}
    for t, frame in enumerate(sample.labels_tyx):
        for track in np.unique(frame[frame > 0]).tolist():
            found[track] = (found.get(track, (t, t))[0], t)
    return found


MAKERS = {
    "colony": lambda seed: growing_colony(20, 200, width=9, length=40, seed=seed),
    "nuclei": lambda seed: dividing_nuclei(15, 200, n_cells=25, divisions=0.05, seed=seed),
    "drift": lambda seed: dividing_nuclei(15, 200, n_cells=25, drift=(4, -3), seed=seed),
    "crossing": lambda seed: dividing_nuclei(15, 200, n_cells=25, crossing=True, seed=seed),
}


@pytest.mark.parametrize("name", MAKERS)
def test_a_seed_gives_a_movie_whose_lineage_makes_sense(name):
    sample, again, other = (MAKERS[name](seed) for seed in (1, 1, 2))
    np.testing.assert_array_equal(sample.labels_tyx, again.labels_tyx)
    assert sample.parents == again.parents
    assert (sample.labels_tyx != other.labels_tyx).any()
    found = [p for p in lineage_problems(spans(sample), sample.parents) if p.severity == "error"]
    assert found == []


def test_rods_grow_by_their_factor_and_divide_into_halves():
    sample = growing_colony(20, 260, growth=1.12, width=9, length=40, seed=3)
    areas = [dict(zip(*np.unique(f, return_counts=True), strict=True)) for f in sample.labels_tyx]
    ratios = [b[i] / a[i] for a, b in itertools.pairwise(areas) for i in a if i and i in b]
    assert np.median(ratios) == pytest.approx(1.12, abs=0.03)
    last = spans(sample)
    assert len(sample.parents) > 10
    for child, parent in sample.parents.items():
        share = areas[last[child][0]][child] / areas[last[parent][1]][parent]
        assert 0.3 < share < 0.8


def test_drift_moves_all_and_brings_new_cells_in():
    sample = dividing_nuclei(10, 200, n_cells=30, drift=(5, 0), speed=0.2, divisions=0, seed=0)
    first, second = sample.labels_tyx[:2]
    inside = [i for i in np.unique(first[60:120])[1:] if i in second]
    steps = [np.argwhere(second == i).mean(0) - np.argwhere(first == i).mean(0) for i in inside]
    assert np.median(steps, axis=0) == pytest.approx([5, 0], abs=0.6)
    assert set(np.unique(sample.labels_tyx[-1])) - set(np.unique(first))


def test_a_jump_of_the_stage_stays():
    labels = np.zeros((4, 10, 12), np.uint32)
    labels[:, 2:4, 3:6] = 7
    out = shake(LabelSample(labels), jumps={1: (1, 2), 3: (-3, 5)}).labels_tyx
    corners = [np.argwhere(frame == 7).min(axis=0).tolist() for frame in out]
    assert corners == [[2, 3], [3, 5], [3, 5], [0, 10]]
    assert (out[3] == 7).sum() == 4  # the rest left the frame


def test_objects_go_missing_between_their_first_and_last_frame():
    labels = np.ones((40, 4, 4), np.uint32)
    labels[:, :2] = 2
    sample = shake(LabelSample(labels, {}), missing=0.3, seed=1)
    there = [[(frame == i).any() for frame in sample.labels_tyx] for i in (1, 2)]
    for track in there:
        assert track[0]
        assert track[-1]
        assert 4 < track.count(False) < 22
    assert there[0] != there[1]
    np.testing.assert_array_equal(labels, np.where(np.arange(4)[:, None] < 2, 2, 1) + 0 * labels)


def test_parents_of_what_has_left_the_frame_are_gone():
    labels = np.zeros((3, 8, 8), np.uint32)
    labels[0, 6:, 6:] = 1
    labels[1:, 6:, 6:] = 2
    labels[:, 0, 0] = 3
    sample = shake(LabelSample(labels, {2: 1}), jumps={0: (5, 5)})
    assert sample.parents == {}
