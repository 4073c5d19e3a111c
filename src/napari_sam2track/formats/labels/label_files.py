"""Label images in TIFF and PNG files, and in folders of them."""

from __future__ import annotations

import itertools
import json
import re
import struct
import weakref
from collections.abc import Callable, Iterable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from napari_sam2track.errors import FormatError
from napari_sam2track.formats.findings import Finding, error, shortened, warning
from napari_sam2track.formats.labels.label_notes import (
    PROVENANCE,
    TRACKS,
    LabelNote,
    note_in_text,
    read_note,
    tiff_scale,
)
from napari_sam2track.formats.labels.label_stack import LabelStack, counted, size_text
from napari_sam2track.formats.labels.tiff_pages import tiff_frames
from napari_sam2track.labels import Scale

#: Our note in a folder of label images.
NOTE_NAME = "provenance.json"
_SUFFIXES = (".tif", ".tiff", ".png")
_LAST_DIGITS = re.compile(r"(\d+)\D*$")

#: Pillow's names of the kinds of PNG that hold one whole number a pixel.
_INDEX_MODES = ("1", "L", "P", "I", "I;16", "I;16B", "I;16L")


def open_tiff(path: Path, axes: str | None = None) -> LabelStack:
    """Open a TIFF; each page, each step along its first axis, or each stack of planes is a frame.

    Raises
    ------
    FormatError
        If it is not a TIFF, has colours, several channels, or pages of different sizes.
    """
    import tifffile

    try:
        file = tifffile.TiffFile(path)
    except (tifffile.TiffFileError, OSError, ValueError, struct.error) as error:
        raise FormatError(f"{path} cannot be read as a TIFF: {error}") from error
    try:
        note = _note_of(file)
        n_frames, shape, load = tiff_frames(file, path, axes, note.shape)
        scale = note.scale_near(tiff_scale(file)) if note.scale and file.is_imagej else note.scale
        scale = scale or tiff_scale(file)
    except FormatError:
        file.close()
        raise
    except Exception as error:  # a damaged header can break anything
        file.close()
        raise FormatError(f"{path} cannot be read as a TIFF: {error}") from error
    numbers, names = counted(n_frames, path.name)
    stack = LabelStack(
        str(path),
        n_frames,
        shape,
        numbers,
        names,
        _explained(load, names),
        file.close,
        scale,
        note.parents,
        note.provenance,
    )
    weakref.finalize(stack, file.close)  # for those who do not close it
    return stack


def _note_of(file: Any) -> LabelNote:
    """Return our note in a TIFF: in ImageJ's info, or in the JSON of the first page."""
    if file.is_imagej:
        return note_in_text(str((file.imagej_metadata or {}).get("Info", "")))
    if file.is_shaped:
        return read_note(dict(file.shaped_metadata[0]))
    return LabelNote()


def open_png(path: Path) -> LabelStack:
    """Open a PNG as a movie of one frame.

    Raises
    ------
    FormatError
        If it is not a PNG, or a colour image.
    """
    return _files([path], (0,), str(path))


