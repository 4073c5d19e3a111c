"""Conversions between files and a `TrackedMovie` that several formats need."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from napari_sam2track.errors import FormatError, OutputError
from napari_sam2track.labels import LabelFrames, checked_ids
from napari_sam2track.progress import ProgressHook, no_progress
from napari_sam2track.tracks.lineage import problems, spans
from napari_sam2track.tracks.regions import measure_regions
from napari_sam2track.tracks.table import DETECTION, TrackTable
from napari_sam2track.tracks.tracked_movie import (
    TrackedMovie,
    detections_of,
    relabelled,
    relabelled_frames,
)

#: Most frames for an object of a file, on average; a wrong number must not make a movie of years.
_MOST_GAPS = 1000


def notes(movie: TrackedMovie) -> list[str]:
    """Return sentences on losses and decisions of reading a movie."""
    return [str(note) for note in movie.provenance.get("notes", ())]


def with_notes(
    provenance: Mapping[str, Any], source: object, texts: Iterable[str]
) -> dict[str, Any]:
    """Return a note on origin with sentences on reading a source, behind those that it has."""
    found = [f"{source}: {text}" for text in texts]
    if not found:
        return dict(provenance)
    return {**provenance, "notes": [*provenance.get("notes", ()), *found]}


def detections(t: int, frame: NDArray[np.uint32]) -> NDArray[np.void]:
    """Return rows of a `TrackTable` for the objects of a frame; the label is the track."""
    regions = measure_regions(frame)
    return detections_of(t, regions, regions.labels)


def measured(
    labels: LabelFrames, progress: ProgressHook = no_progress, doing: str = "Reading"
) -> NDArray[np.void]:
    """Return rows of a `TrackTable` for all objects of all frames; the label is the track."""
    frames = progress(range(labels.n_frames), labels.n_frames, doing)
    return np.concatenate(
        [np.zeros(0, DETECTION), *(detections(t, labels.read(t)) for t in frames)]
    )


def point_rows(
    tracks: Sequence[int] | NDArray[Any],
    frames: Sequence[int] | NDArray[Any],
    centroids: NDArray[np.float64],
    areas: NDArray[Any] | None = None,
) -> NDArray[np.void]:
    """Return rows of a `TrackTable` for objects whose places are known.

    Parameters
    ----------
    tracks, frames
        Shape (n,).
    centroids
        Shape (n, 3), (z, y, x) in pixels.
    areas
        Shape (n,), in pixels; 0 if not known. A box is the pixel of the centroid.
    """
    rows = np.zeros(len(frames), DETECTION)
    rows["track"] = rows["label"] = checked_ids(np.asarray(tracks), "a track id")
    rows["frame"] = frames
    rows["centroid"], rows["iou"] = centroids, np.nan
    if areas is not None:
        rows["area"] = areas
    corner = np.floor(centroids + 0.5).astype(np.int64)
    rows["bbox"][:, :3], rows["bbox"][:, 3:] = corner, corner + 1
    return rows


def extent(rows: NDArray[np.void], deep: bool) -> tuple[int, tuple[int, ...]]:
    """Return the smallest movie that holds all rows: number of frames, and (Y, X) or (Z, Y, X).

    Raises
    ------
    FormatError
        If a frame is so far away from the others that it can only be wrong.
    """
    if len(rows) == 0:
        return 1, (1, 1, 1) if deep else (1, 1)
    shape = np.maximum(rows["bbox"][:, 3:].max(axis=0), 1).tolist()
    last = int(rows["frame"].max())
    if last > _MOST_GAPS * (len(rows) + 100):
        raise FormatError(
            f"there is an object in frame {last}, in a file of {len(rows)} objects; correct its "
            "frame, or remove it"
        )
    return last + 1, tuple(shape if deep else shape[1:])


def checked_lineage(table: TrackTable, source: str) -> None:
    """Refuse parents that make no sense in time.

    A parent that lasts beyond its child's begin is let through: some file formats know budding.

    Raises
    ------
    FormatError
        If a track descends from itself, or begins no later than its parent.
    """
    for problem in problems(table) if table.parents else ():
        if problem.kind in ("cycle", "own parent"):
            raise FormatError(f"{source}: {problem.text}, so no track comes first; remove a parent")
    begins = {track: begin for track, (begin, _) in spans(table).items()}
    for child, parent in table.parents.items():
        if begins[parent] >= begins[child]:
            raise FormatError(
                f"{source}: track {child} begins in frame {begins[child]}, not after its parent "
                f"{parent}, which begins in frame {begins[parent]}; correct the parent"
            )


def require_order(table: TrackTable, path: Path) -> None:
    """Refuse to write parents that make no sense in time, where links go by time.

    Raises
    ------
    OutputError
        As `checked_lineage`.
    """
    try:
        checked_lineage(table, f"cannot write {path}")
    except FormatError as error:
        raise OutputError(str(error)) from error


def renumbered(movie: TrackedMovie) -> TrackedMovie:
    """Number tracks from 1 in the order of their ids, and masks with these numbers."""
    ids = movie.table.ids
    new = np.arange(1, len(ids) + 1, dtype=np.uint32)
    rows = movie.table.detections.copy()
    rows["label"] = rows["track"]
    rows["track"] = new[np.searchsorted(ids, rows["track"])]
    names = dict(zip(ids.tolist(), new.tolist(), strict=True))
    parents = {names[a]: names[b] for a, b in movie.table.parents.items()}
    table = replace(movie.table, detections=rows, parents=parents)
    return with_table(movie, table)


def with_table(movie: TrackedMovie, table: TrackTable) -> TrackedMovie:
    """Return a movie with other tracks; ``label`` in `table` are the values of its masks."""
    labels = None if movie.labels is None else relabelled_frames(movie.labels, table)
    return replace(movie, table=relabelled(table), labels=labels)


def drawn_movie(movie: TrackedMovie, radius: float) -> TrackedMovie:
    """Draw discs (in 3D: balls) of a radius in pixels of x as masks of a movie without any."""
    from napari_sam2track.formats.outlines import Discs, DrawnObject

    table, scale = movie.table, movie.scale
    ndim = len(table.frame_shape)
    radii = (radius * scale.x / np.array([scale.z, scale.y, scale.x]))[-ndim:]
    shapes: list[list[DrawnObject]] = [[] for _ in range(table.n_frames)]
    for row in table.detections:
        shapes[row["frame"]].append(DrawnObject(int(row["track"]), row["centroid"][-ndim:], radii))
    discs = Discs(table.frame_shape, shapes)
    rows = measured(discs)
    seen = set(rows["track"].tolist())
    parents = {a: b for a, b in table.parents.items() if {a, b} <= seen}
    return replace(movie, table=replace(table, detections=rows, parents=parents), labels=discs)


def table_from(
    rows: NDArray[np.void],
    n_frames: int,
    frame_shape: tuple[int, ...],
    parents: Mapping[int, int],
    source: str,
) -> TrackTable:
    """Make a `TrackTable`; contradictions are errors of the file.

    Raises
    ------
    FormatError
        If the rows or parents do not go together.
    """
    try:
        return TrackTable(rows, n_frames, frame_shape, dict(parents))
    except ValueError as error:
        raise FormatError(f"{source} contradicts itself: {error}") from error
