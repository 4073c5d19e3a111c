"""TIFF stacks of every flavour: mapped if the pixels lie in one piece, else page by page."""

from __future__ import annotations

import math
import struct
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from napari_sam2track.errors import FramesError
from napari_sam2track.frames.arrays import ArrayLike
from napari_sam2track.frames.axes import size_text
from napari_sam2track.frames.mapped import MappedArray
from napari_sam2track.frames.pages import FixedAxes, PagedArray
from napari_sam2track.frames.pixel_scale import tiff_scale
from napari_sam2track.frames.stored_array import ReadRequest, StoredArray, chosen_image, use_whole
from napari_sam2track.parsing.guard import parsing

if TYPE_CHECKING:
    from tifffile import TiffFile, TiffPageSeries

SUFFIXES = (".tif", ".tiff", ".btf", ".tf8", ".lsm", ".stk", ".ome")

# One page a channel of the frame that is being looked at, and no more.
_CHANNEL_PAGES = 3

#: Letters of tifffile for positions, tiles and phases, which are images of their own.
_POSITIONS = "RPM"

#: Kinds of series that list pages which are not there, as None.
_LISTS_MISSING = ("ome", "mmstack", "micromanager", "ndtiff")

#: Words in the names of images that hold labels.
_LABEL_WORDS = ("label", "mask", "segm", "cells", "nuclei")


def is_tiff(path: Path) -> bool:
    """Return whether a file begins as a TIFF or BigTIFF, whatever its name is."""
    with path.open("rb") as file:
        return file.read(4) in (b"II*\0", b"MM\0*", b"II+\0", b"MM\0+")


def read_tiff(path: Path, request: ReadRequest) -> StoredArray:
    """Open an image of a TIFF file: ImageJ, OME, Micro-Manager, LSM, or plain pages.

    Images of one size that a program wrote one by one, each a series, are frames of one movie.
    Thumbnails and pictures of another size beside a movie are left out, with a note.

    Parameters
    ----------
    path
        The file; of an OME-TIFF in several files, any of them.
    request
        What is asked of it. Its axes may count axes of length 1 that the file declares.

    Raises
    ------
    FramesError
        If the file is damaged, cut short or empty, or it is not clear which image is meant.
    """
    with opening_tiff(path) as tiff:
        if not tiff.series:
            raise FramesError(f"{path} holds no images; export it again")
        images, left_out = _images(tiff, path, request)
        default = _default(images) if request.labels else 0
        number, notes = chosen_image([i.name for i in images], request.series, path, default)
        image = images[number]
        if request.labels:
            _refuse_colours(tiff, image, path)
        shape, letters = image.counted(request.axes)
        array, letters, more = _array(tiff, path, image, shape, letters, request)
        array, letters, fixed = _one_position(array, letters, request, path)
        if request.labels:
            letters = letters.replace("S", "T")
        shaped = dict((tiff.shaped_metadata or ({},))[0]) if tiff.is_shaped else {}
        info = {"Info": str((tiff.imagej_metadata or {}).get("Info", ""))} if tiff.is_imagej else {}
        stored = StoredArray(
            array,
            path.name,
            letters,
            (*notes, *left_out, *more, *fixed),
            scale=None if tiff.is_shaped and not tiff.is_imagej else tiff_scale(tiff, number),
            attributes=info or shaped,
            files=image.files,
            _close=tiff.close,
        )
        if isinstance(array, MappedArray):
            tiff.close()  # maps open the file themselves
        return stored


@contextmanager
def opening_tiff(path: Path) -> Iterator[TiffFile]:
    """Yield an open TIFF, which is closed if the block fails, and stays open otherwise.

    Raises
    ------
    FramesError
        If it is damaged, which may show at any place in the block.
    """
    import tifffile

    with parsing(path, "TIFF", FramesError):
        tiff = tifffile.TiffFile(path)
        try:
            yield tiff
        except BaseException:
            tiff.close()
            raise


