"""Index of the frames of a video, made without decoding: which picture is shown when."""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from napari_sam2track.errors import FramesError
from napari_sam2track.frames.stored_array import ReadRequest, chosen_image, use_whole
from napari_sam2track.parsing.guard import reason_of

WAY_OUT = "copy the file again, or repair it with: ffmpeg -i damaged.mp4 repaired.mp4"

#: FFmpeg's readers of lists, text and devices, which are no videos and may open other files.
_NO_VIDEOS = frozenset(
    {"hls", "concat", "sdp", "dash", "rtsp", "tty", "image2", "lavfi", "imf", "webvtt", "srt"}
)


@dataclass(frozen=True, slots=True)
class VideoIndex:
    """Index of the frames of a video.

    Attributes
    ----------
    stream
        Number of the stream of pictures in the file.
    pts
        Presentation time stamps in the order shown, in units of the stream's time base; None if
        the file has none (a bare H.264 stream), and frames have to be counted from the start.
    key_frames
        Frame numbers at which decoding can begin, ascending; the first is 0.
    n_frames
        Number of frames.
    begins_late
        True if the file begins between two key frames: what comes before the first one cannot be
        decoded.
    notes
        What is not used, and what was chosen by default.
    """

    stream: int
    pts: tuple[int, ...] | None
    key_frames: tuple[int, ...]
    n_frames: int
    begins_late: bool = False
    notes: tuple[str, ...] = ()


def open_video_file(path: Path) -> Any:
    """Open a file with FFmpeg; the caller closes it.

    Raises
    ------
    FramesError
        If it is no video, or damaged beyond opening.
    """
    import av

    try:
        # Without "file:", what stands before a colon in a name is taken for a protocol.
        container = av.open(f"file:{path}", metadata_errors="replace")
    except (av.error.FFmpegError, OSError, ValueError) as error:
        reason = getattr(error, "strerror", None) or reason_of(error)
        raise FramesError(
            f"{path} cannot be read as a video, 0 frames could be read: it is damaged or was cut "
            f"off while it was written ({reason}); {WAY_OUT}"
        ) from error
    listed = set(container.format.name.split(",")) & _NO_VIDEOS
    if listed:
        container.close()
        raise FramesError(
            f"{path} cannot be read as a video: its content is a list or text ({listed.pop()}), "
            "not pictures; give the video itself"
        )
    if not container.streams.video:
        container.close()
        raise FramesError(f"{path} has no pictures, only sound or text; give a video")
    return container


def is_video(path: Path) -> bool:
    """Return whether FFmpeg decodes a picture of a file, whatever its name is."""
    import av

    try:
        container = open_video_file(path)
    except FramesError:
        return False
    try:
        return next(container.decode(container.streams.best("video")), None) is not None
    except (av.error.FFmpegError, OSError, ValueError):
        return False
    finally:
        container.close()


def index_video(path: Path, request: ReadRequest) -> VideoIndex:
    """Index the frames of a video by demultiplexing, which reads the file once.

    Raises
    ------
    FramesError
        If the file has no video, or it is damaged or cut short and that was not allowed.
    """
    container = open_video_file(path)
    try:
        stream, notes = _stream(container, path, request)
        number = int(stream.index)
        packets, found = _packets(container, stream)
    finally:
        container.close()
    n_early = next((k for k, packet in enumerate(packets) if packet[1]), 0)
    if n_early:
        notes.append(
            f"it begins between two key frames, so its first {n_early} pictures are left out"
        )
        first = packets[n_early][0]
        packets = [p for p in packets[n_early:] if _not_before(p[0], first)]
        found = _Found(found.stamped, 0, found.damaged, found.missing_s, found.average_s)
    declared, damaged, n_read = found.declared, found.damaged, len(packets)
    if found.average_s and found.missing_s > 3 * found.average_s:
        declared = n_read + round(found.missing_s / found.average_s)  # Matroska says how long it is
        damaged = False
    if damaged or n_read < declared:
        whole = max(0, n_read - damaged)
        _check_whole(path, whole, declared, request)
        packets = packets[:whole]
        of = f" of {declared}" if declared else ""
        notes.append(f"it is cut short: the first {whole}{of} frames are used")
    shown = [(pts, key) for pts, key, discard in packets if not discard]
    if not shown:
        raise FramesError(f"{path} has no frames, 0 could be read; {WAY_OUT}")
    ordered = sorted((pts, key) for pts, key in shown if pts is not None)
    if not found.stamped or len({pts for pts, _ in ordered}) < len(shown):
        return _counted(path, number, bool(n_early), notes)
    keys = {t for t, (_, key) in enumerate(ordered) if key}
    return VideoIndex(
        number,
        tuple(pts for pts, _ in ordered),
        tuple(sorted({0, *keys})),
        len(ordered),
        bool(n_early),
        tuple(notes),
    )


