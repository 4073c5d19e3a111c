"""The image that labels were drawn on, with the values of the file: for intensities."""

from __future__ import annotations

import os
from collections.abc import Callable
from contextlib import ExitStack
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from napari_sam2track.errors import FramesError
from napari_sam2track.frames import open_frames
from napari_sam2track.frames.source import Source
from napari_sam2track.labels import Closing


@dataclass(frozen=True, eq=False)
class ImageFrames(Closing):
    """A movie that is read frame by frame, of as many axes as the labels beside it.

    Use it in a ``with`` block, or `close` it, if it comes from a file.

    Attributes
    ----------
    n_frames
        Number of frames.
    frame_shape
        (Y, X) or (Z, Y, X).
    n_channels
        Number of channels.
    """

    n_frames: int
    frame_shape: tuple[int, ...]
    n_channels: int
    _load: Callable[[int], NDArray[Any]] = field(repr=False)
    _close: Callable[[], object] | None = field(default=None, repr=False)

    def read(self, t: int) -> NDArray[Any]:
        """Return frame `t`, shape (*frame_shape, channels), in the type of the file."""
        return self._load(t)


def image_of(array: Any, frame_ndim: int) -> ImageFrames:
    """Return an array (T, [Z,] Y, X), or (T, [Z,] Y, X, C), as a movie that is read lazily.

    Parameters
    ----------
    array
        The movie.
    frame_ndim
        2 for planes, 3 for volumes.

    Raises
    ------
    FramesError
        If it has another number of axes.
    """
    if array.ndim not in (frame_ndim + 1, frame_ndim + 2):
        wanted = "(T, Y, X) or (T, Y, X, C)" if frame_ndim == 2 else "(T, Z, Y, X[, C])"
        raise FramesError(
            f"an image of shape {array.shape} does not fit the labels; it is {wanted}"
        )
    channels = array.ndim == frame_ndim + 2

    def load(t: int) -> NDArray[Any]:
        frame = np.asarray(array[t])
        return frame if channels else frame[..., None]

    shape = tuple(int(n) for n in array.shape[1 : 1 + frame_ndim])
    return ImageFrames(int(array.shape[0]), shape, int(array.shape[-1]) if channels else 1, load)


def open_image(
    path: str | os.PathLike[str], frame_shape: tuple[int, ...], axes: str | None = None
) -> ImageFrames:
    """Open the image of labels: a file or folder that `frames.open_frames` reads.

    Parameters
    ----------
    path
        Of the movie.
    frame_shape
        That of the labels; a movie of volumes is read plane by plane.
    axes
        As in `frames.open_frames`.

    Raises
    ------
    FramesError
        If it cannot be read, or its frames have another size than the labels.
    """
    with ExitStack() as stack:
        planes = [open_frames(path, axes=axes, z=0 if len(frame_shape) == 3 else None).source]
        stack.callback(planes[0].close)
        if len(frame_shape) == 3:
            depth = _depth(planes[0])
            if depth != frame_shape[0]:
                raise FramesError(
                    f"the image {path} has {depth} planes, and the labels have {frame_shape[0]}; "
                    "give the image that they were drawn on"
                )
            for z in range(1, depth):
                planes.append(open_frames(path, axes=axes, z=z).source)
                stack.callback(planes[-1].close)
        first = planes[0]
        height, width = first.height, first.width
        if (height, width) != tuple(frame_shape[-2:]):
            raise FramesError(
                f"the image {path} has {width} x {height} pixels, and the labels have "
                f"{frame_shape[-1]} x {frame_shape[-2]}; give the image that they were drawn on"
            )

        def load(t: int) -> NDArray[Any]:
            frames = [plane.read_raw(t, 0, height, 0, width) for plane in planes]
            return np.stack(frames) if len(frame_shape) == 3 else frames[0]

        close = stack.pop_all().close
        return ImageFrames(first.n_frames, tuple(frame_shape), first.n_channels, load, close)


def _depth(source: Source) -> int:
    """Return the number of planes that one open plane stands for; 1 if there is no such axis."""
    layout = getattr(source, "layout", None)
    if layout is None or "Z" not in layout.axes:
        return 1
    return int(layout.shape[layout.axes.index("Z")])
