"""Zarr stores: OME-Zarr of all versions at full resolution, plates, wells, or a plain array."""

from __future__ import annotations

import math
import os
from collections.abc import Mapping
from pathlib import Path, PurePosixPath
from typing import TYPE_CHECKING, Any

from napari_sam2track.errors import FramesError
from napari_sam2track.frames.pixel_scale import ome_scale
from napari_sam2track.frames.stored_array import ReadRequest, StoredArray, chosen_image
from napari_sam2track.parsing.bounds import require_memory
from napari_sam2track.parsing.guard import parsing

if TYPE_CHECKING:
    import zarr

_MARKS = ("zarr.json", ".zgroup", ".zarray", ".zattrs")
_IMAGE_KEYS = {"multiscales", "image-label", "plate", "well"}
_TYPES = {"time": "T", "channel": "C"}

#: So many chunks need no look at how many of them were ever written.
_FEW_CHUNKS = 1_000


def is_zarr(path: Path) -> bool:
    """Return whether a folder is a zarr array or group, whatever it is called."""
    return path.is_dir() and any((path / mark).exists() for mark in _MARKS)


def read_zarr(path: Path, request: ReadRequest) -> StoredArray:
    """Open a zarr store: an OME-Zarr image, its labels, an array, or a group with one array.

    Parameters
    ----------
    path
        The folder of the array or group; a part of a larger store works too.
    request
        What is asked of it. Its series is the number or path of an image in a store of several;
        of a plate or well, the path, such as ``B/7/0``.

    Raises
    ------
    FramesError
        If the store is damaged, or it is not clear which image is meant.
    """
    import zarr

    with parsing(path, "zarr", FramesError):
        node, place, notes = _image_node(zarr.open(path, mode="r"), path, request)
        if request.labels:
            node, place, more = _labels_in(node, place, request)
            notes += more
        array, known, multiscale = _array_of(node, place)
        _refuse_empty(array, place)
        attributes = dict(node.attrs.asdict())
        return StoredArray(
            array,
            str(path) if request.labels else path.name,
            known,
            tuple(notes),
            scale=None if multiscale is None else ome_scale(multiscale, known),
            attributes=attributes,
        )


def ome_metadata(attributes: Mapping[str, Any]) -> Mapping[str, Any]:
    """Return OME's metadata in a group's attributes; version 0.5 has a key for it, 0.4 has none."""
    ome = attributes.get("ome", attributes)
    return ome if isinstance(ome, Mapping) else {}


def _image_node(
    node: zarr.Array[Any] | zarr.Group, path: Path, request: ReadRequest
) -> tuple[zarr.Array[Any] | zarr.Group, Path, list[str]]:
    """Return the image that is meant in a plate, a well, or a series of images, and its path."""
    import zarr

    if not isinstance(node, zarr.Group):
        return node, path, []
    ome = ome_metadata(node.attrs.asdict())
    if "plate" in ome or "well" in ome:
        places = _wells_of(node, ome) if "plate" in ome else _fields_of(ome, "")
        if request.series in places:
            return node[request.series], path / request.series, []
        kind = "plate" if "plate" in ome else "well"
        if not places:
            raise FramesError(
                f"{path} is a {kind}, and none of the images that its metadata name is there; open "
                "one by its own path"
            )
        if len(places) == 1:
            return node[places[0]], path / places[0], [f"its only image, {places[0]}, is used"]
        listed = ", ".join(places[:12]) + (f" and {len(places) - 12} more" * (len(places) > 12))
        raise FramesError(
            f"{path} is a {kind} of {len(places)} images: {listed}; open one of them, as "
            f"{path / places[0]}, or with --series {places[0]}"
        )
    if _IMAGE_KEYS & ome.keys() or any(node.array_keys()):
        return node, path, []
    numbers = sorted((key for key in node.group_keys() if key.isdigit()), key=int)
    if not numbers:
        return node, path, []
    k, notes = chosen_image(numbers, request.series, path)  # a series, as bioformats2raw writes it
    return node[numbers[k]], path / numbers[k], list(notes)


def _wells_of(plate: zarr.Group, ome: Mapping[str, Any]) -> list[str]:
    """Return the paths of the images of a plate, as far as its wells are there."""
    places = []
    for well in ome["plate"].get("wells", ()):
        place = str(well["path"]).strip("/")
        _refuse_outside(place, "its plate")
        try:
            fields = ome_metadata(plate[place].attrs.asdict())
        except KeyError:
            continue
        places += [each for each in _fields_of(fields, place + "/") if each in plate]
    return places


