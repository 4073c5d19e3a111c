"""Pictures that Pillow reads: PNG, JPEG, BMP and others; in their own type, turned upright."""

from __future__ import annotations

import threading
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from napari_sam2track.errors import FramesError
from napari_sam2track.frames.pages import PagedArray
from napari_sam2track.frames.stored_array import ReadRequest, StoredArray
from napari_sam2track.parsing.bounds import require_memory
from napari_sam2track.parsing.guard import parsing

SUFFIXES = (".png", ".jpg", ".jpeg", ".bmp", ".webp", ".ppm", ".pgm", ".pnm", ".jp2")

#: Pillow's modes whose pixels are what they seem; the others become RGB or grey.
_PLAIN_MODES = {"L", "RGB", "RGBA", "I", "F", "I;16", "I;16B", "I;16L", "LA"}

#: Pillow's names of the kinds of picture that hold one whole number a pixel.
_INDEX_MODES = ("1", "L", "P", "I", "I;16", "I;16B", "I;16L")

#: EXIF's tag of the orientation, and its values that swap rows and columns.
_ORIENTATION, _SIDEWAYS = 0x0112, (5, 6, 7, 8)

#: Formats of cameras, which store pictures as the sensor lies.
_TURNED = ("JPEG", "MPO", "WEBP")

#: Most bytes of pixels that a byte of a packed file can hold: deflate's bound.
_MOST_PACKED = 1032

_LIMIT = threading.Lock()


@dataclass(frozen=True, slots=True)
class ImageHeader:
    """What a picture's header says: shape of its pixels, their type, and letters of its axes."""

    shape: tuple[int, ...]
    dtype: np.dtype[Any]
    axes: str


@contextmanager
def opened_image(path: Path) -> Iterator[Any]:
    """Yield a picture of Pillow's, of any size that there is memory for.

    Raises
    ------
    FramesError
        If it is no picture, or larger than memory or its own file allow.
    """
    from PIL import Image

    with parsing(path, "an image", FramesError), warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of odd metadata, which do not matter here
        with _LIMIT:  # Pillow refuses mosaics as "bombs"; the bounds here are memory and the file
            most, Image.MAX_IMAGE_PIXELS = Image.MAX_IMAGE_PIXELS, None
            try:
                image = Image.open(path)
            finally:
                Image.MAX_IMAGE_PIXELS = most
        with image:
            n_bytes = image.width * image.height * len(image.getbands())
            n_bytes *= 4 if image.mode in ("I", "F") else 2 if image.mode[:4] == "I;16" else 1
            if image.format == "PNG" and n_bytes > 8 * _MOST_PACKED * path.stat().st_size:
                raise FramesError(
                    f"{path} is damaged: it says {image.width} x {image.height} pixels, and is too "
                    "small a file for them; copy or export it again"
                )
            size = f"{path} ({image.width} x {image.height} pixels)"
            require_memory(2 * n_bytes, size, FramesError)
            yield image


def image_header(path: Path) -> ImageHeader:
    """Return what the header of a picture says, without reading its pixels.

    Raises
    ------
    FramesError
        As `opened_image`.
    """
    with opened_image(path) as image:
        mode = _mode(image)
        height, width = image.height, image.width
        # Of a PNG, the tag may stand behind the pixels: it would have to be read whole.
        if image.format in _TURNED and image.getexif().get(_ORIENTATION) in _SIDEWAYS:
            height, width = width, height
    bands = {"RGB": 3, "RGBA": 4, "LA": 2}.get(mode)
    dtype = {"I": "<i4", "F": "<f4", "I;16": "<u2", "I;16L": "<u2", "I;16B": ">u2"}.get(mode, "u1")
    if bands is None:
        return ImageHeader((height, width), np.dtype(dtype), "YX")
    return ImageHeader((height, width, bands), np.dtype(dtype), "YXS")


def n_pictures(path: Path) -> int:
    """Return how many pictures a file holds: an animation, or the two of a stereo camera.

    Raises
    ------
    FramesError
        As `opened_image`.
    """
    with opened_image(path) as image:
        return int(getattr(image, "n_frames", 1))


def image_pixels(path: Path, like: tuple[int, ...] | None = None) -> NDArray[Any]:
    """Read a picture, turned upright as its EXIF says.

    Parameters
    ----------
    path
        The file.
    like
        Shape of the other pictures of a movie; among coloured ones a grey one becomes coloured.

    Returns
    -------
    Shape (Y, X), or (Y, X, samples).

    Raises
    ------
    FramesError
        As `opened_image`, or if it is damaged.
    """
    from PIL import ImageOps

    with opened_image(path) as image:
        mode = _mode(image)
        if like is not None and like[2:] == (3,) and mode in ("L", "RGBA"):
            mode = "RGB"  # a grey picture among coloured ones
        upright = ImageOps.exif_transpose(image) if image.format in _TURNED else image
        return np.asarray(upright if mode == upright.mode else upright.convert(mode))


def fits_among(header: ImageHeader, first: ImageHeader) -> bool:
    """Return whether a picture can be a frame of a movie that begins with another."""
    if header.shape[:2] != first.shape[:2] or header.dtype != first.dtype:
        return False
    grey_or_alpha = header.shape[2:] in ((), (4,)) and header.dtype == np.uint8
    return header.shape == first.shape or (first.shape[2:] == (3,) and grey_or_alpha)


def read_label_image(path: Path, request: ReadRequest) -> StoredArray:
    """Open a picture of labels; one with a palette gives its indices.

    Raises
    ------
    FramesError
        If it is no picture, or in colours.
    """
    if path.suffix.lower() in (".jpg", ".jpeg", ".webp"):
        raise FramesError(
            f"{path} is a JPEG or WebP, which changes values when it is saved, so it cannot hold "
            "labels; save the masks as TIFF or PNG"
        )
    with opened_image(path) as image:
        mode, shape = image.mode, (image.height, image.width)
    if mode not in _INDEX_MODES:
        raise FramesError(
            f"{path} is a colour image ({mode}), in which labels cannot be told apart from a "
            "picture of them; save the label values as 8 or 16 bit, or with a palette"
        )

    def read_page(_: int) -> NDArray[Any]:
        with opened_image(path) as image:
            return np.asarray(image)

    array = PagedArray((), shape, np.dtype(np.uint32), read_page, keep=0)
    return StoredArray(array, str(path), "YX", frame_name=lambda _: str(path))


def _mode(image: Any) -> str:
    """Return the mode that a picture is read in."""
    mode = str(image.mode)
    if mode == "1":
        return "L"
    if mode in _PLAIN_MODES:
        return mode
    return "RGBA" if "transparency" in image.info else "RGB"  # palettes, CMYK, YCbCr
