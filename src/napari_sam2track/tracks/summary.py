"""Measures of whole tracks as one pandas table."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from napari_sam2track.labels import Scale
from napari_sam2track.tracks.lineage import children, generations, lineage_ids
from napari_sam2track.tracks.table import TrackTable

if TYPE_CHECKING:
    import pandas as pd


def measure_tracks(table: TrackTable, scale: Scale | None = None) -> pd.DataFrame:
    """Return a row for each track, from the table alone; no pixels are read.

    Parameters
    ----------
    table
        The tracks.
    scale
        Size of a frame and a pixel; where it is not that of pixels and frames, distances and
        speeds are in its units, and their names begin with ``world_``.

    Returns
    -------
    DataFrame
        Columns:

        - ``track_id``; ``begin`` and ``end``, first and last frame, both included;
          ``n_frames``, those that it is in; ``n_missing``, those between that it is not in.
        - ``parent`` (0: none), ``children`` (ids separated by spaces), ``generation``
          (0 without a parent), ``lineage_id`` (id of the first ancestor).
        - ``area_mean``, ``area_begin``, ``area_end``, in pixels.
        - ``displacement``, from the first centroid to the last; ``path_length``, along all of
          them; ``straightness``, the first over the second, NaN for what does not move.
        - ``speed_mean`` (path over time), ``speed_max`` (the fastest step, per frame or unit of
          time), NaN for tracks of one frame.
    """
    import pandas as pd

    scale = scale or Scale()
    world = "world_" if scale != Scale() else ""
    tracks = table.ids.tolist()
    lineage = lineage_ids(tracks, table.parents)
    depth = generations(tracks, table.parents)
    below = children(table.parents)
    rows: list[dict[str, Any]] = []
    for each in table.tracks():
        track = int(each["track"][0])
        frames, areas = each["frame"], each["area"]
        place = each["centroid"] * (scale.z, scale.y, scale.x)
        steps = np.linalg.norm(np.diff(place, axis=0), axis=1)
        times = np.diff(frames) * scale.time
        path, far = float(steps.sum()), float(np.linalg.norm(place[-1] - place[0]))
        rows.append(
            {
                "track_id": track,
                "begin": int(frames[0]),
                "end": int(frames[-1]),
                "n_frames": len(each),
                "n_missing": int(frames[-1] - frames[0]) + 1 - len(each),
                "parent": table.parents.get(track, 0),
                "children": " ".join(str(child) for child in below.get(track, ())),
                "generation": depth[track],
                "lineage_id": lineage[track],
                "area_mean": float(areas.mean()),
                "area_begin": int(areas[0]),
                "area_end": int(areas[-1]),
                f"{world}displacement": far,
                f"{world}path_length": path,
                "straightness": far / path if path > 0 else np.nan,
                f"{world}speed_mean": path / float(times.sum()) if len(times) else np.nan,
                f"{world}speed_max": float((steps / times).max()) if len(times) else np.nan,
            }
        )
    if not rows:
        return pd.DataFrame(columns=_columns(world))
    return pd.DataFrame(rows)


def _columns(world: str) -> list[str]:
    """The columns of a table without rows."""
    return [
        *("track_id", "begin", "end", "n_frames", "n_missing", "parent", "children"),
        *("generation", "lineage_id", "area_mean", "area_begin", "area_end"),
        *(f"{world}displacement", f"{world}path_length", "straightness"),
        *(f"{world}speed_mean", f"{world}speed_max"),
    ]
