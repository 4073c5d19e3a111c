import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from napari_sam2track.linking.overlap import count_pairs, overlap_table
from napari_sam2track.tracks.regions import measure_regions

IDS = st.sampled_from([0, 1, 2, 300, 70_000, 2**32 - 1])
FRAMES = arrays(np.uint32, (7, 9), elements=IDS)


@settings(deadline=None)
@given(FRAMES, FRAMES)
def test_overlaps_are_those_of_boolean_masks(a, b):
    labels_a, labels_b = measure_regions(a).labels, measure_regions(b).labels
    table = overlap_table(a, b, labels_a, labels_b)
    found = {
        (int(labels_a[i]), int(labels_b[j])): (n, iou)
        for i, j, n, iou in zip(table.first, table.second, table.pixels, table.iou, strict=True)
    }
    for i in labels_a:
        for j in labels_b:
            both = ((a == i) & (b == j)).sum()
            if both:
                pixels, iou = found.pop((int(i), int(j)))
                assert pixels == both
                assert iou == pytest.approx(both / ((a == i) | (b == j)).sum())
    assert not found


def test_pairs_of_large_ids_do_not_wrap():
    a, b, pixels = count_pairs(
        np.full((2, 3), 2**32 - 1, np.uint32), np.full((2, 3), 2**32 - 2, np.uint32)
    )
    assert (a.tolist(), b.tolist(), pixels.tolist()) == ([2**32 - 1], [2**32 - 2], [6])


def test_memory_does_not_grow_with_the_ids():
    import tracemalloc

    frame = np.zeros((64, 64), np.uint32)
    frame[3:9, 4:8] = 2**32 - 1
    labels = measure_regions(frame).labels
    tracemalloc.start()
    overlap_table(frame, frame, labels, labels)
    measure_regions(frame)
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert peak < 2**20


def test_frames_of_two_sizes_are_refused():
    with pytest.raises(ValueError, match=r"frames of \(2, 3\) and \(3, 2\) pixels do not match"):
        count_pairs(np.zeros((2, 3), np.uint32), np.zeros((3, 2), np.uint32))
