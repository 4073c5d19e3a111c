"""Reader that napari asks first when a file is opened: little is read to see whether it is ours."""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from napari_sam2track.formats.sniffing import ctc_folder
from napari_sam2track.formats.track_tables import has_track_columns
from napari_sam2track.frames.folder import NOTE_NAME
from napari_sam2track.storage.recovery import recover

if TYPE_CHECKING:
    from napari.types import LayerData

Reader = Callable[[str], "list[LayerData]"]

#: Bytes that are read of a file that could be anything.
_HEAD = 4096
#: Our own name in zarr's attributes; those of a GEFF.
_ZARR_SIGNS = (b"napari_sam2track", b'"geff"')
_CTC_FILES = ("res_track.txt", "man_track.txt")


def get_reader(path: str | Sequence[str]) -> Reader | None:
    """Return the reader of a file or folder, or None if it is not ours.

    Ours are sessions, folders of results, and files of tracks: Cell Tracking Challenge folders,
    GEFF, TrackMate, ``*.tracks.json``, ``*.tracks.csv``, and labels that we wrote.

    Parameters
    ----------
    path
        A file or folder; of a list, which napari passes for a stack, only one.
    """
    if not isinstance(path, str):
        paths = list(path)
        if len(paths) != 1:
            return None
        path = paths[0]
    here = Path(path)
    recover(here)
    try:
        if here.is_dir():
            return _of_folder(here)
        return _of_file(here) if here.is_file() else None
    except OSError:  # not readable: other readers may report why
        return None


def read_tracks(path: str) -> list[LayerData]:
    """Read labels and tracks of a file or folder; see `tracks_to_layers.track_layers`."""
    from napari_sam2track._napari.tracks_to_layers import track_layers

    here = Path(path)
    return track_layers(here.parent if here.name in _CTC_FILES else here)


def read_session(path: str) -> list[LayerData]:
    """Read the layers of a session from its file or folder; see `session_layers.session_layers`."""
    from napari_sam2track._napari.session_layers import session_layers

    here = Path(path)
    return session_layers(here / "session.json" if here.is_dir() else here)


def _of_folder(path: Path) -> Reader | None:
    if (path / "session.json").is_file():
        return read_session if _is_session(path / "session.json") else None
    if path.suffix.lower() in (".geff", ".zarr"):
        return read_tracks if _has_our_attributes(path) else None
    if ctc_folder(path) is not None:
        return read_tracks
    if (path / NOTE_NAME).is_file() and any(path.glob("labels_*.tif")):
        return read_tracks
    both = (path / "tracks.csv").is_file() and (path / "graph.json").is_file()
    return read_tracks if both else None


def _of_file(path: Path) -> Reader | None:
    name = path.name.lower()
    if name.endswith(".json"):
        if _is_session(path):
            return read_session
        return read_tracks if b'"sam2track-tracks"' in _head(path) else None
    if name.endswith(".csv"):
        return read_tracks if has_track_columns(path) else None
    if name.endswith(".xml"):
        return read_tracks if b"<TrackMate" in _head(path) else None
    if name.endswith((".tif", ".tiff")):
        return read_tracks
    return read_tracks if name in _CTC_FILES else None


def _head(path: Path) -> bytes:
    with path.open("rb") as file:
        return file.read(_HEAD)


def _is_session(path: Path) -> bool:
    return re.search(rb'"format"\s*:\s*"sam2track-session"', _head(path)) is not None


def _has_our_attributes(path: Path) -> bool:
    """Return whether a zarr group is a GEFF, or labels of ours."""
    notes = [path / name for name in ("zarr.json", ".zattrs")]
    texts = [note.read_bytes() for note in notes if note.is_file()]
    return any(sign in text for text in texts for sign in _ZARR_SIGNS)
