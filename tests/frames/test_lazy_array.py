"""Frames on disk as an array that napari can show."""

import gc

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from napari.layers import Labels

from napari_sam2track.frames import open_frames
from napari_sam2track.frames.lazy_array import LazyFrames, lazy_image, lazy_labels
from napari_sam2track.labels import ArrayLabels

ARRAY = np.random.default_rng(0).integers(0, 9, (5, 6, 7)).astype(np.uint32)


def lazy(array=ARRAY, read=None, close=None):
    return LazyFrames(read or array.__getitem__, len(array), array.shape[1:], array.dtype, close)


index = st.one_of(
    st.integers(-5, 4),
    st.builds(slice, st.none() | st.integers(-6, 6), st.none() | st.integers(-6, 6)),
    st.lists(st.integers(-5, 4), min_size=2, max_size=2),
)


@given(st.lists(index, min_size=0, max_size=3), st.booleans())
def test_it_is_indexed_as_numpy_is(keys, leading_ellipsis):
    key = (Ellipsis, *keys) if leading_ellipsis else tuple(keys)
    np.testing.assert_array_equal(lazy()[key], ARRAY[key])


def test_only_what_is_looked_at_is_read_and_remembered():
    read = []

    def frame(t):
        read.append(t)
        return ARRAY[t]

    array = lazy(read=frame)
    assert (array.shape, array.ndim, array.size, len(array)) == ((5, 6, 7), 3, 210, 5)
    assert array.nbytes == 840
    array[3]
    array[3, 2:4, 1]
    array[-2]
    assert read == [3]
    assert array[np.array([1, 1]), np.array([0, 2]), np.array([4, 5])].tolist() == [
        ARRAY[1, 0, 4],
        ARRAY[1, 2, 5],
    ]
    assert read == [3, 1]
    with pytest.raises(IndexError, match="frame 5 is outside a movie of 5 frames"):
        array[5]


def test_napari_shows_it_and_cannot_paint_it():
    layer = Labels(lazy_labels(ArrayLabels(ARRAY)))
    assert isinstance(layer.data, LazyFrames)
    assert layer.get_value((0, 3, 4)) == ARRAY[0, 3, 4]
    with pytest.raises(TypeError, match="cannot be painted; cut out what you want to edit"):
        layer.paint((0, 3, 3), 5)


def test_the_file_is_let_go_with_the_array():
    closed = []
    array = lazy(close=lambda: closed.append(True))
    array[0]
    del array
    gc.collect()
    assert closed == [True]


def test_images_keep_their_channels_and_type():
    grey = np.arange(2 * 4 * 5, dtype=np.uint16).reshape(2, 4, 5)
    two = np.stack([grey, grey + 100], axis=1)
    colour = np.stack([grey, grey, grey], axis=-1).astype(np.uint8)
    for array, axes in ((grey, "TYX"), (two, "TCYX"), (colour, "TYXS")):
        shown = lazy_image(open_frames(array, axes=axes).source)
        assert shown.dtype == array.dtype
        np.testing.assert_array_equal(np.asarray(shown), array)
