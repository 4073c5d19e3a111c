"""Tracks and parents in a table: by its columns, or by a table or graph beside."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from napari_sam2track.errors import FormatError
from napari_sam2track.formats.graphs import Graph, tracks_of
from napari_sam2track.formats.table_columns import normalised
from napari_sam2track.formats.table_links import linked_pairs, links_beside
from napari_sam2track.formats.table_reading import TableReading
from napari_sam2track.formats.track_graph import graph_beside
from napari_sam2track.labels import checked_ids
from napari_sam2track.params import ReadParams
from napari_sam2track.parsing.csv_table import CsvTable

#: What a person can do about columns that cannot be told apart.
NAME_THEM = "name them with --columns (columns= in Python), as frame=T,track=cell_id,y=cy,x=cx"


def tracks_of_rows(
    reading: TableReading,
    frames: NDArray[np.int64],
    places: NDArray[np.float64],
    options: ReadParams,
) -> tuple[NDArray[np.uint32], dict[int, int]]:
    """Return the track of each row, and child to parent.

    Parameters
    ----------
    reading
        The table; notes and used columns are added.
    frames, places
        Of each row, shapes (n,) and (n, 3).
    options
        Options of reading.

    Raises
    ------
    FormatError
        If ids or parents contradict each other, or tracks merge.
    """
    table, program = reading.table, reading.program
    links = links_beside(table.path, program)
    if links is not None and "id" in reading.columns:
        return _by_links(reading, links, frames, places, options)
    if program is not None and program.lineages and "track" in reading.columns:
        return _by_lineage(reading, frames)
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
    if name == node and len(np.unique(values)) == len(values) and len(np.unique(frames)) > 1:
        reading.notes.append(
            f"each {name} is there once, so each track has one frame; if another column is the "
            "track, or the parent of an object, --columns track=NAME or parent_id=NAME says so"
        )
    tracks, shift = _ids(reading, values, name)
    parents = {} if parent is None else _track_parents(reading, values, frames, parent, shift)
    if ids is not None and node != name:
        _check_objects(reading, ids, tracks, parents)
    if links is not None:
        parents = _divisions(reading, links, set(tracks.tolist()), shift)
    merged = graph_beside(table.path, tracks, frames, options.merges, shift)
    _agree(reading, parents, merged.parents)
    reading.notes += merged.notes
    return tracks, parents | merged.parents


def _ids(
    reading: TableReading, values: NDArray[np.int64], name: str
) -> tuple[NDArray[np.uint32], int]:
    """Return track ids from 1 on, and what was added; 0 is the background here."""
    what = f"{reading.table.path}: {name}"
    ids = checked_ids(values, what, least=0)
    if ids.all():
        return ids, 0
    reading.notes.append("there is a track 0, the background's value: all ids are one higher now")
    return checked_ids(ids.astype(np.int64) + 1, f"{what}, one higher,"), 1


def _parent_column(reading: TableReading, ids: NDArray[np.int64] | None) -> tuple[str | None, bool]:
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
        f"neither ids of objects nor of tracks; {NAME_THEM}"
    )


def _parent_values(
    reading: TableReading, name: str, there: NDArray[np.int64] | None
) -> NDArray[np.int64]:
    """Return the parent of each row; -1 for none: empty, negative, or 0 where nothing is 0."""
    values = reading.table.whole_numbers(name, missing=-1)
    values[values < 0] = -1
    if there is None or 0 not in there:
        values[values == 0] = -1
    return values


def _track_parents(
    reading: TableReading,
    tracks: NDArray[np.int64],
    frames: NDArray[np.int64],
    name: str,
    shift: int,
) -> dict[int, int]:
    """Return child to parent from a column with the parent track, in each row or in the first."""
    values = _parent_values(reading, name, tracks)
    where = reading.program.parents_where if reading.program else None
    if where is not None and where[0] == normalised(name):
        values = np.where(_says(reading, where[1], where[2], frames, tracks, values), values, -1)
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


def _says(
    reading: TableReading,
    column: str,
    word: str,
    frames: NDArray[np.int64],
    tracks: NDArray[np.int64],
    parents: NDArray[np.int64],
) -> NDArray[np.bool_]:
    """Return which rows name a parent, as a word in another column of Cell-ACDC says.

    A bud that is there as early as its mother has no parent: nobody saw it begin.
    """
    name = next((each for each in reading.table.names if normalised(each) == column), None)
    if name is None:
        reading.notes.append(f"no parents were read, as no column says which cell is the {word}")
        return np.zeros(len(frames), bool)
    reading.used.add(name)
    said = np.array([text.lower() == word for text in reading.table.texts(name)], bool)
    order = np.argsort(-frames, kind="stable")
    begins = dict(zip(tracks[order].tolist(), frames[order].tolist(), strict=True))
    kin = zip(tracks.tolist(), parents.tolist(), strict=True)
    late = np.array([begins.get(mother, -1) < begins[bud] for bud, mother in kin], bool)
    lost = len(np.unique(tracks[said & ~late]))
    if lost:
        reading.notes.append(f"{lost} {word}s begin as early as their parents, which are left out")
    named: NDArray[np.bool_] = said & late
    return named


def _linked(
    reading: TableReading,
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
    reading: TableReading, tracks: NDArray[np.int64], edges: NDArray[np.int64]
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
    reading: TableReading, graph: Graph, options: ReadParams, own: NDArray[np.uint32] | None
) -> tuple[NDArray[np.uint32], dict[int, int]]:
    """Cut a graph into tracks, with a note where tracks merge."""
    tracks, parents, notes = tracks_of(graph, str(reading.table.path), options.merges, own)
    reading.notes += notes
    return tracks, parents


def _refuse_doubles(reading: TableReading, ids: NDArray[np.int64]) -> None:
    values, counts = np.unique(ids, return_counts=True)
    if (counts > 1).any():
        twice = int(values[counts > 1][0])
        raise FormatError(
            f"{reading.table.path}: {reading.columns['id']} {twice} is there {counts.max()} times, "
            f"but each object has its own; {NAME_THEM}"
        )


def _agree(reading: TableReading, ours: dict[int, int], beside: dict[int, int]) -> None:
    """Refuse parents in a column that differ from those of the graph beside."""
    for child in ours.keys() & beside.keys():
        if ours[child] != beside[child]:
            raise FormatError(
                f"{reading.table.path}: track {child} has the parent {ours[child]} in the table, "
                f"and {beside[child]} in the graph beside it; correct or remove one of them"
            )


def _by_links(
    reading: TableReading,
    links: CsvTable,
    frames: NDArray[np.int64],
    places: NDArray[np.float64],
    options: ReadParams,
) -> tuple[NDArray[np.uint32], dict[int, int]]:
    """Return tracks of objects whose links are in a table beside.

    Objects without a link are tracks of one frame.
    """
    ids = reading.table.whole_numbers(reading.columns["id"])
    reading.used |= {reading.columns["id"], reading.columns.get("track", "")}
    _refuse_doubles(reading, ids)
    at = {spot: k for k, spot in enumerate(ids.tolist())}
    pairs = linked_pairs(links).tolist()
    edges = np.array([(at[a], at[b]) for a, b in pairs if a in at and b in at], np.int64)
    stray = len(pairs) - len(edges)
    if stray:
        reading.notes.append(f"{stray} links of {links.path.name} lead to spots that are not there")
    reading.notes.append(f"links were read from {links.path.name}")
    return _cut(reading, Graph(frames, places, edges.reshape(-1, 2), ids), options, None)


def _by_lineage(
    reading: TableReading, frames: NDArray[np.int64]
) -> tuple[NDArray[np.uint32], dict[int, int]]:
    """Return tracks of a column that holds whole lineages, of which none may divide."""
    table, program, name = reading.table, reading.program, reading.columns["track"]
    assert program is not None  # who calls has made sure
    reading.used |= {name, reading.columns.get("id", "")}
    lineages = table.whole_numbers(name, missing=-1)
    alone = np.flatnonzero(lineages < 0)
    keys = np.stack([lineages, frames], axis=1)[lineages >= 0]
    seen, counts = np.unique(keys, axis=0, return_counts=True)
    if (counts > 1).any():
        lineage, frame = seen[counts > 1][0].tolist()
        beside = "edges.csv (TrackMate's table of links)" if program.name == "TrackMate" else ""
        beside = beside or f"{program.name}'s table of links"
        way = f"put {beside} into the same folder" if program.links else "export it with links"
        raise FormatError(
            f"{table.path} has tracks that divide, as {name} {lineage} is more than once in frame "
            f"{frame}, and the links that tell how are not beside it; {way}"
        )
    if program.links:
        reading.notes.append("no table of links is beside it, so no gap is checked")
    if len(alone):
        reading.notes.append(f"{len(alone)} objects in no track became tracks of one frame")
    values = lineages + (1 if not lineages.all() else 0)
    values[alone] = values.max(initial=0) + 1 + np.arange(len(alone))
    return checked_ids(values, f"{table.path}: a track"), {}


def _divisions(
    reading: TableReading, links: CsvTable, tracks: set[int], shift: int
) -> dict[int, int]:
    """Return child to parent from a table of divisions beside."""
    parents: dict[int, int] = {}
    for parent, child in (linked_pairs(links) + shift).tolist():
        if not {parent, child} <= tracks or parents.setdefault(child, parent) != parent:
            raise FormatError(
                f"{links.path}: track {child - shift} is said to come from {parent - shift}, and "
                f"one of them is not in {reading.table.path.name}, or it has another parent too; "
                "give the table that it belongs to"
            )
    reading.notes.append(f"parents were read from {links.path.name}")
    return parents


def _check_objects(
    reading: TableReading,
    ids: NDArray[np.int64],
    tracks: NDArray[np.uint32],
    parents: dict[int, int],
) -> None:
    """Refuse parents of tracks that contradict those of objects, where a table has both."""
    name = reading.columns.get("parent_id") or reading.columns.get("parent")
    of_tracks = reading.columns.get("parent_track")
    if name is None or of_tracks is None or len(np.unique(ids)) < len(ids):
        return
    before = _parent_values(reading, name, ids)
    order = np.argsort(ids)
    at = np.minimum(np.searchsorted(ids[order], before), len(ids) - 1)
    source = order[at]
    for k in np.flatnonzero((before >= 0) & (ids[source] == before)).tolist():
        child, parent = int(tracks[k]), int(tracks[source[k]])
        if parent not in (child, parents.get(child)):
            raise FormatError(
                f"{reading.table.where(k)}: the parent of track {child} is "
                f"{parents.get(child, 'none')} by {of_tracks}, and {parent} by {name}; correct "
                f"one, or leave it out: --columns parent_track={of_tracks} or parent_id={name}"
            )
