"""Labels whose values are track ids: TIFF, a folder of TIFFs, OME-Zarr, numpy arrays.

Parents, the scale and the provenance travel in our own metadata, which other programs skip.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

from napari_sam2track.formats.conversions import measured, table_from, with_notes
from napari_sam2track.formats.labels.label_stack import LabelStack
from napari_sam2track.formats.labels.label_writers import write_labels
from napari_sam2track.formats.labels.open_labels import open_labels
from napari_sam2track.labels import checked_id
from napari_sam2track.params import ReadParams, WriteParams
from napari_sam2track.progress import ProgressHook
from napari_sam2track.tracks.lineage import spans
from napari_sam2track.tracks.tracked_movie import TrackedMovie


def read(path: Path, options: ReadParams, progress: ProgressHook) -> TrackedMovie:
    """Open labels of any kind as tracks.

    Raises
    ------
    FormatError
        If they cannot be read, or the parents in their metadata are no numbers.
    """
    stack = open_labels(path, options)
    try:
        rows = measured(stack, progress)
        parents, note = _parents(stack), with_notes(stack.note, path, stack.notes)
        ids = set(rows["track"].tolist())
        # Other programs edit labels and do not know of parents.
        kept = {child: parent for child, parent in parents.items() if {child, parent} <= ids}
        if len(kept) < len(parents):
            text = f"the parents of {len(parents) - len(kept)} tracks are left out: one has no mask"
            note["notes"] = [*note.get("notes", ()), text]
        table = table_from(rows, stack.n_frames, stack.frame_shape, kept, str(path))
    except BaseException:
        stack.close()
        raise
    return TrackedMovie(table, stack, stack.scale, note, stack.close)


def _parents(stack: LabelStack) -> dict[int, int]:
    """Return parents from our metadata, which keeps them as text to number, as JSON has it."""
    what = f"a track in the parents of the metadata of {stack.source}"
    return {
        checked_id(child, what): checked_id(parent, what) for child, parent in stack.parents.items()
    }


def write_tiff(
    path: Path, movie: TrackedMovie, options: WriteParams, overwrite: bool, progress: ProgressHook
) -> None:
    """Write the masks of tracks as one TIFF, with parents, scale and provenance as metadata.

    Raises
    ------
    OutputError
        As `write_labels`.
    """
    _write(path, movie, overwrite, progress, kind=".tif")


def write_folder(
    path: Path, movie: TrackedMovie, options: WriteParams, overwrite: bool, progress: ProgressHook
) -> None:
    """Write one TIFF a frame, see `write_tiff`."""
    _write(path, movie, overwrite, progress, kind="")


def write_zarr(
    path: Path, movie: TrackedMovie, options: WriteParams, overwrite: bool, progress: ProgressHook
) -> None:
    """Write OME-Zarr, see `write_tiff`."""
    _write(path, movie, overwrite, progress, kind=".zarr")


def _write(
    path: Path, movie: TrackedMovie, overwrite: bool, progress: ProgressHook, kind: str
) -> None:
    labels: Any = movie.labels
    n = movie.table.n_frames
    write_labels(
        path,
        progress(map(labels.read, range(n)), n, "Writing"),
        n,
        movie.provenance,
        overwrite,
        max_id=movie.table.max_id,
        scale=movie.scale,
        parents=movie.table.parents,
        spans=spans(movie.table),
        kind=kind,
    )
