"""Tracks in any format: detected, read, written, with their losses."""

from __future__ import annotations

from pathlib import Path

from napari_sam2track.errors import FormatError, OutputError, UsageError
from napari_sam2track.formats.catalogue import (
    DEPTH,
    FORMATS,
    MASKS,
    PARENTS,
    PLACES,
    SCALE,
    Format,
    format_named,
)
from napari_sam2track.formats.conversions import checked_lineage, drawn_movie, renumbered
from napari_sam2track.labels import Scale
from napari_sam2track.params import ReadParams, WriteParams
from napari_sam2track.progress import ProgressHook, no_progress
from napari_sam2track.tracks.tracked_movie import TrackedMovie

__all__ = [
    "DEPTH",
    "FORMATS",
    "MASKS",
    "PARENTS",
    "PLACES",
    "SCALE",
    "Format",
    "format_named",
    "format_of_output",
    "losses",
    "open_tracks",
    "prepared",
    "write_tracks",
]


def format_of_output(path: str | Path, format: str | None = None) -> Format:
    """Return the format that an output is written in.

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
            raise UsageError(
                f"the format {chosen.name} can be read, not written; choose one of {names}"
            )
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
        f"(--to or --format): these and {others}"
    )


def open_tracks(
    path: str | Path,
    format: str | None = None,
    *,
    options: ReadParams | None = None,
    progress: ProgressHook = no_progress,
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
        Options of reading.
    progress
        Passes items on and may show progress: ``progress(items, total, doing)``.

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
        raise UsageError(
            f"the format {chosen.name} can be written, not read; choose one of {names}"
        )
    movie = chosen.read(path, options or ReadParams(), progress)
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
    progress: ProgressHook = no_progress,
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
    progress
        As in `open_tracks`.

    Raises
    ------
    OutputError
        If the format cannot hold the movie at all (`losses` lists what is left out of those that
        it can), the output exists, or the disk is full.
    UsageError
        If nothing is written like that.
    """
    from napari_sam2track.storage.output import check_output

    path = Path(path)
    chosen = format_of_output(path, format)
    assert chosen.write is not None  # format_of_output has made sure
    options = options or WriteParams()
    check_output(path, overwrite)
    chosen.write(path, prepared(movie, chosen, options, path), options, overwrite, progress)


def files_of(path: Path, chosen: Format, option: str = "--out") -> list[tuple[str, Path]]:
    """Return the files of an output, with the name of each in a message."""
    files = [(option, path)]
    if chosen.beside is not None:
        files.append((f"the file beside {option},", chosen.beside(path)))
    return files


def files_read(path: Path) -> list[Path]:
    """Return the files that are read when a path is an input: beside a CSV there may be others."""
    if path.suffix.lower() != ".csv":
        return [path]
    return [path, *(entry.beside(path) for entry in FORMATS if entry.beside is not None)]


def prepared(movie: TrackedMovie, chosen: Format, options: WriteParams, path: Path) -> TrackedMovie:
    """Return the movie as a format can hold it: with masks and ids that fit.

    Raises
    ------
    OutputError
        If that is not possible.
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
        if movie.unknown_pixel is not None:
            raise OutputError(
                f"cannot write {path}: the places are in {movie.unknown_pixel}, and nothing says "
                "how large a pixel is, so masks cannot be drawn; say it with --pixel-size, such as "
                "--pixel-size 0.065"
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
    """Return what a format cannot hold of this movie: a sentence each; empty if all is kept."""
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
