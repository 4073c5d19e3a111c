"""Videos that people have: deep grey, names with colons, covers, recordings that begin late."""

from __future__ import annotations

from fractions import Fraction
from pathlib import Path
from typing import Any

import av
import numpy as np
import pytest

from napari_sam2track.errors import FramesError
from napari_sam2track.frames import open_frames


def scene(n: int, dtype: str = "u1", top: int = 255) -> np.ndarray:
    """A bright square that moves over a weak ramp, (T, Y, X)."""
    ramp = np.linspace(0, top / 4, 64).astype(dtype)
    frames = np.repeat(np.broadcast_to(ramp, (48, 64))[None], n, axis=0).copy()
    for t in range(n):
        frames[t, 10:20, 2 * t : 2 * t + 10] = top
    return frames


def add_stream(container: Any, codec: str, pixels: str, **options: str) -> Any:
    stream = container.add_stream(codec, rate=25)
    stream.height, stream.width, stream.pix_fmt = 48, 64, pixels
    stream.options = options
    return stream


def feed(container: Any, stream: Any, frames: np.ndarray, layout: str) -> None:
    for t, image in enumerate(frames):
        frame = av.VideoFrame.from_ndarray(image, format=layout)
        frame.pts, frame.time_base = t, Fraction(1, 25)
        container.mux(stream.encode(frame))
    container.mux(stream.encode())


def write(
    path: Path, frames: np.ndarray, codec: str, pixels: str, layout: str, **options: str
) -> None:
    with av.open(f"file:{path}", "w") as container:
        feed(container, add_stream(container, codec, pixels, **options), frames, layout)


def raw(path: Path, **options: Any) -> np.ndarray:
    with open_frames(path, **options) as frames:
        source = frames.source
        return np.stack([source.read_raw(t, 0, 48, 0, 64)[..., 0] for t in range(len(frames))])


@pytest.mark.parametrize(
    ("name", "codec", "pixels", "top"),
    [
        ("a.mkv", "ffv1", "gray16le", 4095),
        ("a.avi", "ffv1", "gray16le", 60_000),
        ("a.mov", "png", "gray16be", 4095),
        ("a.mkv", "ffv1", "gray10le", 1023),
        ("a.mkv", "ffv1", "gray12le", 4095),
        ("a.mkv", "libx265", "gray10le", 1023),
        ("a.mp4", "libx265", "gray12le", 4095),
    ],
)
def test_deep_grey_keeps_its_values(
    tmp_path: Path, name: str, codec: str, pixels: str, top: int
) -> None:
    frames = scene(5, "u2", top)
    options = {"x265-params": "lossless=1:log-level=none"} if codec == "libx265" else {}
    try:
        write(tmp_path / name, frames, codec, pixels, pixels, **options)
    except (av.error.FFmpegError, ValueError) as error:
        pytest.skip(f"this FFmpeg cannot write {codec} in {pixels}: {error}")
    with open_frames(tmp_path / name) as movie:
        assert movie.source.dtype == np.uint16
        assert movie.source.n_channels == 1
        assert len(np.unique(movie.read(0))) > 40  # the weak ramp is seen
    np.testing.assert_array_equal(raw(tmp_path / name), frames)
    with open_frames(tmp_path / name, intensity=f"0,{top}") as movie:
        assert movie.read(2)[15, 8, 0] == 255


def test_colours_of_16_bits(tmp_path: Path) -> None:
    frames = np.repeat(scene(3, "u2", 60_000)[..., None], 3, axis=3)
    frames[..., 1] //= 2
    write(tmp_path / "a.mov", frames, "png", "rgb48be", "rgb48be")
    with open_frames(tmp_path / "a.mov") as movie:
        assert movie.source.dtype == np.uint16
        np.testing.assert_array_equal(movie.source.read_raw(1, 0, 48, 0, 64), frames[1])


def test_colours_of_10_bits_are_read_as_8_with_a_note(tmp_path: Path) -> None:
    frames = np.repeat(scene(3)[..., None], 3, axis=3)
    write(tmp_path / "a.mkv", frames, "ffv1", "yuv420p10le", "rgb24")
    with open_frames(tmp_path / "a.mkv") as movie:
        assert movie.source.dtype == np.uint8
        assert movie.notes == ("its 10 bits a channel (yuv420p10le) are read as 8",)


NAMES = ["cam1:10-30.mp4", "2023-05-01T10:30:00.mp4", "dir:a/x.mp4", "a%03d.mp4", "ü ñ.mp4"]


