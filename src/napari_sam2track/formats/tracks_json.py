"""Our own JSON of tracks (docs/reference/tracks-json.md): versioned, and checked on reading."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping
from dataclasses import asdict
from pathlib import Path
from typing import Annotated, Any, Literal

import numpy as np
from numpy.typing import NDArray
from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, ValidationError

from napari_sam2track.errors import FormatError
from napari_sam2track.labels import Scale, id_in_model
from napari_sam2track.params import ReadParams, WriteParams
from napari_sam2track.parsing.json_text import read_json
from napari_sam2track.progress import ProgressHook
from napari_sam2track.storage.output import atomic_path
from napari_sam2track.tracks.table import DETECTION, TrackTable
from napari_sam2track.tracks.tracked_movie import TrackedMovie

FORMAT = "sam2track-tracks"
VERSION = 1

_Id = Annotated[int, BeforeValidator(id_in_model)]


class _Model(BaseModel):
    """Base of the models; unknown keys are refused, as they would be lost on writing."""

    model_config = ConfigDict(extra="forbid", frozen=True, allow_inf_nan=False)


class Size(_Model):
    """Frames, rows and columns of the movie, and planes where it has depth."""

    n_frames: int = Field(ge=1)
    depth: int | None = Field(default=None, ge=1)
    height: int = Field(ge=1)
    width: int = Field(ge=1)


class Detection(_Model):
    """An object in one frame; places are ([z,] y, x) in pixels, box ends are excluded."""

    frame: int = Field(ge=0)
    label: _Id
    area: int = Field(ge=0)
    centroid: tuple[float, float] | tuple[float, float, float]
    bbox: tuple[int, int, int, int] | tuple[int, int, int, int, int, int]
    iou: float | None = Field(ge=0, le=1)


class Track(_Model):
    """An object over time; `start` and `end` are its first and last frame, both included."""

    id: _Id
    start: int = Field(ge=0)
    end: int = Field(ge=0)
    parent: _Id | None
    detections: list[Detection] = Field(min_length=1)


class ScaleOf(_Model):
    """Time between two frames and size of a pixel, and their units; null for frames, pixels."""

    time: float = Field(gt=0)
    z: float = Field(gt=0)
    y: float = Field(gt=0)
    x: float = Field(gt=0)
    time_unit: str | None
    space_unit: str | None


class TracksFile(_Model):
    """Content of a file."""

    format: Literal["sam2track-tracks"]
    version: Literal[1]
    provenance: dict[str, Any]
    size: Size
    scale: ScaleOf | None = None
    tracks: list[Track]


def write(
    path: Path, movie: TrackedMovie, options: WriteParams, overwrite: bool, progress: ProgressHook
) -> None:
    """Write the tracks of a movie; see `write_tracks_json`."""
    write_tracks_json(path, movie.table, movie.provenance, overwrite, movie.scale)


def read(path: Path, options: ReadParams, progress: ProgressHook) -> TrackedMovie:
    """Read what `write` wrote; see `read_tracks_json`."""
    file = _parsed(path)
    scale = Scale() if file.scale is None else Scale(**file.scale.model_dump())
    return TrackedMovie(_checked_table(file, path), None, scale, file.provenance)


def write_tracks_json(
    path: Path,
    table: TrackTable,
    provenance: Mapping[str, Any],
    overwrite: bool = False,
    scale: Scale | None = None,
) -> None:
    """Write tracks as JSON, one track a line, so that two files can be compared line by line.

    Parameters
    ----------
    path
        The file.
    table
        The tracks.
    provenance
        As `napari_sam2track.formats.provenance.provenance` makes it.
    overwrite
        Allow an existing file to be replaced.
    scale
        Size of a frame and of a pixel; left out if it is 1 without a unit.

    Raises
    ------
    OutputError
        If the file exists or cannot be written.
    """
    ndim = len(table.frame_shape)
    names = ("depth", "height", "width")[-ndim:]
    size = {"n_frames": table.n_frames, **dict(zip(names, table.frame_shape, strict=True))}
    with (
        atomic_path(path, overwrite) as temporary,
        temporary.open("w", encoding="utf-8", newline="\n") as file,
    ):
        file.write(f'{{"format": "{FORMAT}",\n "version": {VERSION},\n')
        file.write(f' "provenance": {json.dumps(dict(provenance), allow_nan=False)},\n')
        file.write(f' "size": {json.dumps(size)},\n')
        if scale is not None and scale != Scale():
            file.write(f' "scale": {json.dumps(asdict(scale))},\n')
        file.write(' "tracks": [')
        for k, rows in enumerate(table.tracks()):
            track = _track(rows, table.parents.get(int(rows["track"][0])), ndim)
            file.write(",\n  " if k else "\n  ")
            file.write(json.dumps(track, allow_nan=False))
        file.write("\n ]}\n")


def read_tracks_json(path: Path) -> tuple[TrackTable, dict[str, Any]]:
    """Read what `write_tracks_json` wrote.

    Returns
    -------
    tuple
        The tracks, and the note on their origin.

    Raises
    ------
    FormatError
        If it is not such a file, was written by a newer version, or contradicts itself.
    """
    file = _parsed(path)
    return _checked_table(file, path), file.provenance


def _parsed(path: Path) -> TracksFile:
    """Return the file, after checks of its form."""
    head = read_json(Path(path))
    if not isinstance(head, dict) or head.get("format") != FORMAT:
        raise FormatError(f"{path} is JSON, but not a file of tracks (no format {FORMAT!r})")
    version = head.get("version")
    if isinstance(version, int) and version > VERSION:
        raise FormatError(
            f"{path} is of version {version}, and this program knows versions up to {VERSION}; "
            "update napari-sam2track"
        )
    try:
        return TracksFile.model_validate(head)
    except ValidationError as error:
        first = error.errors()[0]
        place = ".".join(str(part) for part in first["loc"])
        raise FormatError(f"{path} is not valid at {place}: {first['msg']}") from error


def _checked_table(file: TracksFile, path: Path) -> TrackTable:
    """Return the tracks of a file, after checks of their content."""
    try:
        return _table(file)
    except (ValueError, OverflowError) as error:
        raise FormatError(f"{path} contradicts itself: {error}") from error


def _track(rows: NDArray[np.void], parent: int | None, ndim: int) -> dict[str, Any]:
    """Return one track, ready for JSON."""
    detections = [
        {
            "frame": frame,
            "label": label,
            "area": area,
            "centroid": [round(float(value), 3) for value in centroid[-ndim:]],
            "bbox": [int(value) for value in (*bbox[3 - ndim : 3], *bbox[6 - ndim :])],
            "iou": None if math.isnan(iou) else round(iou, 6),
        }
        for _, frame, label, area, centroid, bbox, iou in rows.tolist()
    ]
    return {
        "id": int(rows["track"][0]),
        "start": int(rows["frame"][0]),
        "end": int(rows["frame"][-1]),
        "parent": parent,
        "detections": detections,
    }


def _table(file: TracksFile) -> TrackTable:
    """Return the tracks of a file; raises ValueError if they do not go together."""
    rows: list[tuple[Any, ...]] = []
    size = file.size
    plane = (size.height, size.width)
    shape = plane if size.depth is None else (size.depth, *plane)
    for track in file.tracks:
        frames = [d.frame for d in track.detections]
        if (min(frames), max(frames)) != (track.start, track.end):
            raise ValueError(
                f"track {track.id} says {track.start} to {track.end}, but has detections from "
                f"{min(frames)} to {max(frames)}"
            )
        for d in track.detections:
            iou = math.nan if d.iou is None else d.iou
            if len(d.centroid) != len(shape) or len(d.bbox) != 2 * len(shape):
                raise ValueError(
                    f"track {track.id} has {len(d.centroid)} coordinates and {len(d.bbox)} ends of "
                    f"a box in frame {d.frame}, in a movie of {len(shape)} axes"
                )
            centroid = d.centroid if size.depth else (0.0, *d.centroid)
            box = d.bbox if size.depth else (0, *d.bbox[:2], 1, *d.bbox[2:])
            rows.append((track.id, d.frame, d.label, d.area, centroid, box, iou))
    parents = {track.id: track.parent for track in file.tracks if track.parent is not None}
    if len({track.id for track in file.tracks}) != len(file.tracks):
        raise ValueError("two tracks have the same id")
    return TrackTable(np.array(rows, DETECTION), size.n_frames, shape, parents)
