"""``sam2track measure``: objects and tracks as tables."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from napari_sam2track.cli._inputs import FromFormat, Overwrite, tell_read
from napari_sam2track.cli._options import with_params
from napari_sam2track.errors import FormatError, UsageError
from napari_sam2track.params import MeasureParams, ReadParams

if TYPE_CHECKING:
    import pandas as pd

    from napari_sam2track.tracks.images import ImageFrames
    from napari_sam2track.tracks.tracked_movie import TrackedMovie

EXAMPLES = """\
[bold]Examples[/bold]

  sam2track measure tracked.tif --out objects.csv

  sam2track measure labels.zarr --image movie.tif --out objects.csv --tracks tracks.csv

  sam2track measure 01_RES --image 01 --out objects.csv --shape all
"""


@with_params(params=MeasureParams, read=ReadParams)
def measure(
    *,
    source: Annotated[
        Path, typer.Argument(metavar="IN", help="Labels whose values are track ids, any format.")
    ],
    image: Annotated[
        Path | None,
        typer.Option(
            "--image",
            help="The movie that they were drawn on: TIFF, zarr, folder of images, video.",
            show_default=False,
        ),
    ] = None,
    image_axes: Annotated[
        str | None,
        typer.Option(
            "--image-axes",
            help="Axes of the image, such as TCYX; found out if not given.",
            show_default=False,
        ),
    ] = None,
    out: Annotated[
        Path | None,
        typer.Option(
            "--out", help="A row for each object in each frame (.csv).", show_default=False
        ),
    ] = None,
    tracks: Annotated[
        Path | None,
        typer.Option("--tracks", help="A row for each track (.csv).", show_default=False),
    ] = None,
    from_format: FromFormat = None,
    overwrite: Overwrite = False,
    params: MeasureParams,
    read: ReadParams,
) -> None:
    """Measure objects and tracks: area, place, shape, intensities, speed, lineage.

    Lengths are in pixels; where the file knows the size of a pixel, columns
    that begin with world_ are in its units, which the file beside the table
    (NAME.csv.json) tells. Ways and speeds of tracks are then in these alone.
    """
    from napari_sam2track.cli._progress import progress
    from napari_sam2track.formats.tracks_files import files_read, open_tracks
    from napari_sam2track.storage.apart import check_apart
    from napari_sam2track.storage.output import check_output
    from napari_sam2track.tracks.summary import measure_tracks

    if out is None and tracks is None:
        raise UsageError("say where to write: --out for objects, --tracks for tracks, or both")
    if image is not None and out is None:
        raise UsageError("--image is measured object by object; say where to write with --out")
    outputs: list[tuple[str, Path]] = []
    for option, path in (("--out", out), ("--tracks", tracks)):
        if path is not None:
            outputs += [(option, path), (f"the note beside {option},", _beside(path))]
    check_apart(outputs, [*files_read(source), *([] if image is None else [image])])
    for path in (out, tracks):
        if path is not None:
            if path.suffix.lower() != ".csv":
                raise UsageError(f"{path} has the unknown suffix {path.suffix!r}; use .csv")
            check_output(path, overwrite)
            check_output(_beside(path), overwrite)
    with open_tracks(source, from_format, options=read, progress=progress) as movie:
        tell_read(movie)
        if out is not None:
            n = _measure_objects(out, movie, source, image, image_axes, params, overwrite)
            typer.echo(f"{n} objects in {movie.table.n_frames} frames: {out}")
        if tracks is not None:
            table = measure_tracks(movie.table, movie.scale)
            _write(tracks, [table], _note(movie, source, None, {}), overwrite)
            typer.echo(f"{len(table)} tracks: {tracks}")


def _measure_objects(
    out: Path,
    movie: TrackedMovie,
    source: Path,
    image: Path | None,
    axes: str | None,
    params: MeasureParams,
    overwrite: bool,
) -> int:
    """Write the table of objects; return how many there are."""
    from contextlib import nullcontext

    from napari_sam2track.cli._progress import progress
    from napari_sam2track.tracks.images import open_image
    from napari_sam2track.tracks.measures import measure_frames

    if movie.labels is None:
        raise FormatError(
            f"{source} holds places of tracks and no masks, so objects cannot be measured; give "
            "labels, or --tracks alone"
        )
    opened: Any = nullcontext()
    if image is not None:
        opened = open_image(image, movie.labels.frame_shape, axes)
    picture: ImageFrames | None
    with opened as picture:
        parts = measure_frames(movie.labels, picture, params, movie.scale)
        note = _note(movie, source, image, params.model_dump())
        _write(out, progress(parts, movie.table.n_frames, "Measuring"), note, overwrite)
    return len(movie.table)


def _write(path: Path, parts: Iterable[pd.DataFrame], note: str, overwrite: bool) -> None:
    """Write tables with the same columns one after the other, and a note beside them.

    One of the tables is in memory.
    """
    from napari_sam2track.storage.output import atomic_paths

    with (
        atomic_paths(path, _beside(path), overwrite=overwrite) as (temporary, beside),
        temporary.open("w", encoding="utf-8", newline="") as file,
    ):
        beside.write_text(note, encoding="utf-8", newline="\n")
        for k, part in enumerate(parts):
            part.to_csv(file, index=False, header=k == 0, float_format="%.10g", lineterminator="\n")


def _beside(path: Path) -> Path:
    """Return the path of the note on the origin of a table."""
    return path.with_name(path.name + ".json")


def _note(movie: TrackedMovie, source: Path, image: Path | None, params: dict[str, Any]) -> str:
    """Return the origin of a table, and the units of its ``world_`` columns, as JSON."""
    import json

    from napari_sam2track.formats.provenance import provenance

    origin = provenance(
        source=str(source),
        frames=range(movie.table.n_frames),
        parameters={**params, "image": None if image is None else str(image)},
    )
    return json.dumps({"scale": asdict(movie.scale), "provenance": origin}, indent=2) + "\n"
