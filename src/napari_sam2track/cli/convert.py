"""``sam2track convert``: tracks and labels from one format to another."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from napari_sam2track.cli._inputs import FromFormat, Overwrite, tell_read
from napari_sam2track.cli._options import with_params
from napari_sam2track.cli._progress import counted
from napari_sam2track.params import ReadParams, WriteParams

if TYPE_CHECKING:
    from napari_sam2track.tracks.tracked_movie import TrackedMovie

EXAMPLES = """\
[bold]Examples[/bold]

  sam2track convert 01_GT tracks.geff

  sam2track convert results/ 01_RES

  sam2track convert FakeTracks.xml tracks.csv --to napari

  sam2track convert tracked.tif davis/ --to davis --renumber
"""


@with_params(read=ReadParams, write=WriteParams)
def convert(
    *,
    source: Annotated[
        Path, typer.Argument(metavar="IN", help="Tracks, or labels whose values are track ids.")
    ],
    out: Annotated[
        Path, typer.Argument(metavar="OUT", help="What to write; its name says the format.")
    ],
    from_format: FromFormat = None,
    to_format: Annotated[
        str | None,
        typer.Option(
            "--to",
            "--format",
            help="Format of OUT, if its name does not say: ctc, geff, napari, json, csv, tiff, "
            "tiff-folder, ome-zarr, trackmate, coco, davis or mots.",
            show_default=False,
        ),
    ] = None,
    overwrite: Overwrite = False,
    read: ReadParams,
    write: WriteParams,
) -> None:
    """Convert tracks from one format to another, and say what the new one cannot hold."""
    from napari_sam2track.cli._progress import progress
    from napari_sam2track.formats.tracks_files import (
        files_of,
        files_read,
        format_of_output,
        losses,
        open_tracks,
        write_tracks,
    )
    from napari_sam2track.storage.apart import check_apart
    from napari_sam2track.storage.output import check_output

    chosen = format_of_output(out, to_format)
    check_apart(files_of(out, chosen, "OUT"), files_read(source))
    check_output(out, overwrite)
    with open_tracks(source, from_format, options=read, progress=progress) as movie:
        tell_read(movie)
        lost = losses(movie, chosen)
        write_tracks(
            out,
            _with_provenance(movie, source, read, write),
            format=chosen.name,
            overwrite=overwrite,
            options=write,
            progress=progress,
        )
        table = movie.table
        typer.echo(
            f"{counted(table.n_tracks, 'track')}, {counted(len(table), 'object')}, "
            f"{counted(len(table.parents), 'parent')} in "
            f"{counted(table.n_frames, 'frame')}: {out} ({chosen.title})"
        )
        for text in lost:
            typer.echo(f"Not kept: {text}")


def _with_provenance(
    movie: TrackedMovie, source: Path, read: ReadParams, write: WriteParams
) -> TrackedMovie:
    """Return the movie with a note on its origin, if it has none of ours."""
    from napari_sam2track.formats.provenance import provenance

    if "software" in movie.provenance:
        return movie
    note = provenance(
        source=str(source),
        frames=range(movie.table.n_frames),
        parameters={**read.model_dump(), **write.model_dump()},
    )
    return replace(movie, provenance={**note, **movie.provenance})
