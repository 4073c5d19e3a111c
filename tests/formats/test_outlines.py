import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import ndimage

from napari_sam2track.formats.outlines import Discs, DrawnFrames, Shape, ball_pixels, outline


@given(seed=st.integers(0, 10**6))
def test_an_outline_encloses_its_pixels(seed):
    """All pixels of the largest part, and those of holes in it, and no others."""
    rng = np.random.default_rng(seed)
    mask = ndimage.gaussian_filter(rng.random((15, 17)), rng.uniform(0, 2)) > 0.5
    if not mask.any():
        return
    around = np.ones((3, 3))
    parts, n = ndimage.label(mask, around)
    filled = [ndimage.binary_fill_holes(parts == k + 1) for k in range(n)]
    place = rng.random(2) * 8  # the centre is anywhere; corners are relative to it
    frames = DrawnFrames(mask.shape, [[Shape(3, place, corners=outline(mask) - place)]])
    drawn, hidden = frames.draw(0)
    assert hidden == 0
    areas = [part.sum() for part in filled]
    assert any(np.array_equal(drawn == 3, part) for part in filled)
    assert (drawn == 3).sum() >= 0.8 * max(areas)  # areas of outlines leave out half pixels


def test_a_square_has_few_corners():
    mask = np.zeros((9, 9), bool)
    mask[2:7, 3:8] = True
    assert len(outline(mask)) == 8  # corners are cut
    assert outline(np.zeros((3, 3), bool)).shape == (0, 2)


def test_the_lower_id_is_on_top_and_what_is_hidden_is_counted():
    square = np.array([[-1.5, -1.5], [-1.5, 1.5], [1.5, 1.5], [1.5, -1.5]])
    shapes = [
        Shape(2, np.array([3.0, 3]), corners=square),
        Shape(9, np.array([3.0, 4]), None, square),
    ]
    for order in (shapes, shapes[::-1]):
        labels, hidden = DrawnFrames((8, 8), [order]).draw(0)
        assert ((labels == 2).sum(), (labels == 9).sum(), hidden) == (9, 3, 6)


def test_discs_share_pixels_by_distance():
    radii = np.array([3.0, 3.0])
    shapes = [Shape(5, np.array([5.0, 4]), radii), Shape(2, np.array([5.0, 8]), radii)]
    row = Discs((11, 13), [shapes]).read(0)[5]
    assert row.tolist() == [0, 5, 5, 5, 5, 5, 2, 2, 2, 2, 2, 2, 0]  # the tie goes to 2


@pytest.mark.parametrize("centre", [(2.0, 3.0, 4.0), (0.2, 9.0, 0.0)])
def test_balls(centre):
    centre, radii, shape = np.array(centre), np.array([1.0, 2.5, 3.0]), (4, 9, 10)
    grid = np.indices(shape).reshape(3, -1).T
    inside = grid[(((grid - centre) / radii) ** 2).sum(axis=1) <= 1]
    np.testing.assert_array_equal(np.stack(ball_pixels(centre, radii, shape), axis=1), inside)


def test_a_small_ball_is_a_pixel():
    index = ball_pixels(np.array([2.4, 2.6]), np.array([0.1, 0.1]), (5, 5))
    assert [int(axis[0]) for axis in index] == [2, 3]
    assert len(ball_pixels(np.array([-3.0, 2.0]), np.array([0.1, 0.1]), (5, 5))[0]) == 0
    assert len(ball_pixels(np.array([1.0, 2.0]), None, (5, 5))[0]) == 0
