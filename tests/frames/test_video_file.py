"""Videos: seeking gives the frames that playing gives."""

from __future__ import annotations

import random
from pathlib import Path
from typing import Any

import av
import numpy as np
import pytest

from napari_sam2track.errors import FramesError
from napari_sam2track.frames import open_frames
from napari_sam2track.frames.video_file import VideoReader

SIZE = (48, 64)

# name: codec, options of the encoder
KINDS: dict[str, tuple[str, dict[str, str]]] = {
    "b-frames.mp4": ("libx264", {"g": "12", "bf": "3"}),
    "open-gop.mp4": ("libx264", {"x264-params": "keyint=10:open-gop=1:bframes=3"}),
    "hevc.mkv": ("libx265", {"x265-params": "keyint=8:log-level=none"}),
    "vp9.webm": ("libvpx-vp9", {"g": "10"}),
    "hidden-frames.webm": (
        "libvpx",
        {"g": "20", "auto-alt-ref": "1", "lag-in-frames": "16", "b": "50000"},
    ),
    "mpeg4.avi": ("mpeg4", {"bf": "2", "g": "8"}),
    "h264.avi": ("libx264", {"bf": "2", "g": "8"}),
    "bare.h264": ("libx264", {"g": "10"}),
    "mpeg2.ts": ("mpeg2video", {"bf": "2", "g": "10"}),
    "lossless.mkv": ("ffv1", {}),
    "animation.gif": ("gif", {}),
}


def write(path: Path, codec: str, options: dict[str, str], **more: Any) -> None:
    n = more.get("n", 45)
    base = np.random.default_rng(0).integers(0, 200, (*SIZE, 3), dtype=np.uint8)
    try:
        container = av.open(str(path), "w", options=more.get("container", {}))
        stream = container.add_stream(codec, rate=10)
    except (av.error.FFmpegError, ValueError) as error:
        pytest.skip(f"this FFmpeg cannot write {codec}: {error}")
    stream.height, stream.width = SIZE
    stream.pix_fmt = "rgb8" if codec == "gif" else "yuv420p"
    stream.options = options
    for t in range(n):
        frame = av.VideoFrame.from_ndarray(np.roll(base, t, 1) + np.uint8(t), "rgb24")
        frame.pts = t + more.get("start", 0)
        container.mux(stream.encode(frame))
    container.mux(stream.encode(None))
    container.close()


def played(path: Path) -> list[np.ndarray]:
    with av.open(str(path)) as container:
        return [frame.to_ndarray(format="rgb24") for frame in container.decode(video=0)]


@pytest.mark.parametrize("kind", KINDS)
def test_seeking_gives_what_playing_gives(tmp_path: Path, kind: str) -> None:
    path = tmp_path / kind
    write(path, *KINDS[kind])
    truth = played(path)
    with open_frames(path) as frames:
        assert (frames.n_frames, frames.height, frames.width) == (len(truth), *SIZE)
        order = list(range(len(truth)))
        random.Random(0).shuffle(order)
        for t in [*range(len(truth)), *order, len(truth) - 1, 0]:
            np.testing.assert_array_equal(frames.read(t), truth[t], err_msg=f"frame {t}")


def test_time_need_not_begin_at_zero(tmp_path: Path) -> None:
    path = tmp_path / "late.mkv"
    write(path, "libx264", {"g": "10", "bf": "2"}, start=37)
    truth = played(path)
    with open_frames(path) as frames:
        assert frames.n_frames == 45
        for t in (30, 0, 44, 12):
            np.testing.assert_array_equal(frames.read(t), truth[t])


