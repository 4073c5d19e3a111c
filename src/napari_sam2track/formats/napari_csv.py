"""napari's Tracks as files: ``tracks.csv`` with ID, t, (z), y, x, and ``graph.json``.

napari has no writer for Tracks of its own. This layout, child to list of parents in the JSON, is
btrack's too. Columns after the places are features; ``area`` is the one that is read and written.
"""

from __future__ import annotations

import csv
import json
from collections.abc import Iterator, Mapping
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from napari_sam2track.errors import FormatError
from napari_sam2track.formats.conversions import FAR, extent, point_rows, table_from
from napari_sam2track.labels import checked_id, checked_ids
from napari_sam2track.params import ReadParams, WriteParams
from napari_sam2track.progress import ProgressHook
from napari_sam2track.storage.output import atomic_path, atomic_paths
from napari_sam2track.tracks.tracked_movie import TrackedMovie

#: Columns by their meaning, in lower case; earlier names win.
_NAMES = {
    "id": ("track_id", "trackid", "track id", "track", "id", "particle"),
    "t": ("t", "frame", "time", "axis-0"),
    "z": ("z",),
    "y": ("y",),
    "x": ("x",),
    "area": ("area",),
}


def graph_path(path: Path) -> Path:
    """Return the path of the graph of a CSV: ``a_graph.json`` for ``a.csv``.

    ``graph.json`` for ``tracks.csv``, as btrack has it.
    """
    name = "graph.json" if path.stem == "tracks" else f"{path.stem}_graph.json"
    return path.with_name(name)


def read(path: Path, options: ReadParams, progress: ProgressHook) -> TrackedMovie:
    """Read a CSV of tracks, or a folder with ``tracks.csv``, and the graph beside it.

    The graph is ``<name>_graph.json`` or ``graph.json``; without it no track has a parent. The
    file has no size of the movie: it is as large as the tracks need.

    Raises
    ------
    FormatError
        If columns are missing, a value is no number, ids or frames are not whole, or the graph
        does not fit.
    """
    path = path / "tracks.csv" if path.is_dir() else path
    values, columns = _columns(path)
    ids, notes = _ids(values["id"], path)
    frames = _whole(values["t"], "t", path)
    if len(frames) and frames.min() < 0:
        raise FormatError(f"{path}: t is {frames.min()}, but frames count from 0")
    n = len(frames)
    places = [values.get(axis, np.zeros(n)) for axis in "zyx"]
    rows = point_rows(ids, frames, np.stack(places, axis=1), values.get("area"))
    parents, more = _parents(path, rows, options.merges, shift=bool(notes))
    extra = sorted(columns - {name for names in _NAMES.values() for name in names} - {""})
    if extra:
        more.append(f"columns that tracks have no place for were left out: {', '.join(extra)}")
    n_frames, shape = extent(rows, "z" in values)
    table = table_from(rows, n_frames, shape, parents, str(path))
    found = [f"{path}: {text}" for text in (*notes, *more)]
    return TrackedMovie(table, provenance={"notes": found} if found else {})


def _columns(path: Path) -> tuple[dict[str, NDArray[np.float64]], set[str]]:
    """Return the wanted columns, as numbers, and the names of all."""
    try:
        with path.open(encoding="utf-8-sig", newline="") as file:
            first = file.readline()
            separator = max(",;\t", key=first.count)
            names = [
                name.strip().lower() for name in next(csv.reader([first], delimiter=separator))
            ]
            where = {
                what: names.index(next(name for name in wanted if name in names))
                for what, wanted in _NAMES.items()
                if set(wanted) & set(names)
            }
            missing = [what for what in ("id", "t", "y", "x") if what not in where]
            if missing:
                raise FormatError(
                    f"{path} has the columns {', '.join(names) or 'none'}, and none for "
                    f"{', '.join(missing)}; tracks need ID (or track_id), t (or frame), y and x"
                )
            reader = csv.reader(file, delimiter=separator)
            rows = list(_numbers(reader, list(where.values()), path))
    except (OSError, UnicodeDecodeError, csv.Error, StopIteration) as error:
        raise FormatError(f"{path} cannot be read as CSV: {error}") from error
    table = np.array(rows, np.float64).reshape(len(rows), len(where))
    return {what: table[:, k] for k, what in enumerate(where)}, set(names)


