import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from napari_sam2track.tracks.regions import cut_mask, measure_regions

IDS = st.sampled_from([0, 1, 2, 300, 70_000, 2**32 - 1])
FRAMES = arrays(np.uint32, st.sampled_from([(7, 9), (1, 4), (3, 5, 4)]), elements=IDS)


@settings(deadline=None)
@given(FRAMES)
def test_regions_are_those_of_boolean_masks(frame):
    regions = measure_regions(frame)
    deep = frame.reshape((-1, *frame.shape[-2:]))
    assert regions.labels.tolist() == [i for i in np.unique(frame).tolist() if i]
    for k, label in enumerate(regions.labels):
        zyx = np.stack(np.nonzero(deep == label), axis=1)
        assert regions.areas[k] == len(zyx)
        assert regions.centroids[k] == pytest.approx(zyx.mean(axis=0))
        assert regions.boxes[k].tolist() == [*zyx.min(axis=0), *(zyx.max(axis=0) + 1)]
        whole = np.zeros(frame.shape, bool)
        whole[regions.box(k, frame.ndim)] = cut_mask(frame, regions, k)
        np.testing.assert_array_equal(whole, frame == label)
        assert regions.positions(np.array([label], np.uint32)) == [k]
