"""Label images in a TIFF file."""

from __future__ import annotations

import math
import weakref
from pathlib import Path
from typing import TYPE_CHECKING

from napari_sam2track.errors import FormatError
from napari_sam2track.formats.labels.label_axes import label_axes
from napari_sam2track.formats.labels.label_notes import (
    LabelNote,
    note_in_text,
    read_note,
    tiff_scale,
)
from napari_sam2track.formats.labels.label_stack import (
    LabelStack,
    counted,
    reading_labels,
    size_text,
)
from napari_sam2track.frames.arrays import ArrayLike
from napari_sam2track.frames.tiff import appended_pages, opening_tiff, series_array, series_shape

if TYPE_CHECKING:
    from tifffile import TiffFile


def open_tiff(path: Path, axes: str | None = None) -> LabelStack:
    """Open a TIFF; each page, each step along its first axis, or each stack of planes is a frame.

    Raises
    ------
    FormatError
        If it is not a TIFF, is cut short, has colours, several channels, or pages of different
        sizes.
    """
    with reading_labels(path, "TIFF"), opening_tiff(path) as tiff:
        note = _note_of(tiff)
        found = tiff_scale(tiff)
        scale = note.scale_near(found) if tiff.is_imagej else note.scale or found
        array, known = _pixels(tiff, path, axes, note.shape)
        layout = label_axes(array.shape, str(path), axes or note.axes_of(array.shape), known)
        if (layout.rows, layout.columns) != (len(array.shape) - 2, len(array.shape) - 1):
            raise FormatError(
                f"{path} has axes {axes or known}: rows and columns must be the last; save it as "
                "TYX or TZYX"
            )
    weakref.finalize(array, tiff.close)  # for those who do not close it
    return LabelStack(
        str(path),
        array,
        layout,
        *counted(layout.n_frames, path.name),
        tiff.close,
        scale,
        note.parents,
        note.provenance,
    )


def _note_of(tiff: TiffFile) -> LabelNote:
    """Our note in a TIFF: in ImageJ's info, or in the JSON of the first page's description."""
    if tiff.is_imagej:
        return note_in_text(str((tiff.imagej_metadata or {}).get("Info", "")))
    if tiff.is_shaped:
        return read_note(dict((tiff.shaped_metadata or ({},))[0]))
    return LabelNote()


def _pixels(
    tiff: TiffFile, path: Path, axes: str | None, noted: tuple[int, ...]
) -> tuple[ArrayLike, str | None]:
    """Return the values in an open TIFF, and the letters of their axes.

    `noted` is the shape in our note in it, with the axes of length 1, which files leave out.
    """
    if not tiff.series:
        raise FormatError(f"{path} holds no images")
    series = tiff.series[0]
    n_samples = series.keyframe.samplesperpixel
    if n_samples > 1 and not _frames_as_colours(tiff):
        raise FormatError(
            f"{path} is a colour image ({n_samples} samples a pixel), in which labels "
            "cannot be told apart from a picture of them; save the label values themselves"
        )
    if len(tiff.series) > 1:
        pages = appended_pages(tiff, path)
        if pages is None:
            sizes = [page.shape for page in tiff.pages]
            k = next(k for k, size in enumerate(sizes) if size != sizes[0])
            raise FormatError(
                f"page {k} of {path} has {size_text(sizes[k])} pixels, but page 0 has "
                f"{size_text(sizes[0])}: all frames must be of one size"
            )
        return pages, None
    shape, letters = series_shape(series, axes)
    if math.prod(noted) == math.prod(shape) and noted[-2:] == shape[-2:]:
        shape, letters = noted, "T" + "ZYX"[-len(noted) + 1 :]
    return series_array(tiff, path, shape, letters), letters.replace("S", "T")


def _frames_as_colours(tiff: TiffFile) -> bool:
    """Return whether three or four frames stand as colour planes, as tifffile did by default."""
    page, one = tiff.series[0].keyframe, tiff.series[0]
    planar = page.samplesperpixel > 1 and page.planarconfig == 2
    return bool(planar and tiff.is_shaped and len(tiff.series) == 1 and len(one.shape) == 3)
