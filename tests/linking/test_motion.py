import numpy as np
import pytest

from napari_sam2track.linking.motion import fit_field, same_shift
from napari_sam2track.linking.objects import describe
from napari_sam2track.linking.stage_jump import shift_candidates
from napari_sam2track.samples import dividing_nuclei, growing_colony, shake


def test_a_field_of_drift_and_expansion_is_found_again():
    rng = np.random.default_rng(0)
    places = rng.uniform(0, 200, (60, 2))
    gradient = np.array([[0.05, 0.01], [-0.02, 0.04]])
    shift = np.array([3.0, -2.0]) + (places - 100) @ gradient.T
    field = fit_field(places, places, shift, np.ones(60), neighbours=8)
    assert np.median(np.abs(field.shift - shift)) < 0.2
    assert np.abs(field.shift - shift).max() < 1.5  # at the rim, where it is guessed
    # The ridge draws towards a plain shift, but the expansion is there.
    assert np.median(np.linalg.det(field.gradient + np.eye(2))) > 1.03


def test_a_neighbour_that_goes_astray_is_not_followed():
    rng = np.random.default_rng(1)
    places = rng.uniform(0, 100, (40, 2))
    shift = np.tile([2.0, 5.0], (40, 1))
    shift[7] = (-30, 20)
    field = fit_field(places, places, shift, np.ones(40))
    assert np.abs(field.shift - [2, 5]).max() < 1.5


def test_one_match_moves_all():
    field = fit_field(np.zeros((3, 2)), np.ones((1, 2)), np.array([[4.0, 6.0]]), np.ones(1))
    np.testing.assert_allclose(field.shift, [[4, 6]] * 3, atol=1e-4)


def test_stretch_is_the_change_in_area():
    motion = same_shift(2, np.zeros(2))
    assert motion.stretch().tolist() == [1, 1]
    motion.gradient[0] = 0.1 * np.eye(2)
    np.testing.assert_allclose(motion.stretch(), [1.21, 1])


@pytest.mark.parametrize("jump", [(0, 0), (56, -38), (-90, 20)])
@pytest.mark.parametrize("size", [300, 700])
def test_a_jump_of_the_stage_is_among_the_candidates(jump, size):
    still = growing_colony(26, size, seed=2)
    sample = shake(still, jumps={25: jump})
    first, second = (describe(f) for f in sample.labels_tyx[24:26])
    # What the colony did meanwhile comes on top.
    candidates = shift_candidates(first, second)
    assert min(np.abs(c - jump).max() for c in candidates) <= 8


def test_a_jump_in_three_dimensions():
    flat = dividing_nuclei(2, 128, n_cells=20, speed=0.5, divisions=0, seed=4).labels_tyx
    first, second = np.zeros((2, 6, 128, 128), np.uint32)
    first[1:4] = flat[0]
    second[2:5] = np.roll(flat[1], (9, -12), (0, 1))
    candidates = shift_candidates(describe(first), describe(second))
    assert min(np.abs(c - (1, 9, -12)).max() for c in candidates) <= 2
