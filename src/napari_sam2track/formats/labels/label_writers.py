"""Label movies into files, frame by frame: the stack is never in memory as a whole."""

from __future__ import annotations

import json
import math
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from itertools import chain
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from napari_sam2track.errors import OutputError, UsageError
from napari_sam2track.formats.labels.label_notes import (
    PROVENANCE,
    TRACKS,
    imagej_unit,
    label_properties,
    make_note,
)
from napari_sam2track.labels import Scale
from napari_sam2track.storage.output import atomic_path

#: Classic TIFF has 32-bit offsets; some room is left for the pages' descriptions.
_CLASSIC_TIFF_BYTES = 4 * 2**30 - 2**25


def write_labels(
    path: str | Path,
    frames: Iterable[NDArray[np.uint32]],
    n_frames: int,
    metadata: Mapping[str, Any],
    overwrite: bool = False,
    *,
    max_id: int,
    scale: Scale | None = None,
    parents: Mapping[int, int] | None = None,
    spans: Mapping[int, tuple[int, int]] | None = None,
    kind: str | None = None,
) -> None:
    """Write a movie of labels; its kind is in its name.

    Parameters
    ----------
    path
        ``.tif``/``.tiff``: one page a plane, zlib; an ImageJ hyperstack of 16 bit if the ids and
        4 GB are enough, else 32 bit, or a BigTIFF. ``.zarr``: OME-Zarr 0.5 labels, one chunk a
        plane. No suffix: a folder with one TIFF a frame and the metadata in ``provenance.json``.
    frames
        Arrays of shape (Y, X) or (Z, Y, X), unsigned integers, all of one size; consumed once.
    n_frames
        Number of frames.
    metadata
        Our note on the origin (`provenance`), JSON-compatible.
    overwrite
        Allow an existing output to be replaced.
    max_id
        The largest label value: up to 65,535 gives 16 bits, more gives 32.
    scale
        Size of a frame and of a pixel.
    parents
        Parent of each daughter, kept as metadata.
    spans
        First and last frame of every track, for the ``properties`` of OME-Zarr. It is read
        after the last frame, so that it may grow while the frames are taken.
    kind
        ``.tif``, ``.zarr`` or "" (a folder), whatever the name is.

    Raises
    ------
    OutputError
        If the output exists, the disk is full, or a label is larger than `max_id` allows for:
        values are never wrapped. Nothing is left behind.
    UsageError
        If the name has another suffix.
    ValueError
        If the frames are not as many, or not as large, as they should be.
    """
    path = Path(path)
    write = {".tif": _write_tiff, ".tiff": _write_tiff, ".zarr": _write_zarr, "": _write_folder}
    writer = write.get(path.suffix.lower() if kind is None else kind)
    if writer is None:
        raise UsageError(
            f"labels cannot be written as {path.suffix!r} ({path}); use .tif, .zarr or a folder"
        )
    dtype = np.dtype(np.uint16 if max_id <= np.iinfo(np.uint16).max else np.uint32)
    with atomic_path(path, overwrite) as temporary:
        checked = checked_frames(frames, n_frames, dtype, path)
        first = next(checked)
        shape = (n_frames, *first.shape)
        scale = scale or Scale()
        contents = Contents(
            chain((first,), checked),
            shape,
            dtype,
            scale,
            make_note(metadata, parents or {}, scale, shape),
            parents or {},
            {} if spans is None else spans,
        )
        writer(temporary, contents)


@dataclass(frozen=True, eq=False)
class Contents:
    """Contents of an output: frames, their shape (with time first), type, scale, note, lineage."""

    frames: Iterator[NDArray[Any]]
    shape: tuple[int, ...]
    dtype: np.dtype[Any]
    scale: Scale
    note: dict[str, Any]
    parents: Mapping[int, int]
    spans: Mapping[int, tuple[int, int]]


def checked_frames(
    frames: Iterable[NDArray[np.uint32]], n_frames: int, dtype: np.dtype[Any], path: Path
) -> Iterator[NDArray[Any]]:
    """Yield the frames in their type on disk, after checking that they fit.

    Raises
    ------
    OutputError
        If there are none, or an id is too large for the type.
    ValueError
        If they are not as many, or not as large, as they should be.
    """
    if n_frames == 0:
        raise OutputError(f"cannot write {path}: the movie has no frames")
    shape, t = None, -1
    for t, frame in enumerate(frames):
        shape = shape or frame.shape
        if t >= n_frames or frame.shape != shape or frame.ndim not in (2, 3):
            raise ValueError(
                f"frame {t} of shape {frame.shape} is not one of {n_frames} of shape {shape}"
            )
        largest = int(frame.max(initial=0))
        if largest > np.iinfo(dtype).max:
            raise OutputError(
                f"cannot write {path}: frame {t} holds id {largest}, more than {dtype} can hold; "
                "number the tracks anew, or give the largest id"
            )
        yield np.ascontiguousarray(frame, dtype)
    if t + 1 != n_frames:
        raise ValueError(f"there are {t + 1} frames, not {n_frames}")


