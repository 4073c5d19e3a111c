"""Tables of tracks of any program, read by the meaning of their columns.

A table has one row for each object in a frame. Tracks and parents are read from whatever it has:
a track in each row, an object's id with that of its parent object, or links in a table beside.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from napari_sam2track.errors import FormatError
from napari_sam2track.formats.conversions import assumed_pixel, extent, point_rows, table_from
from napari_sam2track.formats.graphs import Graph, tracks_of
from napari_sam2track.formats.table_columns import (
    TableProgram,
    columns_of,
    looks_like_tracks,
    normalised,
    program_of,
    unit_in,
)
from napari_sam2track.formats.track_graph import graph_beside
from napari_sam2track.frames.pixel_scale import unit_of
from napari_sam2track.labels import Scale, checked_ids
from napari_sam2track.params import ReadParams
from napari_sam2track.parsing.bounds import checked_frame
from napari_sam2track.parsing.csv_table import CsvTable, csv_names, read_csv_table
from napari_sam2track.progress import ProgressHook
from napari_sam2track.tracks.tracked_movie import TrackedMovie

_WAY_OUT = "name them with --columns (columns= in Python), as frame=T,track=cell_id,y=cy,x=cx"

#: Masks that programs put beside their table.
_MASKS_BESIDE = ("segments.zarr", "segmentation.zarr", "labels.zarr", "seg.zarr")

#: Steps of times that differ by less are one step.
_SAME_STEP = 1e-3


@dataclass(eq=False)
class _Reading:
    """A table that is being read: what its columns mean, and what there is to say."""

    table: CsvTable
    columns: dict[str, str]
    program: TableProgram | None
    notes: list[str] = field(default_factory=list)
    used: set[str] = field(default_factory=set)

    def name_of(self, meaning: str) -> str | None:
        name = self.columns.get(meaning)
        if name is not None:
            self.used.add(name)
        return name


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
    reading = _Reading(table, columns, program_of(table.names), list(table.notes))
    _check_columns(reading)
    frames, time = _frames(reading)
    places, scale, unknown = _places(reading, options, time)
    tracks, parents = _tracks(reading, frames, places, options)
    area = reading.name_of("area")
    areas = None if area is None else np.maximum(table.numbers(area, 0), 0)
    rows = point_rows(tracks, frames, places, areas)
    n_frames, shape = extent(rows, "z" in columns and bool(places[:, 0].any()))
    movie = table_from(rows, n_frames, shape, parents, str(path))
    masks = next((m for name in _MASKS_BESIDE if (m := path.with_name(name)).exists()), None)
    if masks is not None:
        reading.notes.append(
            f"the masks in {masks.name} beside it are not read; give that for them"
        )
    notes = [_taken_for(reading, movie.n_tracks, len(parents)), *reading.notes]
    provenance = {"notes": [f"{path}: {text}" for text in notes]}
    return TrackedMovie(movie, None, scale, provenance, unknown_pixel=unknown)


def _check_columns(reading: _Reading) -> None:
    """Refuse a table without frames, places or tracks, with the columns that are there."""
    table, found = reading.table, reading.columns
    listed = ", ".join(table.names[:40]) or "none"
    known = {normalised(name) for name in table.names}
    if {"spotsourceid", "spottargetid"} <= known:
        raise FormatError(
            f"{table.path} holds links without places; give the table of spots (spots.csv), and "
            "the links beside it are read with it"
        )
    if {"trackindex", "numberspots"} <= known:
        raise FormatError(
            f"{table.path} has one line for each track, without places; give the table of spots "
            "(spots.csv), and the links beside it are read with it"
        )
    missing = [what for what in ("frame", "y", "x") if what not in found]
    if not {"track", "id"} & found.keys():
        missing.insert(1, "track")
    if missing:
        raise FormatError(
            f"{table.path} has the columns {listed}, and none for {', '.join(missing)} is known; "
            + _WAY_OUT
        )


def _frames(reading: _Reading) -> tuple[NDArray[np.int64], float]:
    """Return the frame of each row, from 0, and the time between frames if it is known."""
    name = reading.name_of("frame")
    assert name is not None
    times = reading.table.numbers(name)
    step = 1.0
    whole = np.rint(times)
    if (np.abs(whole - times) > _SAME_STEP).any():
        steps = np.diff(np.unique(times))
        step = float(steps[steps > _SAME_STEP * steps.max()].min()) if len(steps) else 1.0
        whole = np.rint((times - times.min()) / step) if len(steps) else whole
        begin = times.min() if len(steps) else 0.0
        odd = np.abs(whole * step + begin - times) > _SAME_STEP * step + 1e-9
        if odd.any():
            k = int(np.argmax(odd))
            raise FormatError(
                f"{reading.table.where(k)}: {name} is {times[k]:g}; it has to be a whole number, "
                "or a multiple of one step"
            )
        reading.notes.append(f"{name} is in steps of {step:g}, which are the frames")
    first = reading.program.first_frame if reading.program else 0
    if first and len(whole) and whole.min() >= first:
        whole = whole - first
        reading.notes.append(f"{name} counts from {first}; frames count from 0 here")
    for k in np.unique([whole.argmin(), whole.argmax()]).tolist() if len(whole) else ():
        checked_frame(whole[k], f"{reading.table.where(k)}: {name}")
    return whole.astype(np.int64), step


def _places(
    reading: _Reading, options: ReadParams, time: float
) -> tuple[NDArray[np.float64], Scale, str | None]:
    """Return (z, y, x) of each row in pixels, the scale, and the unit if its pixel is unknown."""
    table = reading.table
    places = np.zeros((len(table), 3))
    for k, axis in enumerate("zyx"):
        name = reading.name_of(axis)
        if name is not None:
            places[:, k] = table.numbers(name)
    unit = _unit(reading)
    scale, unknown = Scale(time=time), None
    size = options.pixel_sizes()
    if size is not None:
        places /= size
        scale = Scale(time, *size, None, unit or "micrometer")
    elif unit is not None:
        unknown = unit
        scale = Scale(time, space_unit=unit)
        reading.notes.append(assumed_pixel(unit))
    return places, scale, unknown


def _unit(reading: _Reading) -> str | None:
    """Return the unit of places that the table declares; None for pixels, or if it is silent."""
    table = reading.table
    k = table.names.index(reading.columns["x"])
    words = [unit_in(table.names[k]), *(unit_in(row[k]) for row in table.subheaders)]
    declared = next((name for name in table.names if normalised(name) == "unit"), None)
    if declared is not None and len(table):
        reading.used.add(declared)
        words.append(table.texts(declared)[0])
    return next((unit for word in words if word and (unit := unit_of(word))), None)


def _tracks(
    reading: _Reading,
    frames: NDArray[np.int64],
    places: NDArray[np.float64],
    options: ReadParams,
) -> tuple[NDArray[np.uint32], dict[int, int]]:
    """Return the track of each row, and child to parent."""
    if reading.program is not None and reading.program.name == "TrackMate":
        return _trackmate_tracks(reading, frames, places, options)
    table = reading.table
    name, node = reading.columns.get("track"), reading.columns.get("id")
    ids = None if node is None else table.whole_numbers(node)
    parent, of_track = _parent_column(reading, ids)
    if name is None:
        assert ids is not None
        if parent is None or of_track:
            name = node  # as in napari: the id is the track's
        else:
            return _linked(reading, ids, None, parent, frames, places, options)
    assert name is not None
    reading.used.add(name)
    values = table.whole_numbers(name)
    if parent is not None and not of_track and ids is not None and node != name:
        return _linked(reading, ids, values, parent, frames, places, options)
    tracks, shift = _ids(reading, values, name)
    parents = {} if parent is None else _track_parents(reading, values, parent, shift)
    merged = graph_beside(table.path, tracks, frames, options.merges, shift)
    _agree(reading, parents, merged.parents)
    reading.notes += merged.notes
    return tracks, parents | merged.parents


def _ids(reading: _Reading, values: NDArray[np.int64], name: str) -> tuple[NDArray[np.uint32], int]:
    """Return track ids from 1 on, and what was added; 0 is the background here."""
    what = f"{reading.table.path}: {name}"
    ids = checked_ids(values, what, least=0)
    if ids.all():
        return ids, 0
    reading.notes.append("there is a track 0, the background's value: all ids are one higher now")
    return checked_ids(ids.astype(np.int64) + 1, f"{what}, one higher,"), 1


def _parent_column(reading: _Reading, ids: NDArray[np.int64] | None) -> tuple[str | None, bool]:
    """Return the column of parents, and whether its values are tracks (else objects)."""
    columns = reading.columns
    if "parent_track" in columns:
        return reading.name_of("parent_track"), True
    if "parent_id" in columns:
        return reading.name_of("parent_id"), False
    name = reading.name_of("parent")
    if name is None:
        return None, False
    known = set(_parent_values(reading, name, ids).tolist()) - {-1}
    track = columns.get("track")
    if ids is None or (track is None and len(np.unique(ids)) < len(ids)):
        return name, True
    if known <= set(ids.tolist()) and len(np.unique(ids)) == len(ids):
        return name, False
    if track is not None and known <= set(reading.table.whole_numbers(track).tolist()):
        return name, True
    stray = sorted(known - set(ids.tolist()))[:3]
    raise FormatError(
        f"{reading.table.path}: {name} has values such as {', '.join(map(str, stray))}, which are "
        f"neither ids of objects nor of tracks; {_WAY_OUT}"
    )


def _parent_values(
    reading: _Reading, name: str, there: NDArray[np.int64] | None
) -> NDArray[np.int64]:
    """Return the parent of each row; -1 for none: empty, negative, or 0 where nothing is 0."""
    values = reading.table.whole_numbers(name, missing=-1)
    values[values < 0] = -1
    if there is None or 0 not in there:
        values[values == 0] = -1
    return values


def _track_parents(
    reading: _Reading, tracks: NDArray[np.int64], name: str, shift: int
) -> dict[int, int]:
    """Return child to parent from a column with the parent track, in each row or in the first."""
    values = _parent_values(reading, name, tracks)
    found: dict[int, int] = {}
    known = set(tracks.tolist())
    for k in np.flatnonzero((values >= 0) & (values != tracks)).tolist():
        child, parent = int(tracks[k]), int(values[k])
        if parent not in known:
            raise FormatError(
                f"{reading.table.where(k)}: track {child} has the parent {parent}, which is not in "
                "the table; correct it, or remove it"
            )
        if found.setdefault(child + shift, parent + shift) != parent + shift:
            raise FormatError(
                f"{reading.table.where(k)}: track {child} has the parents "
                f"{found[child + shift] - shift} and {parent}; a track has one at most"
            )
    return found


def _linked(
    reading: _Reading,
    ids: NDArray[np.int64],
    wished: NDArray[np.int64] | None,
    parent: str,
    frames: NDArray[np.int64],
    places: NDArray[np.float64],
    options: ReadParams,
) -> tuple[NDArray[np.uint32], dict[int, int]]:
    """Return tracks of objects that name the object before them."""
    reading.used |= {reading.columns["id"], parent}
    _refuse_doubles(reading, ids)
    before = _parent_values(reading, parent, ids)
    linked = np.flatnonzero(before >= 0)
    order = np.argsort(ids)
    at = np.minimum(np.searchsorted(ids[order], before[linked]), len(ids) - 1)
    sources = order[at]
    stray = np.flatnonzero(ids[sources] != before[linked])
    if len(stray):
        k = int(linked[stray[0]])
        raise FormatError(
            f"{reading.table.where(k)}: {parent} is {before[k]}, and no object has this id; "
            "correct or remove it"
        )
    edges = np.stack([sources, linked], axis=1)
    graph = Graph(frames, places, edges, ids)
    own = None
    if wished is not None:
        reading.used.add(reading.columns["track"])
        own = _consistent(reading, wished, edges)
    return _cut(reading, graph, options, own)


def _consistent(
    reading: _Reading, tracks: NDArray[np.int64], edges: NDArray[np.int64]
) -> NDArray[np.uint32] | None:
    """Return the tracks of the table, if its links go with them; else None, with a note."""
    within = tracks[edges[:, 0]] == tracks[edges[:, 1]]
    many = np.bincount(edges[within, 0], minlength=1).max(initial=0) > 1
    rows_linked = np.bincount(edges[within, 1], minlength=len(tracks)) > 0
    firsts = np.unique(tracks[~rows_linked], return_counts=True)[1].max(initial=0)
    if many or firsts > 1 or not tracks.min(initial=1) > 0:
        name = reading.columns["track"]
        reading.notes.append(
            f"{name} does not go with the links between objects, so tracks are numbered anew"
        )
        return None
    return checked_ids(tracks, f"{reading.table.path}: a track id")


def _cut(
    reading: _Reading, graph: Graph, options: ReadParams, own: NDArray[np.uint32] | None
) -> tuple[NDArray[np.uint32], dict[int, int]]:
    """Cut a graph into tracks, with a note where tracks merge."""
    tracks, parents, notes = tracks_of(graph, str(reading.table.path), options.merges, own)
    reading.notes += notes
    return tracks, parents


def _refuse_doubles(reading: _Reading, ids: NDArray[np.int64]) -> None:
    values, counts = np.unique(ids, return_counts=True)
    if (counts > 1).any():
        twice = int(values[counts > 1][0])
        raise FormatError(
            f"{reading.table.path}: {reading.columns['id']} {twice} is there {counts.max()} times, "
            f"but each object has its own; {_WAY_OUT}"
        )


def _agree(reading: _Reading, ours: dict[int, int], beside: dict[int, int]) -> None:
    """Refuse parents in a column that differ from those of the graph beside."""
    for child in ours.keys() & beside.keys():
        if ours[child] != beside[child]:
            raise FormatError(
                f"{reading.table.path}: track {child} has the parent {ours[child]} in the table, "
                f"and {beside[child]} in the graph beside it; correct or remove one of them"
            )


def _trackmate_tracks(
    reading: _Reading,
    frames: NDArray[np.int64],
    places: NDArray[np.float64],
    options: ReadParams,
) -> tuple[NDArray[np.uint32], dict[int, int]]:
    """Return tracks of TrackMate's spots, whose links are in a table beside.

    A track of TrackMate is a whole lineage; spots without a track are tracks of one frame.
    """
    table = reading.table
    ids = table.whole_numbers(reading.columns["id"])
    reading.used |= {reading.columns["id"], reading.columns["track"]}
    _refuse_doubles(reading, ids)
    links = _links_beside(table.path)
    if links is None:
        lineages = table.whole_numbers(reading.columns["track"], missing=-1)
        alone = np.flatnonzero(lineages < 0)
        keys = np.stack([lineages, frames], axis=1)[lineages >= 0]
        if len(np.unique(keys, axis=0)) < len(keys):
            raise FormatError(
                f"{table.path} has tracks that divide, and the links that tell how are not beside "
                "it; put edges.csv (TrackMate's table of links) into the same folder"
            )
        reading.notes.append("no table of links (edges.csv) is beside it, so no gap is checked")
        values = lineages + 1
        values[alone] = lineages.max(initial=-1) + 2 + np.arange(len(alone))
        return checked_ids(values, f"{table.path}: a track"), {}
    at = {spot: k for k, spot in enumerate(ids.tolist())}
    pairs = list(
        zip(
            links.whole_numbers(_named(links, "spotsourceid")).tolist(),
            links.whole_numbers(_named(links, "spottargetid")).tolist(),
            strict=True,
        )
    )
    edges = np.array([(at[a], at[b]) for a, b in pairs if a in at and b in at], np.int64)
    stray = len(pairs) - len(edges)
    if stray:
        reading.notes.append(f"{stray} links of {links.path.name} lead to spots that are not there")
    reading.notes.append(f"links were read from {links.path.name}")
    return _cut(reading, Graph(frames, places, edges.reshape(-1, 2), ids), options, None)


def _links_beside(path: Path) -> CsvTable | None:
    """Return TrackMate's table of links beside that of spots, if it is there."""
    stem = path.stem
    names = ["edges.csv", "links.csv"]
    for spots, edges in (
        ("spots", "edges"),
        ("spots", "links"),
        ("Spots", "Links"),
        ("Spots", "Edges"),
    ):
        if spots in stem:
            names.insert(0, stem.replace(spots, edges) + path.suffix)
    for name in names:
        beside = path.with_name(name)
        if beside != path and beside.is_file():
            return read_csv_table(beside)
    return None


def _named(table: CsvTable, name: str) -> str:
    """Return the column of a normalised name."""
    found = next((each for each in table.names if normalised(each) == name), None)
    if found is None:
        raise FormatError(
            f"{table.path} has no column {name.upper()}; it is no table of TrackMate's links"
        )
    return found


def _taken_for(reading: _Reading, n_tracks: int, n_parents: int) -> str:
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
