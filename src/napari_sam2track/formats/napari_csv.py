"""napari's Tracks as files: ``tracks.csv`` with ID, t, (z), y, x, and ``graph.json``.

napari has no writer for Tracks of its own. This layout, child to list of parents in the JSON, is
btrack's too. Columns after the places are features; ``area`` is the one that is written.
`track_tables` reads it.
"""

from __future__ import annotations

import csv
import json
from collections.abc import Mapping
from contextlib import ExitStack
from pathlib import Path

from napari_sam2track.params import WriteParams
from napari_sam2track.progress import ProgressHook
from napari_sam2track.storage.output import atomic_path, atomic_paths
from napari_sam2track.tracks.tracked_movie import TrackedMovie


def graph_path(path: Path) -> Path:
    """Return the path of the graph of a CSV: ``a_graph.json`` for ``a.csv``.

    ``graph.json`` for ``tracks.csv``, as btrack has it.
    """
    name = "graph.json" if path.stem == "tracks" else f"{path.stem}_graph.json"
    return path.with_name(name)


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