def open_folder(folder: Path, axes: str | None = None, *, one_a_frame: bool = False) -> LabelStack:
    """Open a folder with one file a frame.

    Frames are in the order of the last group of digits in the names. Files named
    ``man_track*`` or ``mask*`` (Cell Tracking Challenge) are taken before others; files that
    are not TIFF or PNG are ignored. Pages of a TIFF are the planes of a frame, unless it is the
    only file; then they are frames, if `one_a_frame` does not say otherwise. Files of our own
    may have ``provenance.json`` beside.

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
    note = _note_beside(folder)
    if len(images) == 1 and not one_a_frame and not note.shape:
        path = images[0]
        return open_png(path) if path.suffix.lower() == ".png" else open_tiff(path, axes)
    numbered = _number(images, folder)
    stack = _files([p for _, p in numbered], tuple(n for n, _ in numbered), str(folder), axes)
    if note == LabelNote():
        return stack
    scale = note.scale or stack.scale
    return replace(stack, scale=scale, parents=note.parents, note=note.provenance)


def _note_beside(folder: Path) -> LabelNote:
    """Return our note in a folder that we wrote; a damaged one counts as none."""
    try:
        content = json.loads((folder / NOTE_NAME).read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return LabelNote()
    if not isinstance(content, dict):
        return LabelNote()
    tracks = content.pop(TRACKS, None)
    return read_note({PROVENANCE: content, TRACKS: tracks})


def ctc_images(folder: Path, prefix: str) -> tuple[dict[int, Path], list[Finding]]:
    """Return the masks of a Cell Tracking Challenge folder by frame number, and their errors.

    Unlike `open_folder` it continues where numbers are missing.
    """
    files: dict[int, Path] = {}
    found: list[Finding] = []
    widths = set()
    for path in sorted(folder.glob(f"{prefix}*.tif")):
        digits = _LAST_DIGITS.search(path.stem)
        if digits is None:
            found.append(error(f"{path.name} has no frame number in its name"))
            continue
        number = int(digits[1])
        widths.add(len(digits[1]))
        if number in files:
            found.append(error(f"{files[number].name} and {path.name} are both frame {number}"))
        files.setdefault(number, path)
    missing = sorted(set(range(max(files, default=-1) + 1)) - files.keys())
    if missing:
        found.append(error(f"there is no mask of frames {shortened(missing)}"))
    if len(widths) > 1:
        found.append(warning("the frame numbers have different numbers of digits"))
    return files, found


def _number(images: Iterable[Path], folder: Path) -> list[tuple[int, Path]]:
    """Return files with their frame numbers, in order; they must be consecutive."""
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
    """Return the numbers that a sorted list leaves out, as text."""
    gaps: list[int] = []
    total = numbers[-1] - numbers[0] + 1 - len(numbers)
    for a, b in itertools.pairwise(numbers):
        gaps.extend(range(a + 1, min(b, a + 2 + most)))  # no more than are shown
    shown = ", ".join(str(n) for n in gaps[:most])
    return shown if total <= most else f"{shown} and {total - most} more"


def _files(
    paths: list[Path], numbers: tuple[int, ...], source: str, axes: str | None = None
) -> LabelStack:
    """Open files of one frame each as a stack; headers are read now, pixels later."""
    heads = [_header(path, axes) for path in paths]
    shape = heads[0][0]
    for path, (other, _) in zip(paths, heads, strict=True):
        if other != shape:
            raise FormatError(
                f"{path} has {size_text(other)} pixels, but {paths[0].name} has "
                f"{size_text(shape)}: all frames must be of one size"
            )
    names = tuple(str(path) for path in paths)
    load = _explained(lambda t: _read_image(paths[t], axes), names)
    first = heads[0][1]
    return LabelStack(
        source,
        len(paths),
        shape,
        numbers,
        names,
        load,
        None,
        first.scale or Scale(),
        first.parents,
        first.provenance,
    )


def _header(path: Path, axes: str | None = None) -> tuple[tuple[int, ...], LabelNote]:
    """Return the shape of the frame that a file holds, and our note in it, with its scale."""
    if path.suffix.lower() != ".png":
        with open_tiff(path, axes) as stack:
            one = stack.n_frames == 1 or len(stack.frame_shape) == 3
            if stack.n_frames > 1 and len(stack.frame_shape) == 3:
                raise FormatError(
                    f"{path} holds {stack.n_frames} frames of planes, but it should hold one; "
                    "give one file with all frames, or a folder with one frame a file"
                )
            note = LabelNote(stack.note, stack.parents, stack.scale)
            return (stack.frame_shape if one else (stack.n_frames, *stack.frame_shape)), note
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
    return (height, width), LabelNote()


def _read_image(path: Path, axes: str | None = None) -> NDArray[Any]:
    """Read the pixels of a file with one frame; a palette image gives its indices."""
    if path.suffix.lower() != ".png":
        with open_tiff(path, axes) as stack:
            if stack.n_frames == 1:
                return stack.read(0)
            return np.stack([stack.read(k) for k in range(stack.n_frames)])
    from PIL import Image

    with Image.open(path) as image:
        return np.asarray(image)


def _explained(
    load: Callable[[int], NDArray[Any]], names: tuple[str, ...]
) -> Callable[[int], NDArray[Any]]:
    """Return a reader whose errors name the frame: truncated files show up only here."""

    def read(t: int) -> NDArray[Any]:
        try:
            return load(t)
        except FormatError:
            raise
        except Exception as error:  # decoders raise many types
            raise FormatError(f"{names[t]} cannot be read: {error}") from error

    return read
