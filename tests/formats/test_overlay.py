import numpy as np

from napari_sam2track.formats.overlay import NEGATIVE, POSITIVE, colour_of, draw_overlay
from napari_sam2track.prompts import Point, Prompt


def test_objects_are_coloured_and_the_rest_is_untouched():
    rng = np.random.default_rng(0)
    frame = rng.integers(0, 255, (40, 50, 3)).astype(np.uint8)
    labels = np.zeros((40, 50), np.uint32)
    labels[5:20, 5:20] = 4_000_000_000
    before = frame.copy()
    out = draw_overlay(frame, labels)
    np.testing.assert_array_equal(frame, before)
    np.testing.assert_array_equal(out[labels == 0], frame[labels == 0])
    colour = np.array(colour_of(4_000_000_000))
    assert (out[5, 5:20] == colour).all()  # the outline is opaque
    expected = frame[10, 10] + 0.4 * (colour - frame[10, 10].astype(float))
    np.testing.assert_allclose(out[10, 10], expected, atol=1)


def test_touching_objects_have_an_outline_between_them():
    labels = np.ones((20, 20), np.uint32)
    labels[:, 10:] = 2
    out = draw_overlay(np.zeros((20, 20, 3), np.uint8), labels, opacity=0)
    assert (out[10, 9] == colour_of(1)).all()
    assert (out[10, 10] == colour_of(2)).all()
    assert (out[10, 5] == 0).all()


def test_neighbouring_ids_look_different():
    colours = np.array([colour_of(i) for i in range(1, 40)], float)
    assert np.abs(np.diff(colours, axis=0)).sum(1).min() > 100


def test_prompts_are_drawn_even_at_the_border():
    frame = np.full((60, 60, 3), 100, np.uint8)
    prompt = Prompt(points=(Point(0, 0), Point(30, 59, False)), box=(10, 10, 50, 50))
    out = draw_overlay(frame, np.zeros((60, 60), np.uint32), {1: prompt})
    assert (out[0, 0] == POSITIVE).all()
    assert (out[30, 58] == NEGATIVE).all()
    assert (out[10, 30] == POSITIVE).all()
    assert (out[5, 30] == 100).all()
