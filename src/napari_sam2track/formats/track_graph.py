"""The graph beside a table of tracks: ``graph.json``, child to list of parents.

btrack and napari have it; our writer of napari's tracks, too.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from napari_sam2track.errors import FormatError
from napari_sam2track.labels import checked_id
from napari_sam2track.parsing.json_text import read_json


@dataclass(frozen=True, eq=False)
class GraphBeside:
    """Parents from the graph beside a table.

    Attributes
    ----------
    parents
        Child to parent.
    notes
        What was cut, a sentence each.
    """

    parents: dict[int, int] = field(default_factory=dict)
    notes: tuple[str, ...] = ()


def graph_beside(
    path: Path, tracks: NDArray[np.uint32], frames: NDArray[np.int64], merges: str, shift: int
) -> GraphBeside:
    """Read the graph beside a table: ``<name>_graph.json`` or ``graph.json``; empty without one.

    Parameters
    ----------
    path
        The table.
    tracks, frames
        Track and frame of each of its rows.
    merges
        "refuse" a track of several parents, or "cut" all but the last to end.
    shift
        What was added to the ids of the table.

    Raises
    ------
    FormatError
        If it is no such graph, names a track that is not there, or tracks merge.
    """
    places = (path.with_name(f"{path.stem}_graph.json"), path.with_name("graph.json"))
    source = next((place for place in places if place.is_file()), None)
    if source is None:
        return GraphBeside()
    pairs = _pairs(source)
    order = np.argsort(frames, kind="stable")
    ends = dict(zip(tracks[order].tolist(), frames[order].tolist(), strict=True))
    parents: dict[int, int] = {}
    cut = 0
    for child, every in pairs.items():
        found = [parent for parent in every if parent != child]  # this marks a root
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
    notes = (f"{cut} links where tracks merge were cut",) if cut else ()
    return GraphBeside(parents, notes)


def _pairs(source: Path) -> dict[int, list[int]]:
    """Return child to parents as the file has them."""
    graph = read_json(source)
    what = f"{source}: a track"
    try:
        return {
            checked_id(child, what, least=0): [
                checked_id(parent, what, least=0)
                for parent in (found if isinstance(found, list) else [found])
            ]
            for child, found in graph.items()
        }
    except (ValueError, TypeError, AttributeError, OverflowError) as error:
        raise FormatError(
            f"{source} is no graph of tracks, child to list of parents, such as "
            f'{{"3": [1]}}: {error}'
        ) from error