def _fields_of(ome: Mapping[str, Any], before: str) -> list[str]:
    """Return the paths of the images of a well."""
    images = ome.get("well", {}).get("images", ())
    return [before + str(image["path"]).strip("/") for image in images]


def _labels_in(node: Any, path: Path, request: ReadRequest) -> tuple[Any, Path, list[str]]:
    """Return the only labels of an OME-Zarr image, and their path; else the node itself."""
    import zarr

    labels = node.get("labels") if isinstance(node, zarr.Group) else None
    if not isinstance(labels, zarr.Group) or "image-label" in ome_metadata(node.attrs.asdict()):
        return node, path, []
    names = sorted(labels.group_keys())
    if request.series in names:
        return labels[request.series], path / "labels" / request.series, []
    if len(names) != 1:
        raise FramesError(
            f"{path} holds the labels {', '.join(names) or 'none'}; give one of them, as "
            f"{path / 'labels' / (names[0] if names else 'NAME')}"
        )
    used = [f"the labels {names[0]} of the image are used"] if request.series is None else []
    return labels[names[0]], path / "labels" / names[0], used


def _array_of(
    node: zarr.Array[Any] | zarr.Group, path: Path
) -> tuple[zarr.Array[Any], str | None, Mapping[str, Any] | None]:
    """Return a node's array at full resolution, its axes and its multiscale, as far as known."""
    import zarr

    if isinstance(node, zarr.Array):
        return node, _array_axes(node), None
    ome = ome_metadata(node.attrs.asdict())
    if "multiscales" in ome:
        if not ome["multiscales"]:
            raise FramesError(
                f"{path} cannot be read as zarr (its list of multiscales is empty); export it again"
            )
        multiscale = ome["multiscales"][0]
        place = str(multiscale["datasets"][0]["path"])
        _refuse_outside(place, path)
        level = node[place]
        if not isinstance(level, zarr.Array):
            raise FramesError(f"{path} has no array at its first level; export it again")
        letters = _ome_axes(multiscale.get("axes"))
        if letters is None and str(multiscale.get("version", "0.1")) in ("0.1", "0.2"):
            letters = "TCZYX" if level.ndim == 5 else None  # these versions know no others
        if letters and len(letters) != level.ndim:
            raise FramesError(
                f"{path} has {len(letters)} axes in its OME metadata, but pixels of shape "
                f"{level.shape}; export it again, or open {path / place} with axes given"
            )
        return level, letters or _array_axes(level), multiscale
    arrays = dict(node.arrays())
    if len(arrays) != 1:
        found = [*sorted(arrays), *sorted(node.group_keys())]
        raise FramesError(
            f"{path} holds {', '.join(found) or 'nothing'}, not one image; "
            "open one of its arrays or images by its own path"
        )
    (array,) = arrays.values()
    return array, _array_axes(array), None


def _refuse_outside(place: str, path: object) -> None:
    if ".." in PurePosixPath(place).parts or place.startswith("/"):
        raise FramesError(
            f"{path} says that its pixels are at {place!r}, which is outside of it; correct "
            "the path in its metadata"
        )


def _refuse_empty(array: zarr.Array[Any], path: Path) -> None:
    """Refuse an array that says far more than was ever written.

    A damaged or hostile shape would else be gone through chunk by chunk.
    """
    sizes = array.shards or array.chunks
    n_files = math.prod(-(-n // size) for n, size in zip(array.shape, sizes, strict=True))
    require_memory(
        math.prod(array.chunks) * array.dtype.itemsize, f"a chunk of {path}", FramesError
    )
    if n_files <= _FEW_CHUNKS:
        return
    least = n_files // 100
    written = _count_files(
        path / array.basename if (path / array.basename).is_dir() else path, least
    )
    if written < least:
        raise FramesError(
            f"{path} says a shape of {array.shape}, and {written} of its {n_files} chunks were "
            "written; correct its metadata, or export it again"
        )


def _count_files(folder: Path, enough: int) -> int:
    """Count the files below a folder that are no metadata, until there are enough."""
    count = 0
    for _, _, names in os.walk(folder):
        count += sum(not name.startswith(".") and name != "zarr.json" for name in names)
        if count >= enough:
            break
    return count


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
