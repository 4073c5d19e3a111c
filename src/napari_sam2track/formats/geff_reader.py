"""GEFF from any program: time and space from its axes, labels from its related objects."""

from __future__ import annotations

import json
import math
import os
import warnings
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from napari_sam2track.errors import FormatError
from napari_sam2track.formats.conversions import (
    extent,
    measured,
    point_rows,
    table_from,
    with_notes,
)
from napari_sam2track.formats.geff_writer import TRACK_PROP, reason
from napari_sam2track.formats.graphs import Graph, tracks_of
from napari_sam2track.formats.labels.label_notes import TRACKS, read_note
from napari_sam2track.formats.labels.label_stack import LabelStack
from napari_sam2track.formats.labels.open_labels import open_labels
from napari_sam2track.formats.pixel_sizes import given_sizes
from napari_sam2track.frames.pixel_scale import unit_of
from napari_sam2track.labels import LabelFrames, Scale, checked_ids
from napari_sam2track.params import ReadParams
from napari_sam2track.progress import ProgressHook
from napari_sam2track.tracks.tracked_movie import (
    UNKNOWN_PIXEL,
    TrackedMovie,
    relabelled,
    relabelled_frames,
)

_KNOWN_MAJOR = 1


def read(path: Path, options: ReadParams, progress: ProgressHook) -> TrackedMovie:
    """Read a GEFF, with its related labels if they are there.

    Raises
    ------
    FormatError
        If it is not valid, of a version that is not known, has no axes of time, y and x, tracks
        merge, or the labels are outside of its folder's parent.
    """
    memory = _valid(path)
    metadata = memory["metadata"]
    note = read_note(metadata.extra)
    props = {name: found["values"] for name, found in memory["node_props"].items()}
    stack, label_prop = _labels(path, metadata)
    try:
        places = _places(metadata, props, stack, path, options)
        return _movie(path, memory, places, stack, props.get(label_prop), options, progress, note)
    except BaseException:
        if stack is not None:
            stack.close()
        raise


def _movie(
    path: Path,
    memory: Any,
    places: _Places,
    stack: LabelStack | None,
    seg_ids: NDArray[Any] | None,
    options: ReadParams,
    progress: ProgressHook,
    note: Any,
) -> TrackedMovie:
    """Put nodes, links and labels together."""
    source, metadata = str(path), memory["metadata"]
    node_ids = np.asarray(memory["node_ids"]).astype(np.int64)
    graph = Graph(places.frames, places.centroids, _edges(memory, node_ids, source), node_ids)
    values = {name: found["values"] for name, found in memory["node_props"].items()}
    own = values.get(TRACK_PROP) if TRACKS in metadata.extra else None
    tracklet = (metadata.track_node_props or {}).get("tracklet")
    wished = values.get(tracklet) if tracklet else None
    tracks, parents, notes = tracks_of(
        graph,
        source,
        options.merges,
        None if own is None else checked_ids(own, f"{source}: a {TRACK_PROP}"),
        wished.astype(np.int64) if wished is not None and wished.dtype.kind in "iu" else None,
    )
    area = values.get("area") if own is not None else None
    rows = point_rows(tracks, places.frames, places.centroids, area)
    if own is not None and "bbox" in values:
        _boxes(rows, values["bbox"])
    n_frames, shape = extent(rows, places.deep)
    labels: LabelFrames | None = None
    if stack is not None and seg_ids is not None:
        if n_frames > stack.n_frames:
            raise FormatError(
                f"{source}: a node is in frame {n_frames - 1}, but its labels {stack.source} have "
                f"{stack.n_frames} frames"
            )
        n_frames, shape = stack.n_frames, stack.frame_shape
        wanted = _label_values(seg_ids, source)
        notes += _measure(rows, wanted, stack, progress, source, places.unknown is not None)
    elif note.shape and note.shape[0] >= n_frames and len(note.shape) == 3 + places.deep:
        n_frames, shape = note.shape[0], note.shape[1:]
    table = table_from(rows, n_frames, shape, parents, source)
    if stack is not None and seg_ids is not None:
        same = (rows["label"] == rows["track"]).all()
        seen = replace(table, detections=rows[rows["area"] > 0], parents={})
        labels = stack if same else relabelled_frames(stack, seen)
        table = relabelled(table)
    if places.unknown is not None and labels is not None:
        notes.append(f"places are in {places.unknown}: those of the masks were taken instead")
    provenance = with_notes(note.provenance, source, [*places.notes, *notes])
    if places.unknown is not None and labels is None:
        provenance[UNKNOWN_PIXEL] = places.unknown
    close = None if stack is None else stack.close
    return TrackedMovie(table, labels, places.scale, provenance, close)


