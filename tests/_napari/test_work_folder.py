"""Where work is kept: nothing of it is deleted, and what is in use is known."""

import os

import numpy as np
import pytest

from napari_sam2track._napari.work_folder import in_use, lies_in, open_labels, take


def test_a_folder_whose_name_begins_alike_is_another_one(tmp_path):
    labels, _ = open_labels(tmp_path / "abc-2", (2, 3, 3))
    assert lies_in(labels, tmp_path / "abc-2")
    assert not lies_in(labels, tmp_path / "abc")
    assert not lies_in(np.zeros((2, 3, 3)), tmp_path)


@pytest.mark.parametrize("shape", [(4, 1, 5, 6), (4, 5, 6), (1, 4, 1, 5, 6)])
def test_labels_of_other_axes_of_length_1_are_taken_over(tmp_path, shape):
    rng = np.random.default_rng(0)
    drawn = rng.integers(0, 9, (4, 5, 6), np.uint32)
    first, _ = open_labels(tmp_path, (4, 5, 6) if len(shape) > 3 else (4, 1, 5, 6))
    first[...] = drawn.reshape(first.shape)
    second, old = open_labels(tmp_path, shape)
    assert old and second.shape == shape
    np.testing.assert_array_equal(np.asarray(second[...]).reshape(drawn.shape), drawn)


def test_labels_of_another_shape_are_put_aside(tmp_path):
    import zarr

    first, _ = open_labels(tmp_path, (2, 3, 3))
    first[...] = 7
    second, old = open_labels(tmp_path, (2, 4, 4))
    assert not old and not np.asarray(second[...]).any()
    (aside,) = tmp_path.glob("labels-*")
    assert (np.asarray(zarr.open_array(aside, mode="r")[...]) == 7).all()


def test_a_number_of_a_process_that_is_used_again_is_not_the_same_process(tmp_path):
    take(tmp_path)
    assert in_use(tmp_path)
    (tmp_path / "in_use").write_text(f"{os.getpid()} 12345.0")  # before a crash, in a container
    assert not in_use(tmp_path)
