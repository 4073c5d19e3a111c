"""Frames over arrays: laziness, bounds, provenance, fingerprints."""

from __future__ import annotations

import json
import subprocess
import sys
import threading
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from napari_sam2track.errors import FramesError
from napari_sam2track.frames import Frames, Source, open_frames
from napari_sam2track.frames.arrays import from_array


class Spy:
    """An array that notes what is read from it."""

    def __init__(self, array: np.ndarray) -> None:
        self.array = array
        self.shape, self.dtype = array.shape, array.dtype
        self.reads: list[tuple] = []

    def __getitem__(self, index: Any) -> np.ndarray:
        self.reads.append(index)
        return self.array[index]


def movie(*shape: int, dtype: str = "u1") -> np.ndarray:
    return np.random.default_rng(0).integers(0, 255, shape).astype(dtype)


def test_read_touches_one_frame() -> None:
    spy = Spy(movie(9, 20, 30))
    frames = open_frames(spy)
    assert spy.reads == []
    frames.read(4)
    assert spy.reads == [(4, slice(0, 20), slice(0, 30))]


def test_read_window_touches_the_window() -> None:
    spy = Spy(movie(9, 20, 30))
    frames = open_frames(spy)
    cut = frames.read_window(4, 3, 8, 10, 25)
    assert spy.reads == [(4, slice(3, 8), slice(10, 25))]
    np.testing.assert_array_equal(cut, frames.read(4)[3:8, 10:25])


def test_channels_that_nobody_looks_at_are_not_read() -> None:
    spy = Spy(movie(9, 5, 20, 30))
    open_frames(spy, axes="TCYX", channel="4,1").read(2)
    assert spy.reads == [
        (2, slice(4, 5), slice(0, 20), slice(0, 30)),
        (2, slice(1, 2), slice(0, 20), slice(0, 30)),
    ]


def test_the_plane_alone_is_read() -> None:
    spy = Spy(movie(9, 5, 20, 30))
    open_frames(spy, axes="TZYX", z=3).read(2)
    assert spy.reads == [(2, 3, slice(0, 20), slice(0, 30))]


@given(st.data())
def test_windows_are_cut_out_of_frames(data: st.DataObject) -> None:
    dtype = data.draw(st.sampled_from(["u1", "u2", "f4"]))
    frames = open_frames(movie(3, 12, 17, 3, dtype=dtype))
    y0 = data.draw(st.integers(0, 11))
    y1 = data.draw(st.integers(y0 + 1, 12))
    x0 = data.draw(st.integers(0, 16))
    x1 = data.draw(st.integers(x0 + 1, 17))
    cut = frames.read_window(1, y0, y1, x0, x1)
    np.testing.assert_array_equal(cut, frames.read(1)[y0:y1, x0:x1])


def test_frames_are_copies() -> None:
    array = movie(2, 8, 9, 3)
    before = array.copy()
    frame = open_frames(array).read(0)
    assert frame.flags.c_contiguous
    frame[:] = 0
    np.testing.assert_array_equal(array, before)


@pytest.mark.parametrize("t", [-1, 9, np.int64(100)])
def test_frames_outside(t: int) -> None:
    with pytest.raises(FramesError, match=rf"frame {t} is outside array, which has 9 .* 0 to 8"):
        open_frames(movie(9, 8, 9)).read(t)


@pytest.mark.parametrize(
    "window", [(-1, 3, 0, 3), (0, 9, 0, 3), (0, 3, 0, 10), (3, 3, 0, 3), (0, 3, 5, 2)]
)
def test_windows_outside(window: tuple[int, int, int, int]) -> None:
    y0, y1, x0, x1 = window
    with pytest.raises(
        ValueError, match=rf"rows {y0}:{y1}, columns {x0}:{x1} is not inside the frame of 8 rows"
    ):
        open_frames(movie(9, 8, 9)).read_window(0, *window)


def test_dask_and_zarr_arrays() -> None:
    import dask.array
    import zarr

    array = movie(6, 20, 30, dtype="u2")
    truth = open_frames(array)
    for lazy in (
        dask.array.from_array(array, chunks=(1, 10, 10)),
        zarr.array(array, chunks=(1, 10, 10)),
    ):
        frames = open_frames(lazy)
        np.testing.assert_array_equal(frames.read(3), truth.read(3))
        assert frames.fingerprint() == truth.fingerprint()