def _valid(path: Path) -> Any:
    """Read the file into memory, after geff's checks of its structure and graph."""
    from geff.core_io import read_to_memory
    from geff.validate.data import ValidationConfig

    version = _version(path)
    major = version.split(".")[0]
    if not major.isdigit() or int(major) > _KNOWN_MAJOR:
        raise FormatError(
            f"{path} is GEFF of version {version}, and this program knows versions up to "
            f"{_KNOWN_MAJOR}.x; update napari-sam2track and geff, or export an older version"
        )
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            return read_to_memory(
                str(path),
                structure_validation=True,
                data_validation=ValidationConfig(graph=True),
            )
    except Exception as error:
        raise FormatError(
            f"{path} (GEFF {version}) is not valid GEFF: {reason(error)[:300]}; correct it, or "
            "export it anew"
        ) from error


def _version(path: Path) -> str:
    """Return the version that a GEFF declares."""
    for name in ("zarr.json", ".zattrs"):
        try:
            content = json.loads((path / name).read_text(encoding="utf-8"))
            attributes = content["attributes"] if name == "zarr.json" else content
            return str(attributes["geff"]["geff_version"])
        except (OSError, ValueError, KeyError, TypeError, RecursionError):
            continue
    raise FormatError(
        f"{path} is not GEFF: it is no zarr group with metadata of a geff_version; give the folder "
        "that holds nodes and edges"
    )


@dataclass(frozen=True, eq=False)
class _Places:
    """Places of nodes, in frames and pixels, and the size of a pixel.

    `unknown` is the unit of places, if nothing says how large a pixel is.
    """

    frames: NDArray[np.int64]
    centroids: NDArray[np.float64]
    scale: Scale
    deep: bool
    unknown: str | None
    notes: tuple[str, ...]


def _places(
    metadata: Any,
    props: dict[str, NDArray[Any]],
    stack: LabelStack | None,
    path: Path,
    options: ReadParams,
) -> _Places:
    """Read the axes: by their type, and by the last letter of their names."""
    found: dict[str, Any] = {}
    for axis in metadata.axes or ():
        letter = axis.name[-1:].lower()
        if axis.type == "time" or (axis.type is None and letter == "t"):
            found["t"] = axis
        elif letter in "zyx":
            found[letter] = axis
    missing = [letter for letter in "tyx" if letter not in found]
    if missing:
        names = [axis.name for axis in metadata.axes or ()]
        raise FormatError(
            f"{path} has the axes {', '.join(names) or 'none'}, and none that is "
            f"{' or '.join(missing)}; tracks need axes of time, y and x (names ending so)"
        )
    n = len(props[found["t"].name])
    frames, time = _frames(props[found["t"].name], found["t"], path)
    centroids = np.zeros((n, 3))
    sizes = {"z": 1.0, "y": 1.0, "x": 1.0}
    unit, unknown = None, None
    notes: list[str] = []
    given: dict[str, float] = {}
    sizes_given = options.pixel_sizes()
    if sizes_given is not None:
        many = "z" in found and len(np.unique(props[found["z"].name])) > 1
        given = dict(zip("zyx", given_sizes(sizes_given, many, str(path)), strict=True))
    for k, letter in enumerate("zyx"):
        if letter not in found:
            continue
        axis = found[letter]
        physical = unit_of(axis.unit) is not None
        size, unit, known = _size(axis, letter, stack)
        if given:
            size = given[letter]
        elif not known and letter != "z":
            unknown = unit
        elif physical and stack is None and letter == "x":
            notes.append(f"{size:g} {unit}, the scale of the axes, was taken for that of a pixel")
        sizes[letter] = size
        centroids[:, k] = props[axis.name] / (size if physical else 1.0)
    if not np.isfinite(centroids).all():
        raise FormatError(f"{path} has nodes whose place is no number (NaN or infinite)")
    depth = stack is not None and len(stack.frame_shape) == 3
    note = read_note(metadata.extra)
    told = len(note.shape) == 4
    deep = "z" in found and (depth or told or bool(centroids[:, 0].any()))
    time_unit = unit_of(found["t"].scaled_unit or found["t"].unit)
    scale = Scale(time, sizes["z"], sizes["y"], sizes["x"], time_unit, unit)
    scale = note.scale_near(scale, depth="z" in found)
    return _Places(frames, centroids, scale, deep, unknown, tuple(notes))


def _frames(values: NDArray[Any], axis: Any, path: Path) -> tuple[NDArray[np.int64], float]:
    """Return frame numbers from times, which may be in seconds, and the time between frames."""
    times = np.asarray(values, np.float64)
    size = float(axis.scale or 1.0)
    if unit_of(axis.unit) is not None and len(times):  # seconds, hours: find the step
        steps = np.diff(np.unique(times))
        step = float(steps.min()) if len(steps) else 1.0
        size, times = step * size, times / step
    frames = np.rint(times)
    if len(times) and (not np.allclose(frames, times, atol=1e-3) or frames.min() < 0):
        odd = float(values[int(np.argmax(np.abs(frames - times)))])
        raise FormatError(
            f"{path}: the times along {axis.name} are no frame numbers (one is {odd:g}); they have "
            "to be whole, or multiples of one step, and not negative"
        )
    return frames.astype(np.int64), size


