"""Opens label images of any kind, from the same containers as movies."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

from napari_sam2track.errors import FormatError, FramesError
from napari_sam2track.formats.labels.label_notes import (
    PROVENANCE,
    TRACKS,
    LabelNote,
    note_in_text,
    read_note,
)
from napari_sam2track.formats.labels.label_stack import LabelStack
from napari_sam2track.frames.axes import resolve_label_layout, size_text
from napari_sam2track.frames.containers import open_container
from napari_sam2track.frames.folder import BESIDE
from napari_sam2track.frames.pages import AddedAxes
from napari_sam2track.frames.stored_array import ReadRequest, StoredArray
from napari_sam2track.labels import Scale
from napari_sam2track.params import LabelsParams
from napari_sam2track.parsing.bounds import MAX_FRAMES, require_memory


def open_labels(
    path: str | Path,
    params: LabelsParams | None = None,
    *,
    axes: str | None = None,
    gaps: bool = False,
    one_a_frame: bool = False,
    guess: str | None = None,
) -> LabelStack:
    """Open label images without reading their pixels.

    Parameters
    ----------
    path
        A TIFF (each page a frame), a PNG, a folder of either with one file a frame (numbers in
        the names, as in ``mask_0007.tif`` or a Cell Tracking Challenge folder) or of stacks over
        time, a zarr array, OME-Zarr labels, an .npy array (T, Y, X) or (T, Z, Y, X), an .npz with
        a member called ``labels`` or ``masks``, or Cellpose's ``_seg.npy``. In a folder, the
        pages of a TIFF are the planes of a frame.
    params
        What a person chose.
    axes
        One letter for each axis of the array: T, Z, Y, X; for a folder, of each file. Derived
        if not given, here or in `params` (`napari_sam2track.frames.axes.resolve_label_layout`).
    gaps
        Allow frames to be missing from the numbers in the names of a folder, as in `params`.
    one_a_frame
        A folder with a single file has a single frame.
    guess
        Axes of an array that has as many and declares none.

    Returns
    -------
    LabelStack
        The frames.

    Raises
    ------
    FormatError
        If there is nothing, it is not of these kinds, frames are missing from the sequence or
        differ in size, or it is a colour image, which has no label values.
    """
    request = ReadRequest(
        labels=True,
        axes=axes or (params.axes if params else None),
        series=params.series if params else None,
        allow_truncated=params is not None and params.allow_truncated,
        gaps=gaps or (params is not None and params.gaps),
        one_a_frame=one_a_frame,
    )
    path = Path(path)
    try:
        stored = open_container(path, request)
    except FramesError as error:
        raise FormatError(str(error)) from error
    try:
        return _stack(stored, path, request, guess)
    except BaseException as error:
        stored.close()
        if isinstance(error, FramesError):
            raise FormatError(str(error)) from error
        raise


def open_frame(path: Path, axes: str | None = None) -> LabelStack:
    """Open a file with one frame; pages of a TIFF are its planes.

    Raises
    ------
    FormatError
        As `open_labels`, or if it has frames and planes.
    """
    stack = open_labels(path, axes=axes)
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


def _stack(stored: StoredArray, path: Path, request: ReadRequest, guess: str | None) -> LabelStack:
    """Make a stack of what a container gave."""
    note = _note(stored.attributes)
    array, known = stored.array, stored.axes
    shape, noted = tuple(array.shape), note.shape
    declares = stored.scale is not None
    same = noted and math.prod(noted) == math.prod(shape) and noted[-2:] == shape[-2:]
    if same and shape != noted:  # files leave out axes of length 1
        array, known = AddedAxes(array, noted), "T" + "ZYX"[-len(noted) + 1 :]
        shape = noted
    axes = None if stored.settled else request.axes or note.axes_of(shape)
    if axes is None and known is None and guess and len(guess) == len(shape):
        axes = guess
    layout = resolve_label_layout(shape, str(path), axes=axes, known=known)
    if layout.n_frames > MAX_FRAMES:
        raise FormatError(
            f"{path} says {layout.n_frames} frames, more than any movie has; correct its metadata, "
            "or export it again"
        )
    size = f"a frame of {path} ({size_text(layout.frame_shape)} pixels)"
    require_memory(8 * math.prod(layout.frame_shape), size)
    scale = note.scale or Scale()
    if declares:
        in_plane = stored.axes is None or "Z" in stored.axes or "Info" in stored.attributes
        scale = note.scale_near(stored.scale or Scale(), depth=in_plane)
    name = Path(stored.name).name
    return LabelStack(
        str(path),
        array,
        layout,
        stored.numbers if stored.numbers is not None else range(layout.n_frames),
        stored.frame_name or (lambda t: f"frame {t} of {name}"),
        stored.close,
        scale,
        note.parents,
        note.provenance,
        list(stored.notes),
    )


def _note(attributes: Mapping[str, Any]) -> LabelNote:
    """Return our note in the metadata of a container, or beside the files of a folder."""
    if "Info" in attributes:
        return note_in_text(str(attributes["Info"]))
    if BESIDE in attributes:
        content = dict(attributes[BESIDE])
        tracks = content.pop(TRACKS, None)
        return read_note({PROVENANCE: content, TRACKS: tracks})
    return read_note(attributes)