@dataclass(frozen=True, eq=False)
class _Image:
    """An image of a TIFF, of one or more pages.

    Attributes
    ----------
    name
        As the file has it.
    shape, letters
        Of its pixels.
    dtype
        Of its pixels.
    series
        The series of tifffile that it is; the first of several that were written one by one.
    pages
        Its pages; None where one is missing.
    joined
        True for pages that were written one by one.
    """

    name: str
    shape: tuple[int, ...]
    letters: str
    dtype: np.dtype[Any]
    series: TiffPageSeries
    pages: Sequence[Any]
    joined: bool = False

    @property
    def files(self) -> frozenset[str]:
        """Names of the files that its pages lie in, if they are several."""
        if not self.series.is_multifile:
            return frozenset()
        return frozenset(page.parent.filename for page in self.pages if page is not None)

    def counted(self, axes: str | None) -> tuple[tuple[int, ...], str]:
        """Return shape and letters; with the axes of length 1 if the person counted those too."""
        n_given = len(self.shape) if axes is None else len(axes.strip())
        if n_given == len(self.shape) or self.joined:
            return self.shape, self.letters
        full = tuple(self.series.get_shape(squeeze=False))
        letters = self.series.get_axes(squeeze=False)
        if letters[-1] == "S" and full[-1] == 1:  # tifffile counts one sample per pixel
            full, letters = full[:-1], letters[:-1]
        return (full, letters) if n_given == len(full) else (self.shape, self.letters)


def _images(
    tiff: TiffFile, path: Path, request: ReadRequest
) -> tuple[list[_Image], tuple[str, ...]]:
    """Return the images of a TIFF, and notes on what is none: thumbnails, pictures of labels."""
    found = [_of_series(one) for one in tiff.series if one.shape and one.dtype is not None]
    if not found:
        raise FramesError(f"{path} has pixels of a kind that is not known; export it again")
    described = tiff.is_ome or tiff.is_imagej or tiff.is_lsm or tiff.is_micromanager
    if not described:
        found = _joined(found)
    largest = max(math.prod(image.shape[-2:]) for image in found)
    most = max(len(image.pages) for image in found)
    images = []
    for image in found:
        small = 4 * math.prod(image.shape[-2:]) <= largest
        reduced = bool(getattr(image.series.keyframe, "is_reduced", False)) and len(found) > 1
        # A picture beside a movie is no movie; images that metadata describe are all there is.
        beside = not described and not request.labels and len(image.pages) == 1 < most
        if not (reduced or (small and len(image.pages) == 1) or beside):
            images.append(image)
    images = images or found[:1]
    gone = len(found) - len(images)
    if request.labels and not described and len({image.shape[-2:] for image in images}) > 1:
        _refuse_other_sizes(images, path)
    if not gone:
        return images, ()
    what = "picture of another size is" if gone == 1 else "pictures of other sizes are"
    return images, (f"{gone} {what} beside the movie, and not used",)


def _of_series(series: TiffPageSeries) -> _Image:
    assert series.dtype is not None
    name = str(series.name or "")
    return _Image(name, tuple(series.shape), series.axes, series.dtype, series, series.pages)


def _joined(found: list[_Image]) -> list[_Image]:
    """Join images of one page and one size, which a program wrote one by one, as frames."""
    single: dict[tuple[int, ...], list[_Image]] = {}
    for image in found:
        if len(image.pages) == 1:
            single.setdefault(image.shape, []).append(image)
    out = []
    for image in found:
        same = single.get(image.shape, [image]) if len(image.pages) == 1 else [image]
        if len(same) == 1:
            out.append(image)
        elif same[0] is image:
            dtype = np.result_type(*(each.dtype for each in same))
            pages = [each.pages[0] for each in same]
            shape = (len(pages), *image.shape)
            out.append(
                _Image(image.name, shape, "T" + image.letters, dtype, image.series, pages, True)
            )
    return out


def _refuse_other_sizes(images: list[_Image], path: Path) -> None:
    sizes = [(page.index, page.shape) for image in images for page in image.pages]
    first, *others = sorted(sizes)
    k, size = next((k, size) for k, size in others if size != first[1])
    shown = size_text(size), size_text(first[1])
    raise FramesError(
        f"page {k} of {path} has {shown[0]} pixels, but page {first[0]} has {shown[1]}: all frames "
        "must be of one size"
    )


def _default(images: list[_Image]) -> int | None:
    """Return the image that holds labels: the one that is called so, or the first of many alike."""
    named = [
        k
        for k, image in enumerate(images)
        if any(word in image.name.lower() for word in _LABEL_WORDS)
    ]
    if len(named) == 1:
        return named[0]
    kinds = {(image.shape, image.dtype) for image in images}
    return 0 if len(kinds) == 1 else None


def _refuse_colours(tiff: TiffFile, image: _Image, path: Path) -> None:
    """Refuse colours; three or four frames may stand as colour planes, as tifffile did once."""
    page = image.series.keyframe
    if page.samplesperpixel > 1:
        planar = page.planarconfig == 2
        if not (planar and tiff.is_shaped and len(tiff.series) == 1 and len(image.shape) == 3):
            raise FramesError(
                f"{path} is a colour image ({page.samplesperpixel} samples a pixel), in which "
                "labels cannot be told apart from a picture of them; save the label values "
                "themselves"
            )


