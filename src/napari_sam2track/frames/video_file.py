"""Videos: frame t is the t-th picture shown, found by its time stamp, not by a guess."""

from __future__ import annotations

import re
from bisect import bisect_right
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from napari_sam2track.errors import FramesError
from napari_sam2track.frames.arrays import ArraySource, from_array
from napari_sam2track.frames.pages import PagedArray

SUFFIXES = (
    *(".mp4", ".m4v", ".mov", ".avi", ".mkv", ".webm", ".mpg", ".mpeg", ".wmv", ".flv"),
    *(".ts", ".ogv", ".gif", ".h264"),
)

# Decoding forward is faster than a seek over so few frames.
_NEAR = 8
_WAY_OUT = "copy the file again, or repair it with: ffmpeg -i damaged.mp4 repaired.mp4"


@dataclass(frozen=True, slots=True)
class VideoIndex:
    """Index of the frames of a video, made without decoding.

    Attributes
    ----------
    pts
        Presentation time stamps in the order shown, in units of the stream's time base; None if
        the file has none (a bare H.264 stream), and frames have to be counted from the start.
    key_frames
        Frame numbers at which decoding can begin, ascending; the first is 0.
    n_frames
        Number of frames.
    """

    pts: tuple[int, ...] | None
    key_frames: tuple[int, ...]
    n_frames: int


def open_video(path: Path, *, axes: str | None = None, z: int | None = None) -> ArraySource:
    """Open the first video stream of a file; frames are RGB, turned upright as players do.

    Parameters
    ----------
    path
        The file.
    axes, z
        Only "TYXS" (or "TYXC") and None make sense; see `resolve_layout`.

    Raises
    ------
    FramesError
        If the file has no video, is damaged or cut short.
    """
    reader = VideoReader(path)
    try:
        first = reader.read(0)
        array = PagedArray((reader.n_frames,), first.shape, first.dtype, reader.read)
        return from_array(array, axes=axes, known="TYXS", z=z, name=path.name, close=reader.close)
    except BaseException:
        reader.close()
        raise


class VideoReader:
    """Random access to the frames of a video, at the speed of playing when read in order.

    Raises
    ------
    FramesError
        If the file has no video, is damaged or cut short.
    """

    def __init__(self, path: Path) -> None:
        self._path = path
        self._container: Any = None
        self._decoder: Iterator[Any] = iter(())
        self._next = 0  # the frame that the decoder gives next, if counted
        self._shape: tuple[int, ...] | None = None
        self._index = _index(path)
        self.n_frames = self._index.n_frames
        self._restart()

    def read(self, t: int) -> NDArray[np.uint8]:
        """Read frame `t`: shape (Y, X, 3), uint8, RGB.

        Raises
        ------
        FramesError
            If the frame is missing or damaged.
        """
        frame = self._decode(t)
        frame_yxc: NDArray[np.uint8] = frame.to_ndarray(format="rgb24")
        turns = round(getattr(frame, "rotation", 0) / 90)  # telephones film sideways and note that
        if turns:
            frame_yxc = np.ascontiguousarray(np.rot90(frame_yxc, turns))
        if self._shape is None:
            self._shape = frame_yxc.shape
        elif frame_yxc.shape != self._shape:
            raise FramesError(
                f"frame {t} of {self._path} is {frame_yxc.shape[1]} wide and "
                f"{frame_yxc.shape[0]} high, but the first is {self._shape[1]} wide and "
                f"{self._shape[0]} high; convert the video to one size with ffmpeg"
            )
        return frame_yxc

    def close(self) -> None:
        """Close the file; closing twice does no harm."""
        self._decoder = iter(())
        if self._container is not None:
            self._container.close()
            self._container = None

    def _decode(self, t: int) -> Any:
        if self._index.pts is None:
            return self._count_to(t)
        key = self._index.key_frames[bisect_right(self._index.key_frames, t) - 1]
        ahead = t - self._next
        if ahead < 0 or (ahead > _NEAR and key > self._next):
            self._seek(key)
        frame = self._advance(t)
        # Some containers seek by decoding time and land behind the frame: begin further ahead.
        while frame is None and key > 0:
            key = self._index.key_frames[bisect_right(self._index.key_frames, key - 1) - 1]
            self._seek(key)
            frame = self._advance(t)
        if frame is None:
            raise self._missing(t)
        return frame

    def _advance(self, t: int) -> Any:
        """Decode up to frame `t`; return None if the decoder is already past it, or loses it."""
        assert self._index.pts is not None
        wanted = self._index.pts[t]
        while (frame := self._next_frame(t)) is not None:
            if frame.pts is None or frame.pts < wanted:
                continue
            if frame.pts == wanted:
                self._next = t + 1
                return frame
            break
        self._next = self.n_frames  # unknown: the next read seeks
        return None

    def _count_to(self, t: int) -> Any:
        if t < self._next:
            self._restart()
        while (frame := self._next_frame(t)) is not None:
            self._next += 1
            if self._next == t + 1:
                return frame
        self._next = self.n_frames
        raise self._missing(t)

    def _next_frame(self, t: int) -> Any:
        import av

        try:
            return next(self._decoder, None)
        except (av.error.FFmpegError, OSError) as error:
            self._next = self.n_frames
            raise self._missing(t) from error

    def _seek(self, key: int) -> None:
        assert self._index.pts is not None
        if key == 0:  # exact in every container
            self._restart()
            return
        stream = self._container.streams.video[0]
        self._container.seek(self._index.pts[key], stream=stream)
        self._decoder = self._container.decode(stream)
        self._next = key

    def _restart(self) -> None:
        if self._container is not None:
            self._container.close()
        self._container = _open(self._path)
        stream = self._container.streams.video[0]
        stream.thread_type = "AUTO"
        self._decoder = self._container.decode(stream)
        self._next = 0

    def _missing(self, t: int) -> FramesError:
        return FramesError(
            f"frame {t} of {self._path} cannot be decoded: the video is damaged, "
            f"{t} of its {self.n_frames} frames could be read; {_WAY_OUT}"
        )


