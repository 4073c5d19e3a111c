import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from napari_sam2track.linking.motion import Motion, same_shift
from napari_sam2track.linking.objects import describe
from napari_sam2track.linking.overlap import overlap_moved, overlap_table

IDS = st.sampled_from([0, 1, 2, 300, 70_000, 2**32 - 1])
SHAPES = st.sampled_from([(7, 9), (3, 5, 4)])


@st.composite
def two_frames(draw):
    shape = draw(SHAPES)
    return tuple(draw(arrays(np.uint32, shape, elements=IDS)) for _ in range(2))


@settings(deadline=None)
@given(two_frames())
def test_overlaps_are_those_of_boolean_masks(frames):
    a, b = frames
    first, second = describe(a), describe(b)
    table = overlap_table(first, second)
    labels_a, labels_b = first.regions.labels, second.regions.labels
    pairs = zip(table.first, table.second, table.pixels, table.iou, table.in_second, strict=True)
    found = {(int(labels_a[i]), int(labels_b[j])): rest for i, j, *rest in pairs}
    for i in labels_a:
        for j in labels_b:
            both = ((a == i) & (b == j)).sum()
            if both:
                pixels, iou, in_second = found.pop((int(i), int(j)))
                assert pixels == both
                assert iou == pytest.approx(both / ((a == i) | (b == j)).sum())
                assert in_second == pytest.approx(both / (b == j).sum())
    assert not found


@settings(deadline=None)
@given(two_frames())
def test_objects_at_rest_overlap_alike_by_points_and_by_pixels(frames):
    first, second = (describe(f) for f in frames)
    still = same_shift(len(first.objects), np.zeros(first.objects.ndim))
    moved, table = overlap_moved(first.objects, still, second), overlap_table(first, second)
    for name in ("first", "second", "pixels", "iou"):
        np.testing.assert_allclose(getattr(moved, name), getattr(table, name))


def squares(*corners, size=60, side=20):
    frame = np.zeros((size, size), np.uint32)
    for k, (y, x) in enumerate(corners):
        frame[max(y, 0) : y + side, max(x, 0) : x + side] = k + 1
    return describe(frame)


def test_moved_points_tell_the_overlap_of_moved_masks():
    first, second = squares((5, 5)), squares((15, 12))
    motion = same_shift(1, np.array([10.0, 7.0]))
    assert overlap_moved(first.objects, motion, second).iou[0] == pytest.approx(1, abs=0.05)
    half = overlap_moved(first.objects, same_shift(1, np.array([0.0, 7.0])), second)
    assert half.iou[0] == pytest.approx(overlap_table(squares((5, 12)), second).iou[0], abs=0.03)


def test_an_object_that_grows_with_its_neighbourhood_covers_its_successor():
    first, second = squares((20, 20), side=16), squares((18, 18), side=20)
    motion = Motion(np.zeros((1, 2)), np.full((1, 2, 2), 0.0) + 0.25 * np.eye(2))
    assert overlap_moved(first.objects, motion, second).iou[0] > 0.9
    assert overlap_table(first, second).iou[0] < 0.65


@pytest.mark.parametrize("dx", [-14, 14])
def test_what_the_border_cuts_off_does_not_count(dx):
    inside, cut = squares((20, 20 + dx), side=20), squares((20, 20 + 2 * dx), side=20)
    inside, cut = squares((20, 26 + dx), side=20), squares((20, 26 + 2 * dx), side=20)
    cut_now = overlap_moved(inside.objects, same_shift(1, np.array([0.0, dx])), cut)
    assert cut_now.iou[0] == pytest.approx(1, abs=0.05)  # it leaves
    back = overlap_moved(cut.objects, same_shift(1, np.array([0.0, -dx])), inside)
    assert back.iou[0] == pytest.approx(1, abs=0.1)  # it comes in


def test_memory_does_not_grow_with_the_ids():
    import tracemalloc

    frame = np.zeros((64, 64), np.uint32)
    frame[3:9, 4:8] = 2**32 - 1
    describe(frame)
    tracemalloc.start()
    described = describe(frame)
    overlap_table(described, described)
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert peak < 2**20


def test_frames_of_two_sizes_are_refused():
    a, b = (describe(np.ones(shape, np.uint32)) for shape in ((2, 3), (3, 2)))
    with pytest.raises(ValueError, match=r"frames of \(2, 3\) and \(3, 2\) pixels do not match"):
        overlap_table(a, b)