def test_dask_computes_one_chunk() -> None:
    import dask.array

    computed = []

    def chunk(block_info: Any = None) -> np.ndarray:
        computed.append(block_info[None]["chunk-location"])
        return np.zeros((1, 8, 9), np.uint8)

    lazy = dask.array.map_blocks(
        chunk, chunks=((1,) * 50, (8,), (9,)), dtype=np.uint8, meta=np.empty((0, 0, 0), np.uint8)
    )
    frames = open_frames(lazy)
    frames.read(7)
    assert computed == [(7, 0, 0)]


def test_named_dimensions_are_axes() -> None:
    class Named(Spy):
        dims = ("C", "T", "Y", "X")

    assert open_frames(Named(movie(2, 7, 8, 9))).n_frames == 7


def test_describe_is_plain() -> None:
    frames = open_frames(movie(3, 8, 9, dtype="u2"), intensity="p1,p99", name="cells")
    described = frames.describe()
    assert json.loads(json.dumps(described)) == described
    assert described["name"] == "cells"
    assert described["dtype"] == "uint16"
    assert described["intensity_asked"] == "p1.0,p99.0"
    assert "note" not in described
    assert "cells" in repr(frames)
    assert len(frames) == frames.n_frames == 3
    assert isinstance(frames.source, Source)


def test_fingerprints_know_content_not_names() -> None:
    array = movie(9, 8, 9, dtype="<u2")
    key = open_frames(array, name="a").fingerprint()
    assert len(key) == 32
    assert key == open_frames(array.astype(">u2"), name="b", intensity="0,9").fingerprint()
    other = array.copy()
    other[8, 0, 0] += 1
    assert key != open_frames(other).fingerprint()
    assert key != open_frames(array[:8]).fingerprint()
    assert key != open_frames(array.astype("<i2")).fingerprint()
    assert key != open_frames(array.reshape(9, 9, 8)).fingerprint()


def test_fingerprints_read_four_frames() -> None:
    spy = Spy(movie(90, 8, 9))
    open_frames(spy).fingerprint()
    assert [index[0] for index in spy.reads] == [0, 30, 59, 89]


def test_closing() -> None:
    closed = []
    source = from_array(movie(2, 8, 9), close=lambda: closed.append(1))
    with Frames(source) as frames:
        frames.read(0)
    frames.close()
    assert closed == [1]
    with pytest.raises(FramesError, match="array is closed; open it again"):
        frames.read(0)


def test_damage_names_the_frame() -> None:
    class Broken(Spy):
        def __getitem__(self, index: Any) -> np.ndarray:
            raise RuntimeError("bad chunk")

    with pytest.raises(FramesError, match=r"frame 1 of array cannot be read \(bad chunk\); the"):
        open_frames(Broken(movie(2, 8, 9))).read(1)


@pytest.mark.parametrize(
    ("thing", "message"),
    [
        (np.zeros((2, 3, 4), complex), r"array has pixels of type complex128"),
        (np.zeros((2, 3, 4), "U3"), r"array has pixels of type <U3"),
        (np.zeros((0, 3, 4)), r"array is empty"),
        (17, r"a movie of type int cannot be read; give a path or an array"),
        ([np.zeros((3, 4))], r"a movie of type list cannot be read"),
    ],
)
def test_no_movies(thing: Any, message: str) -> None:
    with pytest.raises(FramesError, match=message):
        open_frames(thing)


def test_threads_read_alike() -> None:
    frames = open_frames(movie(8, 32, 32, dtype="f4"))
    found: dict[int, np.ndarray] = {}
    threads = [
        threading.Thread(target=lambda t=t: found.update({t: frames.read(t)})) for t in range(8)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    for t, frame in found.items():
        np.testing.assert_array_equal(frame, frames.read(t))


def test_importing_is_light() -> None:
    heavy = "av zarr dask skimage pandas torch napari qtpy tifffile PIL scipy pydantic natsort"
    code = (
        "import sys, napari_sam2track.frames, napari_sam2track.prompts; "
        f"sys.exit(' '.join(m for m in {heavy!r}.split() if m in sys.modules))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert done.stderr == "\n" or done.stderr == ""
