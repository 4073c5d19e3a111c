"""All formats of tracks in one list: how to find, read and write each."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from importlib import import_module
from pathlib import Path
from typing import Any

from napari_sam2track.errors import FormatError, OutputError, UsageError
from napari_sam2track.formats.movies import (
    Watch,
    checked_lineage,
    drawn_movie,
    renumbered,
    silent,
)
from napari_sam2track.labels import Scale
from napari_sam2track.params import ReadParams, WriteParams
from napari_sam2track.tracks.movie import TrackedMovie

Reader = Callable[[Path, ReadParams, Watch], TrackedMovie]
Writer = Callable[[Path, TrackedMovie, WriteParams, bool, Watch], None]

#: What a format may hold of a movie beside ids and frames.
MASKS, PARENTS, SCALE, DEPTH, PLACES = "masks", "parents", "scale", "depth", "places"


@dataclass(frozen=True)
class Format:
    """A kind of file or folder.

    Attributes
    ----------
    name
        As in ``--to geff``.
    title
        As people call it.
    suffixes
        Ends of names, lower case, that ask for it as an output; "" is a folder.
    read, write
        What reads and writes it; None if that cannot be done.
    holds
        What is kept: MASKS, PARENTS, SCALE, DEPTH, PLACES (tracks without masks).
    max_id
        Largest track id that it has room for.
    limits
        What else it cannot hold, in words.
    losses
        Finds more sentences about what of a movie is lost; None if there are none.
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

    @property
    def needs_labels(self) -> bool:
        """Whether only tracks with masks can be written."""
        return PLACES not in self.holds


def _later(module: str, function: str) -> Any:
    """A function of a format's module, which is imported when it is first called."""

    def call(*args: Any) -> Any:
        return getattr(import_module(f"{__package__}.{module}"), function)(*args)

    return call