def _size(axis: Any, letter: str, stack: LabelStack | None) -> tuple[float, str | None, bool]:
    """Return the size of a pixel along an axis, its unit, and whether the file says it."""
    unit = unit_of(axis.unit)
    scale = float(axis.scale or 0)
    scale = scale if 0 < scale < math.inf else 0.0
    if unit is None:
        return scale or 1.0, unit_of(axis.scaled_unit), True
    if stack is not None and stack.scale.space_unit is not None:
        return float(getattr(stack.scale, letter)), unit, True
    if scale and unit_of(axis.scaled_unit) in (None, unit):
        # No change of units, so it is what GEFF means first of all: from pixels to the world.
        return scale, unit, True
    return 1.0, unit, False


def _edges(memory: Any, node_ids: NDArray[np.int64], source: str) -> NDArray[np.int64]:
    """Return links as positions of nodes."""
    edges = np.asarray(memory["edge_ids"]).astype(np.int64).reshape(-1, 2)
    order = np.argsort(node_ids)
    return order[np.searchsorted(node_ids[order], edges)].reshape(-1, 2)


def _labels(path: Path, metadata: Any) -> tuple[LabelStack | None, str]:
    """Return the related labels of a GEFF, and the property of nodes with their values."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)
        related = [
            (item.path, item.node_prop or item.label_prop)
            for item in metadata.related_objects or ()
            if item.type == "labels"
        ]
    if not related or related[0][1] is None:
        return None, ""
    place = path / related[0][0]
    # Siblings are what GEFF recommends; anything further away is not the file's business.
    home = Path(os.path.realpath(path)).parent
    real = Path(os.path.realpath(place))
    if home not in real.parents:
        raise FormatError(
            f"{path} says that its labels are at {related[0][0]!r}, which is outside of the folder "
            f"that it is in; put them beside it, or correct related_objects in its metadata"
        )
    if not place.exists():
        return None, ""
    letters = "".join(axis.name[-1:].upper() for axis in metadata.axes or ())
    plain = letters in ("TYX", "TZYX")  # the order of GEFF's axes is that of a plain array
    return open_labels(place, guess=letters if plain else None), str(related[0][1])


def _measure(
    rows: NDArray[np.void],
    seg_ids: NDArray[np.int64],
    stack: LabelStack,
    progress: ProgressHook,
    source: str,
    places: bool,
) -> list[str]:
    """Put labels, areas and boxes of the masks into the rows; those without get the area 0.

    Also centroids, if `places` says so.
    """
    key = rows["frame"] * 2**32 + seg_ids
    kept = seg_ids > 0
    names, counts = np.unique(key[kept], return_counts=True)
    if (counts > 1).any():
        frame, label = divmod(int(names[counts > 1][0]), 2**32)
        raise FormatError(
            f"{source}: two nodes of frame {frame} have the label {label}; each needs its own"
        )
    masks = measured(stack, progress)
    where = masks["frame"] * 2**32 + masks["label"].astype(np.int64)
    order = np.argsort(where)
    at = np.minimum(np.searchsorted(where[order], key), max(len(where) - 1, 0))
    found = kept & (where[order][at] == key) if len(where) else np.zeros(len(rows), bool)
    rows["area"] = 0
    for name in ("area", "bbox", "centroid") if places else ("area", "bbox"):
        rows[name][found] = masks[name][order][at[found]]
    rows["label"] = np.where(found, seg_ids, rows["track"])
    lost = len(rows) - int(found.sum())
    return [f"{lost} nodes have no pixels in the labels"] if lost and kept[~found].any() else []


def _label_values(seg_ids: NDArray[Any], source: str) -> NDArray[np.int64]:
    """Return the label of each node, 0 for none; numbers below 0 and NaN are none, too."""
    values, known = np.zeros(len(seg_ids), np.int64), seg_ids > 0
    values[known] = checked_ids(seg_ids[known], f"{source}: the label of a node")
    return values


def _boxes(rows: NDArray[np.void], boxes: NDArray[Any]) -> None:
    """Put boxes as `geff_files.write` stores them into the rows."""
    ndim = boxes.shape[1] // 2
    rows["bbox"][:, :3], rows["bbox"][:, 3:] = 0, 1
    rows["bbox"][:, 3 - ndim : 3] = boxes[:, :ndim]
    rows["bbox"][:, 6 - ndim :] = boxes[:, ndim:]
