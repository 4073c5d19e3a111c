"""``sam2track track``: masks of single frames, from wherever, to tracks."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from napari_sam2track.cli._inputs import Overwrite, tell_notes
from napari_sam2track.cli._options import with_params
from napari_sam2track.cli._progress import counted
from napari_sam2track.errors import UsageError
from napari_sam2track.params import LabelsParams, LinkParams, WriteParams

if TYPE_CHECKING:
    from napari_sam2track.linking import LockedLink
    from napari_sam2track.tracks.table import TrackTable

EXAMPLES = """\
[bold]Examples[/bold]

  sam2track track --pred-dir masks/ --out tracks.json

  sam2track track --pred-dir cellpose.tif --out tracked.tif --max-gap 2

  sam2track track --pred-dir labels.zarr --out 01_RES --min-iou 0.3 --divisions off

  sam2track track --pred-dir masks/ --out better.json --lock-from tracks.json --lock 3,7
"""


@with_params(link=LinkParams, masks=LabelsParams, write=WriteParams)
def track(
    *,
    pred_dir: Annotated[
        Path,
        typer.Option(
            "--pred-dir",
            help="Masks to link: a folder with one TIFF or PNG a frame, a TIFF stack, .zarr, "
            ".npy or .npz.",
            show_default=False,
        ),
    ],
    out: Annotated[
        Path,
        typer.Option(
            "--out",
            help="What to write: a table (.json, .csv), the masks with track ids as values (.tif, "
            ".zarr, a folder), a Cell Tracking Challenge folder (01_RES), .geff, .xml (TrackMate).",
            show_default=False,
        ),
    ],
    format: Annotated[
        str | None,
        typer.Option(
            "--to",
            "--format",
            help="Format of the output, if its name does not say: the names of sam2track convert.",
            show_default=False,
        ),
    ] = None,
    lock_from: Annotated[
        Path | None,
        typer.Option(
            "--lock-from",
            help="An earlier result for the same masks (tracks.json or .csv): its links stay.",
            show_default=False,
        ),
    ] = None,
    lock: Annotated[
        str | None,
        typer.Option(
            "--lock",
            help="Which of its tracks are locked, such as 3,7; all if not given.",
            show_default=False,
        ),
    ] = None,
    overwrite: Overwrite = False,
    link: LinkParams,
    masks: LabelsParams,
    write: WriteParams,
) -> None:
    """Link masks of single frames into tracks: every object keeps one id over time.

    Ids in the input need not agree between frames. Objects are looked for
    where they are expected (a jump of the stage, drift, growth), all of a
    frame are decided together, divisions among them; a daughter gets its
    mother as parent.
    """
    from napari_sam2track.api import linked
    from napari_sam2track.cli._progress import progress
    from napari_sam2track.formats.labels.open_labels import open_labels
    from napari_sam2track.formats.tracks_files import files_of, files_read, format_of_output
    from napari_sam2track.storage.apart import check_apart
    from napari_sam2track.storage.output import check_output

    chosen = format_of_output(out, format)
    inputs = [pred_dir, *([] if lock_from is None else files_read(lock_from))]
    check_apart(files_of(out, chosen), inputs)
    check_output(out, overwrite)
    with open_labels(pred_dir, masks) as stack:
        told = list(stack.notes)
        tell_notes(pred_dir, told)
        locked = _locked(lock_from, lock, (stack.n_frames, stack.frame_shape))
        tracks, split = linked(stack, link, locked, progress)
        lost = tracks.write(out, chosen, write, overwrite, progress)
        tell_notes(pred_dir, stack.notes, told)
    table = tracks.current.table
    typer.echo(_summary(table, out, split))
    for text in lost:
        typer.echo(f"Not kept: {text}")


def _locked(
    earlier: Path | None, tracks: str | None, size: tuple[int, tuple[int, ...]]
) -> list[LockedLink]:
    """Return the locked links, in a movie of `size`: number of frames, shape of one."""
    from napari_sam2track.formats.sniffing import format_of_input
    from napari_sam2track.formats.tracks_files import open_tracks
    from napari_sam2track.linking import locked_links

    if earlier is None:
        if tracks is not None:
            raise UsageError(
                f"--lock {tracks} names tracks of an earlier result; give it with --lock-from"
            )
        return []
    ids = None
    if tracks is not None:
        try:
            ids = [int(part) for part in tracks.split(",")]
        except ValueError as error:
            raise UsageError(
                f"--lock {tracks} is not a list of track ids; write them like 3,7"
            ) from error
    # In all other formats a label is the track, not the value of the object in the masks.
    if earlier.exists() and format_of_input(earlier)[0] not in ("json", "csv"):
        raise UsageError(
            f"--lock-from {earlier} does not say which labels of the masks its tracks were made "
            "of; give the .json or .csv that sam2track track wrote for these masks"
        )
    with open_tracks(earlier) as movie:
        found = movie.table.n_frames, *movie.table.frame_shape
        wanted = size[0], *size[1]
        # A CSV without its note is as large as its tracks need.
        if len(found) != len(wanted) or any(a > b for a, b in zip(found, wanted, strict=True)):
            raise UsageError(
                f"--lock-from {earlier} is of {found[0]} frames of shape {found[1:]}, and the "
                f"masks are {size[0]} of {size[1]}; give the result for these masks"
            )
        return locked_links(movie.table, ids)


def _summary(table: TrackTable, out: Path, split: bool) -> str:
    """Return the summary of a result, in one line."""
    mean = len(table) / table.n_tracks if table.n_tracks else 0.0
    binary = " (binary masks, split into connected parts)" if split else ""
    divisions = len(set(table.parents.values()))
    return (
        f"{counted(table.n_frames, 'frame')}, {counted(len(table), 'object')}{binary}, "
        f"{counted(table.n_tracks, 'track')} of "
        f"{mean:.1f} frames on average, {counted(table.n_links, 'link')}, "
        f"{counted(divisions, 'division')}: {out}"
    )
