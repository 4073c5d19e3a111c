import numpy as np
import pytest

from napari_sam2track.samples import centre_pixels, mean_overlap, moving_cells, otsu_part


@pytest.fixture(scope="module")
def sample():
    return moving_cells(6, 160, 200, 5, seed=1)


def test_the_same_seed_gives_the_same_movie(sample):
    again = moving_cells(6, 160, 200, 5, seed=1)
    np.testing.assert_array_equal(sample.images_tyx, again.images_tyx)
    np.testing.assert_array_equal(sample.labels_tyx, again.labels_tyx)
    assert (moving_cells(6, 160, 200, 5, seed=2).labels_tyx != sample.labels_tyx).any()


def test_every_cell_is_in_every_frame_moves_and_is_brighter(sample):
    for image, labels in zip(sample.images_tyx, sample.labels_tyx, strict=True):
        assert np.unique(labels).tolist() == [0, 1, 2, 3, 4, 5]
        for i in range(1, 6):
            assert image[labels == i].mean() > 1.5 * image[labels == 0].mean()
    assert mean_overlap(sample.labels_tyx[[0, -1]], sample.labels_tyx[[0, 0]]) < 0.9


def test_centres_lie_inside(sample):
    for label, (y, x) in centre_pixels(sample.labels_tyx[0]).items():
        assert sample.labels_tyx[0, y, x] == label


def test_mean_overlap():
    truth = np.zeros((2, 4, 4), np.uint16)
    truth[1, :2] = 1
    found = np.zeros((2, 4, 4), np.uint32)
    found[1, :1] = 1
    assert mean_overlap(truth, found) == 0.5
    assert mean_overlap(truth, truth.astype(np.uint32)) == 1.0


def test_otsu_part_takes_the_side_and_the_part_of_the_pixel():
    image = np.zeros((20, 20))
    image[2:6, 2:6] = image[10:15, 10:15] = 1
    assert otsu_part(image, 3, 3).sum() == 16
    assert otsu_part(image, 12, 12).sum() == 25
    assert otsu_part(image, 0, 0).sum() == 400 - 41
    assert not otsu_part(np.zeros((5, 5)), 1, 1).any()
