"""Tracks as a graph of objects, as GEFF and TrackMate have them, and back.

A node is an object in a frame, an edge leads to the same object later or to a daughter. Where a
node has one successor that has one predecessor, a track continues; everything else is a division.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from napari_sam2track.errors import FormatError
from napari_sam2track.labels import MAX_ID
from napari_sam2track.tracks.table import TrackTable


@dataclass(frozen=True, eq=False)
class Graph:
    """Objects and links.

    Attributes
    ----------
    frames
        Shape (n,), int64; the frame of each node.
    places
        Shape (n, 3), float64; (z, y, x) of each node.
    edges
        Shape (m, 2), int64; positions of source and target.
    names
        Shape (n,); name of each node in a message.
    """

    frames: NDArray[np.int64]
    places: NDArray[np.float64]
    edges: NDArray[np.int64]
    names: NDArray[np.int64]


def tracks_of(
    graph: Graph,
    source: str,
    merges: str = "refuse",
    own: NDArray[np.uint32] | None = None,
    wished: NDArray[np.int64] | None = None,
) -> tuple[NDArray[np.uint32], dict[int, int], list[str]]:
    """Cut a graph into tracks.

    Parameters
    ----------
    graph
        Objects and links; the direction of a link in time is what counts.
    source
        Name of the file in a message.
    merges
        "refuse", or "cut": of the links into one node all but that from the nearest node go.
    own
        Shape (n,); the track of each node, where the file was written by us: a link
        between two of them is then one from parent to child.
    wished
        Shape (n,); ids that tracks get, if each has one, and no two have the same.

    Returns
    -------
    tuple
        The track of each node, shape (n,), uint32; child to parent; notes on what was cut.

    Raises
    ------
    FormatError
        If a link is within a frame, or two tracks become one and that is not to be cut.
    """
    n, frames = len(graph.frames), graph.frames
    edges = np.unique(graph.edges.reshape(-1, 2), axis=0)
    late = frames[edges[:, 0]] > frames[edges[:, 1]]
    edges[late] = edges[late][:, ::-1]
    flat = np.flatnonzero(frames[edges[:, 0]] == frames[edges[:, 1]])
    if len(flat):
        a, b = graph.names[edges[flat[0]]]
        raise FormatError(
            f"{source}: objects {a} and {b} are linked, but both are in frame "
            f"{frames[edges[flat[0], 0]]}; a link leads to a later frame"
        )
    edges, notes = _without_merges(graph, edges, source, merges)
    before = np.full(n, -1)
    before[edges[:, 1]] = edges[:, 0]
    successors = np.bincount(edges[:, 0], minlength=n)
    tracks = np.zeros(n, np.int64)
    parents: dict[int, int] = {}
    count = 0
    for node in np.lexsort((np.arange(n), frames)).tolist():  # predecessors come first
        earlier = int(before[node])
        if earlier >= 0 and (
            own[earlier] == own[node] if own is not None else successors[earlier] == 1
        ):
            tracks[node] = tracks[earlier]
            continue
        count += 1
        tracks[node] = count
        if earlier >= 0:
            parents[count] = int(tracks[earlier])
    names = _names(tracks, count, own if own is not None else wished)
    ids = names[tracks]
    return (
        ids.astype(np.uint32),
        {int(names[child]): int(names[parent]) for child, parent in parents.items()},
        notes,
    )


def _without_merges(
    graph: Graph, edges: NDArray[np.int64], source: str, merges: str
) -> tuple[NDArray[np.int64], list[str]]:
    """Return links of which no two lead to the same node."""
    targets, counts = np.unique(edges[:, 1], return_counts=True)
    merged = targets[counts > 1]
    if not len(merged):
        return edges, []
    if merges == "refuse":
        node = merged[0]
        sources = graph.names[edges[edges[:, 1] == node, 0]].tolist()
        raise FormatError(
            f"{source}: {len(merged)} objects have more than one predecessor, the first being "
            f"{graph.names[node]} in frame {graph.frames[node]} (after "
            f"{' and '.join(map(str, sources))}); a track has one parent at most: say --merges cut "
            "(merges='cut') to keep the nearest"
        )
    waits = graph.frames[edges[:, 1]] - graph.frames[edges[:, 0]]
    steps = np.linalg.norm(graph.places[edges[:, 1]] - graph.places[edges[:, 0]], axis=1)
    order = np.lexsort((edges[:, 0], steps, waits, edges[:, 1]))  # by target, the nearest first
    _, first = np.unique(edges[order, 1], return_index=True)
    kept = edges[np.sort(order[first])]
    text = f"{len(edges) - len(kept)} links into {len(merged)} objects where tracks merge were cut"
    return kept, [text]


def _names(
    tracks: NDArray[np.int64], count: int, wished: NDArray[np.uint32] | NDArray[np.int64] | None
) -> NDArray[np.int64]:
    """Return ids of tracks 1 to `count`: the wished ones if possible, else these numbers."""
    numbers = np.arange(count + 1)
    if wished is None or not count:
        return numbers
    names = np.zeros(count + 1, np.int64)
    names[tracks] = wished
    fits = (names[tracks] == wished).all() and len(np.unique(names[1:])) == count
    return names if fits and names[1:].min() >= 1 and names[1:].max() <= MAX_ID else numbers


def edges_of(table: TrackTable) -> NDArray[np.int64]:
    """Return the links of a table: shape (m, 2), positions in its ``detections``.

    A child is linked with the last object of its parent before it begins.
    """
    rows = table.detections
    same = np.flatnonzero(rows["track"][1:] == rows["track"][:-1])
    within = np.stack([same, same + 1], axis=1).astype(np.int64)
    ids, firsts, counts = np.unique(rows["track"], return_index=True, return_counts=True)
    places = dict(
        zip(ids.tolist(), zip(firsts.tolist(), counts.tolist(), strict=True), strict=True)
    )
    across = []
    for child, parent in sorted(table.parents.items()):
        (start, _), (begin, count) = places[child], places[parent]
        frames = rows["frame"][begin : begin + count]
        earlier = int(np.searchsorted(frames, rows["frame"][start]))
        if earlier:
            across.append((begin + earlier - 1, start))
    return np.concatenate([within, np.array(across, np.int64).reshape(-1, 2)])


def paths_of(n: int, edges: NDArray[np.int64]) -> NDArray[np.int64]:
    """Return the unbranched path of each node, from 1: GEFF's tracklet.

    Parameters
    ----------
    n
        Number of nodes.
    edges
        Shape (m, 2); positions of sources and targets, in any order.
    """
    out, into = np.bincount(edges[:, 0], minlength=n), np.bincount(edges[:, 1], minlength=n)
    return families_of(n, edges[(out[edges[:, 0]] == 1) & (into[edges[:, 1]] == 1)])


def families_of(n: int, edges: NDArray[np.int64]) -> NDArray[np.int64]:
    """Return the connected part of the graph of each node, from 1: GEFF's lineage."""
    from scipy.sparse import coo_matrix
    from scipy.sparse.csgraph import connected_components

    if n == 0:
        return np.zeros(0, np.int64)
    links = coo_matrix((np.ones(len(edges), bool), (edges[:, 0], edges[:, 1])), shape=(n, n))
    parts = connected_components(links, directed=False)[1]
    return np.asarray(parts, np.int64) + 1
