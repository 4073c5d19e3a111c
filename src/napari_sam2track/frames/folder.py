"""A folder of images or stacks as one movie, in the order in which people number files."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from napari_sam2track.errors import FramesError
from napari_sam2track.frames import image_files, numpy_files, tiff
from napari_sam2track.frames.arrays import ArrayLike
from napari_sam2track.frames.axes import Layout, resolve_label_layout, size_text
from napari_sam2track.frames.file_names import (
    NumberedFiles,
    missing_numbers,
    number_files,
    positions_in,
    stack_positions,
)
from napari_sam2track.frames.image_files import ImageHeader, fits_among, image_header, image_pixels
from napari_sam2track.frames.pages import JoinedFrames, PagedArray
from napari_sam2track.frames.stored_array import ReadRequest, StoredArray, chosen_image

SUFFIXES = image_files.SUFFIXES + tiff.SUFFIXES
_LABEL_SUFFIXES = (".tif", ".tiff", ".png")

#: Beginnings and ends of names that tell masks from the images beside them, best first.
_MASK_BEGINS = ("man_track", "mask", "man_seg")
_MASK_ENDS = ("_cp_masks", "_masks", "_mask", "_labels", "_label", "_seg")

#: Our note in a folder of label images.
NOTE_NAME = "provenance.json"

#: Key of `StoredArray.attributes` for the content of that note.
BESIDE = "beside"


def read_folder(path: Path, request: ReadRequest) -> StoredArray:
    """Open a folder of images of one size, or of stacks, as a movie.

    Stacks that say that they are over time are joined, one after another.

    Parameters
    ----------
    path
        The folder; hidden files and other kinds of files are ignored.
    request
        What is asked of it; axes of images count the files as first axis, as in "TYX"; those of
        labels are the axes of one file.

    Raises
    ------
    FramesError
        If there is no image, one cannot be read, or one has another size than the first.
    """
    files, notes, request = _files(path, request)
    read = _labels_of if request.labels else _images_of
    stored = read(files, path, request)
    return replace(stored, notes=(*notes, *stored.notes))


def image_list(folder: Path, suffixes: tuple[str, ...]) -> list[Path]:
    """Return files with these suffixes that are not hidden, in the order of their numbers."""
    from natsort import natsorted

    files = (
        file
        for file in folder.iterdir()
        if file.suffix.lower() in suffixes and not file.name.startswith(".") and file.is_file()
    )
    return natsorted(files, key=lambda file: file.name)


def _files(path: Path, request: ReadRequest) -> tuple[list[Path], tuple[str, ...], ReadRequest]:
    """Return the files to read, notes on those that are left out, and what is asked of them."""
    suffixes = _LABEL_SUFFIXES if request.labels else SUFFIXES
    files = image_list(path, suffixes)
    if request.labels and not files:
        files = [file for file in image_list(path, (".npy",)) if file.stem.endswith("_seg")]
    if not files:
        if request.labels:
            raise FramesError(
                f"the folder {path} holds no TIFF or PNG files; give the folder with the masks, "
                "one file a frame"
            )
        inside = sorted(each.name for each in path.iterdir() if each.is_dir())[:8]
        if inside:
            raise FramesError(
                f"{path} has no images; it holds the folders {', '.join(inside)}: give one of them"
            )
        raise FramesError(f"{path} has no images; known are {', '.join(suffixes)}")
    notes: tuple[str, ...] = ()
    if request.labels:
        masks = _masks(files)
        if len(masks) < len(files):
            others = sorted({file.name for file in files} - {file.name for file in masks})
            notes = (f"{len(others)} files beside the masks are not used, such as {others[0]}",)
        files = masks
    positions = positions_in(files)
    if len(positions) > 1:
        files, more = _one_position(positions, path, request)
        return files, (*notes, *more), replace(request, series=None)
    return files, notes, request


def _one_position(
    positions: dict[int, list[Path]], path: Path, request: ReadRequest
) -> tuple[list[Path], tuple[str, ...]]:
    """Return the files of the position that is meant, and a note if there were several."""
    names = [str(number) for number in positions]
    asked = request.series if len(positions) > 1 else None
    k, notes = chosen_image(names, asked, path, kind="positions")
    return positions[int(names[k])], notes


def _masks(files: list[Path]) -> list[Path]:
    """Return the files that are masks by their names; all if none is called so."""
    for begin in _MASK_BEGINS:
        found = [file for file in files if file.name.startswith(begin)]
        if found:
            return found
    for end in _MASK_ENDS:
        found = [file for file in files if file.stem.lower().endswith(end)]
        if found:
            return found
    return files


# --- images ---------------------------------------------------------------------------------------


def _images_of(files: list[Path], path: Path, request: ReadRequest) -> StoredArray:
    """Open images or stacks, files of one movie in their order."""
    if files[0].suffix.lower() in tiff.SUFFIXES:
        series = request.series if len(files) == 1 else None  # of many files, it chooses among them
        with tiff.read_tiff(files[0], replace(request, axes=None, series=series)) as first:
            letters, shape = first.axes or "", first.array.shape
        if first.files:  # an OME-TIFF in several files, of which each knows all
            return _set_of_files(first, files, path, request)
        given = request.axes.strip().upper() if request.axes else None
        fits = given is not None and len(given) == len(shape) and "T" in given
        over_time = fits if given else bool(set(letters) & set("TQI"))
        if over_time and len(files) > 1:
            return _joined(files, path, request)
        if len(files) == 1 and len(shape) > 2:
            return tiff.read_tiff(files[0], request)
    grid = _grid_of(files, path)
    stored = read_images(list(grid.files), path.name, lead=(len(grid.numbers), *grid.sizes))
    return replace(stored, axes="T" + grid.axes + (stored.axes or ""), notes=grid.notes)


def _grid_of(files: list[Path], path: Path) -> NumberedFiles:
    """Return the files with planes and channels by their names, or just in their order."""
    plain = NumberedFiles(tuple(files), tuple(range(len(files))))
    try:
        found = number_files(files, path)
    except FramesError:  # images need no numbers
        return plain
    return found if found.axes else plain


def read_images(files: list[Path], name: str, lead: tuple[int, ...] | None = None) -> StoredArray:
    """Open image files of one size and type, in the order given.

    Headers are read now, so that a picture that does not fit is found before hours of work.

    Parameters
    ----------
    files
        The files.
    name
        Of the whole, for messages.
    lead
        Lengths of the axes along which files are counted; one axis if None.

    Raises
    ------
    FramesError
        If one cannot be read, or has another size or type than the first.
    """
    first = _header(files[0])
    for file in files[1:]:
        other = _header(file)
        if other.shape[:2] != first.shape[:2] and len(other.shape) == len(first.shape) < 4:
            raise FramesError(
                f"{file} is {other.shape[1]} wide and {other.shape[0]} high, but {files[0].name} "
                f"is {first.shape[1]} wide and {first.shape[0]} high; all images of a movie need "
                "one size"
            )
        if not fits_among(other, first):
            raise FramesError(
                f"{file} has shape {other.shape} and type {other.dtype}, but {files[0].name} has "
                f"{first.shape} and {first.dtype}; all images of a movie need the same: convert "
                "them to one type"
            )

    def read_page(number: int) -> NDArray[Any]:
        file = files[number]
        if file.suffix.lower() in tiff.SUFFIXES:
            return _tiff_pixels(file)
        image = image_pixels(file, like=first.shape)
        if image.shape != first.shape or image.dtype != first.dtype:
            raise FramesError(
                f"{file} has shape {image.shape} and type {image.dtype}, but {files[0].name} has "
                f"{first.shape} and {first.dtype}; all images of a movie need the same"
            )
        return image

    array = PagedArray(lead or (len(files),), first.shape, first.dtype, read_page)
    return StoredArray(array, name, first.axes)


def _header(file: Path) -> ImageHeader:
    """Return shape, type and axes from the header alone."""
    if file.suffix.lower() not in tiff.SUFFIXES:
        return image_header(file)
    with tiff.read_tiff(file, ReadRequest()) as stored:
        shape, dtype = tuple(stored.array.shape), np.dtype(stored.array.dtype)
        return ImageHeader(shape, dtype, stored.axes or "")


def _tiff_pixels(file: Path) -> NDArray[Any]:
    with tiff.read_tiff(file, ReadRequest()) as stored:
        return np.asarray(stored.array[(slice(None),) * len(stored.array.shape)])


def _set_of_files(
    first: StoredArray, files: list[Path], path: Path, request: ReadRequest
) -> StoredArray:
    """Return the movie of an OME-TIFF in several files; there may be several such sets."""
    inner = replace(request, axes=None, series=None)
    firsts = [files[0]]
    rest = [file for file in files if file.name not in first.files]
    while rest:
        firsts.append(rest[0])
        with tiff.read_tiff(rest[0], inner) as one:
            rest = [file for file in rest[1:] if file.name not in one.files]
    names = [file.name for file in firsts]
    k, notes = chosen_image(names, request.series, path, kind="sets of files")
    chosen = tiff.read_tiff(firsts[k], inner)
    return replace(chosen, name=path.name, notes=(*notes, *chosen.notes))


def _joined(files: Sequence[Path], path: Path, request: ReadRequest) -> StoredArray:
    """Join stacks over time, one after another, in the order of the files."""
    files, chosen = _one_position(stack_positions(files), path, request)
    inner = replace(request, series=None)
    lengths: list[int] = []
    first: StoredArray | None = None
    notes = list(chosen)
    for file in files:
        with tiff.read_tiff(file, inner) as stored:
            letters, shape = _time_first(stored, inner, file)
        if first is None:
            first, frame_shape, frame_letters = stored, shape[1:], letters[1:]
        elif shape[1:] != frame_shape or stored.array.dtype != first.array.dtype:
            raise FramesError(
                f"{file} has frames of shape {shape[1:]} and type {stored.array.dtype}, but "
                f"{files[0].name} has {frame_shape} and {first.array.dtype}; all stacks of a movie "
                "need the same"
            )
        lengths.append(shape[0])
        notes += [f"{file.name}: {text}" for text in stored.notes]
    assert first is not None
    notes.insert(0, f"{len(files)} stacks were joined over time, {files[0].name} first")

    def open_stack(k: int) -> tuple[ArrayLike, Callable[[], object] | None]:
        stored = tiff.read_tiff(files[k], inner)
        axis = _time_axis(stored, inner)
        return (stored.array if axis == 0 else _MovedTime(stored.array, axis)), stored.close

    array = JoinedFrames(lengths, frame_shape, np.dtype(first.array.dtype), open_stack)

    def frame_name(t: int) -> str:
        k, inside = array.place_of(t)
        return f"frame {inside} of {files[k]}"

    return StoredArray(
        array,
        path.name,
        "T" + frame_letters,
        tuple(notes),
        scale=first.scale,
        frame_name=frame_name,
        settled=True,
        _close=array.close,
    )


def _time_first(
    stored: StoredArray, request: ReadRequest, file: Path
) -> tuple[str, tuple[int, ...]]:
    """Return letters and shape of a stack, with time as its first axis."""
    letters, shape = _letters_of(stored, request), tuple(stored.array.shape)
    if len(letters) != len(shape):
        raise FramesError(
            f"axes {letters!r} do not fit {file} of shape {shape}; give those of one file"
        )
    axis = _time_axis(stored, request)
    if axis < 0:  # a stack of one frame, the last of a movie
        return "T" + letters, (1, *shape)
    order = [axis, *(k for k in range(len(shape)) if k != axis)]
    return "".join(letters[k] for k in order), tuple(shape[k] for k in order)


def _letters_of(stored: StoredArray, request: ReadRequest) -> str:
    """Return the letters of a stack; the first axis that nobody named is time."""
    letters = (request.axes or stored.axes or "").strip().upper()
    if request.axes is None and "T" not in letters:
        letters = letters.replace("Q", "T", 1) if "Q" in letters else letters.replace("I", "T", 1)
    return letters


def _time_axis(stored: StoredArray, request: ReadRequest) -> int:
    """Return the position of a stack's time; -1 if it has none."""
    return _letters_of(stored, request).find("T")


