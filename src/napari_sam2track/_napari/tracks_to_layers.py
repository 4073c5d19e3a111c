"""Files of tracks as layers: masks as Labels, lineages as Tracks."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from napari_sam2track._napari.layer_tracks import can_show, tracks_layer_data
from napari_sam2track._napari.layer_values import KEY, scale_attributes
from napari_sam2track.errors import FormatError
from napari_sam2track.formats.conversions import notes
from napari_sam2track.formats.tracks_files import open_tracks
from napari_sam2track.frames.lazy_array import lazy_labels
from napari_sam2track.labels import LabelFrames
from napari_sam2track.params import ReadParams
from napari_sam2track.tracks.tracked_movie import TrackedMovie

if TYPE_CHECKING:
    from napari.types import LayerData

#: Labels up to so many bytes go into memory, where they can be painted.
IN_MEMORY = 256 << 20


def tell(text: str) -> None:
    """Show a message as napari does: a notice in the window, or a log line."""
    from napari.utils.notifications import show_warning

    show_warning(text)


def watched(items: Iterable[Any], total: int, doing: str) -> Iterable[Any]:
    """Progress hook that shows in napari's list of activities; for the main thread.

    Without a window it is silent: napari would write bars into a script's output.
    """
    from napari import current_viewer
    from napari.utils import progress

    if current_viewer() is None:
        return items
    shown: Iterable[Any] = progress(items, total=total, desc=doing)
    return shown


def track_layers(path: Path) -> list[LayerData]:
    """Return the layers of a file or folder in one of our formats.

    Where tracks merge, all links but the nearest are cut, as napari cannot ask. That, and
    all other losses, are reported.

    Parameters
    ----------
    path
        Path for `formats.tracks_files.open_tracks`.

    Returns
    -------
    list
        A Labels layer, where the file has masks, and a Tracks layer.

    Raises
    ------
    FormatError
        If the file cannot be read, or holds nothing.
    """
    movie = open_tracks(path, options=ReadParams(merges="cut"), progress=watched)
    layers = layers_of(movie, name_of(path))
    if not layers:
        raise FormatError(f"{path} holds no tracks and no masks, so there is nothing to show")
    return layers


def name_of(path: Path) -> str:
    """Return the name of layers: ``cells`` for cells.tracks.json, ``01_GT`` for its folder TRA."""
    path = path.absolute()
    if path.name.upper() == "TRA":
        path = path.parent
    if path.is_dir() and not path.suffix:
        return path.name
    stem = path.stem
    for end in (".tracks", ".labels", ".ome"):
        stem = stem.removesuffix(end)
    return stem or path.name


def layers_of(
    movie: TrackedMovie, name: str, ours: Mapping[str, Any] | None = None
) -> list[LayerData]:
    """Return a movie as a Labels layer, if it has masks, and a Tracks layer, if it has tracks.

    Parameters
    ----------
    movie
        Tracks; it is closed here, or together with the layer's data.
    name
        The layers are called ``<name> [labels]`` and ``<name> [tracks]``.
    ours
        More to keep under ``metadata["sam2track"]``, beside the parents.

    Returns
    -------
    list
        Labels of up to `IN_MEMORY` bytes are arrays that can be painted; larger ones are read
        on access, and a note in the metadata says so.
    """
    table = movie.table
    for note in notes(movie):
        tell(note)
    kept = {**(ours or {}), "parents": dict(table.parents), "provenance": dict(movie.provenance)}
    layers: list[LayerData] = []
    if movie.labels is None:
        movie.close()
    else:
        size = 4 * table.n_frames * int(np.prod(table.frame_shape, dtype=np.int64))
        if size <= IN_MEMORY:
            data: Any = _whole(movie.labels)
            movie.close()
        else:
            data = lazy_labels(movie.labels, movie.close)
            kept["note"] = (
                f"{size >> 20} MB of labels stay in their file; they can be looked at and "
                "exported, not painted"
            )
        attributes = scale_attributes(movie.scale, movie.ndim)
        attributes |= {"name": f"{name} [labels]", "metadata": {KEY: kept}}
        layers.append((data, attributes, "labels"))
    if can_show(table):
        layers.append(
            tracks_layer_data(
                table, movie.scale, name=f"{name} [tracks]", like={"metadata": {KEY: kept}}
            )
        )
    elif len(table):
        tell(
            f"{name}: the tracks have ids up to {table.max_id}, for which napari would need very "
            "much memory, so there is no Tracks layer; number them anew (sam2track convert "
            "--renumber)"
        )
    return layers


def _whole(labels: LabelFrames) -> Any:
    """Read all frames into memory, uint32."""
    whole = np.zeros((labels.n_frames, *labels.frame_shape), np.uint32)
    for t in watched(range(labels.n_frames), labels.n_frames, "Loading labels"):
        whole[t] = labels.read(t)
    return whole
