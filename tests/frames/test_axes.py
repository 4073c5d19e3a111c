"""Axes: what is time, what is colour."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from napari_sam2track.errors import FramesError
from napari_sam2track.frames.axes import resolve_layout

U8, U16 = np.dtype(np.uint8), np.dtype(np.uint16)


@pytest.mark.parametrize(
    ("shape", "axes", "sizes"),  # sizes: frames, height, width, channels
    [
        ((5, 6), None, (1, 5, 6, 1)),
        ((9, 5, 6), None, (9, 5, 6, 1)),
        ((5, 6, 3), None, (1, 5, 6, 3)),
        ((9, 5, 6, 3), None, (9, 5, 6, 3)),
        ((9, 5, 6, 4), None, (9, 5, 6, 4)),
        ((9, 1, 1, 5, 6), None, (9, 5, 6, 1)),
        ((1, 1, 5, 6), None, (1, 5, 6, 1)),
        ((9, 5, 6), "tyx", (9, 5, 6, 1)),
        ((9, 5, 6), " ZYX ", (9, 5, 6, 1)),
        ((9, 5, 6), "CYX", (1, 5, 6, 9)),
        ((9, 5, 6), "YXC", (1, 9, 5, 6)),
        ((9, 5, 6), "QYX", (9, 5, 6, 1)),
        ((9, 5, 6), "IYX", (9, 5, 6, 1)),
        ((9, 5, 6), "YXT", (6, 9, 5, 1)),
        ((9, 2, 5, 6), "TCYX", (9, 5, 6, 2)),
        ((9, 2, 5, 6), "ZCYX", (9, 5, 6, 2)),
        ((1, 4, 2, 5, 6), "TZCYX", (4, 5, 6, 2)),
        ((2, 5, 6, 3), "CYXS", (1, 5, 6, 6)),
        ((9, 1, 6), "TYX", (9, 1, 6, 1)),
    ],
)
def test_sizes(shape: tuple[int, ...], axes: str | None, sizes: tuple[int, ...]) -> None:
    layout = resolve_layout(shape, U16, "movie", axes=axes)
    assert (layout.n_frames, layout.height, layout.width, layout.n_channels) == sizes


def test_a_plane_is_chosen() -> None:
    layout = resolve_layout((4, 7, 5, 6), U8, "movie", axes="TZYX", z=3)
    assert layout.n_frames == 4
    assert layout.index(2, 0, 5, 1, 6) == (2, 3, slice(0, 5), slice(1, 6))


@pytest.mark.parametrize(
    ("shape", "dtype", "axes", "rgb"),
    [
        ((5, 6, 3), U8, None, True),
        ((5, 6, 3), U16, None, True),
        ((5, 6, 3), U16, "YXS", True),
        ((5, 6, 3), U16, "YXC", False),
        ((3, 5, 6), U8, "CYX", True),
        ((5, 6, 2), U8, "YXC", False),
        ((5, 6), U8, None, False),
    ],
)
def test_colours_of_one_picture(shape: tuple, dtype: np.dtype, axes: str, rgb: bool) -> None:
    assert resolve_layout(shape, dtype, "movie", axes=axes).rgb is rgb


@pytest.mark.parametrize(
    ("shape", "options", "message"),
    [
        ((0, 5, 6), {}, r"movie is empty: its shape is \(0, 5, 6\)"),
        ((5,), {}, r"movie has shape \(5,\): an image needs at least rows and columns"),
        ((9, 2, 5, 6), {}, r"movie has 4 axes .* cannot be guessed; give one letter per axis"),
        ((9, 5, 6), {"axes": "TWX"}, r"axes 'TWX' for movie: 'W' is not an axis"),
        ((9, 5, 6), {"axes": "TCYX"}, r"'TCYX' for movie names 4 axes, but the array has 3"),
        ((9, 5, 6), {"axes": "YYX"}, r"Y is there 2 times"),
        ((9, 5, 6), {"axes": "TZX"}, r"Y and X are needed once each"),
        ((4, 7, 5, 6), {"axes": "TZYX"}, r"both time and depth .* choose a plane with z=0 to z=6"),
        ((4, 7, 5, 6), {"axes": "TZYX", "z": 7}, r"z=7 is outside movie, .* from 0 to 6"),
        ((4, 5, 6), {"axes": "TYX", "z": 0}, r"z=0 was given, but movie has no Z axis"),
        ((4, 7, 5, 6), {"axes": "TQYX"}, r"2 axes that could be time"),
        ((4, 7, 5, 6), {"known": "QQYX"}, r"2 axes that could be time"),
        ((2, 4, 7, 5, 6), {"axes": "QTZYX"}, r"3 axes that could be time"),
    ],
)
def test_refusals(shape: tuple[int, ...], options: dict, message: str) -> None:
    with pytest.raises(FramesError, match=message):
        resolve_layout(shape, U8, "movie", **options)


@given(st.permutations("TZCYX"), st.integers(0, 2))
def test_any_order_reads_the_same_pixels(order: list[str], z: int) -> None:
    axes = "".join(order)
    truth = np.arange(2 * 3 * 4 * 5 * 6).reshape(2, 3, 4, 5, 6)  # TZCYX
    array = truth.transpose(["TZCYX".index(letter) for letter in axes])
    layout = resolve_layout(array.shape, array.dtype, "movie", axes=axes, z=z)
    block_yxc = layout.arrange(array[layout.index(1, 1, 4, 2, 6)])
    np.testing.assert_array_equal(block_yxc, truth[1, z, :, 1:4, 2:6].transpose(1, 2, 0))


def test_channels_times_samples_are_flattened() -> None:
    array = np.arange(2 * 5 * 6 * 3).reshape(2, 5, 6, 3)
    layout = resolve_layout(array.shape, array.dtype, "movie", axes="CYXS")
    block_yxc = layout.arrange(array[layout.index(0, 0, 5, 0, 6)])
    np.testing.assert_array_equal(block_yxc[..., 4], array[1, :, :, 1])
