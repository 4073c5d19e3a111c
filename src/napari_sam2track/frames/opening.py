"""Opens a path or an array as Frames."""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING

from napari_sam2track.errors import FramesError
from napari_sam2track.frames.arrays import ArrayLike, ArraySource, from_array
from napari_sam2track.frames.containers import open_container
from napari_sam2track.frames.intensity import Intensity
from napari_sam2track.frames.movie import Frames
from napari_sam2track.frames.stored_array import ReadRequest

if TYPE_CHECKING:
    from napari_sam2track.params import FramesParams


def open_frames(
    movie: str | os.PathLike[str] | ArrayLike,
    axes: str | None = None,
    channel: int | str | tuple[int, ...] | list[int] | None = None,
    intensity: Intensity | str | tuple[float, float] | None = None,
    z: int | None = None,
    name: str = "array",
    *,
    series: str | None = None,
    allow_truncated: bool = False,
) -> Frames:
    """Open a movie, stack or image, without reading more than its header.

    Parameters
    ----------
    movie
        A TIFF file, a video, a folder of images or stacks, an OME-Zarr or zarr folder, a ``.npy``
        or ``.npz`` file, one image, or an array (numpy, dask, zarr, or alike).
    axes
        One letter per axis out of T, Z, Y, X, C and S, such as "TCYX"; None takes them from the
        file, or guesses (see `resolve_layout`).
    channel
        None, one channel (shown in grey), or up to three for red, green, blue, such as "2,0".
    intensity
        None, "low,high" in pixel values, or percentiles as "p0.1,p99.9"; one window for the
        whole movie. By default 8-bit data stay as they are and others run from percentile 0.1
        to 99.9.
    z
        Plane of a stack over time.
    name
        Name of an array in messages; files have names of their own.
    series
        Number or name of the image in a file of several; the first by default.
    allow_truncated
        Use the whole frames of a file that was cut short.

    Raises
    ------
    FramesError
        If there is no such file, it is damaged or of an unknown kind, it is empty, or its axes
        or channels do not fit.
    UsageError
        If `channel` or `intensity` are not valid.
    """
    if isinstance(movie, str | os.PathLike):
        request = ReadRequest(axes=axes, series=series, allow_truncated=allow_truncated)
        source = _open_path(Path(movie), request, z)
    elif isinstance(movie, ArrayLike):
        source = from_array(movie, axes=axes, z=z, name=name)
    else:
        raise FramesError(
            f"a movie of type {type(movie).__name__} cannot be read; give a path or an array "
            "(something with shape, dtype and slices)"
        )
    try:
        return Frames(source, channel=channel, intensity=intensity)
    except BaseException:
        source.close()
        raise


def open_movie(
    movie: str | os.PathLike[str] | ArrayLike, params: FramesParams, name: str = "array"
) -> Frames:
    """Open a movie with the choices of a person; see `open_frames`."""
    return open_frames(
        movie,
        params.axes,
        params.channel,
        params.intensity,
        params.z,
        name,
        series=params.series,
        allow_truncated=params.allow_truncated,
    )


def _open_path(path: Path, request: ReadRequest, z: int | None) -> ArraySource:
    stored = open_container(path, request)
    axes = None if stored.settled or request.axes is None else request.axes.strip()
    known = stored.axes or ""
    if axes and "T" not in axes.upper() and known[:1] == "T" and len(axes) == len(known) - 1:
        axes = "T" + axes  # of one picture, which is one frame
    try:
        return from_array(
            stored.array,
            axes=axes,
            known=stored.axes,
            z=z,
            name=stored.name,
            close=stored.close,
            notes=stored.notes,
        )
    except BaseException:
        stored.close()
        raise
