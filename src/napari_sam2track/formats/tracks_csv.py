"""Tracks as a CSV: one row per track and frame, for spreadsheets and pandas.

CSV has no place for notes that every reader skips, so size and provenance are in a second
file beside it, ``tracks.csv.json``; the CSV can be read without it.
"""

from __future__ import annotations

import csv
import json
import math
from collections.abc import Mapping
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from napari_sam2track.errors import FormatError
from napari_sam2track.formats.conversions import extent, with_notes
from napari_sam2track.labels import MAX_ID, Scale, checked_id
from napari_sam2track.params import ReadParams, WriteParams
from napari_sam2track.parsing.bounds import MAX_FRAMES, MAX_SIDE, checked_frame
from napari_sam2track.parsing.csv_table import CsvTable, read_csv_table
from napari_sam2track.parsing.guard import parsing
from napari_sam2track.parsing.json_text import read_json
from napari_sam2track.progress import ProgressHook
from napari_sam2track.storage.output import atomic_paths
from napari_sam2track.tracks.table import DETECTION, TrackTable
from napari_sam2track.tracks.tracked_movie import TrackedMovie

if TYPE_CHECKING:
    import pandas as pd

COLUMNS = (
    *("track_id", "frame", "label", "y", "x", "area"),
    *("bbox_y0", "bbox_x0", "bbox_y1", "bbox_x1", "iou", "parent_id"),
)
#: More columns of a movie with depth.
DEPTH_COLUMNS = ("z", "bbox_z0", "bbox_z1")
#: Positions in a box of a `DETECTION`.
_BOX_COLUMNS = {1: "y0", 2: "x0", 4: "y1", 5: "x1"}


def table_to_pandas(table: TrackTable) -> pd.DataFrame:
    """Return a table of tracks with the columns of a CSV; ``parent_id`` is 0 without a parent."""
    import pandas as pd

    rows, parents = table.detections, table.parents
    columns: dict[str, Any] = {
        **{"track_id": rows["track"], "frame": rows["frame"], "label": rows["label"]},
        **{"y": rows["centroid"][:, 1], "x": rows["centroid"][:, 2], "area": rows["area"]},
        **{f"bbox_{name}": rows["bbox"][:, k] for k, name in _BOX_COLUMNS.items()},
        "iou": rows["iou"],
        "parent_id": np.array([parents.get(i, 0) for i in rows["track"].tolist()], np.uint32),
    }
    if len(table.frame_shape) == 3:
        columns |= {"z": rows["centroid"][:, 0]}
        columns |= {"bbox_z0": rows["bbox"][:, 0], "bbox_z1": rows["bbox"][:, 3]}
    return pd.DataFrame(columns)


def note_path(path: Path) -> Path:
    """Return the file beside a CSV that holds its size and provenance."""
    return path.with_name(path.name + ".json")


def write(
    path: Path, movie: TrackedMovie, options: WriteParams, overwrite: bool, progress: ProgressHook
) -> None:
    """Write the tracks of a movie; see `write_tracks_csv`."""
    write_tracks_csv(path, movie.table, movie.provenance, overwrite, movie.scale)


def read(path: Path, options: ReadParams, progress: ProgressHook) -> TrackedMovie:
    """Read what `write` wrote; see `read_tracks_csv`."""
    table, provenance, scale = _read(path)
    return TrackedMovie(table, None, scale, provenance)


def write_tracks_csv(
    path: Path,
    table: TrackTable,
    provenance: Mapping[str, Any],
    overwrite: bool = False,
    scale: Scale | None = None,
) -> None:
    """Write tracks as CSV, and ``<name>.json`` with the size of the movie and the provenance.

    Columns: track_id, frame (from 0), label, y and x (centroid, pixels), area (pixels),
    bbox_y0, bbox_x0, bbox_y1, bbox_x1 (ends excluded), iou (empty where a track begins),
    parent_id (0 if there is none); and z, bbox_z0, bbox_z1 where the movie has depth.

    Raises
    ------
    OutputError
        If one of the two files exists or cannot be written.
    """
    note = {
        "size": {"n_frames": table.n_frames, "frame_shape": list(table.frame_shape)},
        "scale": asdict(scale or Scale()),
        "provenance": dict(provenance),
    }
    with (
        atomic_paths(path, note_path(path), overwrite=overwrite) as (temporary, beside),
        temporary.open("w", encoding="utf-8", newline="") as file,
    ):
        beside.write_text(json.dumps(note, indent=2) + "\n", encoding="utf-8", newline="\n")
        writer = csv.writer(file, lineterminator="\n")
        deep = len(table.frame_shape) == 3
        writer.writerow((*COLUMNS, *DEPTH_COLUMNS) if deep else COLUMNS)
        for rows in table.tracks():
            parent = table.parents.get(int(rows["track"][0]), 0)
            for track, frame, label, area, (z, y, x), box, iou in rows.tolist():
                z0, y0, x0, z1, y1, x1 = box
                overlap = "" if math.isnan(iou) else f"{iou:.6f}"
                row = [track, frame, label, f"{y:.3f}", f"{x:.3f}", area]
                row += [y0, x0, y1, x1, overlap, parent]
                writer.writerow([*row, f"{z:.3f}", z0, z1] if deep else row)


