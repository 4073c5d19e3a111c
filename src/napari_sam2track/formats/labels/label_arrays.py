"""Label images in numpy and zarr containers."""

from __future__ import annotations

import math
import threading
import weakref
import zipfile
from pathlib import Path, PurePosixPath
from typing import IO, Any

import numpy as np
from numpy.typing import NDArray

from napari_sam2track.errors import FormatError
from napari_sam2track.formats.labels.label_axes import label_axes
from napari_sam2track.formats.labels.label_notes import ome_axes, read_note
from napari_sam2track.formats.labels.label_stack import LabelStack, counted

_ZARR_MARKS = ("zarr.json", ".zarray", ".zgroup")
_MEMBER_NAMES = ("labels", "masks", "label", "mask")


def is_zarr(folder: Path) -> bool:
    """Return whether a folder is a zarr array or group, whatever its name is."""
    return any((folder / mark).is_file() for mark in _ZARR_MARKS)


def open_npy(path: Path, axes: str | None = None) -> LabelStack:
    """Open an array (T, Y, X), (T, Z, Y, X) or (Y, X) as a memory map.

    Raises
    ------
    FormatError
        If it cannot be read or has other axes.
    """
    try:
        array = np.load(path, mmap_mode="r", allow_pickle=False)
    except (ValueError, OSError, EOFError) as error:
        raise FormatError(f"{path} cannot be read as an array: {error}") from error
    if not isinstance(array, np.ndarray):
        array.close()
        raise FormatError(f"{path} is an archive of arrays, not an array; call it .npz")
    layout = label_axes(array.shape, str(path), axes)
    numbers, names = counted(layout.n_frames, str(path))
    return LabelStack(
        str(path),
        layout.n_frames,
        layout.frame_shape,
        numbers,
        names,
        lambda t: layout.arrange(np.asarray(array[layout.index(t)])),
    )


def open_npz(path: Path, axes: str | None = None) -> LabelStack:
    """Open an array in an .npz: ``labels``, ``masks``, ``label``, ``mask``, or the only one.

    Frames are unpacked one at a time, which is fast in their order.

    Raises
    ------
    FormatError
        If it cannot be read, has other axes, or it is not clear which member is meant.
    """
    try:
        archive = zipfile.ZipFile(path)
    except (zipfile.BadZipFile, OSError) as error:
        raise FormatError(f"{path} cannot be read as an .npz: {error}") from error
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
        if layout.time not in (None, *range(len(member.shape) - len(layout.frame_shape))):
            raise FormatError(
                f"{path} has axes {axes} of shape {member.shape}, and its frames are not one after "
                "another in the file; save time as the first axis"
            )
    except (ValueError, OSError, EOFError, zipfile.BadZipFile) as error:
        archive.close()
        raise FormatError(f"{path} cannot be read as an .npz: {error}") from error
    except FormatError:
        archive.close()
        raise
    n_frames, shape = layout.n_frames, layout.frame_shape
    numbers, names = counted(n_frames, f"{path.name}[{chosen}]")

    def load(t: int) -> NDArray[Any]:
        try:
            return member.read(t, shape)
        except (ValueError, OSError, EOFError, zipfile.BadZipFile) as error:
            raise FormatError(f"{names[t]} cannot be read: {error}") from error

    stack = LabelStack(str(path), n_frames, shape, numbers, names, load, member.close)
    weakref.finalize(stack, member.close)
    return stack


class _NpzMember:
    """An array in an open zip file, frame by frame: `np.load` would unpack all of it."""

    def __init__(self, archive: zipfile.ZipFile, name: str) -> None:
        self._archive = archive
        self._stream: IO[bytes] = archive.open(name)
        self._lock = threading.Lock()  # one position in the stream for all who read
        version = np.lib.format.read_magic(self._stream)
        read_header = {
            (1, 0): np.lib.format.read_array_header_1_0,
            (2, 0): np.lib.format.read_array_header_2_0,
        }.get(version)
        if read_header is None:
            raise ValueError(f"version {version} of the .npy format")
        self.shape, fortran_order, self._dtype = read_header(self._stream)
        if self._dtype.hasobject:
            raise ValueError("it holds Python objects, not numbers")
        if fortran_order:
            raise ValueError("the array is in Fortran order; save it with np.ascontiguousarray")
        self._begin = self._stream.tell()

    def read(self, t: int, shape: tuple[int, ...]) -> NDArray[Any]:
        """Return frame `t` of a shape."""
        n_bytes = math.prod(shape) * self._dtype.itemsize
        with self._lock:
            self._stream.seek(self._begin + t * n_bytes)
            raw = self._stream.read(n_bytes)
        if len(raw) < n_bytes:
            raise EOFError("the file ends too early")
        return np.frombuffer(raw, self._dtype).reshape(shape)

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
    import zarr

    try:
        node = zarr.open(str(path), mode="r")
    except (OSError, ValueError, KeyError, TypeError, zarr.errors.BaseZarrError) as error:
        raise FormatError(f"{path} cannot be read as zarr: {error}") from error
    group: Any = None
    if isinstance(node, zarr.Array):
        array: Any = node
    else:
        group, array = _labels_in_group(node, path)
    attributes = (array if group is None else group).attrs.asdict()
    known, scale = ome_axes(attributes, array)
    note = read_note(attributes)
    guess = guess if known is None and guess and len(guess) == array.ndim else None
    layout = label_axes(array.shape, str(path), axes or note.axes_of(array.shape) or guess, known)
    numbers, names = counted(layout.n_frames, path.name)

    def load(t: int) -> NDArray[Any]:
        try:
            return np.asarray(layout.arrange(np.asarray(array[layout.index(t)])))
        except (OSError, ValueError, RuntimeError) as error:
            raise FormatError(f"{names[t]} cannot be read: {error}") from error

    return LabelStack(
        str(path),
        layout.n_frames,
        layout.frame_shape,
        numbers,
        names,
        load,
        scale=note.scale_near(scale, depth="Z" in (known or "")),
        parents=note.parents,
        note=note.provenance,
    )


def _labels_in_group(group: Any, path: Path) -> tuple[Any, Any]:
    """Return the group that describes the labels in a zarr group, and the array with them."""
    import zarr

    attributes = group.attrs.asdict()
    ome = attributes.get("ome", attributes)  # version 0.5 keeps its keys together, 0.4 does not
    labels = group.get("labels") if "image-label" not in ome else None
    if isinstance(labels, zarr.Group):
        names = sorted(labels.group_keys())
        if len(names) != 1:
            raise FormatError(
                f"{path} holds the labels {', '.join(names) or 'none'}; give one of them, as "
                f"{path / 'labels' / (names[0] if names else 'NAME')}"
            )
        return _labels_in_group(labels[names[0]], path / "labels" / names[0])
    try:
        place = str(ome["multiscales"][0]["datasets"][0]["path"])
        if ".." in PurePosixPath(place).parts:
            raise FormatError(
                f"{path} says that its pixels are at {place!r}, which is outside of it; correct "
                "the path in its metadata"
            )
        array = group[place]
    except (KeyError, IndexError, TypeError, AttributeError):
        arrays = [array for _, array in group.arrays()]
        if len(arrays) != 1:
            raise FormatError(
                f"{path} is a zarr group with {len(arrays)} arrays and no OME-Zarr metadata; "
                "give the array with the labels"
            ) from None
        (array,) = arrays
    if not isinstance(array, zarr.Array):
        raise FormatError(f"{path} points to {array}, which is not an array")
    return group, array
