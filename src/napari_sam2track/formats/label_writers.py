"""Label movies into files, frame by frame: the stack is never in memory as a whole."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from napari_sam2track.errors import OutputError, UsageError
from napari_sam2track.formats.output import atomic_path

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
) -> None:
    """Write a movie of labels; its kind is in its name.

    Parameters
    ----------
    path
        ``.tif``/``.tiff``: one page a frame, zlib, axes TYX, a BigTIFF if 4 GB might not do.
        ``.zarr``: OME-Zarr 0.5 labels, one chunk a frame. No suffix: a folder with one TIFF a
        frame and the metadata in ``provenance.json``.
    frames
        Arrays of shape (Y, X), unsigned integers, all of one size; consumed once.
    n_frames
        How many there are.
    metadata
        Our note on where it comes from (`provenance`), JSON-compatible.
    overwrite
        Allow an existing output to be replaced.
    max_id
        The largest label value: up to 65,535 gives 16 bits, more gives 32.

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
    writer = write.get(path.suffix.lower())
    if writer is None:
        raise UsageError(
            f"labels cannot be written as {path.suffix!r} ({path}); use .tif, .zarr or a folder"
        )
    dtype = np.dtype(np.uint16 if max_id <= np.iinfo(np.uint16).max else np.uint32)
    with atomic_path(path, overwrite) as temporary:
        writer(temporary, _checked(frames, n_frames, dtype, path), n_frames, dtype, metadata)


def _checked(
    frames: Iterable[NDArray[np.uint32]], n_frames: int, dtype: np.dtype[Any], path: Path
) -> Iterator[NDArray[Any]]:
    """The frames in their type on disk, after making sure that they fit."""
    shape, t = None, -1
    for t, frame in enumerate(frames):
        shape = shape or frame.shape
        if t >= n_frames or frame.shape != shape or frame.ndim != 2:
            raise ValueError(
                f"frame {t} of shape {frame.shape} is not one of {n_frames} of shape {shape}"
            )
        largest = int(frame.max())
        if largest > np.iinfo(dtype).max:
            raise OutputError(
                f"cannot write {path}: frame {t} holds id {largest}, more than {dtype} can hold; "
                "number the tracks anew, or give the largest id"
            )
        yield np.ascontiguousarray(frame, dtype)
    if t + 1 != n_frames:
        raise ValueError(f"there are {t + 1} frames, not {n_frames}")


def _write_tiff(
    path: Path,
    frames: Iterator[NDArray[Any]],
    n_frames: int,
    dtype: np.dtype[Any],
    metadata: Mapping[str, Any],
) -> None:
    """One page a frame; the metadata is in the first page's description, as JSON."""
    import tifffile

    first = next(frames)

    def pages() -> Iterator[NDArray[Any]]:
        yield first
        yield from frames

    # What zlib makes of it is not known beforehand, so the size without it decides.
    big = first.nbytes * n_frames > _CLASSIC_TIFF_BYTES
    with tifffile.TiffWriter(path, bigtiff=big) as tiff:
        tiff.write(
            pages(),
            shape=(n_frames, *first.shape),
            dtype=dtype,
            photometric="minisblack",
            compression="zlib",
            metadata={"axes": "TYX", "napari_sam2track": dict(metadata)},
        )


def _write_zarr(
    path: Path,
    frames: Iterator[NDArray[Any]],
    n_frames: int,
    dtype: np.dtype[Any],
    metadata: Mapping[str, Any],
) -> None:
    """OME-Zarr 0.5 (https://ngff.openmicroscopy.org/0.5): a multiscale of one scale, labels."""
    import zarr

    first = next(frames)
    axes = [
        {"name": "t", "type": "time"},
        {"name": "y", "type": "space"},
        {"name": "x", "type": "space"},
    ]
    scale = [{"type": "scale", "scale": [1.0, 1.0, 1.0]}]
    datasets = [{"path": "0", "coordinateTransformations": scale}]
    attributes = {
        "ome": {
            "version": "0.5",
            "multiscales": [{"name": "labels", "axes": axes, "datasets": datasets}],
            "image-label": {},
        },
        "napari_sam2track": dict(metadata),
    }
    group = zarr.create_group(str(path), zarr_format=3, attributes=attributes)
    array = group.create_array(
        "0",
        shape=(n_frames, *first.shape),
        chunks=(1, *first.shape),
        dtype=dtype,
        dimension_names=["t", "y", "x"],
        config={"write_empty_chunks": False},
    )
    array[0] = first
    for t, frame in enumerate(frames, start=1):
        array[t] = frame


def _write_folder(
    path: Path,
    frames: Iterator[NDArray[Any]],
    n_frames: int,
    dtype: np.dtype[Any],
    metadata: Mapping[str, Any],
) -> None:
    """``labels_0000.tif`` and so on, and ``provenance.json``."""
    import tifffile

    path.mkdir()
    digits = max(4, len(str(n_frames - 1)))
    for t, frame in enumerate(frames):
        tifffile.imwrite(
            path / f"labels_{t:0{digits}d}.tif",
            frame,
            photometric="minisblack",
            compression="zlib",
            metadata={"axes": "YX"},
        )
    note = json.dumps(dict(metadata), indent=2) + "\n"
    (path / "provenance.json").write_text(note, encoding="utf-8")