def _write_tiff(path: Path, contents: Contents) -> None:
    """Write one page a plane; our note is in ImageJ's info, or as JSON in the description."""
    import tifffile

    axes = "T" + "ZYX"[-len(contents.shape) + 1 :]
    scale, plane = contents.scale, contents.shape[-2:]
    # The size after zlib is not known beforehand, so the size without it decides.
    big = math.prod(contents.shape) * contents.dtype.itemsize > _CLASSIC_TIFF_BYTES
    plain = _in_tiff(scale)
    imagej = not big and plain and contents.dtype == np.uint16  # ImageJ opens it
    shape = contents.shape
    if plane[-1] == 1:  # tifffile takes a last axis of length 1 for samples, if there are none
        if not imagej:
            raise _too_narrow("a TIFF that is not ImageJ's")
        axes, shape, plane = axes + "S", (*shape, 1), (*plane, 1)
    metadata: dict[str, Any] = {"axes": axes, **contents.note}
    if imagej:
        metadata = {
            "axes": axes,
            "Info": json.dumps(contents.note),
            "unit": imagej_unit(scale.space_unit, "pixel"),
            "spacing": scale.z,
            "finterval": scale.time,
            "tunit": imagej_unit(scale.time_unit, "frame"),
        }
    with tifffile.TiffWriter(path, bigtiff=big, imagej=imagej) as tiff:
        tiff.write(
            (page for frame in contents.frames for page in frame.reshape(-1, *plane)),
            shape=shape,
            dtype=contents.dtype,
            photometric="minisblack",
            compression="zlib",
            resolution=(1 / scale.x, 1 / scale.y) if plain else None,
            metadata=metadata,
        )


def _too_narrow(what: str) -> OutputError:
    """Return the error for images that are one pixel wide."""
    return OutputError(f"{what} cannot hold images that are one pixel wide; write .zarr instead")


def _in_tiff(scale: Scale) -> bool:
    """Return whether TIFF tags (fractions of 32 bits, ASCII) can hold it; our note always can."""
    units = f"{scale.space_unit}{scale.time_unit}"
    return units.isascii() and all(1e-6 <= size <= 1e6 for size in (scale.y, scale.x))


def _write_zarr(path: Path, contents: Contents) -> None:
    """Write OME-Zarr 0.5 (https://ngff.openmicroscopy.org/0.5): labels with one scale."""
    import zarr

    scale, ndim = contents.scale, len(contents.shape)
    names = ("t", *"zyx"[-ndim + 1 :])
    axes: list[dict[str, str]] = []
    for name in names:
        axis = {"name": name, "type": "time" if name == "t" else "space"}
        unit = scale.time_unit if name == "t" else scale.space_unit
        axes.append(axis | ({"unit": unit} if unit else {}))
    sizes = [{"type": "scale", "scale": [float(s) for s in scale.of_axes(ndim)]}]
    datasets = [{"path": "0", "coordinateTransformations": sizes}]
    group = zarr.create_group(str(path), zarr_format=3)
    write_zarr_array(group, "0", contents.frames, contents.shape, contents.dtype)
    properties = label_properties(contents.parents, contents.spans)
    ome: dict[str, Any] = {
        "version": "0.5",
        "multiscales": [{"name": "labels", "axes": axes, "datasets": datasets}],
        "image-label": {"properties": properties} if properties else {},
    }
    group.attrs.put({"ome": ome, **contents.note})


def write_zarr_array(
    group: Any,
    name: str,
    frames: Iterable[NDArray[Any]],
    shape: tuple[int, ...],
    dtype: np.dtype[Any],
) -> None:
    """Write frames into a new array of a zarr group, one chunk a plane; empty ones take no room."""
    version = group.metadata.zarr_format
    names = ["t", *"zyx"[-len(shape) + 1 :]]
    array = group.create_array(
        name,
        shape=shape,
        chunks=(*(1,) * (len(shape) - 2), *shape[-2:]),
        dtype=dtype,
        dimension_names=names if version == 3 else None,
        config={"write_empty_chunks": False},
    )
    for t, frame in enumerate(frames):
        array[t] = frame


def _write_folder(path: Path, contents: Contents) -> None:
    """Write ``labels_0000.tif`` and so on, and ``provenance.json``."""
    path.mkdir()
    digits = max(4, len(str(contents.shape[0] - 1)))
    for t, frame in enumerate(contents.frames):
        write_label_image(path / f"labels_{t:0{digits}d}.tif", frame)
    content = {**contents.note[PROVENANCE], TRACKS: contents.note[TRACKS]}
    note = json.dumps(content, indent=2) + "\n"
    (path / "provenance.json").write_text(note, encoding="utf-8")


def write_label_image(
    path: Path, frame: NDArray[Any], note: Mapping[str, Any] | None = None
) -> None:
    """Write one frame as a TIFF, zlib, a page a plane."""
    import tifffile

    if frame.ndim == 3 and frame.shape[-1] == 1:
        raise _too_narrow("a TIFF of planes")
    tifffile.imwrite(
        path,
        frame,
        photometric="minisblack",
        compression="zlib",
        metadata={"axes": "ZYX"[-frame.ndim :], **(note or {})},
    )
