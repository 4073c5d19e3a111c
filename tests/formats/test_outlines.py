import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import ndimage

from napari_sam2track.formats.outlines import (
    Discs,
    DrawnFrames,
    DrawnObject,
    ball_pixels,
    outline,
)
from napari_sam2track.masks import polygon_pixels


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
    frames = DrawnFrames(mask.shape, [[DrawnObject(3, place, corners=outline(mask) - place)]])
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
        DrawnObject(2, np.array([3.0, 3]), corners=square),
        DrawnObject(9, np.array([3.0, 4]), None, square),
    ]
    for order in (shapes, shapes[::-1]):
        labels, hidden = DrawnFrames((8, 8), [order]).draw(0)
        assert ((labels == 2).sum(), (labels == 9).sum(), hidden) == (9, 3, 6)


def test_discs_share_pixels_by_distance():
    radii = np.array([3.0, 3.0])
    shapes = [DrawnObject(5, np.array([5.0, 4]), radii), DrawnObject(2, np.array([5.0, 8]), radii)]
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


@given(seed=st.integers(0, 10**6), n=st.integers(3, 9))
def test_polygons_as_scikit_image_fills_them(seed, n):
    """Any polygon, also one that crosses itself or leaves the frame."""
    from skimage.draw import polygon

    corners = np.random.default_rng(seed).uniform(-5, 25, (n, 2))
    ours, theirs = np.zeros((2, 20, 18), bool)
    ours[polygon_pixels(corners, ours.shape)] = True
    theirs[polygon(corners[:, 0], corners[:, 1], ours.shape)] = True
    np.testing.assert_array_equal(ours, theirs)


def test_polygons_with_corners_on_pixels():
    """Neighbours that share a side share no pixel along rows, and leave none out."""
    drawn = np.zeros((9, 9), int)
    for top, bottom in ((1, 4), (4, 7)):
        corners = np.array([[top, 1.5], [top, 6.5], [bottom, 6.5], [bottom, 1.5]], float)
        np.add.at(drawn, polygon_pixels(corners, drawn.shape), 1)
    wanted = np.zeros((9, 9), int)
    wanted[1:7, 2:7] = 1
    np.testing.assert_array_equal(drawn, wanted)
