"""Label images in numpy and zarr containers."""

from __future__ import annotations

import math
import weakref
import zipfile
from pathlib import Path
from typing import IO, Any

import numpy as np
from numpy.typing import NDArray

from napari_sam2track.errors import FormatError
from napari_sam2track.formats.labels.label_axes import label_axes
from napari_sam2track.formats.labels.label_notes import ome_scale, read_note
from napari_sam2track.formats.labels.label_stack import LabelStack, counted, reading_labels
from napari_sam2track.frames.mapped import map_npy
from napari_sam2track.frames.pages import PagedArray
from napari_sam2track.frames.zarr_store import array_of, ome_metadata, open_node

_MEMBER_NAMES = ("labels", "masks", "label", "mask")


def open_npy(path: Path, axes: str | None = None) -> LabelStack:
    """Open an array (T, Y, X), (T, Z, Y, X) or (Y, X), mapped from the file.

    Raises
    ------
    FormatError
        If it cannot be read or has other axes.
    """
    with reading_labels(path, "a numpy array"):
        array = map_npy(path)
    layout = label_axes(array.shape, str(path), axes)
    return LabelStack(str(path), array, layout, *counted(layout.n_frames, str(path)))


def open_npz(path: Path, axes: str | None = None) -> LabelStack:
    """Open an array in an .npz: ``labels``, ``masks``, ``label``, ``mask``, or the only one.

    Frames are unpacked one at a time, which is fast in their order.

    Raises
    ------
    FormatError
        If it cannot be read, has other axes, or it is not clear which member is meant.
    """
    with reading_labels(path, "an .npz"):
        archive = zipfile.ZipFile(path)
        try:
            members = [n.removesuffix(".npy") for n in archive.namelist() if n.endswith(".npy")]
            known = [n for n in _MEMBER_NAMES if n in members]
            if not known and len(members) != 1:
                raise FormatError(
                    f"{path} holds {', '.join(members) or 'no arrays'}; name the one with the "
                    "labels 'labels'"
                )
            chosen = (known or members)[0]
            member = _NpzMember(archive, f"{chosen}.npy")
            layout = label_axes(member.shape, str(path), axes)
            n_lead = len(member.shape) - len(layout.frame_shape)
            if layout.time not in (None, *range(n_lead)):
                raise FormatError(
                    f"{path} has axes {axes} of shape {member.shape}, and its frames are not one "
                    "after another in the file; save time as the first axis"
                )
        except BaseException:
            archive.close()
            raise
    lead, page = member.shape[:n_lead], member.shape[n_lead:]
    array = PagedArray(lead, page, member.dtype, lambda k: member.read(k, page))
    weakref.finalize(array, member.close)  # for those who do not close it
    numbers, names = counted(layout.n_frames, f"{path.name}[{chosen}]")
    return LabelStack(str(path), array, layout, numbers, names, member.close)


class _NpzMember:
    """An array in an open zip file, page by page: `np.load` would unpack all of it."""

    def __init__(self, archive: zipfile.ZipFile, name: str) -> None:
        self._archive = archive
        self._stream: IO[bytes] = archive.open(name)
        version = np.lib.format.read_magic(self._stream)
        read_header = {
            (1, 0): np.lib.format.read_array_header_1_0,
            (2, 0): np.lib.format.read_array_header_2_0,
        }.get(version)
        if read_header is None:
            raise ValueError(f"version {version} of the .npy format")
        self.shape, fortran_order, self.dtype = read_header(self._stream)
        if self.dtype.hasobject:
            raise FormatError(f"{archive.filename} holds Python objects, not numbers")
        if fortran_order:
            raise FormatError(
                f"{archive.filename} holds an array in Fortran order; save it with "
                "np.ascontiguousarray"
            )
        self._begin = self._stream.tell()

    def read(self, k: int, shape: tuple[int, ...]) -> NDArray[Any]:
        """Page `k` of a shape; one call at a time, as `PagedArray` does it."""
        n_bytes = math.prod(shape) * self.dtype.itemsize
        self._stream.seek(self._begin + k * n_bytes)
        raw = self._stream.read(n_bytes)
        if len(raw) < n_bytes:
            raise EOFError("the file ends too early")
        return np.frombuffer(raw, self.dtype).reshape(shape)

    def close(self) -> None:
        """Close the member and its archive."""
        self._stream.close()
        self._archive.close()


def open_zarr(path: Path, axes: str | None = None, guess: str | None = None) -> LabelStack:
    """Open a zarr array (T, Y, X) or (T, Z, Y, X), or the full resolution of OME-Zarr labels.

    For an OME-Zarr image the only entry of its ``labels`` group is taken. Axes and scale are
    those of the metadata, where there are some (OME-Zarr 0.4 and 0.5, names of dimensions), else
    those of `guess` if they are as many as the array has.

    Raises
    ------
    FormatError
        If it cannot be read, there is no array or more than one set of labels, or it has
        several channels.
    """
    with reading_labels(path, "zarr"):
        node, place = _labels_in(*open_node(path))
        array, known = array_of(node, place)
        attributes = node.attrs.asdict()
    scale = ome_scale(attributes, known)
    note = read_note(attributes)
    guess = guess if known is None and guess and len(guess) == array.ndim else None
    layout = label_axes(array.shape, str(path), axes or note.axes_of(array.shape) or guess, known)
    return LabelStack(
        str(path),
        array,
        layout,
        *counted(layout.n_frames, path.name),
        scale=note.scale_near(scale, depth="Z" in (known or "")),
        parents=note.parents,
        note=note.provenance,
    )


def _labels_in(node: Any, path: Path) -> tuple[Any, Path]:
    """Return the only labels of an OME-Zarr image, and their path; else the node itself."""
    import zarr

    labels = node.get("labels") if isinstance(node, zarr.Group) else None
    if not isinstance(labels, zarr.Group) or "image-label" in ome_metadata(node.attrs.asdict()):
        return node, path
    names = sorted(labels.group_keys())
    if len(names) != 1:
        raise FormatError(
            f"{path} holds the labels {', '.join(names) or 'none'}; give one of them, as "
            f"{path / 'labels' / (names[0] if names else 'NAME')}"
        )
    return labels[names[0]], path / "labels" / names[0]
