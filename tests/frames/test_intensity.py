"""Intensity and channels: one window for the whole movie."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays as any_array

from napari_sam2track.errors import FramesError, UsageError
from napari_sam2track.frames import Intensity, open_frames, parse_channel, parse_intensity
from napari_sam2track.frames.intensity import to_uint8

finite = st.floats(allow_nan=False, allow_infinity=False)


def test_texts() -> None:
    assert parse_intensity("100,4000") == Intensity(100, 4000)
    assert parse_intensity(" -1.5e3 , .5 ") == Intensity(-1500, 0.5)
    assert parse_intensity("p1, p99.8") == Intensity(1, 99.8, percentile=True)


@pytest.mark.parametrize("text", ["", "1", "1,2,3", "p1,99", "1,p99", "a,b", "nan,1", "1;2"])
def test_bad_texts_are_quoted(text: str) -> None:
    with pytest.raises(UsageError, match=rf"intensity '{text}' cannot be read; give \"low,high\""):
        parse_intensity(text)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("5,5", r"intensity 5\.0,5\.0: the first must be below the second"),
        ("1,1e999", r"the first must be below"),
        ("p5,p101", r"intensity p5\.0,p101\.0: percentiles go from 0 to 100"),
        ("p-1,p50", r"percentiles go from 0 to 100"),
    ],
)
def test_meaningless_windows(text: str, message: str) -> None:
    with pytest.raises(UsageError, match=message):
        parse_intensity(text)


@given(finite, finite)
def test_windows_survive_text(a: float, b: float) -> None:
    if a != b:
        intensity = Intensity(min(a, b), max(a, b))
        assert parse_intensity(str(intensity)) == intensity


def test_channel_texts() -> None:
    assert parse_channel("0") == (0,)
    assert parse_channel(" 2, 0,1 ") == (2, 0, 1)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", r"channel '': '' is not a channel number; give one as"),
        ("a", r"'a' is not a channel number"),
        ("-1", r"'-1' is not a channel number"),
        ("0,,1", r"'' is not a channel number"),
        ("0,1,2,3", r"4 channels are too many"),
    ],
)
def test_bad_channel_texts(text: str, message: str) -> None:
    with pytest.raises(UsageError, match=message):
        parse_channel(text)


@given(
    any_array(
        st.sampled_from(
            ["bool", "u1", "i1", "<u2", ">u2", "<i2", ">i2", "u4", ">i4", "i8", "f2", "f4", ">f8"]
        ).map(np.dtype),
        (3, 5),
        elements={"allow_nan": False, "allow_infinity": False},
    ),
    finite,
    finite,
)
def test_windows_are_monotone_and_reach_their_ends(values: np.ndarray, a: float, b: float) -> None:
    if a == b:
        return
    low, high = min(a, b), max(a, b)
    mapped = to_uint8(values, (low, high))
    assert mapped.dtype == np.uint8
    wide = values.astype(np.float64)
    assert (mapped[wide <= low] == 0).all()
    assert (mapped[wide >= high] == 255).all()
    order = np.argsort(wide, axis=None, kind="stable")
    assert (np.diff(mapped.ravel()[order].astype(int)) >= 0).all()


@pytest.mark.parametrize("dtype", ["u1", "i1", "u2", ">i2", "u4", "i8", "f2", "f8"])
def test_every_type_rounds_alike(dtype: str) -> None:
    values = np.arange(101).astype(dtype)
    expected = np.rint(np.clip((np.arange(101) - 10) / 60, 0, 1) * 255).astype(np.uint8)
    np.testing.assert_array_equal(to_uint8(values, (10, 70)), expected)


def test_8_bit_data_stay_as_they_are() -> None:
    movie = np.random.default_rng(0).integers(0, 256, (3, 8, 9), np.uint8)
    frames = open_frames(movie)
    assert frames.intensity == ((0, 255),)
    np.testing.assert_array_equal(frames.read(1), np.repeat(movie[1][..., None], 3, axis=2))


def test_truth_values_become_black_and_white() -> None:
    frames = open_frames(np.eye(4, dtype=bool))
    np.testing.assert_array_equal(frames.read(0)[..., 1], np.eye(4, dtype=np.uint8) * 255)


def test_the_default_window_is_that_of_the_stack() -> None:
    movie = np.random.default_rng(0).normal(1000, 50, (40, 32, 32)).astype(np.float32)
    movie[20:] += 500
    frames = open_frames(movie)
    low, high = frames.intensity[0]
    sampled = np.linspace(0, 39, 16).round().astype(int)
    np.testing.assert_allclose((low, high), np.percentile(movie[sampled], (0.1, 99.9)), rtol=1e-5)
    assert frames.read(0).mean() < 100 < frames.read(39).mean()


def test_a_large_movie_is_sampled_sparsely() -> None:
    class Huge:
        shape, dtype = (1000, 3000, 3000), np.dtype(np.uint16)
        reads: list = []  # noqa: RUF012

        def __getitem__(self, index: tuple) -> np.ndarray:
            self.reads.append(index[0])
            return np.broadcast_to(np.uint16(index[0]), (3000, 3000))

    frames = open_frames(Huge())
    low, high = frames.intensity[0]
    assert len(Huge.reads) == 16
    assert (Huge.reads[0], Huge.reads[-1]) == (0, 999)
    assert 0 <= low < high <= 999
    assert frames.intensity == frames.intensity
    assert len(Huge.reads) == 16


@pytest.mark.parametrize("value", [0, 7, -3, 1e20])
def test_constant_movies_are_black(value: float) -> None:
    frames = open_frames(np.full((2, 4, 4), value))
    assert not frames.read(0).any()


def test_a_few_bright_pixels_are_not_lost() -> None:
    movie = np.zeros((1, 100, 100), np.uint16)
    movie[0, 3, 3] = 900
    frames = open_frames(movie)
    assert frames.intensity == ((0, 900),)
    assert frames.read(0)[3, 3, 0] == 255


@pytest.mark.parametrize("intensity", ["10,20", (10, 20), [10.0, 20.0], Intensity(10, 20)])
def test_absolute_windows(intensity: object) -> None:
    movie = np.array([[[5, 10, 15, 20, 25]]], np.uint16)
    frames = open_frames(movie, intensity=intensity)  # type: ignore[arg-type]
    assert frames.read(0)[0, :, 2].tolist() == [0, 0, 128, 255, 255]


def test_colours_share_a_window_stains_do_not() -> None:
    movie = np.zeros((2, 16, 16, 3), np.uint16)
    movie[..., 0] = np.arange(16)
    movie[..., 1] = np.arange(16) * 100
    rgb = open_frames(movie, axes="TYXS")
    assert rgb.channels == (0, 1, 2)
    assert len(set(rgb.intensity)) == 1
    stains = open_frames(movie, axes="TYXC", channel="0,1")
    assert stains.intensity[0][1] < 16 < stains.intensity[1][1]
    frame = stains.read(0)
    assert frame[..., 0].max() == frame[..., 1].max() == 255
    assert not frame[..., 2].any()


def test_channel_choices() -> None:
    movie = np.random.default_rng(0).integers(0, 256, (2, 5, 8, 9), np.uint8)  # TCYX
    first = open_frames(movie, axes="TCYX")
    assert first.channels == (0,)
    assert first.describe()["note"].startswith("channel 0 of 5 is used; --channel (channel=)")
    np.testing.assert_array_equal(first.read(1)[..., 2], movie[1, 0])
    grey = open_frames(movie, axes="TCYX", channel=3)
    np.testing.assert_array_equal(grey.read(1)[..., 0], movie[1, 3])
    mixed = open_frames(movie, axes="TCYX", channel=(4, 0, 4))
    np.testing.assert_array_equal(mixed.read(1), movie[1, [4, 0, 4]].transpose(1, 2, 0))


def test_alpha_is_dropped() -> None:
    movie = np.random.default_rng(0).integers(0, 256, (2, 8, 9, 4), np.uint8)
    frames = open_frames(movie)
    np.testing.assert_array_equal(frames.read(1), movie[1, ..., :3])
    assert frames.describe()["note"] == "the alpha channel is not used"


def test_missing_channels() -> None:
    movie = np.zeros((2, 2, 8, 9), np.uint8)
    with pytest.raises(FramesError, match=r"channel 2 is not in array, which has 2 channels, 0 to"):
        open_frames(movie, axes="TCYX", channel=2)
    with pytest.raises(FramesError, match=r"which has one channel, number 0"):
        open_frames(movie[:, 0], channel="1")
    with pytest.raises(UsageError, match=r"channel \(\) names 0 channels; give one"):
        open_frames(movie, axes="TCYX", channel=())
    with pytest.raises(UsageError, match=r"names 4 channels"):
        open_frames(movie, axes="TCYX", channel=(0, 1, 0, 1))


@pytest.mark.parametrize("dtype", [np.float16, np.float32, np.float64])
def test_pixels_that_are_not_finite_are_black_and_noted(dtype: type) -> None:
    movie = np.random.default_rng(0).random((4, 8, 9)).astype(dtype)
    movie[3, :2, :3] = np.nan
    movie[3, 5, 5] = np.inf
    frames = open_frames(movie, name="movie.tif")
    assert np.isfinite(frames.intensity).all()
    frames.read(2)
    assert frames.notes == ()
    read = frames.read(3)
    assert not read[:2, :3].any()
    assert not read[5, 5].any()  # infinite, too
    assert read.any()
    assert len(frames.notes) == 1
    assert "7 pixels of frame 3 are not finite (NaN or infinite)" in frames.notes[0]
    np.testing.assert_array_equal(frames.read_window(3, 4, 6, 4, 6), read[4:6, 4:6])
    assert open_frames(np.full((1, 5, 6), np.nan, dtype)).intensity == ((0, 1),)