class _MovedTime:
    """Array-like whose first axis is the time of another, which has it elsewhere, or not."""

    def __init__(self, array: ArrayLike, axis: int) -> None:
        self._array, self._axis = array, axis
        shape = list(array.shape)
        self.shape = (shape.pop(axis) if axis >= 0 else 1, *shape)
        self.dtype = array.dtype

    def __getitem__(self, index: tuple[int | slice, ...]) -> NDArray[Any]:
        t, *rest = index
        if self._axis >= 0:
            rest.insert(self._axis, t)
        return np.asarray(self._array[tuple(rest)])


# --- labels ---------------------------------------------------------------------------------------


def _labels_of(files: list[Path], path: Path, request: ReadRequest) -> StoredArray:
    """Open label images, one file a frame, or stacks over time."""
    note = _note_beside(path)
    if len(files) == 1 and not request.one_a_frame and not note:
        return read_label_file(files[0], request)
    with read_label_file(files[0], replace(request, series=None)) as first:
        first_shape = tuple(first.array.shape)
    if first.files and not request.one_a_frame:
        return _set_of_files(first, files, path, request)
    letters = (request.axes or first.axes or "").upper()
    time = letters.find("T")
    if time >= 0 and len(files) > 1 and first_shape[time] > 1 and not note:
        return _joined(files, path, request)
    numbered = number_files(files, path)
    if "C" in numbered.axes:
        raise FramesError(
            f"{path} has labels of several channels; keep those of one channel in a folder"
        )
    if not request.gaps:
        _refuse_gaps(numbered.numbers, path)
    n_planes = numbered.sizes[0] if numbered.sizes else 0
    shape = (*numbered.sizes, *_frame_shape(first, files[0], request))
    for file in files[1:]:
        with_planes = (*numbered.sizes, *_frame_shape(None, file, request))
        if with_planes != shape:
            raise FramesError(
                f"{file} has {size_text(with_planes)} pixels, but {files[0].name} has "
                f"{size_text(shape)}: all frames must be of one size"
            )

    def read_frame(k: int) -> NDArray[Any]:
        return _one_frame(numbered.files[k], request)

    lead = (len(numbered.numbers), *numbered.sizes)
    array = PagedArray(lead, shape[len(numbered.sizes) :], np.dtype(np.float64), read_frame, 0)
    step = max(1, n_planes)
    return StoredArray(
        array,
        str(path),
        "T" + "ZYX"[-len(shape) :],
        (*numbered.notes, *first.notes),
        scale=first.scale,
        attributes={BESIDE: note} if note else first.attributes,
        numbers=numbered.numbers,
        frame_name=lambda t: str(numbered.files[t * step]),
        settled=True,
    )


