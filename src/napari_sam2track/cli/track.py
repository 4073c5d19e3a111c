"""``sam2track track``: masks of single frames, from wherever, to tracks."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from napari_sam2track.cli._options import with_params
from napari_sam2track.errors import UsageError
from napari_sam2track.params import LinkParams

if TYPE_CHECKING:
    from napari_sam2track.formats.labels import LabelStack
    from napari_sam2track.labels import LabelFrames
    from napari_sam2track.tracks.table import TrackTable

EXAMPLES = """\
[bold]Examples[/bold]

  sam2track track --pred-dir masks/ --out tracks.json

  sam2track track --pred-dir cellpose.tif --out tracked.tif --min-iou 0.2 --max-gap 2

  sam2track track --pred-dir labels.zarr --out tracks.csv --overwrite
"""

_TABLES = (".json", ".csv")
_LABELS = (".tif", ".tiff", ".zarr", "")


@with_params(link=LinkParams)
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
            help="What to write: a table (.json, .csv), or the masks with track ids as values "
            "(.tif, .zarr, or a folder).",
            show_default=False,
        ),
    ],
    overwrite: Annotated[
        bool, typer.Option("--overwrite", help="Replace the output if it exists.")
    ] = False,
    link: LinkParams,
) -> None:
    """Link masks of single frames into tracks: every object keeps one id over time.

    Masks in neighbouring frames are the same object if they overlap enough,
    all objects of a frame decided together. Ids in the input need not agree
    between frames.
    """
    from napari_sam2track.cli._progress import progress
    from napari_sam2track.formats.labels import open_labels
    from napari_sam2track.formats.output import check_output
    from napari_sam2track.linking import collect, separate
    from napari_sam2track.linking import link as link_frames

    if out.suffix.lower() not in (*_TABLES, *_LABELS):
        raise UsageError(
            f"--out {out} has the unknown suffix {out.suffix!r}; use .json or .csv for a table, "
            ".tif, .zarr or a folder for masks"
        )
    if out.absolute() == pred_dir.absolute():
        raise UsageError(f"--out {out} is the input; choose another name")
    check_output(out, overwrite)
    with open_labels(pred_dir) as stack:
        frames, split = separate(stack, link.binary)
        linked = progress(link_frames(frames, link), stack.n_frames, "Linking")
        table = collect(frames, linked)
        _write(out, frames, table, _note(stack, link, split), overwrite)
    typer.echo(_summary(table, out, split))


def _note(stack: LabelStack, link: LinkParams, split: bool) -> dict[str, object]:
    """Where the result comes from."""
    from napari_sam2track.formats.provenance import provenance

    return provenance(
        source=stack.source,
        frames=stack.frame_numbers,
        parameters={**link.model_dump(), "split_binary": split},
    )


def _write(
    out: Path, frames: LabelFrames, table: TrackTable, note: dict[str, object], overwrite: bool
) -> None:
    """Write the kind of output that the name asks for."""
    from napari_sam2track.cli._progress import progress
    from napari_sam2track.formats.label_writers import write_labels
    from napari_sam2track.formats.tracks_csv import write_tracks_csv
    from napari_sam2track.formats.tracks_json import write_tracks_json
    from napari_sam2track.tracks.movie import RelabelledFrames

    suffix = out.suffix.lower()
    if suffix == ".json":
        write_tracks_json(out, table, note, overwrite)
    elif suffix == ".csv":
        write_tracks_csv(out, table, note, overwrite)
    else:
        source = RelabelledFrames(frames, table)
        relabelled = progress(map(source.read, range(table.n_frames)), table.n_frames, "Writing")
        write_labels(out, relabelled, table.n_frames, note, overwrite, max_id=table.max_id)


def _summary(table: TrackTable, out: Path, split: bool) -> str:
    """What was found, in one line."""
    mean = len(table) / table.n_tracks if table.n_tracks else 0.0
    binary = " (binary masks, split into connected parts)" if split else ""
    return (
        f"{table.n_frames} frames, {len(table)} objects{binary}, {table.n_tracks} tracks of "
        f"{mean:.1f} frames on average, {table.n_links} links: {out}"
    )
