"""Export of layers: checks whether a format can hold them, and the writing, without widgets."""

from __future__ import annotations

import threading
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from napari_sam2track._napari.layer_values import KEY, layer_parents, layer_provenance
from napari_sam2track._napari.writer import EXTENSIONS, in_napari, movie_of_layers, output_path
from napari_sam2track.errors import OutputError, Sam2TrackError
from napari_sam2track.formats.conversions import notes
from napari_sam2track.formats.tracks_files import (
    Format,
    format_named,
    losses,
    prepared,
    write_tracks,
)
from napari_sam2track.labels import Scale
from napari_sam2track.params import WriteParams
from napari_sam2track.tracks.lineage import children
from napari_sam2track.tracks.tracked_movie import TrackedMovie

#: LayerData tuples, as ``layer.as_layer_data_tuple()`` returns them.
Layers = Sequence[tuple[Any, Mapping[str, Any], str]]


class StoppedError(Sam2TrackError):
    """The person has stopped the task."""


@dataclass(eq=False)
class ExportProgress:
    """Progress of another thread; it is a `ProgressHook`, and can be stopped.

    Attributes
    ----------
    doing
        The current activity, for people.
    done, total
        Numbers of items; total is 0 before there are some.
    stopped
        Set to stop the thread.
    """

    doing: str = ""
    done: int = 0
    total: int = 0
    stopped: threading.Event = field(default_factory=threading.Event)

    def __call__(self, items: Iterable[Any], total: int, doing: str) -> Iterator[Any]:
        """Pass items on.

        Raises
        ------
        StoppedError
            Between two items, after `stopped` was set.
        """
        self.done, self.total, self.doing = 0, total, doing
        for item in items:
            if self.stopped.is_set():
                raise StoppedError(f"{doing.lower()} was stopped")
            yield item
            self.done += 1


@dataclass(frozen=True)
class ExportVerdict:
    """Verdict of a format on a movie.

    Attributes
    ----------
    movie
        The tracks.
    summary
        Contents of the movie, in one line.
    problem
        Reason why it cannot be written; empty if it can.
    lost
        Losses in the format, and those of before: a sentence each.
    """

    movie: TrackedMovie
    summary: str
    problem: str
    lost: tuple[str, ...]


def snapshot(layer: Any) -> tuple[Any, dict[str, Any], str]:
    """Return a layer as a LayerData tuple whose lineage another thread can read meanwhile.

    Pixels are not copied.
    """
    data, attributes, kind = layer.as_layer_data_tuple()
    kept = {"parents": layer_parents(layer), "provenance": layer_provenance(layer)}
    return data, {**attributes, "metadata": {KEY: kept}}, kind


def judge(
    layers: Layers,
    movie: TrackedMovie | None,
    format: str,
    options: WriteParams,
    progress: ExportProgress,
) -> ExportVerdict:
    """Check layers before they are written.

    Parameters
    ----------
    layers
        A Labels layer, a Tracks layer, or both.
    movie
        The tracks of these layers, if they were read before.
    format, options
        Format and options of writing.
    progress
        Shows progress.

    Raises
    ------
    FormatError
        If the layers hold no tracks, or do not belong together.
    """
    movie = movie or movie_of_layers(layers, progress)
    chosen = format_named(format)
    problem = ""
    lost: list[str] = []
    try:
        lost = losses(prepared(movie, chosen, options, Path(chosen.name)), chosen)
    except OutputError as error:
        problem = in_napari(str(error)).replace(f"cannot write {chosen.name}: ", "")
    if not problem and movie.table.max_id > chosen.max_id:
        lost.append(f"ids go up to {chosen.max_id} only: tracks are numbered anew from 1")
    return ExportVerdict(movie, described(movie), problem, (*notes(movie), *lost))


def export(
    layers: Layers,
    path: Path,
    format: str,
    options: WriteParams,
    overwrite: bool,
    progress: ExportProgress,
) -> Path:
    """Write layers as they are now.

    Returns
    -------
    Path
        The output.

    Raises
    ------
    FormatError, OutputError
        As `formats.tracks_files.write_tracks` and `judge`.
    StoppedError
        If it was stopped; no output is left then.
    """
    try:
        movie = movie_of_layers(layers, progress)
        write_tracks(
            path, movie, format=format, overwrite=overwrite, options=options, progress=progress
        )
    except OutputError as error:
        raise OutputError(in_napari(str(error))) from error
    return path


def described(movie: TrackedMovie) -> str:
    """Return frames, tracks, divisions and sizes in one line."""
    table, scale = movie.table, movie.scale
    size = " x ".join(str(n) for n in table.frame_shape)
    divisions = sum(len(brood) > 1 for brood in children(table.parents).values())
    parts = [
        _count(table.n_frames, "frame") + f" of {size} pixels",
        _count(table.n_tracks, "track"),
        _count(divisions, "division"),
    ]
    if movie.labels is None:
        parts.append("places without masks")
    if scale != Scale():
        sizes = (scale.z, scale.y, scale.x)[-len(table.frame_shape) :]
        unit = scale.space_unit or "pixel"
        parts.append(f"a pixel is {' x '.join(f'{each:g}' for each in sizes)} {unit}")
        parts.append(f"a frame is {scale.time:g} {scale.time_unit or 'frame'}")
    return ", ".join(parts)


def _count(n: int, name: str) -> str:
    return f"{n} {name}" if n == 1 else f"{n} {name}s"


def writable() -> list[Format]:
    """Return the formats that can be written."""
    from napari_sam2track.formats.tracks_files import FORMATS

    return [entry for entry in FORMATS if entry.write is not None]


def complete(path: Path, format: str) -> Path:
    """Return the name of an output with the suffix of its format, replacing another format's."""
    ends = _ends(format)
    if format != "ctc" and path.name.lower().endswith(ends):
        return path
    others = {end for entry in writable() for end in _ends(entry.name)}
    for end in sorted(others, key=len, reverse=True):
        if path.name.lower().endswith(end) and len(path.name) > len(end):
            path = path.with_name(path.name[: -len(end)])
            break
    if format in EXTENSIONS:
        return output_path(path, format)
    # Of those without an entry there, only a table beside its graph has a suffix, or is a folder.
    named = format_named(format).suffixes
    return path.with_name(path.name + named[0]) if any(named) else path


def _ends(format: str) -> tuple[str, ...]:
    """Return the ends of names that a format has."""
    if format == "napari":
        return (".csv",)
    ends = (*EXTENSIONS.get(format, ()), *format_named(format).suffixes)
    return tuple(end for end in ends if end.startswith("."))