def _array(
    tiff: TiffFile,
    path: Path,
    image: _Image,
    shape: tuple[int, ...],
    letters: str,
    request: ReadRequest,
) -> tuple[ArrayLike, str, tuple[str, ...]]:
    """Return the pixels of an image as far as they are whole, their axes, and a note on the rest.

    Raises
    ------
    FramesError
        If some are missing, and that was not allowed.
    """
    extent = _extent(tiff, path, image, shape)
    if extent.n_whole == extent.n_promised:
        if extent.offset is not None:
            return MappedArray(path, extent.dtype, shape, extent.offset), letters, ()
        return _paged(tiff, image, path, shape, letters), letters, ()
    n_frames = extent.n_whole // math.prod(extent.lead[1:])
    known = extent.n_promised is not None
    usable = n_frames > (0 if known else 1)  # what is left of a whole file may be anything
    if not (request.allow_truncated and usable):
        says = f"it says {extent.n_promised} images, and " if known else ""
        them = "it" if extent.n_whole == 1 else "them"
        use = f", or use {them} with {use_whole(n_frames, request)}"
        raise FramesError(
            f"{path} is cut short: {says}only the first {_counted(extent.n_whole)} whole; copy or "
            f"export it again{use if usable else ''}"
        )
    missing = f"{extent.lead[0] - n_frames} of {extent.lead[0]} frames" if known else "frames"
    note = f"{missing} are missing at the end; the first {n_frames} are used"
    lead, tail = (n_frames, *extent.lead[1:]), tuple(image.series.keyframe.shape)
    letters = extent.letters + image.series.keyframe.axes
    if extent.offset is not None:
        return MappedArray(path, extent.dtype, (*lead, *tail), extent.offset), letters, (note,)
    read = _page_reader(tiff, extent.pages, tail)
    return PagedArray(lead, tail, extent.dtype, read, _CHANNEL_PAGES), letters, (note,)


def _counted(n: int) -> str:
    return f"{n} are" if n != 1 else "one is"


@dataclass(frozen=True, eq=False)
class _Extent:
    """How much of an image is there whole.

    Attributes
    ----------
    lead, letters
        Sizes and letters of the axes along which pages are counted.
    n_promised, n_whole
        Number of pages that the file promises, and of those that are whole from the first on;
        the promised ones are None where the file lost count.
    pages
        The pages.
    offset
        Byte at which uncompressed pixels in one piece begin; else None.
    dtype
        Of the pixels in the file.
    """

    lead: tuple[int, ...]
    letters: str
    n_promised: int | None
    n_whole: int
    pages: Sequence[Any]
    offset: int | None
    dtype: np.dtype[Any]


