"""MOTS text (write only): a line an object and frame, with a run-length mask.

``time_frame id class_id img_height img_width rle``, the id being class * 1000 + instance
(https://www.vision.rwth-aachen.de/page/mots).
"""

from __future__ import annotations

from pathlib import Path

from napari_sam2track.formats.rle import run_lengths
from napari_sam2track.params import WriteParams
from napari_sam2track.progress import ProgressHook
from napari_sam2track.storage.output import atomic_path
from napari_sam2track.tracks.tracked_movie import TrackedMovie

#: The class of all objects; their real class is not known.
_CLASS = 1


def write(
    path: Path, movie: TrackedMovie, options: WriteParams, overwrite: bool, progress: ProgressHook
) -> None:
    """Write all masks; the instance is the track id, 999 at most.

    Raises
    ------
    OutputError
        If the file exists or cannot be written.
    """
    assert movie.labels is not None  # the registry has made sure
    n = movie.table.n_frames
    with (
        atomic_path(path, overwrite) as temporary,
        temporary.open("w", encoding="ascii", newline="\n") as file,
    ):
        for t in progress(range(n), n, "Writing"):
            for label, rle in run_lengths(movie.labels.read(t)):
                height, width = rle["size"]
                name = _CLASS * 1000 + label
                file.write(f"{t} {name} {_CLASS} {height} {width} {rle['counts']}\n")
