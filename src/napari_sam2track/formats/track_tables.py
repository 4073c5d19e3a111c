"""Tables of tracks of any program, read by the meaning of their columns.

A table has one row for each object in a frame. Tracks and parents are read from whatever it has:
a track in each row, an object's id with that of its parent object, or links in a table beside.
"""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from napari_sam2track.errors import FormatError
from napari_sam2track.formats.conversions import extent, point_rows, table_from
from napari_sam2track.formats.napari_csv import WITH_DEPTH
from napari_sam2track.formats.table_columns import (
    columns_of,
    looks_like_tracks,
    normalised,
    program_of,
)
from napari_sam2track.formats.table_lineage import NAME_THEM, tracks_of_rows
from napari_sam2track.formats.table_links import has_only_links
from napari_sam2track.formats.table_reading import TableReading
from napari_sam2track.formats.table_words import without_words
from napari_sam2track.frames.pixel_scale import unit_of
from napari_sam2track.labels import Scale
from napari_sam2track.params import ReadParams
from napari_sam2track.parsing.bounds import checked_frame
from napari_sam2track.parsing.csv_table import csv_names, read_csv_table
from napari_sam2track.progress import ProgressHook
from napari_sam2track.tracks.tracked_movie import UNKNOWN_PIXEL, TrackedMovie

#: Masks that programs put beside their table.
_MASKS_BESIDE = ("segments.zarr", "segmentation.zarr", "labels.zarr", "seg.zarr")

#: Steps of times that differ by less are one step.
_SAME_STEP = 1e-3


def read(path: Path, options: ReadParams, progress: ProgressHook) -> TrackedMovie:
    """Read a CSV of tracks, or a folder with ``tracks.csv``, and the graph or links beside it.

    The file has no size of the movie: it is as large as the tracks need.

    Raises
    ------
    FormatError
        If columns are missing or contradict each other, a value is no number, or parents do not
        fit.
    UsageError
        If the columns that a person named are not there.
    """
    path = path / "tracks.csv" if path.is_dir() else path
    table = read_csv_table(path)
    columns = columns_of(table.names, options.columns)
    notes = list(table.notes)
    table = without_words(table, columns, notes)
    reading = TableReading(table, columns, program_of(table.names), notes)
    _check_columns(reading, options.columns)
    frames, scale = _frames(reading)
    places = _places(reading)
    unit = _unit(reading)
    tracks, parents = tracks_of_rows(reading, frames, places, options)
    rows = point_rows(tracks, frames, places, _areas(reading, unit, options))
    n_frames, shape = extent(rows, bool(rows["centroid"][:, 0].any()))
    movie = table_from(rows, n_frames, shape, parents, str(path))
    masks = next((m for name in _MASKS_BESIDE if (m := path.with_name(name)).exists()), None)
    if masks is not None:
        reading.notes.append(
            f"the masks in {masks.name} beside it are not read; give that for them"
        )
    notes = [_taken_for(reading, movie.n_tracks, len(parents)), *reading.notes]
    provenance: dict[str, Any] = {"notes": [f"{path}: {text}" for text in notes]}
    if unit is not None or options.pixel_size is not None:
        # Whoever gives a size means that places are not in pixels.
        provenance[UNKNOWN_PIXEL] = unit or "micrometer"
    return TrackedMovie(movie, None, replace(scale, space_unit=unit), provenance)


def _check_columns(reading: TableReading, asked: str | None) -> None:
    """Refuse a table without frames, places or tracks, with the columns that are there."""
    table, found = reading.table, reading.columns
    listed = ", ".join(table.names[:40]) or "none"
    known = {normalised(name) for name in table.names}
    if has_only_links(table.names):
        raise FormatError(
            f"{table.path} holds links without places; give the table of spots (spots.csv), and "
            "the links beside it are read with it"
        )
    if {"trackindex", "numberspots"} <= known:
        raise FormatError(
            f"{table.path} has one line for each track, without places; give the table of spots "
            "(spots.csv), and the links beside it are read with it"
        )
    for meaning, name in found.items():
        twins = [other for other in table.names if normalised(other) == normalised(name)]
        if len(twins) > 1 and f"{meaning}=" not in (asked or "").replace(" ", ""):
            raise FormatError(
                f"{table.path} has the columns {' and '.join(twins)}, and each may be the "
                f"{meaning}; say which with --columns {meaning}={twins[0]} (columns=)"
            )
    missing = [what for what in ("frame", "y", "x") if what not in found]
    if not {"track", "id"} & found.keys():
        missing.insert(1, "track")
    if missing:
        raise FormatError(
            f"{table.path} has the columns {listed}, and none for {', '.join(missing)} is known; "
            + NAME_THEM
        )


