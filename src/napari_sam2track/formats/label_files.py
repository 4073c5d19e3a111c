"""Label images in TIFF and PNG files, and in folders of them."""

from __future__ import annotations

import functools
import itertools
import re
import struct
import weakref
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from napari_sam2track.errors import FormatError
from napari_sam2track.formats.labels import LabelStack, counted, size_text

_SUFFIXES = (".tif", ".tiff", ".png")
_LAST_DIGITS = re.compile(r"(\d+)\D*$")

#: Pillow's names of the kinds of PNG that hold one whole number a pixel.
_INDEX_MODES = ("1", "L", "P", "I", "I;16", "I;16B", "I;16L")


def open_tiff(path: Path) -> LabelStack:
    """Open a TIFF; each page, or each step along its first axis, is a frame.

    Raises
    ------
    FormatError
        If it is not a TIFF, has colours, several channels or a depth beside time, or pages of
        different sizes.
    """
    import tifffile

    try:
        file = tifffile.TiffFile(path)
    except (tifffile.TiffFileError, OSError, ValueError, struct.error) as error:
        raise FormatError(f"{path} cannot be read as a TIFF: {error}") from error
    try:
        n_frames, (height, width), load = _tiff_frames(file, path)
    except FormatError:
        file.close()
        raise
    except Exception as error:  # a damaged header can break anything
        file.close()
        raise FormatError(f"{path} cannot be read as a TIFF: {error}") from error
    numbers, names = counted(n_frames, path.name)
    read = _explained(load, names)
    stack = LabelStack(str(path), n_frames, (height, width), numbers, names, read, file.close)
    weakref.finalize(stack, file.close)  # for those who do not close it
    return stack


def open_png(path: Path) -> LabelStack:
    """Open a PNG as a movie of one frame.

    Raises
    ------
    FormatError
        If it is not a PNG, or a colour image.
    """
    return _files([path], (0,), str(path))


def open_folder(folder: Path) -> LabelStack:
    """Open a folder with one file a frame.

    Frames are in the order of the last group of digits in the names. Files named
    ``man_track*`` or ``mask*`` (Cell Tracking Challenge) are taken before others; files that
    are not TIFF or PNG are ignored.

    Raises
    ------
    FormatError
        If there are no images, numbers are missing or there twice, or sizes differ.
    """
    images = [
        p
        for p in folder.iterdir()
        if p.suffix.lower() in _SUFFIXES and not p.name.startswith(".") and p.is_file()
    ]
    for prefix in ("man_track", "mask"):
        images = [p for p in images if p.name.startswith(prefix)] or images
    if not images:
        raise FormatError(
            f"the folder {folder} holds no TIFF or PNG files; give the folder with the masks, "
            "one file a frame"
        )
    if len(images) == 1:
        path = images[0]
        return open_png(path) if path.suffix.lower() == ".png" else open_tiff(path)
    numbered = _number(images, folder)
    return _files([p for _, p in numbered], tuple(n for n, _ in numbered), str(folder))


def _number(images: Iterable[Path], folder: Path) -> list[tuple[int, Path]]:
    """Files with their frame numbers, in order; they must be consecutive."""
    from natsort import natsorted

    by_number: dict[int, Path] = {}
    for path in natsorted(images, key=lambda p: p.name):
        digits = _LAST_DIGITS.search(path.stem)
        if digits is None:
            raise FormatError(
                f"{path} has no frame number in its name, among others in {folder}; name the "
                "files like mask_0001.tif"
            )
        number = int(digits[1])
        if number in by_number:
            raise FormatError(
                f"{by_number[number].name} and {path.name} in {folder} are both frame {number}; "
                "keep one series of masks in a folder"
            )
        by_number[number] = path
    numbers = sorted(by_number)
    missing = numbers[-1] - numbers[0] + 1 - len(numbers)
    if missing:
        raise FormatError(
            f"{folder} has frames {numbers[0]} to {numbers[-1]}, but {_listed(numbers)} "
            f"{'is' if missing == 1 else 'are'} missing; put them there (empty images if there "
            "is nothing to see), or number the files without gaps"
        )
    return [(n, by_number[n]) for n in numbers]


def _listed(numbers: list[int], most: int = 10) -> str:
    """The numbers that a sorted list leaves out, as text."""
    gaps: list[int] = []
    total = numbers[-1] - numbers[0] + 1 - len(numbers)
    for a, b in itertools.pairwise(numbers):
        gaps.extend(range(a + 1, min(b, a + 2 + most)))  # no more than can be shown
    shown = ", ".join(str(n) for n in gaps[:most])
    return shown if total <= most else f"{shown} and {total - most} more"


