"""Label images in numpy and zarr containers."""

from __future__ import annotations

import threading
import weakref
import zipfile
from pathlib import Path
from typing import IO, Any

import numpy as np
from numpy.typing import NDArray

from napari_sam2track.errors import FormatError
from napari_sam2track.formats.labels import LabelStack, counted, from_arrays

_ZARR_MARKS = ("zarr.json", ".zarray", ".zgroup")
_MEMBER_NAMES = ("labels", "masks", "label", "mask")


def is_zarr(folder: Path) -> bool:
    """Whether a folder is a zarr array or group, whatever it is called."""
    return any((folder / mark).is_file() for mark in _ZARR_MARKS)


def open_npy(path: Path) -> LabelStack:
    """Open an array (T, Y, X) or (Y, X) as a memory map.

    Raises
    ------
    FormatError
        If it cannot be read or has other axes.
    """
    try:
        array = np.load(path, mmap_mode="r", allow_pickle=False)
    except (ValueError, OSError, EOFError) as error:
        raise FormatError(f"{path} cannot be read as an array: {error}") from error
    return from_arrays(array.reshape(_as_tyx(array.shape, path)), str(path))


def open_npz(path: Path) -> LabelStack:
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
        n_frames, height, width = _as_tyx(member.shape, path)
    except (ValueError, OSError, EOFError, zipfile.BadZipFile) as error:
        archive.close()
        raise FormatError(f"{path} cannot be read as an .npz: {error}") from error
    except FormatError:
        archive.close()
        raise
    numbers, names = counted(n_frames, f"{path.name}[{chosen}]")

    def load(t: int) -> NDArray[Any]:
        try:
            return member.read(t, height, width)
        except (ValueError, OSError, EOFError, zipfile.BadZipFile) as error:
            raise FormatError(f"{names[t]} cannot be read: {error}") from error

    stack = LabelStack(str(path), n_frames, (height, width), numbers, names, load, member.close)
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

    def read(self, t: int, height: int, width: int) -> NDArray[Any]:
        """Frame `t`, shape (height, width)."""
        n_bytes = height * width * self._dtype.itemsize
        with self._lock:
            self._stream.seek(self._begin + t * n_bytes)
            raw = self._stream.read(n_bytes)
        if len(raw) < n_bytes:
            raise EOFError("the file ends too early")
        return np.frombuffer(raw, self._dtype).reshape(height, width)

    def close(self) -> None:
        """Close the member and its archive."""
        self._stream.close()
        self._archive.close()


def open_zarr(path: Path) -> LabelStack:
    """Open a zarr array (T, Y, X), or the full resolution of OME-Zarr labels.

    For an OME-Zarr image the only entry of its ``labels`` group is taken.

    Raises
    ------
    FormatError
        If it cannot be read, there is no array or more than one set of labels, or it has
        several channels or planes.
    """
    import zarr

    try:
        node = zarr.open(str(path), mode="r")
    except (OSError, ValueError, KeyError, zarr.errors.BaseZarrError) as error:
        raise FormatError(f"{path} cannot be read as zarr: {error}") from error
    array = node if isinstance(node, zarr.Array) else _labels_in_group(node, path)
    shape = _as_tyx(array.shape, path)
    axis = _time_axis(array.shape)
    numbers, names = counted(shape[0], path.name)

    def load(t: int) -> NDArray[Any]:
        index: list[int | slice] = [0] * (array.ndim - 2) + [slice(None)] * 2
        if axis is not None:
            index[axis] = t
        try:
            return np.asarray(array[tuple(index)])
        except (OSError, ValueError, RuntimeError) as error:
            raise FormatError(f"{names[t]} cannot be read: {error}") from error

    return LabelStack(str(path), shape[0], shape[1:], numbers, names, load)


def _labels_in_group(group: Any, path: Path) -> Any:
    """The array with the labels in a zarr group."""
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
        array = group[ome["multiscales"][0]["datasets"][0]["path"]]
    except (KeyError, IndexError, TypeError):
        arrays = [array for _, array in group.arrays()]
        if len(arrays) != 1:
            raise FormatError(
                f"{path} is a zarr group with {len(arrays)} arrays and no OME-Zarr metadata; "
                "give the array with the labels"
            ) from None
        (array,) = arrays
    if not isinstance(array, zarr.Array):
        raise FormatError(f"{path} points to {array}, which is not an array")
    return array


def _time_axis(shape: tuple[int, ...]) -> int | None:
    """The axis of the frames: the long one before (Y, X), or the first."""
    leading = shape[:-2]
    long = [axis for axis, n in enumerate(leading) if n > 1]
    return long[0] if long else (0 if leading else None)


def _as_tyx(shape: tuple[int, ...], path: Path) -> tuple[int, int, int]:
    """The shape as (T, Y, X), with axes of length one dropped or added."""
    leading = [n for n in shape[:-2] if n != 1]
    if len(shape) < 2 or len(leading) > 1 or 0 in shape:
        raise FormatError(
            f"{path} has shape {shape}, which is not (T, Y, X): save one channel and one plane, "
            "with at least one frame"
        )
    return (leading[0] if leading else 1), shape[-2], shape[-1]
