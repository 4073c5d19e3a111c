"""Layers as tracks and tracks as layers: what readers, writers and docks share."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any, Literal

import numpy as np
from numpy.typing import NDArray

from napari_sam2track._napari.layer_values import (
    LayerLike,
    layer_labels,
    layer_parents,
    layer_provenance,
    layer_scale,
    scale_attributes,
)
from napari_sam2track.errors import FormatError
from napari_sam2track.formats.conversions import extent, measured, point_rows, table_from
from napari_sam2track.formats.provenance import provenance as make_provenance
from napari_sam2track.labels import Scale, checked_id, checked_ids
from napari_sam2track.progress import ProgressHook, no_progress
from napari_sam2track.tracks.lineage import generations, lineage_ids
from napari_sam2track.tracks.table import TrackTable
from napari_sam2track.tracks.tracked_movie import TrackedMovie

if TYPE_CHECKING:
    from napari.types import LayerData

#: napari's Tracks layer keeps a table as long as its largest id.
MAX_SHOWN_ID = 20_000_000


def tracked_movie(
    layer: LayerLike,
    parents: Mapping[int, int] | None = None,
    frame_axis: int = 0,
    progress: ProgressHook = no_progress,
    provenance: Mapping[str, Any] | None = None,
) -> TrackedMovie:
    """Return a Labels layer, whose values are track ids, as tracks; read once, frame by frame.

    Parameters
    ----------
    layer
        (T, Y, X), (T, Z, Y, X), or (Y, X), which is one frame. Axes of length 1 beside them are
        ignored.
    parents
        Parent of each daughter; None: those of the layer's metadata. Where one of the two has no
        pixel, the parent is left out, and the provenance notes it.
    frame_axis
        The axis that is time.
    progress
        Passes items on and may show progress.
    provenance
        Origin of the tracks; None: that in the layer's metadata, else its name.

    Raises
    ------
    FormatError
        If the layer's values cannot be labels.
    """
    labels = layer_labels(layer, frame_axis)
    rows = measured(labels, progress, "Reading the layer")
    wanted = layer_parents(layer) if parents is None else parents
    ids = set(rows["track"].tolist())
    kept = {child: parent for child, parent in wanted.items() if {child, parent} <= ids}
    note = dict(layer_provenance(layer) if provenance is None else provenance)
    if not note:
        note = make_provenance(source=layer.name, frames=range(labels.n_frames), parameters={})
    if len(kept) < len(wanted):
        text = f"the parents of {len(wanted) - len(kept)} tracks are left out: one has no pixel"
        note["notes"] = [*note.get("notes", ()), text]
    table = table_from(rows, labels.n_frames, labels.frame_shape, kept, f"the layer {layer.name!r}")
    scale = layer_scale(layer, labels.frame_axis, labels.dropped)
    return TrackedMovie(table, labels, scale, note)


def tracks_layer_data(
    table: TrackTable,
    scale: Scale | None = None,
    *,
    name: str,
    like: Mapping[str, Any] | None = None,
) -> LayerData:
    """Return tracks as a Tracks layer of napari.

    Parameters
    ----------
    table
        At least one detection, ids up to `MAX_SHOWN_ID` (see `can_show`).
    scale
        Size of a frame and of a pixel.
    name
        Of the layer.
    like
        More attributes, such as the scale, units and translation of the image; they win.

    Returns
    -------
    tuple
        Data (N, 4) of (id, t, y, x) or (N, 5) of (id, t, z, y, x), sorted by id, then by time;
        attributes with the graph, daughter to [mother], and the features ``area``, ``parent``
        (0: none), ``generation`` and ``lineage`` (the first ancestor); "tracks".
    """
    rows, ndim = table.detections, len(table.frame_shape)
    data = np.column_stack([rows["track"], rows["frame"], rows["centroid"][:, 3 - ndim :]])
    tracks, where = np.unique(rows["track"], return_inverse=True)
    ids = tracks.tolist()
    depth, root = generations(ids, table.parents), lineage_ids(ids, table.parents)
    features = {
        "area": rows["area"].astype(np.float64),
        "parent": np.array([table.parents.get(track, 0) for track in ids])[where],
        "generation": np.array([depth[track] for track in ids])[where],
        "lineage": np.array([root[track] for track in ids])[where],
    }
    attributes = {
        "name": name,
        "graph": {child: [parent] for child, parent in sorted(table.parents.items())},
        "features": features,
        **scale_attributes(scale or Scale(), 1 + ndim),
        **(like or {}),
    }
    return data.astype(np.float64), attributes, "tracks"


def can_show(table: TrackTable) -> bool:
    """Return whether napari can show a table as Tracks: not empty, and no enormous id."""
    return 0 < table.max_id <= MAX_SHOWN_ID


def movie_of_tracks(
    layer: Any,
    merges: Literal["refuse", "cut"] = "refuse",
    shape: Sequence[int] | None = None,
) -> TrackedMovie:
    """Return a Tracks layer as tracks whose places are known, without masks.

    Parameters
    ----------
    layer
        A Tracks layer, or `LayerValues` of one. Its ids begin with 0 or 1; if with 0, which is
        the background here, all become one higher. Depth that is 0 everywhere is none.
    merges
        Rule for a track with several parents in its graph: refuse it, or keep the one
        that ends last.
    shape
        (T, [Z,] Y, X) of the movie; None: as large as the tracks need.

    Raises
    ------
    FormatError
        If ids or frames are no whole numbers from 0 on, two places of a track are in one frame,
        or tracks merge and that is not to be cut.
    """
    name = f"the layer {layer.name!r}"
    data = np.asarray(layer.data, np.float64)
    if not np.isfinite(data).all():
        raise FormatError(f"{name} has places that are not finite numbers; remove them")
    what = f"a track id of {name}"
    ids, frames = checked_ids(data[:, 0], what, least=0), _whole(data[:, 1], "frame", name)
    notes = []
    shift = int(len(ids) > 0 and ids.min() == 0)
    if shift:
        notes.append("there is a track 0, the background's value: all ids are one higher now")
    deep = data.shape[1] == 5 and bool(data[:, 2].any())
    places = np.zeros((len(data), 3))
    places[:, -(data.shape[1] - 2) :] = data[:, 2:]
    tracks = checked_ids(ids.astype(np.int64) + shift, f"{what}, one higher,")
    rows = point_rows(tracks, frames, places, _areas(layer, len(data)))
    ends = {int(k): float(t) for k, t in sorted(zip(ids, frames, strict=True), key=lambda p: p[1])}
    found, cut = _one_parent(layer, ends, merges)
    parents = {child + shift: parent + shift for child, parent in found.items()}
    if cut:
        notes.append(f"{cut} links where tracks merge were cut")
    n_frames, frame_shape = extent(rows, deep)
    if shape is not None:
        n_frames, frame_shape = max(n_frames, int(shape[0])), tuple(int(n) for n in shape[1:])
    note = make_provenance(source=layer.name, frames=range(n_frames), parameters={})
    if notes:
        note["notes"] = notes
    table = table_from(rows, n_frames, frame_shape, parents, name)
    flat = (1,) if data.shape[1] == 5 and not deep else ()
    return TrackedMovie(table, None, layer_scale(layer, 0, flat), note)


def graph_parents(layer: Any, merges: Literal["refuse", "cut"] = "refuse") -> dict[int, int]:
    """Return daughter to parent from the graph of a Tracks layer; ids are as in the layer.

    Raises
    ------
    FormatError
        If tracks merge, and that is not to be cut.
    """
    data = np.asarray(layer.data)
    ends: dict[int, float] = {}
    for track, t in data[:, :2].tolist():
        ends[int(track)] = max(t, ends.get(int(track), t))
    return _one_parent(layer, ends, merges)[0]


def _whole(values: NDArray[np.float64], what: str, name: str) -> NDArray[np.int64]:
    whole = np.rint(values)
    odd = values[(whole != values) | (whole < 0)]
    if len(odd):
        raise FormatError(
            f"{name} has the {what} {odd[0]:g}; whole numbers from 0 on are needed: correct it"
        )
    return whole.astype(np.int64)


def _areas(layer: Any, n: int) -> NDArray[np.int64] | None:
    """Return the feature ``area`` where all of it is known."""
    features = layer.features
    if features is None or "area" not in features:
        return None
    areas = np.asarray(features["area"], np.float64)
    if len(areas) != n or not np.isfinite(areas).all() or (areas < 0).any():
        return None
    return np.rint(areas).astype(np.int64)


def _one_parent(layer: Any, ends: Mapping[int, float], merges: str) -> tuple[dict[int, int], int]:
    """Return daughter to parent from napari's graph, and the number of links that were cut."""
    parents: dict[int, int] = {}
    cut = 0
    what = f"a track in the graph of the layer {layer.name!r}"
    for key, found in (layer.graph or {}).items():
        child = checked_id(key, what, least=0)
        several = found if isinstance(found, list | tuple | np.ndarray) else [found]
        mothers = [m for m in (checked_id(one, what, least=0) for one in several) if m != child]
        if not mothers:  # some programs write a root like this
            continue
        if len(mothers) > 1 and merges == "refuse":
            raise FormatError(
                f"the layer {layer.name!r}: track {child} has the parents "
                f"{', '.join(map(str, mothers))}, so tracks merge there, and a track has one "
                "parent at most; take the others out of the layer's graph"
            )
        cut += len(mothers) - 1
        parents[child] = max(mothers, key=lambda track: ends.get(track, -1.0))
    return parents, cut