def _extent(tiff: TiffFile, path: Path, image: _Image, shape: tuple[int, ...]) -> _Extent:
    """Hold the pages that a file promises against those that are there."""
    series, pages = image.series, image.pages
    page_shape = tuple(series.keyframe.shape)
    dtype = np.dtype(image.dtype).newbyteorder(series.keyframe.parent.byteorder)
    lead = _lead_shape(shape, page_shape) or ()
    letters = (image.letters + "Q" * len(lead))[: len(lead)]
    alone = not series.is_multifile
    if alone and len(tiff.series) == 1 and not tiff.is_ome:
        declared, their_letters = _declared(tiff)
        if math.prod(declared) > math.prod(lead):  # tifffile gave up on metadata that count more
            lead, letters, pages = declared, their_letters, tiff.pages
    promised = math.prod(lead)
    size = path.stat().st_size
    offset = series.dataoffset if alone and not image.joined else None
    if offset is not None:
        n_bytes = dtype.itemsize * math.prod(page_shape)
        n_whole = min(promised, max(0, size - offset) // max(1, n_bytes))
        counted = series.kind not in ("generic", "uniform")
    else:
        n_whole = _n_listed(tiff, series, pages)
        if alone and n_whole and pages[n_whole - 1] and _end(pages[n_whole - 1]) > size:
            n_whole -= 1
        counted = False
    # Without metadata that count them, there are as many as tifffile found.
    found_only = series.kind in ("generic", "uniform") and promised == len(tiff.pages)
    if alone and not counted and (found_only or n_whole >= promised) and _next_is_missing(tiff):
        return _Extent((n_whole,), "Q", None, n_whole, pages, offset, dtype)
    n_whole = min(n_whole, promised)
    return _Extent(lead or (1,), letters or "Q", promised, n_whole, pages, offset, dtype)


def _n_listed(tiff: TiffFile, series: TiffPageSeries, pages: Sequence[Any]) -> int:
    """Return how many pages there are from the first on; one that others follow counts as there."""
    if series.kind not in _LISTS_MISSING:
        return min(len(pages), len(tiff.pages))
    n = len(pages)
    while n and pages[n - 1] is None:
        n -= 1
    return n


def _end(page: Any) -> int:
    """Return the byte behind the last one of a page."""
    ends = (a + n for a, n in zip(page.dataoffsets, page.databytecounts, strict=False))
    return max(ends, default=0)


def _declared(tiff: TiffFile) -> tuple[tuple[int, ...], str]:
    """Return sizes and letters of the axes along which the first page's description counts."""
    if tiff.is_imagej:
        found = tiff.imagej_metadata or {}
        images = int(found.get("images", 1))
        names = {"T": "frames", "Z": "slices", "C": "channels"}
        sizes = {letter: int(found.get(name, 1)) for letter, name in names.items()}
        sizes = {letter: n for letter, n in sizes.items() if n > 1}
        if math.prod(sizes.values()) == images:
            return tuple(sizes.values()), "".join(sizes)
        return (images,), "Q"
    if tiff.is_shaped and tiff.shaped_metadata:
        metadata = dict(tiff.shaped_metadata[0])
        shape = tuple(int(n) for n in metadata.get("shape", ()))
        lead = _lead_shape(shape, tuple(tiff.pages.first.shape)) or ()
        letters = str(metadata.get("axes", "")) or "Q" * len(lead)
        return lead, letters[: len(lead)]
    return (), ""


def _next_is_missing(tiff: TiffFile) -> bool:
    """Return whether the last page names a next one that is not there: the file was cut off."""
    last, form, handle = tiff.pages[-1], tiff.tiff, tiff.filehandle
    if last.offset <= 0 or tiff.is_lsm:  # virtual pages; LSM has chains of its own
        return False
    handle.seek(last.offset)
    (n_tags,) = struct.unpack(form.tagnoformat, handle.read(form.tagnosize))
    handle.seek(last.offset + form.tagnosize + n_tags * form.tagsize)
    (following,) = struct.unpack(form.offsetformat, handle.read(form.offsetsize))
    return bool(following)


def _paged(
    tiff: TiffFile, image: _Image, path: Path, shape: tuple[int, ...], letters: str
) -> PagedArray:
    """Return the pixels of an image as an array of pages."""
    lead_shape = _lead_shape(shape, tuple(image.series.keyframe.shape))
    if lead_shape is None or len(image.pages) != math.prod(lead_shape):
        raise FramesError(
            f"{path} is damaged: it has {len(image.pages)} pages of {image.series.keyframe.shape}, "
            f"which do not make its shape {shape}; copy or export it again"
        )
    tail = shape[len(lead_shape) :]
    in_channels = any(letter in "CS" for letter in letters[: len(lead_shape)])
    keep = _CHANNEL_PAGES if in_channels else 1
    return PagedArray(lead_shape, tail, image.dtype, _page_reader(tiff, image.pages, tail), keep)


def _page_reader(
    tiff: TiffFile, pages: Sequence[Any], shape: tuple[int, ...]
) -> Callable[[int], NDArray[Any]]:
    """Return the function that decodes a page, in a shape."""

    def read_page(number: int) -> NDArray[Any]:
        page = pages[number]
        if page is None:
            raise ValueError(f"page {number} is missing, or lies in another file that is missing")
        handle = page.parent.filehandle
        if handle.closed and page.parent is not tiff:  # another file of an OME-TIFF of several
            handle.open()
        return np.asarray(page.asarray(maxworkers=1)).reshape(shape)

    return read_page


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


def _one_position(
    array: ArrayLike, letters: str, request: ReadRequest, path: Path
) -> tuple[ArrayLike, str, tuple[str, ...]]:
    """Return the array at one position, where the file has several along an axis."""
    if request.axes is not None:
        return array, letters, ()
    for axis, letter in enumerate(letters):
        n = array.shape[axis]
        if letter in _POSITIONS and n > 1:
            names = [""] * n
            k, notes = chosen_image(names, request.series, path, kind="positions")
            rest = letters[:axis] + letters[axis + 1 :]
            return FixedAxes(array, {axis: k}), rest, notes
    return array, letters, ()
