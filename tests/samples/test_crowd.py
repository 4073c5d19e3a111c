import numpy as np
import pytest
from scipy.ndimage import binary_dilation

from napari_sam2track.samples import crowd


def touching(labels_yx):
    """Part of the cells that touch another one."""
    ids = np.unique(labels_yx[labels_yx > 0])
    near = [
        len(np.unique(labels_yx[binary_dilation(labels_yx == i, iterations=2)])) > 2 for i in ids
    ]
    return np.mean(near)


def test_the_same_seed_gives_the_same_movie():
    a, b = (crowd(2, 200, n_cells=8, seed=s) for s in (1, 1))
    np.testing.assert_array_equal(a.images_tyx, b.images_tyx)
    np.testing.assert_array_equal(a.labels_tyx, b.labels_tyx)
    assert (crowd(2, 200, n_cells=8, seed=2).labels_tyx != a.labels_tyx).any()


def test_all_cells_stay_and_are_as_large_as_asked_and_brighter():
    sample = crowd(8, 300, n_cells=12, seed=3)
    for image, labels in zip(sample.images_tyx, sample.labels_tyx, strict=True):
        ids, areas = np.unique(labels[labels > 0], return_counts=True)
        assert ids.tolist() == list(range(1, 13))
        diameters = 2 * np.sqrt(areas / np.pi)
        assert diameters.min() > 16
        assert diameters.max() < 33
        for i in ids:
            assert image[labels == i].mean() > 2 * image[labels == 0].mean()


def test_clumped_cells_touch_and_others_seldom_do():
    clump = crowd(4, 400, n_cells=40, clumps=1, seed=0).labels_tyx[-1]
    apart = crowd(4, 800, n_cells=20, seed=0).labels_tyx[-1]
    assert touching(clump) > 0.9
    assert touching(apart) < 0.3


def test_blinking_cells_vanish_for_some_frames_and_come_back():
    labels = crowd(30, 300, n_cells=10, blinking=0.5, seed=5).labels_tyx
    there = np.stack([[(frame == i).any() for frame in labels] for i in range(1, 11)])
    assert there[:, :3].all()
    assert there[5:].all()
    gone = (~there[:5]).sum(axis=1)
    assert ((gone >= 3) & (gone <= 10)).all()
    assert there[:5, -1].all()


def test_with_drift_cells_leave_through_the_border():
    labels = crowd(20, 200, n_cells=10, drift=(10.0, 0.0), seed=6).labels_tyx
    assert len(np.unique(labels[0])) == 11
    assert len(np.unique(labels[-1])) < 6


@pytest.mark.parametrize("clumps", [0, 2])
def test_cells_move_smoothly(clumps):
    labels = crowd(6, 400, n_cells=15, clumps=clumps, seed=7).labels_tyx
    for i in range(1, 16):
        places = np.array([np.argwhere(frame == i).mean(axis=0) for frame in labels])
        steps = np.linalg.norm(np.diff(places, axis=0), axis=1)
        assert 0 < steps.max() < 12