def read_tracks_csv(path: Path) -> tuple[TrackTable, dict[str, Any]]:
    """Read what `write_tracks_csv` wrote.

    Without the second file the movie is as large as the tracks need, and the provenance
    is empty.

    Returns
    -------
    tuple
        The tracks, and the note on their origin.

    Raises
    ------
    FormatError
        If a column is missing, a value is not a number, or the rows contradict each other.
    """
    table, provenance, _ = _read(Path(path))
    return table, provenance


def _read(path: Path) -> tuple[TrackTable, dict[str, Any], Scale]:
    """Return tracks, provenance, scale."""
    table = read_csv_table(path)
    missing = [name for name in COLUMNS if name not in table.names]
    if missing:
        raise FormatError(
            f"{path} has no column {', '.join(missing)}; it needs {', '.join(COLUMNS)}"
        )
    rows = _rows(table)
    parents = _parents(table, rows["track"])
    size, provenance, scale = _note(path, rows)
    unused = [name for name in table.names if name not in (*COLUMNS, *DEPTH_COLUMNS)]
    told = [*table.notes, *([f"columns not used: {', '.join(unused)}"] if unused else [])]
    provenance = with_notes(provenance, path, told)
    try:
        return TrackTable(rows, *size, parents), provenance, scale
    except (ValueError, OverflowError) as error:
        raise FormatError(f"{path} contradicts itself: {error}") from error


def _rows(table: CsvTable) -> NDArray[np.void]:
    """Return the rows of a `TrackTable`; each value is checked, and named with its line."""
    deep = all(name in table.names for name in DEPTH_COLUMNS)
    rows = np.zeros(len(table), DETECTION)
    for field, name in (("track", "track_id"), ("label", "label")):
        rows[field] = _ids(table, name, least=1)
    frames = table.whole_numbers("frame")
    odd = np.flatnonzero((frames < 0) | (frames >= MAX_FRAMES))
    if len(odd):
        checked_frame(frames[odd[0]], f"{table.where(int(odd[0]))}: frame")
    rows["frame"] = frames
    rows["area"] = _bounded(table, "area")
    for axis, name in enumerate("zyx"):
        if deep or name != "z":
            rows["centroid"][:, axis] = table.numbers(name)
    rows["bbox"][:, 3] = 1
    boxes = {**_BOX_COLUMNS, **({0: "z0", 3: "z1"} if deep else {})}
    for axis, name in boxes.items():
        rows["bbox"][:, axis] = _bounded(table, f"bbox_{name}", least=-MAX_SIDE)
    overlap = table.numbers("iou", missing=-1)
    rows["iou"] = np.where(overlap < 0, np.nan, overlap)
    return rows


def _ids(table: CsvTable, name: str, least: int) -> NDArray[np.uint32]:
    """Return a column of ids."""
    values = table.whole_numbers(name, missing=None if least else 0)
    odd = np.flatnonzero((values < least) | (values > MAX_ID))
    if len(odd):
        checked_id(int(values[odd[0]]), f"{table.where(int(odd[0]))}: {name}", least=least)
    return values.astype(np.uint32)


def _bounded(table: CsvTable, name: str, least: int = 0) -> NDArray[np.int64]:
    """Return a column of pixels, or of sides of boxes."""
    values = table.whole_numbers(name)
    most = MAX_SIDE if least else MAX_SIDE**2
    odd = np.flatnonzero((values < least) | (values > most))
    if len(odd):
        k = int(odd[0])
        raise FormatError(
            f"{table.where(k)}: {name} is {values[k]}, which no movie has; correct or remove the "
            "line"
        )
    return values


def _parents(table: CsvTable, tracks: NDArray[np.uint32]) -> dict[int, int]:
    """Return child to parent; the last line of a track counts."""
    parents = _ids(table, "parent_id", least=0)
    there = parents > 0
    return dict(zip(tracks[there].tolist(), parents[there].tolist(), strict=True))


def _note(path: Path, rows: Any) -> tuple[tuple[int, tuple[int, ...]], dict[str, Any], Scale]:
    """Return size, provenance and scale from the file beside, or the size that the tracks need."""
    note = note_path(path)
    if not note.exists():
        deep = bool(len(rows)) and int(rows["bbox"][:, 3].max()) > 1
        return extent(rows, deep), {}, Scale()
    way_out = f"delete it to read {path.name} without it"
    content = read_json(note, way_out=way_out)
    with parsing(note, "the note beside a CSV", way_out=way_out):
        size = content["size"]
        n_frames = checked_frame(int(size["n_frames"]) - 1, f"{note}: the last frame") + 1
        shape = tuple(int(n) for n in size["frame_shape"])
        scale = Scale(**content.get("scale", {}))
        return (n_frames, shape), dict(content["provenance"]), scale