def _numbers(reader: Any, where: list[int], path: Path) -> Iterator[list[float]]:
    """Yield the wanted columns of each line that is not blank."""
    for row in reader:
        if not row:
            continue
        try:
            numbers = [float(row[k]) for k in where]
        except (ValueError, IndexError) as error:
            raise FormatError(f"{path}, line {reader.line_num + 1}: {error}") from error
        if not (np.abs(numbers) < FAR).all():
            raise FormatError(
                f"{path}, line {reader.line_num + 1}: a value is NaN, infinite or beyond any movie;"
                " correct or remove the line"
            )
        yield numbers


def _whole(values: NDArray[np.float64], name: str, path: Path) -> NDArray[np.int64]:
    whole = np.rint(values)
    if not (whole == values).all():
        odd = values[whole != values][0]
        raise FormatError(f"{path}: {name} is {odd:g} in one line; it has to be a whole number")
    return whole.astype(np.int64)


def _ids(values: NDArray[np.float64], path: Path) -> tuple[NDArray[np.uint32], list[str]]:
    """Return track ids from 1 on; napari allows 0, which is the background here."""
    ids = checked_ids(values, f"{path}: a track id", least=0)
    if ids.all():
        return ids, []
    text = "there is a track 0, the background's value: all ids are one higher now"
    return checked_ids(ids.astype(np.int64) + 1, f"{path}: a track id, one higher,"), [text]


def _parents(
    path: Path, rows: NDArray[np.void], merges: str, shift: bool
) -> tuple[dict[int, int], list[str]]:
    """Return child to parent from the graph beside a CSV."""
    places = (path.with_name(f"{path.stem}_graph.json"), path.with_name("graph.json"))
    source = next((place for place in places if place.is_file()), None)
    if source is None:
        return {}, []
    try:
        graph = json.loads(source.read_text(encoding="utf-8"))
        what = f"{source}: a track"
        pairs = {
            checked_id(child, what, least=0): [
                checked_id(parent, what, least=0)
                for parent in (found if isinstance(found, list) else [found])
            ]
            for child, found in graph.items()
        }
    except (OSError, ValueError, TypeError, AttributeError) as error:
        raise FormatError(
            f"{source} is no graph of tracks, child to list of parents, such as "
            f'{{"3": [1]}}: {error}'
        ) from error
    ends = {int(row["track"]): int(row["frame"]) for row in np.sort(rows, order="frame")}
    parents: dict[int, int] = {}
    cut = 0
    for child, found in pairs.items():
        found = [parent for parent in found if parent != child]  # this marks a root
        if not found:
            continue
        if len(found) > 1 and merges == "refuse":
            raise FormatError(
                f"{source}: track {child} has the parents {', '.join(map(str, found))}; a track "
                "has one at most: say --merges cut (merges='cut') to keep the last to end"
            )
        cut += len(found) - 1
        ids = [track + shift for track in (child, *found)]
        unknown = [track - shift for track in ids if track not in ends]
        if unknown:
            raise FormatError(
                f"{source}: track {unknown[0]} is not in {path.name}, as child {child} with "
                f"parents {found}; give the graph that belongs to it"
            )
        parents[ids[0]] = max(ids[1:], key=lambda track: ends[track])
    return parents, [f"{cut} links where tracks merge were cut"] if cut else []


def write(
    path: Path, movie: TrackedMovie, options: WriteParams, overwrite: bool, progress: ProgressHook
) -> None:
    """Write a CSV and its graph; without a suffix, a folder with ``tracks.csv``.

    Raises
    ------
    OutputError
        If one of the two files exists.
    """
    with ExitStack() as stack:
        if path.suffix:
            both = atomic_paths(path, graph_path(path), overwrite=overwrite)
            table, graph = stack.enter_context(both)
        else:
            folder = stack.enter_context(atomic_path(path, overwrite))
            folder.mkdir()
            graph, table = folder / "graph.json", folder / "tracks.csv"
        _write_table(table, movie)
        _write_graph(graph, movie.table.parents)


def _write_table(path: Path, movie: TrackedMovie) -> None:
    deep = movie.ndim == 4
    with path.open("w", encoding="utf-8", newline="") as file:
        writer = csv.writer(file, lineterminator="\n")
        writer.writerow(("ID", "t", *(("z",) if deep else ()), "y", "x", "area"))
        for track, frame, _, area, (z, y, x), _, _ in movie.table.detections.tolist():
            writer.writerow((track, frame, *((z,) if deep else ()), y, x, area))


def _write_graph(path: Path, parents: Mapping[int, int]) -> None:
    graph = {str(child): [parent] for child, parent in sorted(parents.items())}
    path.write_text(json.dumps(graph, indent=1) + "\n", encoding="utf-8", newline="\n")
