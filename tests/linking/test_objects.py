import numpy as np
import pytest

from napari_sam2track.linking.objects import MAX_POINTS, describe, thinned, together


@pytest.fixture
def frame():
    labels = np.zeros((120, 150), np.uint32)
    labels[0:100, 10:110] = 7  # large, at the border
    labels[110, 20] = 3  # one pixel
    labels[40:50, 120:140] = 2**31
    return labels


def test_points_lie_in_their_objects_and_stand_for_all_of_them(frame):
    described = describe(frame)
    objects, labels = described.objects, described.regions.labels
    at = tuple(objects.points.astype(int).T)
    np.testing.assert_array_equal(frame[at], labels[objects.owner])
    counts = np.bincount(objects.owner)
    assert counts.tolist() == [1, MAX_POINTS, MAX_POINTS]
    np.testing.assert_allclose(counts * objects.weight, objects.areas)
    np.testing.assert_array_equal(described.index > 0, frame > 0)
    np.testing.assert_array_equal(labels[described.index[frame > 0] - 1], frame[frame > 0])
    assert objects.at_border.tolist() == [False, True, False]


def test_points_of_a_rectangle_are_spread_evenly(frame):
    objects = describe(frame).objects
    mine = objects.points[objects.owner == 1]
    for axis, (low, high) in enumerate(((0, 100), (10, 110))):
        counts = np.histogram(mine[:, axis], bins=4, range=(low, high))[0]
        assert counts.min() > 0.6 * MAX_POINTS / 4


def test_every_pixel_of_a_small_object_is_a_point():
    labels = np.zeros((9, 9), np.uint32)
    labels[2:5, 3:8] = 4
    points = {tuple(p) for p in describe(labels).objects.points.astype(int).tolist()}
    assert points == {(y, x) for y in range(2, 5) for x in range(3, 8)}


def test_thinned_objects_keep_their_size_and_one_point_at_least(frame):
    objects = describe(frame).objects
    few = thinned(objects, 5)
    counts = np.bincount(few.owner)
    assert counts[0] == 1
    assert counts[1] < MAX_POINTS / 4
    np.testing.assert_allclose(counts * few.weight, objects.areas)


def test_some_objects_and_together_again(frame):
    objects = describe(frame).objects
    order = np.array([2, 0])
    some = objects.take(order)
    np.testing.assert_array_equal(some.areas, objects.areas[order])
    for new, old in enumerate(order):
        np.testing.assert_array_equal(
            some.points[some.owner == new], objects.points[objects.owner == old]
        )
    both = together(some, objects.take(np.array([1])))
    np.testing.assert_array_equal(both.areas, objects.areas[[2, 0, 1]])
    np.testing.assert_array_equal(both.points[both.owner == 2], objects.points[objects.owner == 1])


@pytest.mark.parametrize("shape", [(5, 6), (2, 5, 6)])
def test_no_objects(shape):
    described = describe(np.zeros(shape, np.uint32))
    assert len(described.objects) == 0
    assert described.objects.points.shape == (0, len(shape))