def _not_before(stamp: int | None, first: int | None) -> bool:
    """Return whether a picture is shown no earlier than another, as far as both have stamps."""
    return stamp is None or first is None or stamp >= first


@dataclass(frozen=True, slots=True)
class _Found:
    """What a file says of its stream: frames declared, damage, and seconds that are missing."""

    stamped: bool
    declared: int
    damaged: bool
    missing_s: float
    average_s: float


def _stream(container: Any, path: Path, request: ReadRequest) -> tuple[Any, list[str]]:
    """Return the stream of pictures that is meant: never a cover, by default what players show."""
    from av.stream import Disposition

    streams = [s for s in container.streams.video if not s.disposition & Disposition.attached_pic]
    streams = streams or list(container.streams.video)
    best = container.streams.best("video")
    if request.series is None:
        # A picture that is not marked as a cover is one all the same.
        streams = [s for s in streams if s is best or (s.frames != 1 and s.codec.name != "mjpeg")]
    names = [f"{s.codec.name}, {s.width} x {s.height}" for s in streams]
    default = next((k for k, s in enumerate(streams) if s.index == best.index), 0)
    k, notes = chosen_image(names, request.series, path, default, kind="videos")
    return streams[k], list(notes)


def _packets(container: Any, stream: Any) -> tuple[list[tuple[int | None, bool, bool]], _Found]:
    """Return (time stamp, key frame, not shown) of each packet, and what the file says of them."""
    import av

    declared = stream.frames
    packets: list[tuple[int | None, bool, bool]] = []
    end, damaged, begun = 0, False, False
    try:
        for packet in container.demux(stream):
            begun |= bool(packet.is_keyframe)
            damaged |= begun and bool(packet.is_corrupt)
            if packet.size:  # the last one is empty: it flushes the decoder
                packets.append((packet.pts, packet.is_keyframe, packet.is_discard))
                end = max(end, (packet.pts or 0) + (packet.duration or 0))
    except (av.error.FFmpegError, OSError, ValueError):
        damaged = True
    # VP8 has packets that are never shown, AVI stores no stamps and FFmpeg's guesses are
    # wrong where pictures are stored out of order: such pictures are counted.
    context = stream.codec_context
    reordered = getattr(context, "has_b_frames", False) and container.format.name == "avi"
    stamped = not reordered and stream.codec.name != "vp8"
    base = float(stream.time_base or 0)
    missing_s = _tagged_duration(stream.metadata) - end * base
    return packets, _Found(stamped, declared, damaged, missing_s, end * base / max(1, len(packets)))


def _check_whole(path: Path, whole: int, declared: int, request: ReadRequest) -> None:
    """Refuse a video that was cut short, unless that was allowed."""
    if request.allow_truncated and whole:
        return
    of = f" of {declared}" if declared else ""
    use = f"; or use these with {use_whole(whole, request)}" if whole else ""
    raise FramesError(
        f"{path} is cut short or damaged: {whole}{of} frames could be read; {WAY_OUT}{use}"
    )


def _tagged_duration(tags: dict[str, str]) -> float:
    """Return seconds in the DURATION tag of Matroska and WebM ("00:01:02.5"); 0 without one."""
    match = re.fullmatch(r"(\d+):(\d\d):(\d\d(?:\.\d+)?)", tags.get("DURATION", ""))
    return 0.0 if match is None else int(match[1]) * 3600 + int(match[2]) * 60 + float(match[3])


def stream_of(container: Any, number: int) -> Any:
    """Return the stream of pictures of a number; others in the file may not be listed."""
    return next(stream for stream in container.streams.video if stream.index == number)


def decoded(container: Any, stream: Any, from_key: bool) -> Any:
    """Yield the pictures of a stream; `from_key` leaves out what comes before a key frame."""
    if not from_key:
        yield from container.decode(stream)
        return
    begun = False
    for packet in container.demux(stream):
        begun |= bool(packet.is_keyframe)
        if begun:
            yield from packet.decode()


def _counted(path: Path, number: int, begins_late: bool, notes: list[str]) -> VideoIndex:
    """Index a video without time stamps by decoding all of it."""
    import av

    container = open_video_file(path)
    n_frames = 0
    try:
        for _ in decoded(container, stream_of(container, number), begins_late):
            n_frames += 1
    except (av.error.FFmpegError, OSError) as error:
        raise FramesError(
            f"{path} is cut short or damaged: {n_frames} frames could be read; {WAY_OUT}"
        ) from error
    finally:
        container.close()
    if n_frames == 0:
        raise FramesError(f"{path} has no frames, 0 could be read; {WAY_OUT}")
    return VideoIndex(number, None, (0,), n_frames, begins_late, tuple(notes))
