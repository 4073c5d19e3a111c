import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from napari_sam2track.engine.discovery import Proposal, keep_best, mask_iou, tiles
from napari_sam2track.engine.views.views import FrameView
from napari_sam2track.masks import Mask

H, W = 40, 50


def square(y0, x0, side, quality=0.5):
    return Proposal(Mask(np.ones((side, side), bool), y0, x0), quality)


boxes = st.tuples(st.integers(0, 30), st.integers(0, 40), st.integers(1, 10))


@given(boxes, boxes)
def test_iou_of_cropped_masks_is_that_of_whole_ones(a, b):
    a, b = square(*a).mask, square(*b).mask
    whole_a, whole_b = a.to_frame(H, W), b.to_frame(H, W)
    expected = (whole_a & whole_b).sum() / (whole_a | whole_b).sum()
    assert mask_iou(a, b) == pytest.approx(expected)


def test_the_better_of_two_that_overlap_is_kept():
    bad, good, apart = square(0, 0, 10, 0.3), square(1, 1, 10, 0.9), square(25, 25, 10, 0.1)
    assert keep_best([bad, good, apart], 0.5) == [good, apart]
    assert len(keep_best([bad, good, apart], 0.9)) == 3


@pytest.mark.parametrize("size", [(272, 640), (100, 90), (512, 512), (1000, 210)])
def test_tiles_cover_the_frame_at_every_scale(size):
    height, width = size
    covered = {}
    for view in tiles(height, width, "window"):
        y0, x0, side, _ = view.region
        seen = covered.setdefault(side, np.zeros(size, bool))
        seen[max(round(y0), 0) : round(y0 + side), max(round(x0), 0) : round(x0 + side)] = True
    assert all(seen.all() for seen in covered.values())
    assert max(covered) == max(size)
    assert min(covered) < 200


def test_frame_mode_has_one_view():
    assert tiles(30, 40, "frame") == [FrameView(30, 40)]