def _both(module: str, write: str = "write") -> dict[str, Any]:
    """What reads and what writes, where a module has both."""
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
        **_both("geff_files"),
        holds=frozenset({MASKS, PARENTS, SCALE, DEPTH, PLACES}),
        limits="merges (a track has one parent at most)",
    ),
    Format(
        "napari",
        "napari Tracks as CSV with a graph as JSON (also btrack's)",
        (),
        **_both("napari_csv"),
        holds=frozenset({PARENTS, DEPTH, PLACES}),
        limits="masks, scale, size of the movie",
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
    ),
    Format(
        "tiff",
        "tracked labels as TIFF, an ImageJ hyperstack where it fits",
        (".tif", ".tiff"),
        **_both("tracked_labels", write="write_tiff"),
        holds=frozenset({MASKS, PARENTS, SCALE, DEPTH}),
        limits="objects without pixels",
    ),
    Format(
        "tiff-folder",
        "tracked labels, one TIFF a frame",
        ("",),
        **_both("tracked_labels", write="write_folder"),
        holds=frozenset({MASKS, PARENTS, SCALE, DEPTH}),
        limits="objects without pixels",
    ),
    Format(
        "ome-zarr",
        "tracked labels as OME-Zarr",
        (".zarr",),
        **_both("tracked_labels", write="write_zarr"),
        holds=frozenset({MASKS, PARENTS, SCALE, DEPTH}),
        limits="objects without pixels",
    ),
    Format(
        "array",
        "tracked labels in .npy, .npz or .png",
        (),
        read=_later("tracked_labels", "read"),
        write=None,
        holds=frozenset({MASKS, DEPTH}),
    ),
    Format(
        "trackmate",
        "TrackMate XML",
        (".xml",),
        **_both("trackmate"),
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
    """The format of a name.

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


def format_of_output(path: str | Path, format: str | None = None) -> Format:
    """The format that an output is written in.

    Parameters
    ----------
    path
        Its name decides, if `format` is None: the longest suffix that fits. A name without a
        suffix is a folder: Cell Tracking Challenge if it ends as ``01_RES`` does.
    format
        Name of a format.

    Raises
    ------
    UsageError
        If nothing is written like that.
    """
    writable = [entry for entry in FORMATS if entry.write is not None]
    if format is not None:
        chosen = format_named(format)
        if chosen.write is None:
            names = ", ".join(entry.name for entry in writable)
            raise UsageError(f"{chosen.name} can be read, not written; choose one of {names}")
        return chosen
    path = Path(path)
    text = "/" + "/".join(path.parts[-2:]).lower()
    found = [
        (len(s), entry) for entry in writable for s in entry.suffixes if s and text.endswith(s)
    ]
    if found:
        return max(found, key=lambda pair: pair[0])[1]
    if not path.suffix:
        return format_named("tiff-folder")
    named = ", ".join(
        f"{suffix} ({entry.name})"
        for entry in writable
        for suffix in entry.suffixes
        if suffix[:1] == "."
    )
    others = ", ".join(entry.name for entry in writable if not any(entry.suffixes))
    raise UsageError(
        f"{path} has the unknown suffix {path.suffix!r}; use {named}, a folder, or name the format "
        f"(--to): these and {others}"
    )


def open_tracks(
    path: str | Path,
    format: str | None = None,
    *,
    options: ReadParams | None = None,
    watch: Watch | None = None,
) -> TrackedMovie:
    """Read tracks, and open the masks that they are made of; close the result.

    Labels are read once, frame by frame, since a table says where each track is; they stay in
    their file.

    Parameters
    ----------
    path
        A file or folder in one of `FORMATS`.
    format
        Name of its format; found by content and name if None.
    options
        How to understand it.
    watch
        Passes items on and may show progress: ``watch(items, total, doing)``.

    Raises
    ------
    FormatError
        If it is not there, in none of the formats, or contradicts itself.
    UsageError
        If there is no such format, or it cannot be read.
    """
    from napari_sam2track.formats.sniffing import format_of_input

    path = Path(path)
    if not path.exists():
        raise FormatError(f"{path} does not exist: give a file or a folder of tracks or labels")
    if format is None:
        name, path = format_of_input(path)
    else:
        name = format
    chosen = format_named(name)
    if chosen.read is None:
        names = ", ".join(entry.name for entry in FORMATS if entry.read is not None)
        raise UsageError(f"{chosen.name} can be written, not read; choose one of {names}")
    movie = chosen.read(path, options or ReadParams(), watch or silent)
    try:
        checked_lineage(movie.table, str(path))
    except FormatError:
        movie.close()
        raise
    return movie


def write_tracks(
    path: str | Path,
    movie: TrackedMovie,
    *,
    format: str | None = None,
    overwrite: bool = False,
    options: WriteParams | None = None,
    watch: Watch | None = None,
) -> None:
    """Write tracks, complete or not at all.

    Parameters
    ----------
    path
        What to write.
    movie
        Tracks with or without masks.
    format
        Name of a format; that of the name if None.
    overwrite
        Allow an existing output of ours to be replaced.
    options
        How to write.
    watch
        As in `open_tracks`.

    Raises
    ------
    OutputError
        If the format cannot hold the movie at all (`losses` tells what is left out of those that
        it can), the output exists, or the disk is full.
    UsageError
        If nothing is written like that.
    """
    from napari_sam2track.formats.output import check_output

    path = Path(path)
    chosen = format_of_output(path, format)
    assert chosen.write is not None  # format_of_output has made sure
    options = options or WriteParams()
    check_output(path, overwrite)
    chosen.write(path, prepared(movie, chosen, options, path), options, overwrite, watch or silent)


def prepared(movie: TrackedMovie, chosen: Format, options: WriteParams, path: Path) -> TrackedMovie:
    """The movie as a format can take it: with masks and ids that fit.

    Raises
    ------
    OutputError
        If it cannot be had.
    """
    if movie.ndim == 4 and DEPTH not in chosen.holds:
        raise OutputError(
            f"cannot write {path}: {chosen.title} holds planes, and the movie has depth "
            f"{movie.table.frame_shape}; choose another format, or one plane"
        )
    if chosen.needs_labels and movie.labels is None:
        if options.radius is None:
            raise OutputError(
                f"cannot write {path}: {chosen.title} needs masks, and only the places of these "
                "tracks are known; choose a format of tables or graphs (json, csv, napari, geff, "
                "trackmate), or draw discs with --radius"
            )
        movie = drawn_movie(movie, options.radius)
    if movie.table.max_id > chosen.max_id:
        if not options.renumber:
            raise OutputError(
                f"cannot write {path}: the track id {movie.table.max_id} is over "
                f"{chosen.max_id}, the most that {chosen.title} holds; choose another format, or "
                "number the tracks anew with --renumber"
            )
        movie = renumbered(movie)
        if movie.table.max_id > chosen.max_id:
            raise OutputError(
                f"cannot write {path}: there are {movie.table.n_tracks} tracks, and "
                f"{chosen.title} holds {chosen.max_id} at most; choose another format"
            )
    return movie


def losses(movie: TrackedMovie, format: Format | str) -> list[str]:
    """What a format cannot hold of this movie: a sentence each; empty if all is kept."""
    chosen = format_named(format) if isinstance(format, str) else format
    table, found = movie.table, []
    if movie.labels is not None and not chosen.holds & {MASKS} and chosen.name != "trackmate":
        found.append("the masks are not written, only what the table of tracks knows of them")
    if table.parents and PARENTS not in chosen.holds:
        found.append(f"the parents of {len(table.parents)} tracks are not written")
    if movie.scale != Scale() and SCALE not in chosen.holds:
        found.append("the size of a pixel and the time between frames are not written")
    pointlike = int((table.detections["area"] == 0).sum())
    if movie.labels is not None and pointlike and chosen.needs_labels:
        found.append(f"{pointlike} objects without pixels are not written")
    if table.max_id > chosen.max_id:
        found.append(f"ids go up to {chosen.max_id} only: tracks are numbered anew from 1")
    return found + (chosen.losses(movie) if chosen.losses else [])
