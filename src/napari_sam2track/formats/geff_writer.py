"""GEFF, the graph exchange file format (https://liveimagetrackingtools.org/geff), with labels.

A GEFF is a zarr group. Ours holds the labels as well, as the array ``segmentation``, so that one
folder has everything and moves as one piece; the label value is the property ``seg_id``.

A tracklet in GEFF is a longest path without branches, which is what a track of ours is too,
unless it has a single child. So our ids are in the property ``track_id``, and read from there.
"""

from __future__ import annotations

import warnings
from pathlib import Path
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray
from pydantic import ValidationError

from napari_sam2track.errors import OutputError
from napari_sam2track.formats.conversions import require_order
from napari_sam2track.formats.graphs import edges_of, families_of, paths_of
from napari_sam2track.formats.labels.label_notes import make_note
from napari_sam2track.formats.labels.label_writers import checked_frames, write_zarr_array
from napari_sam2track.params import WriteParams
from napari_sam2track.progress import ProgressHook
from napari_sam2track.storage.output import atomic_path
from napari_sam2track.tracks.tracked_movie import TrackedMovie

#: The array with the labels, and the property of nodes that names them.
LABELS, LABEL_PROP = "segmentation", "seg_id"
#: Property with our ids, which our reader uses.
TRACK_PROP = "track_id"
#: zarr 2 is geff's own default, and what Java reads.
_ZARR_FORMAT: Literal[2] = 2


def write(
    path: Path, movie: TrackedMovie, options: WriteParams, overwrite: bool, progress: ProgressHook
) -> None:
    """Write tracks as a graph, and masks, if there are some, inside; checked by geff itself.

    Raises
    ------
    OutputError
        If the output exists, a parent begins too late, or geff's validator refuses the result.
    """
    import zarr
    from geff.core_io import write_arrays

    table = movie.table
    require_order(table, path)
    edges = edges_of(table)
    with atomic_path(path, overwrite) as temporary, warnings.catch_warnings():
        # Units that OME does not know, and types that only zarr 3 has names for.
        warnings.simplefilter("ignore", UserWarning)
        write_arrays(
            str(temporary),
            np.arange(len(table), dtype=np.uint64),
            {name: {"values": v, "missing": None} for name, v in _props(movie, edges).items()},
            edges.astype(np.uint64),
            {},
            _metadata(movie),
            zarr_format=_ZARR_FORMAT,
        )
        if movie.labels is not None:
            group = zarr.open_group(str(temporary), mode="a", zarr_format=_ZARR_FORMAT)
            dtype = np.dtype(np.uint16 if table.max_id <= 0xFFFF else np.uint32)
            n = table.n_frames
            frames = progress(map(movie.labels.read, range(n)), n, "Writing")
            shape = (n, *table.frame_shape)
            write_zarr_array(group, LABELS, checked_frames(frames, n, dtype, path), shape, dtype)
        problem = invalid(temporary)
        if problem:
            raise OutputError(f"cannot write {path}: the result is not valid GEFF ({problem})")


def invalid(path: Path) -> str:
    """Return the error of geff's own validator on a file; empty if it is valid."""
    from geff.core_io import read_to_memory
    from geff.validate.data import ValidationConfig

    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            everything = ValidationConfig(
                graph=True, sphere=True, ellipsoid=True, lineage=True, tracklet=True
            )
            read_to_memory(str(path), structure_validation=True, data_validation=everything)
    except Exception as error:  # noqa: BLE001 - validators raise anything
        return reason(error)
    return ""


def reason(error: Exception) -> str:
    """Return the message of a validator, in one line."""
    if isinstance(error, ValidationError):
        return "; ".join(
            f"{'.'.join(str(part) for part in item['loc'])}: {item['msg']}"
            for item in error.errors()
        )
    return " ".join(" ".join(str(part) for part in error.args).split()) or type(error).__name__


def _props(movie: TrackedMovie, edges: NDArray[np.int64]) -> dict[str, NDArray[Any]]:
    """Return the properties of the nodes, which are the rows of the table."""
    table = movie.table
    rows, ndim = table.detections, len(table.frame_shape)
    props: dict[str, NDArray[Any]] = {"t": rows["frame"].astype(np.int64)}
    for k, name in enumerate("zyx"[-ndim:]):
        props[name] = np.ascontiguousarray(rows["centroid"][:, 3 - ndim + k])
    box = rows["bbox"]
    props |= {
        TRACK_PROP: rows["track"].astype(np.uint32),
        "tracklet_id": paths_of(len(rows), edges),
        "lineage_id": families_of(len(rows), edges),
        "area": rows["area"].astype(np.int64),
        "bbox": np.concatenate([box[:, 3 - ndim : 3], box[:, 6 - ndim :]], axis=1),
    }
    if movie.labels is not None:
        # Where an object has no pixels there is no label.
        props[LABEL_PROP] = np.where(rows["area"] > 0, rows["track"], 0).astype(np.uint32)
    return props


def _metadata(movie: TrackedMovie) -> Any:
    """Return GEFF's metadata: axes in frames and pixels with scale, and special properties."""
    from geff_spec import Axis, GeffMetadata, RelatedObject

    table, scale = movie.table, movie.scale
    deep = len(table.frame_shape) == 3
    axes = []
    for name in ("t", *("zyx" if deep else "yx")):
        time = name == "t"
        size = scale.time if time else getattr(scale, name)
        unit = scale.time_unit if time else scale.space_unit
        axes.append(
            Axis(
                name=name,
                type="time" if time else "space",
                unit="frame" if time else "pixel",
                scale=size,
                scaled_unit=unit,
            )
        )
    shape = (table.n_frames, *table.frame_shape)
    related = [RelatedObject(type="labels", path=LABELS, node_prop=LABEL_PROP)]
    return GeffMetadata(
        directed=True,
        axes=axes,
        node_props_metadata={},
        edge_props_metadata={},
        track_node_props={"tracklet": "tracklet_id", "lineage": "lineage_id"},
        related_objects=related if movie.labels is not None else None,
        extra=make_note(movie.provenance, {}, scale, shape),
    )