@pytest.mark.parametrize("name", NAMES)
def test_any_name(tmp_path: Path, name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / name
    path.parent.mkdir(exist_ok=True)
    write(path, np.repeat(scene(4)[..., None], 3, axis=3), "libx264", "yuv420p", "rgb24")
    monkeypatch.chdir(tmp_path)
    for where in (path, Path(name)):
        assert len(raw(where)) == 4


@pytest.mark.parametrize("name", ["movie", "00001.MTS", "clip.m2ts", "a.3gp", "b.mxf", "c.vid"])
def test_whatever_ffmpeg_opens_opens(tmp_path: Path, name: str) -> None:
    formats = {"movie": "mp4", "00001.MTS": "mpegts", "clip.m2ts": "mpegts", "c.vid": "matroska"}
    frames = np.repeat(scene(4)[..., None], 3, axis=3)
    codec = "mpeg2video" if name == "b.mxf" else "libx264"
    with av.open(str(tmp_path / name), "w", format=formats.get(name)) as container:
        feed(container, add_stream(container, codec, "yuv420p"), frames, "rgb24")
    found = raw(tmp_path / name)
    assert len(found) == 4
    assert found[3, 15, 12] > 200


def test_text_is_no_video(tmp_path: Path) -> None:
    (tmp_path / "list.m3u8").write_text("#EXTM3U\n#EXTINF:1,\nfile.ts\n#EXT-X-ENDLIST\n")
    (tmp_path / "notes").write_text("ffconcat version 1.0\nfile a.mp4\n")
    for name in ("list.m3u8", "notes"):
        with pytest.raises(FramesError, match="kind that is not known"):
            open_frames(tmp_path / name)
    (tmp_path / "b.mp4").write_text("#EXTM3U\n#EXTINF:1,\nfile.ts\n#EXT-X-ENDLIST\n")
    with pytest.raises(FramesError, match=r"b\.mp4 cannot be read as a video"):
        open_frames(tmp_path / "b.mp4")


def write_two(path: Path, small: int, large: int) -> None:
    """Two streams of pictures: MJPEG of `small` frames first, H.264 of `large` frames behind."""
    with av.open(str(path), "w") as container:
        first = add_stream(container, "mjpeg", "yuvj420p")
        second = add_stream(container, "libx264", "yuv420p")
        second.disposition = av.stream.Disposition.default
        colours = np.repeat(scene(max(small, large))[..., None], 3, axis=3)
        feed(container, first, 255 - colours[:small], "rgb24")
        feed(container, second, colours[:large], "rgb24")


@pytest.mark.parametrize("name", ["a.mkv", "a.mov"])
def test_a_preview_is_not_the_movie(tmp_path: Path, name: str) -> None:
    write_two(tmp_path / name, 1, 12)
    with open_frames(tmp_path / name) as movie:
        assert len(movie) == 12
        assert movie.read(0)[15, 5, 0] > 200
        assert movie.notes == ()


def test_several_videos_in_a_file(tmp_path: Path) -> None:
    with av.open(str(tmp_path / "a.mkv"), "w") as container:
        streams = [add_stream(container, "libx264", "yuv420p") for _ in range(2)]
        for n, stream in zip((5, 9), streams, strict=True):
            feed(container, stream, np.repeat(scene(n)[..., None], 3, axis=3), "rgb24")
    with open_frames(tmp_path / "a.mkv") as movie:
        assert len(movie) == 5
        assert "2 videos: 0 (h264, 64 x 48), 1 (h264, 64 x 48); number 0 is" in movie.notes[0]
    assert len(raw(tmp_path / "a.mkv", series="1")) == 9


def test_a_recording_that_begins_between_key_frames(tmp_path: Path) -> None:
    """A camera that was switched on late: the first pictures need others that are not there."""
    frames = np.repeat(scene(24)[..., None], 3, axis=3)
    whole = tmp_path / "whole.ts"
    options = {"g": "8", "keyint_min": "8", "bf": "0", "sc_threshold": "0"}
    write(whole, frames, "libx264", "yuv420p", "rgb24", **options)
    expected = raw(whole)
    late = tmp_path / "late.ts"
    with av.open(str(whole)) as source, av.open(str(late), "w") as target:
        stream = source.streams.video[0]
        out = target.add_stream_from_template(stream)
        for k, packet in enumerate(source.demux(stream)):
            if packet.dts is not None and k >= 5:
                packet.stream = out
                target.mux(packet)
    with open_frames(late) as movie:
        assert len(movie) == 16
        assert movie.notes == (
            "it begins between two key frames, so its first 3 pictures are left out",
        )
        found = [movie.source.read_raw(t, 0, 48, 0, 64)[..., 0] for t in (9, 0, 15, 8)]
        for image, t in zip(found, (9, 0, 15, 8), strict=True):
            np.testing.assert_array_equal(image, expected[8 + t])


def test_the_whole_frames_of_a_video_that_was_cut(tmp_path: Path) -> None:
    frames = np.repeat(scene(24)[..., None], 3, axis=3)
    write(tmp_path / "a.mkv", frames, "libx264", "yuv420p", "rgb24", g="4", bf="0")
    expected = raw(tmp_path / "a.mkv")
    content = (tmp_path / "a.mkv").read_bytes()
    (tmp_path / "a.mkv").write_bytes(content[: len(content) * 2 // 3])
    message = (
        r"\d+ of 2\d frames could be read; .*; or use these with --allow-truncated .* --stop \d+"
    )
    with pytest.raises(FramesError, match=message):
        open_frames(tmp_path / "a.mkv")
    found = raw(tmp_path / "a.mkv", allow_truncated=True)
    assert 4 < len(found) < 24
    np.testing.assert_array_equal(found, expected[: len(found)])
