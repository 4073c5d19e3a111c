"""Label images in PNG files, and in folders with one PNG or TIFF a frame."""

from __future__ import annotations

import itertools
import json
import re
from collections.abc import Iterable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from napari_sam2track.errors import FormatError
from napari_sam2track.formats.findings import Finding, error, shortened, warning
from napari_sam2track.formats.labels.label_axes import label_axes
from napari_sam2track.formats.labels.label_notes import PROVENANCE, TRACKS, LabelNote, read_note
from napari_sam2track.formats.labels.label_stack import LabelStack, reading_labels, size_text
from napari_sam2track.formats.labels.label_tiffs import open_tiff
from napari_sam2track.frames.folder import image_files
from napari_sam2track.frames.pages import PagedArray

#: Our note in a folder of label images.
NOTE_NAME = "provenance.json"
_SUFFIXES = (".tif", ".tiff", ".png")
_LAST_DIGITS = re.compile(r"(\d+)\D*$")

#: Pillow's names of the kinds of PNG that hold one whole number a pixel.
_INDEX_MODES = ("1", "L", "P", "I", "I;16", "I;16B", "I;16L")


def open_png(path: Path) -> LabelStack:
    """Open a PNG as a movie of one frame; one with a palette gives its indices.

    Raises
    ------
    FormatError
        If it is not a PNG, or a colour image.
    """
    from PIL import Image

    with reading_labels(path, "an image"), Image.open(path) as image:
        mode, shape = image.mode, (image.height, image.width)
    if mode not in _INDEX_MODES:
        raise FormatError(
            f"{path} is a colour image ({mode}), in which labels cannot be told apart from a "
            "picture of them; save the label values as 8 or 16 bit, or with a palette"
        )

    def read_image(_: int) -> NDArray[Any]:
        with Image.open(path) as image:
            return np.asarray(image)

    array = PagedArray((), shape, np.dtype(np.uint32), read_image, keep=0)
    return LabelStack(str(path), array, label_axes(shape, str(path)), (0,), (str(path),))


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
    images = image_files(folder, _SUFFIXES)
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
    stack = _frames_of([p for _, p in numbered], tuple(n for n, _ in numbered), folder, axes)
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
    by_number: dict[int, Path] = {}
    for path in images:
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
        gaps.extend(range(a + 1, min(b, a + 2 + most)))  # no more than can be shown
    shown = ", ".join(str(n) for n in gaps[:most])
    return shown if total <= most else f"{shown} and {total - most} more"


def _frames_of(
    paths: list[Path], numbers: tuple[int, ...], folder: Path, axes: str | None
) -> LabelStack:
    """Return files of one frame each as a stack; headers are read now, pixels later."""
    with open_frame(paths[0], axes) as first:
        shape = first.frame_shape
    for path in paths[1:]:
        with open_frame(path, axes) as other:
            if other.frame_shape != shape:
                raise FormatError(
                    f"{path} has {size_text(other.frame_shape)} pixels, but {paths[0].name} has "
                    f"{size_text(shape)}: all frames must be of one size"
                )

    def read_frame(t: int) -> NDArray[np.uint32]:
        with open_frame(paths[t], axes) as frame:
            return frame.read(0)

    array = PagedArray((len(paths),), shape, np.dtype(np.uint32), read_frame, keep=0)
    return LabelStack(
        str(folder),
        array,
        label_axes(array.shape, str(folder), "T" + "ZYX"[-len(shape) :]),
        numbers,
        tuple(str(path) for path in paths),
        scale=first.scale,
        parents=first.parents,
        note=first.note,
    )


def open_frame(path: Path, axes: str | None = None) -> LabelStack:
    """Open a file with one frame; pages of a TIFF are its planes.

    Raises
    ------
    FormatError
        As `open_png` and `open_tiff`, or if it has frames and planes.
    """
    if path.suffix.lower() == ".png":
        return open_png(path)
    stack = open_tiff(path, axes)
    layout = stack.layout
    if layout.n_frames == 1:
        return stack
    if layout.depth is not None:
        stack.close()
        raise FormatError(
            f"{path} holds {stack.n_frames} frames of planes, but it should hold one; "
            "give one file with all frames, or a folder with one frame a file"
        )
    return replace(stack, layout=replace(layout, time=None, depth=layout.time))