def read_label_file(path: Path, request: ReadRequest) -> StoredArray:
    """Open one file of labels: a TIFF, a picture, or Cellpose's masks.

    Raises
    ------
    FramesError
        If it is damaged, or holds something else.
    """
    if path.suffix.lower() == ".npy":
        return numpy_files.read_npy(path, request)
    if path.suffix.lower() in tiff.SUFFIXES or tiff.is_tiff(path):
        return tiff.read_tiff(path, request)
    return image_files.read_label_image(path, request)


def _frame_shape(stored: StoredArray | None, path: Path, request: ReadRequest) -> tuple[int, ...]:
    """Return the shape of the one frame in a file; pages of a TIFF are its planes."""
    with stored or read_label_file(path, request) as opened:
        layout = _file_layout(opened, path, request)
    if layout.n_frames == 1:
        return layout.frame_shape
    if layout.depth is not None:
        raise FramesError(
            f"{path} holds {layout.n_frames} frames of planes, but it should hold one; "
            "give one file with all frames, or a folder with one frame a file"
        )
    return (layout.n_frames, *layout.frame_shape)


def _file_layout(stored: StoredArray, path: Path, request: ReadRequest) -> Layout:
    """Return the axes of one file of labels."""
    shape = tuple(stored.array.shape)
    return resolve_label_layout(shape, str(path), axes=request.axes, known=stored.axes)


def _one_frame(path: Path, request: ReadRequest) -> NDArray[Any]:
    """Return the values of the one frame in a file, (Z,) Y, X."""
    with read_label_file(path, request) as stored:
        layout = _file_layout(stored, path, request)
        frames = [
            layout.arrange_labels(np.asarray(stored.array[layout.whole(t)]))
            for t in range(layout.n_frames)
        ]
    return frames[0] if len(frames) == 1 else np.stack(frames)


def _refuse_gaps(numbers: Sequence[int], path: Path) -> None:
    missing = numbers[-1] - numbers[0] + 1 - len(numbers)
    if missing:
        raise FramesError(
            f"{path} has frames {numbers[0]} to {numbers[-1]}, but {missing_numbers(numbers)} "
            f"{'is' if missing == 1 else 'are'} missing; put them there (empty images if there "
            "is nothing to see), number the files without gaps, or say --gaps (gaps=True)"
        )


def _note_beside(folder: Path) -> dict[str, Any]:
    """Return the content of our note in a folder that we wrote; a damaged one counts as none."""
    try:
        content = json.loads((folder / NOTE_NAME).read_text(encoding="utf-8"))
    except (OSError, ValueError, RecursionError):
        return {}
    return content if isinstance(content, dict) else {}
