"""Layers of many kinds land on the right pixels."""

import dask.array as da
import numpy as np
import pytest
import zarr
from hypothesis import given
from hypothesis import strategies as st
from napari.layers import Image

from napari_sam2track._napari.geometry import Geometry, PlaneLabels, guessed_axes, open_layer
from napari_sam2track.errors import FramesError
from napari_sam2track.params import FramesParams

CASES = [  # shape, rgb, params, axes of the labels, shape of the labels, frames
    ((7, 20, 30), False, {}, "TYX", (7, 20, 30), 7),
    ((20, 30), False, {}, "YX", (20, 30), 1),
    ((7, 20, 30, 3), True, {}, "TYX", (7, 20, 30), 7),
    ((20, 30, 3), True, {}, "YX", (20, 30), 1),
    ((7, 5, 20, 30), False, {"z": 2}, "TZYX", (7, 5, 20, 30), 7),
    ((5, 20, 30), False, {"axes": "ZYX"}, "ZYX", (5, 20, 30), 5),
    ((7, 2, 20, 30), False, {"axes": "TCYX", "channel": "1"}, "TCYX", (7, 1, 20, 30), 7),
    ((7, 1, 20, 30), False, {}, "TZYX", (7, 1, 20, 30), 7),
]


def image(shape, rgb=False, **options):
    data = np.arange(np.prod(shape), dtype=np.uint32).reshape(shape) % 251
    return Image(data.astype(np.uint8 if rgb else np.uint16), rgb=rgb, **options)


@pytest.mark.parametrize(("shape", "rgb", "params", "axes", "labels", "n"), CASES)
def test_axes(shape, rgb, params, axes, labels, n):
    layer = image(shape, rgb)
    params = FramesParams(**params)
    geometry = Geometry.of(layer, params)
    assert (geometry.axes, geometry.shape, geometry.n_frames) == (axes, labels, n)
    frames = open_layer(layer, params)
    assert (frames.n_frames, frames.height, frames.width) == (n, 20, 30)
    assert frames.read(n - 1).shape == (20, 30, 3)


@pytest.mark.parametrize(("shape", "rgb", "params", "axes", "labels", "n"), CASES)
@given(data=st.data())
def test_what_is_painted_at_a_point_is_read_there(shape, rgb, params, axes, labels, n, data):
    geometry = Geometry.of(image(shape, rgb), FramesParams(**params))
    t, y, x = (data.draw(st.integers(0, m - 1)) for m in (n, 20, 30))
    place = geometry.to_layer(np.array([[t, y, x]], float))
    back, here = geometry.from_layer(place)
    np.testing.assert_array_equal(back, [[t, y, x]])
    assert here.all()
    plane = PlaneLabels(np.zeros(labels, np.uint32), geometry)
    plane.array[tuple(place[0].astype(int))] = 7
    assert plane.read(t)[y, x] == 7 and np.count_nonzero(plane.read(t)) == 1


def test_points_of_other_planes_are_not_ours():
    geometry = Geometry.of(image((7, 5, 20, 30)), FramesParams(z=2))
    _, here = geometry.from_layer(np.array([[1, 2, 3, 4], [1, 3, 3, 4], [9, 2, 3, 4]]))
    assert here.tolist() == [True, False, False]
    assert (geometry.plane, geometry.plane_axis) == (2, 1)


def test_labels_lie_on_all_channels_of_an_image():
    layer = image((7, 3, 20, 30), scale=(1, 1, 0.5, 0.5), translate=(0, 0, 4, 4))
    geometry = Geometry.of(layer, FramesParams(axes="TCYX"))
    np.testing.assert_allclose(geometry.transform["scale"], [1, 3, 0.5, 0.5])
    np.testing.assert_allclose(geometry.transform["translate"], [0, 1, 4, 4])
    for channel in range(3):  # in the world a channel is at its number
        at = (channel - geometry.transform["translate"][1]) / geometry.transform["scale"][1]
        assert round(at) == 0


def test_the_transform_is_that_of_the_image():
    layer = image((7, 20, 30), scale=(2, 0.5, 0.25), rotate=30, translate=(1, 2, 3))
    like = Geometry.of(layer, FramesParams()).transform
    other = image((7, 20, 30), **like)
    point = (3, 10, 12)
    np.testing.assert_allclose(other.data_to_world(point), layer.data_to_world(point))


def test_intensity_is_what_is_shown_and_what_is_asked_for_goes_before():
    layer = image((7, 20, 30), contrast_limits=(10, 110))
    assert open_layer(layer, FramesParams()).intensity == ((10.0, 110.0),)
    assert open_layer(layer, FramesParams(intensity="0,50")).intensity == ((0.0, 50.0),)


@pytest.mark.parametrize("kind", ["dask", "zarr", "multiscale"])
def test_lazy_layers_stay_lazy(kind):
    reads = []
    data = np.random.default_rng(0).integers(0, 255, (6, 20, 30)).astype(np.uint8)

    def block(block_info=None):
        t = block_info[None]["array-location"][0][0]
        reads.append(t)
        return data[t : t + 1]

    if kind == "dask":
        lazy = da.map_blocks(block, chunks=((1,) * 6, (20,), (30,)), dtype=np.uint8)
    elif kind == "zarr":
        lazy = zarr.create_array({}, data=data, chunks=(1, 20, 30))
    else:
        lazy = [data, data[:, ::2, ::2]]
    layer = Image(lazy, contrast_limits=(0, 255), multiscale=kind == "multiscale")
    reads.clear()
    geometry = Geometry.of(layer, FramesParams())
    frames = open_layer(layer, FramesParams())
    assert geometry.shape == (6, 20, 30)
    np.testing.assert_array_equal(frames.read(4)[..., 0], data[4])
    if kind == "dask":
        assert set(reads) == {4}


def test_names_of_axes_are_taken_from_the_layer():
    layer = image((2, 7, 20, 30), axis_labels=("c", "t", "y", "x"))
    assert guessed_axes(layer) == "CTYX"
    assert Geometry.of(layer, FramesParams()).frame_axis == 1


def test_axes_that_cannot_be_say_so():
    with pytest.raises(FramesError, match="both time and depth"):
        Geometry.of(image((7, 5, 20, 30)), FramesParams())
    with pytest.raises(FramesError, match="names 2 axes, but the array has 3"):
        Geometry.of(image((7, 20, 30)), FramesParams(axes="YX"))


@pytest.mark.parametrize("flat", [False, True])
def test_strokes_of_napari_become_those_of_a_plane(flat):
    geometry = Geometry.of(image((7, 5, 20, 30)), FramesParams(z=2))
    plane = PlaneLabels(np.zeros(geometry.shape, np.uint32), geometry)
    if flat:
        where = tuple(np.array(a) for a in ([1, 1, 1], [2, 2, 3], [4, 5, 4], [6, 6, 6]))
        atoms = [(where, np.array([0, 0, 0]), 9)]
    else:
        mask = np.zeros((1, 2, 2, 1), bool)
        mask[0, 0, :, 0] = True
        mask[0, 1, 0, 0] = True
        box = (slice(1, 2), slice(2, 4), slice(4, 6), slice(6, 7))
        atoms = [(box, mask, np.array([0, 0, 0]), 9)]
    ((where, old, new),) = plane.strokes(atoms)
    np.testing.assert_array_equal(np.array(where).T, [[1, 4, 6], [1, 5, 6]])
    assert old.tolist() == [0, 0] and new.tolist() == [9, 9]
