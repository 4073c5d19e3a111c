"""Result videos: H.264 in MP4, written frame by frame (write only)."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from fractions import Fraction
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from napari_sam2track.errors import OutputError
from napari_sam2track.storage.output import atomic_path

#: Longest side of a video in pixels: decoders for H.264 show no more, and x264 ends at 16,384.
LONGEST = 8192


@contextmanager
def video_writer(
    path: Path, fps: float = 10.0, overwrite: bool = False
) -> Iterator[Callable[[NDArray[np.uint8]], None]]:
    """Write RGB frames as a video that players and browsers show.

    Parameters
    ----------
    path
        ``.mp4``.
    fps
        Frames per second.

    Yields
    ------
    Callable
        Adds a frame, (Y, X, 3) uint8, all of one size; longer ones than `LONGEST` are made
        smaller. An odd last row or column is repeated, since the format wants even sizes.

    Raises
    ------
    OutputError
        If it exists, there are no frames, or it cannot be written.
    """
    import av

    with atomic_path(path, overwrite) as temporary:
        try:
            # Without "file:", what stands before a colon in a name is taken for a protocol.
            with av.open(f"file:{temporary}", "w", format="mp4") as container:
                stream: av.VideoStream | None = None

                def add(frame_yxc: NDArray[np.uint8]) -> None:
                    nonlocal stream
                    shown = _small_enough(frame_yxc)
                    h, w = shown.shape[:2]
                    even = np.pad(shown, ((0, h % 2), (0, w % 2), (0, 0)), mode="edge")
                    if stream is None:
                        rate = Fraction(fps).limit_denominator(1001)
                        stream = container.add_stream("libx264", rate=rate)
                        stream.height, stream.width = even.shape[:2]
                        stream.pix_fmt = "yuv420p"
                        stream.options = {"crf": "20", "preset": "veryfast"}
                        stream.thread_count = 1
                    picture = av.VideoFrame.from_ndarray(even, format="rgb24")
                    container.mux(stream.encode(picture))

                yield add
                if stream is None:
                    raise OutputError(f"cannot write {path}: there are no frames for a video")
                container.mux(stream.encode())
        except av.FFmpegError as error:
            raise OutputError(
                f"cannot write {path}: {error.strerror or error}; free some space or choose "
                "another place"
            ) from error


def _small_enough(frame_yxc: NDArray[np.uint8]) -> NDArray[np.uint8]:
    h, w = frame_yxc.shape[:2]
    if max(h, w) <= LONGEST:
        return frame_yxc
    from PIL import Image

    scale = LONGEST / max(h, w)
    size = max(round(w * scale), 1), max(round(h * scale), 1)
    return np.asarray(Image.fromarray(frame_yxc).resize(size, Image.Resampling.BILINEAR))
