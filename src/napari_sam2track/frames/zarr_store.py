"""Zarr stores: OME-Zarr 0.4 and 0.5 at full resolution, or a plain array."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from napari_sam2track.errors import FramesError
from napari_sam2track.frames.arrays import ArraySource, from_array

if TYPE_CHECKING:
    import zarr

_MARKS = ("zarr.json", ".zgroup", ".zarray", ".zattrs")
_TYPES = {"time": "T", "channel": "C"}


def is_zarr(path: Path) -> bool:
    """Return whether a folder is a zarr array or group."""
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
    import zarr

    try:
        node = zarr.open(path, mode="r")
        array, known = _find(node, path)
    except FramesError:
        raise
    except (OSError, ValueError, KeyError, TypeError, RuntimeError) as error:
        raise FramesError(
            f"{path} cannot be read as zarr ({error}); the store may be damaged: "
            "copy or export it again"
        ) from error
    return from_array(array, axes=axes, known=known, z=z, name=path.name)


def _find(node: zarr.Array[Any] | zarr.Group, path: Path) -> tuple[zarr.Array[Any], str | None]:
    import zarr

    if isinstance(node, zarr.Array):
        return node, _array_axes(node)
    attributes = node.attrs.asdict()
    ome = attributes.get("ome", attributes)  # 0.5 has a key of its own, 0.4 has not
    if not isinstance(ome, Mapping):
        raise FramesError(f"{path} has OME metadata that are not a mapping; export it again")
    if "multiscales" in ome:
        multiscale: Any = ome["multiscales"]
        multiscale = multiscale[0]
        level = node[multiscale["datasets"][0]["path"]]
        if not isinstance(level, zarr.Array):
            raise FramesError(f"{path} has no array at its first level; export it again")
        return level, _ome_axes(multiscale.get("axes"))
    if "plate" in ome or "well" in ome:
        raise FramesError(
            f"{path} is a plate or well of many images; open one image in it, such as "
            f"{path / 'A' / '1' / '0'}"
        )
    return _only_child(node, path)


def _only_child(group: zarr.Group, path: Path) -> tuple[zarr.Array[Any], str | None]:
    arrays = dict(group.arrays())
    if len(arrays) == 1:
        (array,) = arrays.values()
        return array, _array_axes(array)
    inner = sorted(name for name, _ in group.groups())
    if not arrays and inner in (["0"], ["0", "OME"]):  # as bioformats2raw writes a single image
        return _find(group["0"], path / "0")
    found = sorted(arrays) + inner
    raise FramesError(
        f"{path} holds {'nothing' if not found else ', '.join(found)}, not one image; "
        "open one of its arrays or images by its own path"
    )


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
