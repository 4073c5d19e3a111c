"""Frames of labels from the pages of a TIFF, read on demand."""

from __future__ import annotations

import functools
import math
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from napari_sam2track.errors import FormatError
from napari_sam2track.formats.labels.label_axes import LabelAxes, label_axes
from napari_sam2track.formats.labels.label_stack import size_text


def tiff_frames(
    file: Any, path: Path, axes: str | None = None, shape: tuple[int, ...] = ()
) -> tuple[int, tuple[int, ...], Callable[[int], NDArray[Any]]]:
    """Return number of frames, shape of one, and a reader, of an open `tifffile.TiffFile`.

    `shape` is what our note in it says: (frames, [planes,] rows, columns).
    """
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
        layout = label_axes((len(pages), *pages[0].shape), str(path), axes)
        return _of_planes(layout, lambda k: np.asarray(pages[k].asarray()))

    (one,) = series
    if shape and math.prod(shape) == math.prod(one.shape) and shape[-2:] == one.shape[-2:]:
        known: tuple[int, ...] = shape  # with axes of length 1, which files leave out
        layout = label_axes(known, str(path), axes or "T" + "ZYX"[-len(shape) + 1 :])
    else:
        layout = label_axes(one.shape, str(path), axes, one.axes)
    if (layout.rows, layout.columns) != (len(layout.shape) - 2, len(layout.shape) - 1):
        raise FormatError(
            f"{path} has axes {axes or one.axes}: rows and columns must be the last; save it as "
            "TYX or TZYX"
        )
    planes = math.prod(layout.shape[:-2])
    if one.dataoffset is not None:
        # Uncompressed and in one piece, as ImageJ writes it: only the first page is described.
        dtype = one.dtype.newbyteorder(file.byteorder)
        plane = layout.shape[-2:]
        plane_bytes = math.prod(plane) * dtype.itemsize

        def read_raw(k: int) -> NDArray[Any]:
            file.filehandle.seek(one.dataoffset + k * plane_bytes)
            raw: NDArray[Any] = file.filehandle.read_array(dtype, math.prod(plane))
            return raw.reshape(plane)

        return _of_planes(layout, read_raw)
    if len(one.pages) != planes:
        raise FormatError(
            f"{path} has {len(one.pages)} pages for {planes} planes; save one plane a page"
        )
    return _of_planes(layout, lambda k: np.asarray(one.pages[k].asarray()))


def _of_planes(
    layout: LabelAxes, read_plane: Callable[[int], NDArray[Any]]
) -> tuple[int, tuple[int, ...], Callable[[int], NDArray[Any]]]:
    """Return frames made of planes (Y, X), which a file holds in the order of the other axes."""
    order = np.arange(math.prod(layout.shape[:-2])).reshape(layout.shape[:-2])

    def load(t: int) -> NDArray[Any]:
        places = order[layout.index(t)[:-2]]
        if layout.depth is None:
            return read_plane(int(places))
        return np.stack([read_plane(int(k)) for k in places])

    return layout.n_frames, layout.frame_shape, load


def _frames_as_colours(file: Any) -> bool:
    """Return whether three or four frames are stored as colour planes, tifffile's old default."""
    page, one = file.series[0].keyframe, file.series[0]
    planar = page.samplesperpixel > 1 and page.planarconfig == 2
    return bool(planar and file.is_shaped and len(file.series) == 1 and len(one.shape) == 3)