def _files(paths: list[Path], numbers: tuple[int, ...], source: str) -> LabelStack:
    """Single-frame files as a stack; headers are read now, pixels later."""
    sizes = [_header(path) for path in paths]
    for path, size in zip(paths, sizes, strict=True):
        if size != sizes[0]:
            raise FormatError(
                f"{path} has {size_text(size)} pixels, but {paths[0].name} has "
                f"{size_text(sizes[0])}: all frames must be of one size"
            )
    names = tuple(str(path) for path in paths)
    height, width = sizes[0]
    load = _explained(lambda t: _read_image(paths[t]), names)
    return LabelStack(source, len(paths), (height, width), numbers, names, load)


def _header(path: Path) -> tuple[int, int]:
    """Height and width of a file that holds one label image."""
    if path.suffix.lower() != ".png":
        with open_tiff(path) as stack:
            if stack.n_frames != 1:
                raise FormatError(
                    f"{path} holds {stack.n_frames} images, but there are other files beside it; "
                    "give one file with all frames, or a folder with one frame a file"
                )
            return stack.height, stack.width
    from PIL import Image

    try:
        with Image.open(path) as image:
            mode, (width, height) = image.mode, image.size
    except (OSError, SyntaxError, ValueError) as error:
        raise FormatError(f"{path} cannot be read as an image: {error}") from error
    if mode not in _INDEX_MODES:
        raise FormatError(
            f"{path} is a colour image ({mode}), in which labels cannot be told apart from a "
            "picture of them; save the label values as 8 or 16 bit, or with a palette"
        )
    return height, width


def _read_image(path: Path) -> NDArray[Any]:
    """The pixels of a file with one label image; a palette image gives its indices."""
    if path.suffix.lower() != ".png":
        with open_tiff(path) as stack:
            return stack.read(0)
    from PIL import Image

    with Image.open(path) as image:
        return np.asarray(image)


def _tiff_frames(
    file: Any, path: Path
) -> tuple[int, tuple[int, int], Callable[[int], NDArray[Any]]]:
    """Number of frames, (height, width), and a reader, of an open `tifffile.TiffFile`."""
    series = file.series
    if not series:
        raise FormatError(f"{path} holds no images")
    page = series[0].keyframe
    if _frames_as_colours(file):
        whole = functools.cache(series[0].asarray)
        return page.samplesperpixel, page.shape[-2:], lambda t: np.asarray(whole()[t])
    if page.samplesperpixel > 1:
        raise FormatError(
            f"{path} is a colour image ({page.samplesperpixel} samples a pixel), in which labels "
            "cannot be told apart from a picture of them; save the label values themselves"
        )
    if len(series) > 1:  # pages that were appended one by one
        pages = list(file.pages)
        for k, other in enumerate(pages):
            if other.shape != pages[0].shape:
                raise FormatError(
                    f"page {k} of {path} has {size_text(other.shape)} pixels, but page 0 has "
                    f"{size_text(pages[0].shape)}: all frames must be of one size"
                )
        return len(pages), pages[0].shape, lambda t: np.asarray(pages[t].asarray())

    (one,) = series
    *leading, height, width = one.shape
    if sum(n > 1 for n in leading) > 1:
        raise FormatError(
            f"{path} has axes {one.axes} of shape {one.shape}: it holds more than frames of "
            "(Y, X) pixels; save one channel and one plane, axes TYX"
        )
    n_frames = int(np.prod(leading, dtype=int))
    if one.dataoffset is not None:
        # Uncompressed and in one piece, as ImageJ writes it: only the first page is described.
        dtype = one.dtype.newbyteorder(file.byteorder)
        frame_bytes = height * width * dtype.itemsize

        def read_raw(t: int) -> NDArray[Any]:
            file.filehandle.seek(one.dataoffset + t * frame_bytes)
            raw: NDArray[Any] = file.filehandle.read_array(dtype, height * width)
            return raw.reshape(height, width)

        return n_frames, (height, width), read_raw
    if len(one.pages) != n_frames:
        raise FormatError(
            f"{path} has {len(one.pages)} pages for {n_frames} frames; save one frame a page"
        )
    return n_frames, (height, width), lambda t: np.asarray(one.pages[t].asarray())


def _frames_as_colours(file: Any) -> bool:
    """Whether three or four frames were stored as colour planes, as tifffile did by default."""
    page, one = file.series[0].keyframe, file.series[0]
    planar = page.samplesperpixel > 1 and page.planarconfig == 2
    return bool(planar and file.is_shaped and len(file.series) == 1 and len(one.shape) == 3)


def _explained(
    load: Callable[[int], NDArray[Any]], names: tuple[str, ...]
) -> Callable[[int], NDArray[Any]]:
    """A reader whose failures name the frame: truncated files show up only here."""

    def read(t: int) -> NDArray[Any]:
        try:
            return load(t)
        except FormatError:
            raise
        except Exception as error:  # decoders raise what they like
            raise FormatError(f"{names[t]} cannot be read: {error}") from error

    return read