def _frames(reading: TableReading) -> tuple[NDArray[np.int64], Scale]:
    """Return the frame of each row, from 0, and a scale with the time between two."""
    name = reading.name_of("frame")
    assert name is not None
    times = reading.table.numbers(name)
    step, unit = 1.0, reading.unit_of(name)
    whole = np.rint(times)
    fractions = bool((np.abs(whole - times) > _SAME_STEP).any())
    # A time without a unit is one if nobody knows better; a frame is a frame.
    timelike = reading.program is None and normalised(name) == "time"
    if fractions or unit is not None or timelike:
        steps = np.diff(np.unique(times))
        step = float(steps[steps > _SAME_STEP * steps.max()].min()) if len(steps) else 1.0
        begin = times.min() if len(steps) and fractions else 0.0
        whole = np.rint((times - begin) / step) if len(steps) else whole
        odd = np.abs(whole * step + begin - times) > _SAME_STEP * step + 1e-9
        if odd.any() and not fractions and unit is None:
            whole, step = times, 1.0
        elif odd.any():
            k = int(np.argmax(odd))
            raise FormatError(
                f"{reading.table.where(k)}: {name} is {times[k]:g}; it has to be a whole number, "
                "or a multiple of one step"
            )
        if step != 1 or unit is not None:
            said = f"{step:g} {unit or ''}".rstrip()
            reading.notes.append(f"{name} is in steps of {said}, which are the frames")
    first = reading.program.first_frame if reading.program else 0
    if first and len(whole) and whole.min() >= first:
        whole = whole - first
        reading.notes.append(f"{name} counts from {first}; frames count from 0 here")
    for k in np.unique([whole.argmin(), whole.argmax()]).tolist() if len(whole) else ():
        checked_frame(whole[k], f"{reading.table.where(k)}: {name}")
    return whole.astype(np.int64), Scale(step, time_unit=unit)


def _places(reading: TableReading) -> NDArray[np.float64]:
    """Return (z, y, x) of each row, in pixels or the unit of the table."""
    places = np.zeros((len(reading.table), 3))
    for k, axis in enumerate("zyx"):
        name = reading.name_of(axis)
        if name is not None:
            places[:, k] = reading.table.numbers(name)
    z = places[:, 0]
    # Our own tables have z where there are volumes only.
    if len(z) and z[0] and (z == z[0]).all() and reading.table.names != WITH_DEPTH:
        reading.notes.append(f"{reading.columns['z']} is {z[0]:g} throughout: read as planes")
        z[:] = 0
    return places


def _areas(
    reading: TableReading, unit: str | None, options: ReadParams
) -> NDArray[np.float64] | None:
    """Return the area of each row in pixels; None if it is not known."""
    name, sizes = reading.columns.get("area"), options.pixel_sizes()
    if name is None or (unit is not None and sizes is None):
        return None  # square micrometers are no pixels
    reading.used.add(name)
    areas = np.maximum(reading.table.numbers(name, 0), 0)
    if sizes is not None and not any(word in name.lower() for word in ("px", "pixel")):
        areas /= sizes[1] * sizes[2]
    return np.rint(areas)


def _unit(reading: TableReading) -> str | None:
    """Return the unit of places that the table declares; None for pixels, or if it is silent."""
    table = reading.table
    unit = reading.unit_of(reading.columns["x"])
    declared = next((name for name in table.names if normalised(name) == "unit"), None)
    if unit is None and declared is not None and len(table):
        reading.used.add(declared)
        unit = unit_of(table.texts(declared)[0])
    return unit


def _taken_for(reading: TableReading, n_tracks: int, n_parents: int) -> str:
    """Return what the table was taken for, in a sentence."""
    names = reading.table.names
    unused = [name for name in names if name not in reading.used and name]
    what = reading.program.name if reading.program else "a table of tracks"
    more = f"; columns not used: {', '.join(unused)}" if unused else ""
    return f"read as {what}: {n_tracks} tracks, {n_parents} parents{more}"


def has_track_columns(path: Path) -> bool:
    """Return whether the head of a file has the columns of a table of tracks."""
    try:
        return looks_like_tracks(csv_names(path))
    except FormatError:
        return False
