"""Opens a path or an array as Frames."""

from __future__ import annotations

import os
from pathlib import Path

from napari_sam2track.errors import FramesError
from napari_sam2track.frames import folder, tiff, video_file, zarr_store
from napari_sam2track.frames.arrays import ArrayLike, ArraySource, from_array
from napari_sam2track.frames.intensity import Intensity
from napari_sam2track.frames.mapped import map_npy
from napari_sam2track.frames.movie import Frames


def open_frames(
    movie: str | os.PathLike[str] | ArrayLike,
    axes: str | None = None,
    channel: int | str | tuple[int, ...] | list[int] | None = None,
    intensity: Intensity | str | tuple[float, float] | None = None,
    z: int | None = None,
    name: str = "array",
) -> Frames:
    """Open a movie, stack or image, without reading more than its header.

    Parameters
    ----------
    movie
        A TIFF file, a video, a folder of images, an OME-Zarr or zarr folder, a ``.npy`` file, one
        image, or an array (numpy, dask, zarr, or alike).
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

    Raises
    ------
    FramesError
        If there is no such file, it is damaged or of an unknown kind, it is empty, or its axes
        or channels do not fit.
    UsageError
        If `channel` or `intensity` are not valid.
    """
    if isinstance(movie, str | os.PathLike):
        source = _open_path(Path(movie), axes, z)
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


def _open_path(path: Path, axes: str | None, z: int | None) -> ArraySource:
    if not path.exists():
        raise FramesError(f"{path} does not exist; check the spelling and the folder")
    if path.is_dir():
        if zarr_store.is_zarr(path):
            return zarr_store.open_zarr(path, axes=axes, z=z)
        return folder.open_folder(path, axes=axes, z=z)
    if path.stat().st_size == 0:
        raise FramesError(f"{path} is an empty file; copy or export it again")
    suffix = path.suffix.lower()
    if suffix in tiff.SUFFIXES:
        return tiff.open_tiff(path, axes=axes, z=z)
    if suffix in video_file.SUFFIXES:
        return video_file.open_video(path, axes=axes, z=z)
    if suffix in folder.SUFFIXES:
        if axes is not None and not axes.strip().upper().startswith("T"):
            axes = "T" + axes.strip()  # one file is one frame
        return folder.open_images([path], name=path.name, axes=axes, z=z)
    if suffix == ".npy":
        return from_array(map_npy(path), axes=axes, z=z, name=path.name)
    raise FramesError(
        f"{path} is of a kind that is not known ({suffix or 'no suffix'}); known are folders of "
        f"images, zarr folders, .npy, {', '.join(tiff.SUFFIXES + video_file.SUFFIXES)} and "
        f"{', '.join(folder.SUFFIXES)}; export it as OME-TIFF, or open it in napari"
    )
