"""``sam2track suspects``: where tracks are likely to be wrong."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from napari_sam2track.cli._inputs import FromFormat, Overwrite, tell_read
from napari_sam2track.cli._options import with_params
from napari_sam2track.errors import UsageError
from napari_sam2track.params import ReadParams, SuspectParams

if TYPE_CHECKING:
    from napari_sam2track.tracks.suspects.find import Suspect

EXAMPLES = """\
[bold]Examples[/bold]

  sam2track suspects tracked.tif

  sam2track suspects 01_RES --top 50 --out suspects.csv

  sam2track suspects labels.zarr --min-score 0.5 --out suspects.json
"""


@with_params(suspect=SuspectParams, read=ReadParams)
def suspects(
    *,
    source: Annotated[
        Path, typer.Argument(metavar="IN", help="Tracks, or labels whose values are track ids.")
    ],
    out: Annotated[
        Path | None,
        typer.Option("--out", help="Write all of them: .csv or .json.", show_default=False),
    ] = None,
    top: Annotated[int, typer.Option("--top", min=0, help="How many to show.")] = 20,
    from_format: FromFormat = None,
    overwrite: Overwrite = False,
    suspect: SuspectParams,
    read: ReadParams,
) -> None:
    """List where tracks are likely to be wrong, the likeliest first.

    Signs are frames in which a track is missing, begins and ends inside the
    frame, jumps, changes of area, little overlap with the frame before, parts,
    holes, and divisions that look unlikely. Frames are counted from 0.
    """
    from napari_sam2track.cli._progress import progress
    from napari_sam2track.formats.tracks_files import files_read, open_tracks
    from napari_sam2track.storage.apart import check_apart
    from napari_sam2track.storage.output import check_output
    from napari_sam2track.tracks.suspects.find import find_suspects

    if out is not None:
        if out.suffix.lower() not in (".csv", ".json"):
            raise UsageError(
                f"--out {out} has the unknown suffix {out.suffix!r}; use .csv or .json"
            )
        check_apart([("--out", out)], files_read(source))
        check_output(out, overwrite)
    with open_tracks(source, from_format, options=read, progress=progress) as movie:
        tell_read(movie)
        if movie.labels is None:
            typer.echo(
                f"{source} holds no masks: overlap, parts and holes are not judged", err=True
            )
        found = find_suspects(movie.table, movie.labels, suspect, movie.scale, progress)
        tracks, frames = movie.table.n_tracks, movie.table.n_frames
    if out is not None:
        _write(out, found, source, frames, suspect, overwrite)
    shown = found[:top]
    if shown:
        _show(shown)
    where = f": {out}" if out is not None else ""
    if found:
        more = f", {len(shown)} shown" if len(shown) < len(found) else ""
        named = len({s.track for s in found})
        typer.echo(f"{len(found)} suspects in {named} of {tracks} tracks{more}{where}")
    else:
        typer.echo(f"No suspects in {tracks} tracks of {frames} frames{where}")


def _show(found: list[Suspect]) -> None:
    """Print a table on the terminal."""
    from rich.console import Console
    from rich.table import Table

    table = Table(box=None)
    for name in ("score", "track", "frame"):
        table.add_column(name, justify="right", no_wrap=True)
    table.add_column("why", overflow="fold")
    for s in found:
        table.add_row(f"{s.score:.2f}", str(s.track), str(s.frame), s.text)
    Console(highlight=False, markup=False).print(table)


def _write(
    out: Path,
    found: list[Suspect],
    source: Path,
    n_frames: int,
    params: SuspectParams,
    overwrite: bool,
) -> None:
    """Write all suspects as CSV, or as JSON with a note on their origin."""
    import csv
    import io
    import json
    from dataclasses import asdict

    from napari_sam2track.formats.provenance import provenance
    from napari_sam2track.storage.output import write_text_atomic

    if out.suffix.lower() == ".csv":
        text = io.StringIO()
        writer = csv.writer(text, lineterminator="\n")
        writer.writerow(("track_id", "frame", "score", "kinds", "text"))
        for s in found:
            writer.writerow((s.track, s.frame, s.score, " ".join(s.kinds), s.text))
        write_text_atomic(out, text.getvalue(), overwrite)
        return
    note = provenance(source=str(source), frames=range(n_frames), parameters=params.model_dump())
    content = {"provenance": note, "suspects": [asdict(s) for s in found]}
    write_text_atomic(out, json.dumps(content, indent=1) + "\n", overwrite)
