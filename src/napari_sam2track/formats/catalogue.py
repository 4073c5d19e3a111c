"""Catalogue of formats of tracks: the content of each, and the functions that read and write it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from importlib import import_module
from pathlib import Path
from typing import Any

from napari_sam2track.errors import UsageError
from napari_sam2track.params import ReadParams, WriteParams
from napari_sam2track.progress import ProgressHook
from napari_sam2track.tracks.tracked_movie import TrackedMovie

Reader = Callable[[Path, ReadParams, ProgressHook], TrackedMovie]
Writer = Callable[[Path, TrackedMovie, WriteParams, bool, ProgressHook], None]

#: Contents that a format may hold beside ids and frames.
MASKS, PARENTS, SCALE, DEPTH, PLACES = "masks", "parents", "scale", "depth", "places"


@dataclass(frozen=True)
class Format:
    """A kind of file or folder.

    Attributes
    ----------
    name
        As in ``--to geff``.
    title
        Name for people.
    suffixes
        Ends of names, lower case, that select it for an output; "" is a folder.
    read, write
        Functions that read and write it; None if that is not possible.
    holds
        Contents that are kept: MASKS, PARENTS, SCALE, DEPTH, PLACES (tracks without masks).
    max_id
        Largest track id that it can hold.
    limits
        Other contents that it cannot hold, in words.
    losses
        Returns more sentences on losses of a movie; None if there are none.
    beside
        Returns the path of a second file that belongs to an output; None if there is none.
    """

    name: str
    title: str
    suffixes: tuple[str, ...]
    read: Reader | None
    write: Writer | None
    holds: frozenset[str]
    max_id: int = 0xFFFFFFFF
    limits: str = ""
    losses: Callable[[TrackedMovie], list[str]] | None = None
    beside: Callable[[Path], Path] | None = None

    @property
    def needs_labels(self) -> bool:
        """True if tracks can only be written with masks."""
        return PLACES not in self.holds


def _later(module: str, function: str) -> Any:
    """Return a function of a format's module, which is imported at the first call."""

    def call(*args: Any) -> Any:
        return getattr(import_module(f"{__package__}.{module}"), function)(*args)

    return call


def _both(module: str, write: str = "write") -> dict[str, Any]:
    """Return the read and write functions of a module that has both."""
    return {"read": _later(module, "read"), "write": _later(module, write)}


FORMATS: tuple[Format, ...] = (
    Format(
        "ctc",
        "Cell Tracking Challenge folder",
        ("_res", "/tra"),
        **_both("ctc"),
        holds=frozenset({MASKS, PARENTS, SCALE, DEPTH}),
        max_id=0xFFFF,
        limits="ids over 65535; gaps: a track is split there, its parts joined as parent and child",
        losses=_later("ctc", "losses"),
    ),
    Format(
        "geff",
        "GEFF (graph exchange file format) with labels",
        (".geff",),
        read=_later("geff_reader", "read"),
        write=_later("geff_writer", "write"),
        holds=frozenset({MASKS, PARENTS, SCALE, DEPTH, PLACES}),
        limits="merges (a track has one parent at most)",
    ),
    Format(
        "napari",
        "napari Tracks as CSV with a graph as JSON (also btrack's)",
        (),
        read=_later("track_tables", "read"),
        write=_later("napari_csv", "write"),
        holds=frozenset({PARENTS, DEPTH, PLACES}),
        limits="masks, scale, size of the movie",
        beside=_later("napari_csv", "graph_path"),
    ),
    Format(
        "table",
        "tables of tracks of other programs as CSV",
        (),
        read=_later("track_tables", "read"),
        write=None,
        holds=frozenset({PARENTS, SCALE, DEPTH, PLACES}),
        limits="masks, features but area, size of the movie",
    ),
    Format(
        "json",
        "tracks as JSON (our own)",
        (".json",),
        **_both("tracks_json"),
        holds=frozenset({PARENTS, SCALE, DEPTH, PLACES}),
        limits="masks",
    ),
    Format(
        "csv",
        "tracks as CSV (our own)",
        (".csv",),
        **_both("tracks_csv"),
        holds=frozenset({PARENTS, SCALE, DEPTH, PLACES}),
        limits="masks",
        beside=_later("tracks_csv", "note_path"),
    ),
    Format(
        "tiff",
        "tracked labels as TIFF, an ImageJ hyperstack where it fits",
        (".tif", ".tiff"),
        **_both("labels.tracked_labels", write="write_tiff"),
        holds=frozenset({MASKS, PARENTS, SCALE, DEPTH}),
        limits="objects without pixels",
    ),
    Format(
        "tiff-folder",
        "tracked labels, one TIFF a frame",
        ("",),
        **_both("labels.tracked_labels", write="write_folder"),
        holds=frozenset({MASKS, PARENTS, SCALE, DEPTH}),
        limits="objects without pixels",
    ),
    Format(
        "ome-zarr",
        "tracked labels as OME-Zarr",
        (".zarr",),
        **_both("labels.tracked_labels", write="write_zarr"),
        holds=frozenset({MASKS, PARENTS, SCALE, DEPTH}),
        limits="objects without pixels",
    ),
    Format(
        "array",
        "tracked labels in .npy, .npz or .png",
        (),
        read=_later("labels.tracked_labels", "read"),
        write=None,
        holds=frozenset({MASKS, DEPTH}),
    ),
    Format(
        "trackmate",
        "TrackMate XML",
        (".xml",),
        read=_later("trackmate_reader", "read"),
        write=_later("trackmate_writer", "write"),
        holds=frozenset({PARENTS, SCALE, DEPTH, PLACES}),
        limits="holes and separate parts of masks, and masks in 3D: outlines and radii are kept",
        losses=_later("trackmate_writer", "losses"),
    ),
    Format(
        "coco",
        "COCO / YouTube-VIS JSON with RLE",
        (".coco.json",),
        read=None,
        write=_later("coco", "write"),
        holds=frozenset({MASKS}),
        limits="parents, scale, depth",
    ),
    Format(
        "davis",
        "DAVIS folder of palette PNGs",
        (),
        **_both("davis"),
        holds=frozenset({MASKS}),
        max_id=254,
        limits="ids over 254, parents, scale, depth",
    ),
    Format(
        "mots",
        "MOTS text",
        (".txt",),
        read=None,
        write=_later("mots", "write"),
        holds=frozenset({MASKS}),
        max_id=999,
        limits="ids over 999, parents, scale, depth",
    ),
)


def format_named(name: str) -> Format:
    """Return the format of a name.

    Raises
    ------
    UsageError
        If there is none; it names the choices.
    """
    for entry in FORMATS:
        if entry.name == name.lower():
            return entry
    choices = ", ".join(entry.name for entry in FORMATS)
    raise UsageError(f"there is no format {name!r}; choose one of {choices}")
