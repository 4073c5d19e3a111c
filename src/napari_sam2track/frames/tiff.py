"""TIFF stacks of every flavour: mapped if the pixels lie in one piece, else page by page."""

from __future__ import annotations

import math
import struct
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from napari_sam2track.errors import FramesError
from napari_sam2track.frames.arrays import ArrayLike, ArraySource, from_array, reading
from napari_sam2track.frames.mapped import MappedArray
from napari_sam2track.frames.pages import PagedArray

if TYPE_CHECKING:
    from tifffile import TiffFile, TiffPageSeries

SUFFIXES = (".tif", ".tiff", ".btf", ".tf8", ".lsm", ".stk")

# One page a channel of the frame that is being looked at, and no more.
_CHANNEL_PAGES = 3


def open_tiff(path: Path, *, axes: str | None = None, z: int | None = None) -> ArraySource:
    """Open the first series of a TIFF file: ImageJ, OME, LSM, or plain pages.

    Images of one size and type that tifffile wrote one by one, each a series, are frames.

    Parameters
    ----------
    path
        The file; of an OME-TIFF in several files, any of them.
    axes, z
        See `resolve_layout`. `axes` may count axes of length 1 that the file declares.

    Raises
    ------
    FramesError
        If the file is damaged, empty, or its axes need a decision.
    """
    with opening_tiff(path) as tiff:
        series = tiff.series[0]
        array: ArrayLike | None = None
        alike = {(one.dtype, len(one.pages)) for one in tiff.series} == {(series.dtype, 1)}
        if len(tiff.series) > 1 and tiff.is_shaped and alike:
            array, known = appended_pages(tiff, path), "T" + series.axes
        if array is None:
            shape, known = series_shape(series, axes)
            array = series_array(tiff, path, shape, known)
        return from_array(array, axes=axes, known=known, z=z, name=path.name, close=tiff.close)


@contextmanager
def opening_tiff(path: Path) -> Iterator[TiffFile]:
    """Yield an open TIFF, which is closed if the block fails, and stays open otherwise.

    Raises
    ------
    FramesError
        If it is damaged, which may show at any place in the block.
    """
    import tifffile

    with reading(path, "TIFF"):
        tiff = tifffile.TiffFile(path)
        try:
            yield tiff
        except BaseException:
            tiff.close()
            raise


def series_shape(series: TiffPageSeries, axes: str | None) -> tuple[tuple[int, ...], str]:
    """Return shape and letters; with the axes of length 1 if the person counted those too."""
    shape, letters = tuple(series.shape), series.axes
    n_given = len(shape) if axes is None else len(axes.strip())
    if n_given == len(shape):
        return shape, letters
    full = tuple(series.get_shape(squeeze=False))
    full_letters = series.get_axes(squeeze=False)
    if full_letters[-1] == "S" and full[-1] == 1:  # tifffile counts one sample per pixel
        full, full_letters = full[:-1], full_letters[:-1]
    return (full, full_letters) if n_given == len(full) else (shape, letters)


def series_array(tiff: TiffFile, path: Path, shape: tuple[int, ...], letters: str) -> ArrayLike:
    """Return the first series of a TIFF as an array of a shape, read where it is indexed.

    Raises
    ------
    FramesError
        If pixels are missing, or of no known kind.
    """
    series = tiff.series[0]
    array = _mapped(series, path, shape)
    # Without metadata that count them, a mapped series is as long as the pages that were found.
    if array is None or series.kind in ("generic", "uniform"):
        require_all_pages(tiff, path)
    if array is None:
        return _paged(tiff, series, path, shape, letters)
    tiff.close()  # maps open the file themselves
    return array


def appended_pages(tiff: TiffFile, path: Path) -> PagedArray | None:
    """Return the pages that were written one by one, as an array; None if they differ in size.

    Raises
    ------
    FramesError
        If pages are missing.
    """
    require_all_pages(tiff, path)
    pages = list(tiff.pages)
    if len({page.shape for page in pages}) > 1:
        return None
    dtype = np.result_type(*(page.dtype for page in pages if page.dtype is not None))
    return PagedArray(
        (len(pages),), pages[0].shape, dtype, lambda k: pages[k].asarray(maxworkers=1)
    )


def require_all_pages(tiff: TiffFile, path: Path) -> None:
    """Refuse a file whose last page names a next one that is not there: it was cut off.

    tifffile then gives the pages that it finds, without an error.
    """
    last, form, handle = tiff.pages[-1], tiff.tiff, tiff.filehandle
    if last.offset <= 0 or tiff.is_lsm:  # virtual pages; LSM has chains of its own
        return
    handle.seek(last.offset)
    (n_tags,) = struct.unpack(form.tagnoformat, handle.read(form.tagnosize))
    handle.seek(last.offset + form.tagnosize + n_tags * form.tagsize)
    (following,) = struct.unpack(form.offsetformat, handle.read(form.offsetsize))
    if following:
        raise FramesError(
            f"{path} is cut short: after {len(tiff.pages)} pages the rest is missing; "
            "copy or export it again"
        )


def _mapped(series: TiffPageSeries, path: Path, shape: tuple[int, ...]) -> MappedArray | None:
    offset = series.dataoffset  # None unless everything lies uncompressed in one piece
    if offset is None or series.dtype is None or series.is_multifile:
        return None
    dtype = series.dtype.newbyteorder(series.keyframe.parent.byteorder)
    end = offset + dtype.itemsize * math.prod(shape)
    if end > path.stat().st_size:
        raise FramesError(
            f"{path} is cut short: {path.stat().st_size} bytes, but its {shape} pixels end at "
            f"byte {end}; copy or export it again"
        )
    return MappedArray(path, dtype, shape, offset)


def _paged(
    tiff: TiffFile, series: TiffPageSeries, path: Path, shape: tuple[int, ...], letters: str
) -> PagedArray:
    page_shape = series.keyframe.shape
    dtype = series.dtype
    if dtype is None:
        raise FramesError(f"{path} has pixels of a kind that is not known; export it again")
    lead_shape = _lead_shape(shape, page_shape)
    pages = series.pages
    if lead_shape is None or len(pages) != math.prod(lead_shape):
        raise FramesError(
            f"{path} is damaged: it has {len(pages)} pages of {page_shape}, which do not make "
            f"its shape {shape}; copy or export it again"
        )

    def read_page(number: int) -> NDArray[Any]:
        page = pages[number]
        if page is None:
            raise ValueError(f"page {number} is missing, or lies in another file that is missing")
        handle = page.parent.filehandle
        if handle.closed and page.parent is not tiff:  # another file of an OME-TIFF of several
            handle.open()
        return page.asarray(maxworkers=1).reshape(shape[len(lead_shape) :])

    in_channels = any(letter in "CS" for letter in letters[: len(lead_shape)])
    keep = _CHANNEL_PAGES if in_channels else 1
    return PagedArray(lead_shape, shape[len(lead_shape) :], dtype, read_page, keep)


def _lead_shape(shape: tuple[int, ...], page_shape: tuple[int, ...]) -> tuple[int, ...] | None:
    """Return the axes along which pages are counted: those of `shape` before one page's pixels."""
    pixels = math.prod(page_shape)
    tail = 1
    for axis in range(len(shape) - 1, -1, -1):
        tail *= shape[axis]
        # At least as many axes as the page has, so that an axis of length 1 stays in the page.
        if tail == pixels and len(shape) - axis >= min(len(page_shape), len(shape)):
            return shape[:axis]
    return None
