"""Videos: frame t is the t-th picture shown, found by its time stamp, not by a guess."""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from napari_sam2track.errors import FramesError
from napari_sam2track.frames.pages import PagedArray
from napari_sam2track.frames.stored_array import ReadRequest, StoredArray
from napari_sam2track.frames.video_index import (
    WAY_OUT,
    decoded,
    index_video,
    open_video_file,
    stream_of,
)
from napari_sam2track.parsing.guard import parsing

#: Usual suffixes; other names are videos if FFmpeg decodes them.
SUFFIXES = (
    *(".mp4", ".m4v", ".mov", ".avi", ".mkv", ".webm", ".mpg", ".mpeg", ".wmv", ".flv"),
    *(".ts", ".mts", ".m2ts", ".3gp", ".mxf", ".ogv", ".gif", ".h264", ".asf", ".vob"),
)

# Decoding forward is faster than a seek over so few frames.
_NEAR = 8


def read_video(path: Path, request: ReadRequest) -> StoredArray:
    """Open the video of a file that players show; frames are turned upright as players do.

    Frames are RGB; grey ones of more than 8 bits, and colours of 16 bits, keep their values.

    Raises
    ------
    FramesError
        If the file has no video, or is damaged or cut short.
    """
    with parsing(path, "a video", FramesError, WAY_OUT):
        reader = VideoReader(path, request)
        try:
            first = reader.read(0)
        except BaseException:
            reader.close()
            raise
    array = PagedArray((reader.n_frames,), first.shape, first.dtype, reader.read)
    axes = "TYX" if first.ndim == 2 else "TYXS"
    return StoredArray(array, path.name, axes, reader.notes, _close=reader.close)


class VideoReader:
    """Random access to the frames of a video, at the speed of playing when read in order.

    Raises
    ------
    FramesError
        If the file has no video, is damaged or cut short.
    """

    def __init__(self, path: Path, request: ReadRequest | None = None) -> None:
        self._path = path
        self._container: Any = None
        self._decoder: Iterator[Any] = iter(())
        self._next = 0  # the frame that the decoder gives next, if counted
        self._shape: tuple[int, ...] | None = None
        self._index = index_video(path, request or ReadRequest())
        self.n_frames = self._index.n_frames
        self._format = "rgb24"
        self._restart()
        pixels = self._stream().codec_context.format
        self._format, depth_note = _kept_format(pixels)
        self.notes = (*self._index.notes, *depth_note)

    def read(self, t: int) -> NDArray[Any]:
        """Read frame `t`: shape (Y, X, 3), RGB, uint8 or uint16; (Y, X), uint16 if deep grey.

        Raises
        ------
        FramesError
            If the frame is missing or damaged.
        """
        frame = self._decode(t)
        frame_yxc = _pixels(frame, self._format)
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
        stream = self._stream()
        self._container.seek(self._index.pts[key], stream=stream)
        self._decoder = self._container.decode(stream)
        self._next = key

    def _restart(self) -> None:
        if self._container is not None:
            self._container.close()
        self._container = open_video_file(self._path)
        stream = self._stream()
        stream.thread_type = "AUTO"
        self._decoder = decoded(self._container, stream, self._index.begins_late)
        self._next = 0

    def _stream(self) -> Any:
        return stream_of(self._container, self._index.stream)

    def _missing(self, t: int) -> FramesError:
        return FramesError(
            f"frame {t} of {self._path} cannot be decoded: the video is damaged, "
            f"{t} of its {self.n_frames} frames could be read; {WAY_OUT}"
        )


def _kept_format(pixels: Any) -> tuple[str, tuple[str, ...]]:
    """Return the format to read frames in that keeps their depth, and a note if it does not."""
    if pixels is None:
        return "rgb24", ()
    bits = max((component.bits for component in pixels.components), default=8)
    if bits <= 8:
        return "rgb24", ()
    if pixels.name.startswith("gray") and bits <= 16:
        return str(pixels.name), ()
    if pixels.is_rgb and bits <= 16:
        return "rgb48le", ()
    return "rgb24", (f"its {bits} bits a channel ({pixels.name}) are read as 8",)


def _pixels(frame: Any, wanted: str) -> NDArray[Any]:
    """Return the pixels of a frame: grey as it is stored, colours as RGB."""
    if not wanted.startswith("gray"):
        pixels: NDArray[Any] = frame.to_ndarray(format=wanted)
        return pixels.astype(pixels.dtype.newbyteorder("="), copy=False)
    plane = frame.planes[0]
    stored = np.dtype(">u2" if frame.format.name.endswith("be") else "<u2")
    rows = np.frombuffer(plane, stored).reshape(plane.height, -1)
    return rows[:, : plane.width].astype(np.uint16)