def _open(path: Path) -> Any:
    import av

    try:
        container = av.open(str(path))
    except (av.error.FFmpegError, OSError) as error:
        raise FramesError(
            f"{path} cannot be read as a video, 0 frames could be read: it is damaged or was cut "
            f"off while it was written ({error.strerror}); {_WAY_OUT}"
        ) from error
    if not container.streams.video:
        container.close()
        raise FramesError(f"{path} has no pictures, only sound or text; give a video")
    return container


def _index(path: Path) -> VideoIndex:
    """Index the frames of a video by demultiplexing, which reads the file once."""
    import av

    container = _open(path)
    try:
        stream = container.streams.video[0]
        declared = stream.frames
        packets = []
        end = 0
        damaged = False
        try:
            for packet in container.demux(stream):
                damaged |= packet.is_corrupt
                if packet.size:  # the last one is empty: it flushes the decoder
                    packets.append((packet.pts, packet.is_keyframe, packet.is_discard))
                    end = max(end, (packet.pts or 0) + (packet.duration or 0))
        except (av.error.FFmpegError, OSError):
            damaged = True
        # VP8 has packets that are never shown, AVI stores no stamps and FFmpeg's guesses are
        # wrong where pictures are stored out of order: such pictures are counted.
        reordered = stream.codec_context.has_b_frames and container.format.name == "avi"
        stamped = not reordered and stream.codec_context.name != "vp8"
        missing_s = _tagged_duration(stream.metadata) - end * float(stream.time_base)
        average_s = end * float(stream.time_base) / max(1, len(packets))
    finally:
        container.close()

    n_read = len(packets)
    if average_s and missing_s > 3 * average_s:  # Matroska says how long it is, not how many
        declared = n_read + round(missing_s / average_s)
        damaged = False
    if damaged or n_read < declared:
        of = f" of {declared}" if declared else ""
        raise FramesError(
            f"{path} is cut short or damaged: {max(0, n_read - damaged)}{of} frames could be read; "
            f"{_WAY_OUT}"
        )
    shown = [(pts, key) for pts, key, discard in packets if not discard]
    if not shown:
        raise FramesError(f"{path} has no frames, 0 could be read; {_WAY_OUT}")
    stamps = [pts for pts, _ in shown]
    if not stamped or None in stamps or len(set(stamps)) < len(stamps):
        return _counted(path)
    ordered = sorted(shown)
    keys = [t for t, (_, key) in enumerate(ordered) if key]
    return VideoIndex(tuple(pts for pts, _ in ordered), tuple(sorted({0, *keys})), len(ordered))


def _tagged_duration(tags: dict[str, str]) -> float:
    """Return seconds in the DURATION tag of Matroska and WebM ("00:01:02.5"); 0 without one."""
    match = re.fullmatch(r"(\d+):(\d\d):(\d\d(?:\.\d+)?)", tags.get("DURATION", ""))
    return 0.0 if match is None else int(match[1]) * 3600 + int(match[2]) * 60 + float(match[3])


def _counted(path: Path) -> VideoIndex:
    import av

    container = _open(path)
    n_frames = 0
    try:
        for _ in container.decode(video=0):
            n_frames += 1
    except (av.error.FFmpegError, OSError) as error:
        raise FramesError(
            f"{path} is cut short or damaged: {n_frames} frames could be read; {_WAY_OUT}"
        ) from error
    finally:
        container.close()
    if n_frames == 0:
        raise FramesError(f"{path} has no frames, 0 could be read; {_WAY_OUT}")
    return VideoIndex(None, (0,), n_frames)
