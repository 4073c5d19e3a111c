"""Tracks as a CSV: one row per track and frame, for spreadsheets and pandas.

CSV has no place for notes that every reader skips, so size and provenance are in a second
file beside it, ``tracks.csv.json``; the CSV can be read without it.
"""

from __future__ import annotations

import csv
import json
import math
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from napari_sam2track.errors import FormatError
from napari_sam2track.formats.output import atomic_path, check_output, write_text_atomic
from napari_sam2track.tracks.table import DETECTION, TrackTable

COLUMNS = (
    *("track_id", "frame", "label", "y", "x", "area"),
    *("bbox_y0", "bbox_x0", "bbox_y1", "bbox_x1", "iou", "parent_id"),
)
#: Those that a movie with depth has beside.
DEPTH_COLUMNS = ("z", "bbox_z0", "bbox_z1")


def note_path(path: Path) -> Path:
    """The file beside a CSV that holds its size and provenance."""
    return path.with_name(path.name + ".json")


def write_tracks_csv(
    path: Path, table: TrackTable, provenance: Mapping[str, Any], overwrite: bool = False
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
    check_output(note_path(path), overwrite)
    with (
        atomic_path(path, overwrite) as temporary,
        temporary.open("w", encoding="utf-8", newline="") as file,
    ):
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
    note = {
        "size": {"n_frames": table.n_frames, "frame_shape": list(table.frame_shape)},
        "provenance": dict(provenance),
    }
    write_text_atomic(note_path(path), json.dumps(note, indent=2) + "\n", overwrite)


def read_tracks_csv(path: Path) -> tuple[TrackTable, dict[str, Any]]:
    """Read what `write_tracks_csv` wrote.

    Without the second file the size of the movie is what the tracks need, and the provenance
    is empty.

    Returns
    -------
    tuple
        The tracks, and the note on where they come from.

    Raises
    ------
    FormatError
        If a column is missing, a value is not a number, or the rows contradict each other.
    """
    path = Path(path)
    parents: dict[int, int] = {}
    rows: list[tuple[Any, ...]] = []
    try:
        with path.open(encoding="utf-8-sig", newline="") as file:  # Excel puts a mark in front
            reader = csv.DictReader(file)
            missing = [c for c in COLUMNS if c not in (reader.fieldnames or ())]
            if missing:
                raise FormatError(
                    f"{path} has no column {', '.join(missing)}; it needs {', '.join(COLUMNS)}"
                )
            for row in reader:
                try:
                    rows.append(_detection(row))
                    if int(row["parent_id"] or 0):
                        parents[rows[-1][0]] = int(row["parent_id"])
                except (TypeError, ValueError) as error:
                    raise FormatError(f"{path}, line {reader.line_num}: {error}") from error
    except (OSError, UnicodeDecodeError, csv.Error) as error:
        raise FormatError(f"{path} cannot be read as CSV: {error}") from error
    try:
        detections = np.array(rows, DETECTION)
        size, provenance = _note(path, detections)
        return TrackTable(detections, *size, parents), provenance
    except (ValueError, OverflowError) as error:
        raise FormatError(f"{path} contradicts itself: {error}") from error


def _detection(row: Mapping[str, str]) -> tuple[Any, ...]:
    """A line as a row of a `TrackTable`."""
    y0, x0, y1, x1 = (int(row[name]) for name in COLUMNS[6:10])
    z, z0, z1 = (
        row.get(name) or default for name, default in zip(DEPTH_COLUMNS, "001", strict=True)
    )
    iou = float(row["iou"]) if row["iou"] else math.nan
    ints = (int(row[name]) for name in ("track_id", "frame", "label", "area"))
    place = float(z), float(row["y"]), float(row["x"])
    return (*ints, place, (int(z0), y0, x0, int(z1), y1, x1), iou)


def _note(path: Path, rows: Any) -> tuple[tuple[int, tuple[int, ...]], dict[str, Any]]:
    """Size and provenance from the file beside, or the size from the tracks themselves."""
    note = note_path(path)
    if not note.exists():
        if len(rows) == 0:
            return (1, (1, 1)), {}
        depth, height, width = rows["bbox"][:, 3:].max(axis=0).tolist()
        shape = (height, width) if depth == 1 else (depth, height, width)
        return (int(rows["frame"].max()) + 1, shape), {}
    try:
        content = json.loads(note.read_text(encoding="utf-8"))
        size = content["size"]
        numbers = int(size["n_frames"]), tuple(int(n) for n in size["frame_shape"])
        return numbers, dict(content["provenance"])
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise FormatError(
            f"{note} cannot be read ({error}); delete it to read {path.name} without it"
        ) from error
