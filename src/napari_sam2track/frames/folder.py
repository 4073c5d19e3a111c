"""A folder of images as a movie, in the order in which people number files."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from napari_sam2track.errors import FramesError
from napari_sam2track.frames import tiff
from napari_sam2track.frames.arrays import ArraySource, from_array, reading
from napari_sam2track.frames.pages import PagedArray

SUFFIXES = (".png", ".jpg", ".jpeg", ".bmp", ".webp", ".ppm", ".pgm", ".pnm", ".jp2")

# Pillow's modes whose pixels are what they seem; the others become RGB or grey.
_PLAIN_MODES = {"L", "RGB", "RGBA", "I", "F", "I;16", "I;16B", "I;16L", "LA"}


def open_folder(path: Path, *, axes: str | None = None, z: int | None = None) -> ArraySource:
    """Open a folder of images of one size (PNG, JPEG, TIFF, BMP, ...) as a movie.

    Parameters
    ----------
    path
        The folder; hidden files and other kinds of files are ignored.
    axes, z
        See `resolve_layout`; `axes` counts the files as first axis, as in "TYX".

    Raises
    ------
    FramesError
        If there is no image, one cannot be read, or one has another size than the first.
    """
    files = image_files(path, SUFFIXES + tiff.SUFFIXES)
    if not files:
        raise FramesError(f"{path} has no images; known are {', '.join(SUFFIXES + tiff.SUFFIXES)}")
    return open_images(files, name=path.name, axes=axes, z=z)


def image_files(folder: Path, suffixes: tuple[str, ...]) -> list[Path]:
    """Return files with these suffixes that are not hidden, in the order of their numbers."""
    from natsort import natsorted

    files = (
        file
        for file in folder.iterdir()
        if file.suffix.lower() in suffixes and not file.name.startswith(".") and file.is_file()
    )
    return natsorted(files, key=lambda file: file.name)


def open_images(
    files: list[Path], *, name: str, axes: str | None = None, z: int | None = None
) -> ArraySource:
    """Open image files of one size as the frames of a movie, in the order given.

    Headers are read now, so that a picture of another size is found before hours of work.

    Raises
    ------
    FramesError
        As `open_folder`.
    """
    first, letters = _read(files[0])
    size = _header_size(files[0])
    for file in files[1:]:
        other = _header_size(file)
        if other != size:
            raise FramesError(
                f"{file} is {other[1]} wide and {other[0]} high, but {files[0].name} is {size[1]} "
                f"wide and {size[0]} high; all images of a movie need one size"
            )

    def read_page(number: int) -> NDArray[Any]:
        image, _ = _read(files[number], like=first.shape)
        if image.shape != first.shape or image.dtype != first.dtype:
            raise FramesError(
                f"{files[number]} has shape {image.shape} and type {image.dtype}, but "
                f"{files[0].name} has {first.shape} and {first.dtype}; "
                "all images of a movie need the same"
            )
        return image

    array = PagedArray((len(files),), first.shape, first.dtype, read_page)
    return from_array(array, axes=axes, known="T" + letters, z=z, name=name)


def _header_size(file: Path) -> tuple[int, int]:
    """Return (height, width) from the header alone."""
    from PIL import Image

    with reading(file, "an image"):
        if file.suffix.lower() in tiff.SUFFIXES:
            import tifffile

            with tifffile.TiffFile(file) as opened:
                page = opened.pages.first
                return int(page.imagelength), int(page.imagewidth)
        with Image.open(file) as image:
            return image.height, image.width


def _read(file: Path, like: tuple[int, ...] | None = None) -> tuple[NDArray[Any], str]:
    """Read one image in its own type, and its axes; `like` is the shape of the others."""
    from PIL import Image

    with reading(file, "an image"):
        if file.suffix.lower() in tiff.SUFFIXES:
            import tifffile

            with tifffile.TiffFile(file) as opened:
                tiff.require_all_pages(opened, file)
                series = opened.series[0]
                return series.asarray(maxworkers=1), series.axes
        with Image.open(file) as image:
            mode = image.mode
            if mode == "1":
                mode = "L"
            elif mode not in _PLAIN_MODES:  # palettes, CMYK, YCbCr
                mode = "RGBA" if "transparency" in image.info else "RGB"
            if like is not None and like[2:] == (3,) and mode in ("L", "RGBA"):
                mode = "RGB"  # a grey picture among coloured ones
            image_yxc = np.asarray(image if mode == image.mode else image.convert(mode))
    return image_yxc, "YX" if image_yxc.ndim == 2 else "YXS"