def test_reading_in_order_does_not_seek(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "a.mp4"
    write(path, *KINDS["b-frames.mp4"])
    reader = VideoReader(path)
    seeks = []
    original = reader._seek
    monkeypatch.setattr(reader, "_seek", lambda key: seeks.append(key) or original(key))
    for t in range(reader.n_frames):
        reader.read(t)
    assert seeks == []
    reader.read(30)
    assert seeks == [24]
    reader.close()
    reader.close()


def test_windows_of_one_frame_decode_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "a.mp4"
    write(path, *KINDS["b-frames.mp4"])
    with open_frames(path) as frames:
        frames.read(20)
        monkeypatch.setattr(
            VideoReader, "_decode", lambda self, t: pytest.fail(f"decoded {t} again")
        )
        for x in range(10):
            frames.read_window(20, 0, 10, x, x + 10)


def test_telephones_film_sideways(tmp_path: Path) -> None:
    path = tmp_path / "a.mp4"
    write(path, *KINDS["b-frames.mp4"])
    truth = played(path)
    content = bytearray(path.read_bytes())
    one, zero, minus = (value.to_bytes(4, "big") for value in (65536, 0, 2**32 - 65536))
    start = content.index(b"tkhd") + 44  # the matrix of the track header: a quarter turn
    content[start : start + 20] = zero + one + zero + minus + zero
    path.write_bytes(content)
    with open_frames(path) as frames:
        assert (frames.height, frames.width) == (64, 48)
        np.testing.assert_array_equal(frames.read(3), np.rot90(truth[3], -1))  # as players turn it


@pytest.mark.parametrize("axes", ["TYXC", "tyxs"])
def test_axes_of_a_video(tmp_path: Path, axes: str) -> None:
    path = tmp_path / "a.mp4"
    write(path, *KINDS["b-frames.mp4"], n=3)
    assert open_frames(path, axes=axes).n_frames == 3
    with pytest.raises(FramesError, match=r"axes 'TYX' for a\.mp4 names 3 axes"):
        open_frames(path, axes="TYX")
    grey = open_frames(path, channel=1).read(2)
    np.testing.assert_array_equal(grey[..., 0], played(path)[2][..., 1])


# --- damage ---------------------------------------------------------------------------------------


def cut(path: Path, share: float) -> None:
    whole = path.read_bytes()
    path.write_bytes(whole[: int(len(whole) * share)])


def test_cut_without_an_index(tmp_path: Path) -> None:
    path = tmp_path / "a.mp4"
    write(path, *KINDS["b-frames.mp4"])
    cut(path, 0.5)
    with pytest.raises(
        FramesError, match=r"a\.mp4 cannot be read as a video, 0 frames could be read: .*cut off"
    ):
        open_frames(path)


def test_cut_with_an_index(tmp_path: Path) -> None:
    path = tmp_path / "a.mp4"
    write(path, *KINDS["b-frames.mp4"], container={"movflags": "faststart"})
    cut(path, 0.6)
    with pytest.raises(
        FramesError, match=r"a\.mp4 is cut short or damaged: \d+ of 45 frames could be read; copy"
    ):
        open_frames(path)


@pytest.mark.parametrize("kind", ["hevc.mkv", "vp9.webm"])
def test_cut_matroska(tmp_path: Path, kind: str) -> None:
    path = tmp_path / kind
    write(path, *KINDS[kind])
    cut(path, 0.6)
    with pytest.raises(FramesError, match=r"is cut short or damaged: \d+ of 4\d frames could be"):
        open_frames(path)


def test_damage_inside(tmp_path: Path) -> None:
    path = tmp_path / "a.mp4"
    write(path, *KINDS["b-frames.mp4"], container={"movflags": "faststart"})
    truth = played(path)
    content = bytearray(path.read_bytes())
    middle = len(content) // 2
    content[middle : middle + 3000] = bytes(3000)
    path.write_bytes(content)
    with open_frames(path) as frames:
        with pytest.raises(
            FramesError,
            match=r"frame \d+ of .*a\.mp4 cannot be decoded: .*, \d+ of its 45 frames",
        ):
            for t in range(45):
                frames.read(t)
        np.testing.assert_array_equal(frames.read(2), truth[2])  # what is whole stays readable


def test_no_video(tmp_path: Path) -> None:
    path = tmp_path / "a.mp4"
    path.write_bytes(b"nonsense " * 100)
    with pytest.raises(FramesError, match=r"a\.mp4 cannot be read as a video"):
        open_frames(path)
    container = av.open(str(tmp_path / "sound.mp4"), "w")
    stream = container.add_stream("aac", rate=44100)
    sound = av.AudioFrame.from_ndarray(np.zeros((1, 1024), np.float32), "fltp", "mono")
    sound.sample_rate = 44100
    container.mux(stream.encode(sound))
    container.mux(stream.encode(None))
    container.close()
    with pytest.raises(FramesError, match=r"sound\.mp4 has no pictures, only sound or text"):
        open_frames(tmp_path / "sound.mp4")


# --- real data ------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("name", "sizes"), [("bikes", (250, 272, 640)), ("carphone_pristine", (120, 144, 176))]
)
def test_real_videos(shared_data: Path, name: str, sizes: tuple[int, int, int]) -> None:
    path = shared_data / "video" / f"{name}.mp4"
    truth = played(path)
    with open_frames(path) as frames:
        assert (frames.n_frames, frames.height, frames.width) == sizes
        for t in random.Random(0).sample(range(len(truth)), 25):
            np.testing.assert_array_equal(frames.read(t), truth[t])
