"""Zarr stores: OME-Zarr 0.4 and 0.5 at full resolution, or a plain array."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path, PurePosixPath
from typing import TYPE_CHECKING, Any

from napari_sam2track.errors import FramesError
from napari_sam2track.frames.arrays import ArraySource, from_array, reading

if TYPE_CHECKING:
    import zarr

_MARKS = ("zarr.json", ".zgroup", ".zarray", ".zattrs")
_IMAGE_KEYS = {"multiscales", "image-label", "plate", "well"}
_TYPES = {"time": "T", "channel": "C"}


def is_zarr(path: Path) -> bool:
    """Return whether a folder is a zarr array or group, whatever it is called."""
    return path.is_dir() and any((path / mark).exists() for mark in _MARKS)


def open_zarr(path: Path, *, axes: str | None = None, z: int | None = None) -> ArraySource:
    """Open a zarr store: an OME-Zarr image, an array, or a group with one array.

    Parameters
    ----------
    path
        The folder of the array or group; a part of a larger store works too.
    axes, z
        See `resolve_layout`; without `axes`, those of the metadata are taken.

    Raises
    ------
    FramesError
        If the store is damaged, or holds no image or more than one.
    """
    with reading(path, "zarr"):
        array, known = array_of(*open_node(path))
    return from_array(array, axes=axes, known=known, z=z, name=path.name)


def open_node(path: Path) -> tuple[zarr.Array[Any] | zarr.Group, Path]:
    """Return the array or group in a folder, and its path; in a block of `reading`.

    For a group with a single image, as bioformats2raw writes it, that is the image.
    """
    import zarr

    node = zarr.open(path, mode="r")
    if not isinstance(node, zarr.Group) or _IMAGE_KEYS & ome_metadata(node.attrs.asdict()).keys():
        return node, path
    if not any(node.array_keys()) and sorted(node.group_keys()) in (["0"], ["0", "OME"]):
        return node["0"], path / "0"
    return node, path


def array_of(node: zarr.Array[Any] | zarr.Group, path: Path) -> tuple[zarr.Array[Any], str | None]:
    """Return a node's array at full resolution, and its axes if the store has them.

    Raises
    ------
    FramesError
        If a group has no array or more than one, and no metadata that choose.
    """
    import zarr

    if isinstance(node, zarr.Array):
        return node, _array_axes(node)
    ome = ome_metadata(node.attrs.asdict())
    if "multiscales" in ome:
        multiscale = ome["multiscales"][0]
        place = str(multiscale["datasets"][0]["path"])
        if ".." in PurePosixPath(place).parts:
            raise FramesError(
                f"{path} says that its pixels are at {place!r}, which is outside of it; correct "
                "the path in its metadata"
            )
        level = node[place]
        if not isinstance(level, zarr.Array):
            raise FramesError(f"{path} has no array at its first level; export it again")
        letters = _ome_axes(multiscale.get("axes"))
        if letters and len(letters) != level.ndim:
            raise FramesError(
                f"{path} has {len(letters)} axes in its OME metadata, but pixels of shape "
                f"{level.shape}; export it again, or open {path / place} with axes given"
            )
        return level, letters or _array_axes(level)
    if "plate" in ome or "well" in ome:
        raise FramesError(
            f"{path} is a plate or well of many images; open one image in it, such as "
            f"{path / 'A' / '1' / '0'}"
        )
    arrays = dict(node.arrays())
    if len(arrays) != 1:
        found = [*sorted(arrays), *sorted(node.group_keys())]
        raise FramesError(
            f"{path} holds {', '.join(found) or 'nothing'}, not one image; "
            "open one of its arrays or images by its own path"
        )
    (array,) = arrays.values()
    return array, _array_axes(array)


def ome_metadata(attributes: Mapping[str, Any]) -> Mapping[str, Any]:
    """Return OME's metadata in a group's attributes; version 0.5 has a key for it, 0.4 has none."""
    ome = attributes.get("ome", attributes)
    return ome if isinstance(ome, Mapping) else {}


def _ome_axes(axes: Any) -> str | None:
    """Return letters for OME's axes: names such as "t" or, up to version 0.3, plain strings."""
    if not axes:
        return None
    letters = []
    for axis in axes:
        name, kind = (axis, "") if isinstance(axis, str) else (axis["name"], axis.get("type", ""))
        letter = str(name).upper()
        letters.append(letter if letter in ("T", "C", "Z", "Y", "X") else _TYPES.get(kind, "Q"))
    return "".join(letters)


def _array_axes(array: zarr.Array[Any]) -> str | None:
    """Return letters from dimension names (zarr 3) or xarray's attribute (zarr 2), if valid."""
    names = getattr(array.metadata, "dimension_names", None) or array.attrs.get("_ARRAY_DIMENSIONS")
    if not isinstance(names, list | tuple) or len(names) != array.ndim:
        return None
    letters = [str(name).upper() for name in names]
    if any(len(letter) != 1 for letter in letters) or not {"Y", "X"} <= set(letters):
        return None
    return "".join(letters)
