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

from napari_sam2track.errors import FormatError
from napari_sam2track.formats.conversions import extent
from napari_sam2track.labels import Scale, checked_id
from napari_sam2track.params import ReadParams, WriteParams
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
    parents: dict[int, int] = {}
    rows: list[tuple[Any, ...]] = []
    try:
        with path.open(encoding="utf-8-sig", newline="") as file:  # Excel puts a mark in front
            reader = csv.DictReader(file)
            missing = [c for c in COLUMNS if c not in (reader.fieldnames or ())]
            if missing:
                named = reader.fieldnames or ()
                other = next((c for c in ";\t|" if len(named) == 1 and c in named[0]), None)
                if other is not None:
                    raise FormatError(
                        f"the columns of {path} are separated by {other!r}, as spreadsheets of "
                        "some languages save them; save it with commas, and numbers with points"
                    )
                raise FormatError(
                    f"{path} has no column {', '.join(missing)}; it needs {', '.join(COLUMNS)}"
                )
            for row in reader:
                try:
                    frame, *rest = _seen(row)
                    track, label, parent = _ids(row, f"{path}, line {reader.line_num}")
                    rows.append((track, frame, label, *rest))
                    if parent:
                        parents[track] = parent
                except (TypeError, ValueError) as error:
                    raise FormatError(
                        f"{path}, line {reader.line_num}: {_wrong(row)}; correct or remove the line"
                    ) from error
    except (OSError, UnicodeDecodeError, csv.Error) as error:
        raise FormatError(f"{path} cannot be read as CSV: {error}") from error
    try:
        detections = np.array(rows, DETECTION)
        size, provenance, scale = _note(path, detections)
        return TrackTable(detections, *size, parents), provenance, scale
    except (ValueError, OverflowError) as error:
        raise FormatError(f"{path} contradicts itself: {error}") from error


def _ids(row: Mapping[str, str], where: str) -> tuple[int, int, int]:
    """Return track, label in the masks, and parent, 0 for none, of a line."""
    track, label = (checked_id(row[name], f"{where}: {name}") for name in ("track_id", "label"))
    return track, label, checked_id(row["parent_id"] or 0, f"{where}: parent_id", least=0)


def _seen(row: Mapping[str, str]) -> tuple[Any, ...]:
    """Return frame, area, place, box and overlap of a line, as a `TrackTable` has them."""
    y0, x0, y1, x1 = (int(row[name]) for name in COLUMNS[6:10])
    z, z0, z1 = (
        row.get(name) or default for name, default in zip(DEPTH_COLUMNS, "001", strict=True)
    )
    iou = float(row["iou"]) if row["iou"] else math.nan
    place = float(z), float(row["y"]), float(row["x"])
    box = int(z0), y0, x0, int(z1), y1, x1
    return int(row["frame"]), int(row["area"]), place, box, iou


def _wrong(row: Mapping[str, str | None]) -> str:
    """Return the error of a line."""
    for name, text in row.items():
        if text is None:
            return f"there is no {name}, as the line is short"
        whole = name not in ("y", "x", "z", "iou")
        try:
            (int if whole else float)(text or "0")
        except ValueError:
            return f"{name} is {text!r}, not a {'whole ' if whole else ''}number"
    return "a number is missing"


def _note(path: Path, rows: Any) -> tuple[tuple[int, tuple[int, ...]], dict[str, Any], Scale]:
    """Return size, provenance and scale from the file beside, or the size that the tracks need."""
    note = note_path(path)
    if not note.exists():
        deep = bool(len(rows)) and int(rows["bbox"][:, 3].max()) > 1
        return extent(rows, deep), {}, Scale()
    try:
        content = json.loads(note.read_text(encoding="utf-8"))
        size = content["size"]
        numbers = int(size["n_frames"]), tuple(int(n) for n in size["frame_shape"])
        scale = Scale(**content.get("scale", {}))
        return numbers, dict(content["provenance"]), scale
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise FormatError(
            f"{note} cannot be read ({error}); delete it to read {path.name} without it"
        ) from error
