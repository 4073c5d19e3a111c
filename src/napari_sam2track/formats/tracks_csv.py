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


def note_path(path: Path) -> Path:
    """The file beside a CSV that holds its size and provenance."""
    return path.with_name(path.name + ".json")


def write_tracks_csv(
    path: Path, table: TrackTable, provenance: Mapping[str, Any], overwrite: bool = False
) -> None:
    """Write tracks as CSV, and ``<name>.json`` with the size of the movie and the provenance.

    Columns: track_id, frame (from 0), label, y and x (centroid, pixels), area (pixels),
    bbox_y0, bbox_x0, bbox_y1, bbox_x1 (ends excluded), iou (empty where a track begins),
    parent_id (0 if there is none).

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
        writer.writerow(COLUMNS)
        for rows in table.tracks():
            parent = table.parents.get(int(rows["track"][0]), 0)
            for track, frame, label, area, (y, x), box, iou in rows.tolist():
                overlap = "" if math.isnan(iou) else f"{iou:.6f}"
                place = f"{y:.3f}", f"{x:.3f}"
                writer.writerow([track, frame, label, *place, area, *box, overlap, parent])
    size = {"n_frames": table.n_frames, "height": table.height, "width": table.width}
    note = {"size": size, "provenance": dict(provenance)}
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
    box = tuple(int(row[name]) for name in COLUMNS[6:10])
    iou = float(row["iou"]) if row["iou"] else math.nan
    ints = (int(row[name]) for name in ("track_id", "frame", "label", "area"))
    return (*ints, (float(row["y"]), float(row["x"])), box, iou)


def _note(path: Path, rows: Any) -> tuple[tuple[int, int, int], dict[str, Any]]:
    """Size and provenance from the file beside, or the size from the tracks themselves."""
    note = note_path(path)
    if not note.exists():
        if len(rows) == 0:
            return (1, 1, 1), {}
        bottom, right = rows["bbox"][:, 2].max(), rows["bbox"][:, 3].max()
        return (int(rows["frame"].max()) + 1, int(bottom), int(right)), {}
    try:
        content = json.loads(note.read_text(encoding="utf-8"))
        size = content["size"]
        numbers = int(size["n_frames"]), int(size["height"]), int(size["width"])
        return numbers, dict(content["provenance"])
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise FormatError(
            f"{note} cannot be read ({error}); delete it to read {path.name} without it"
        ) from error
