"""COCO's JSON for videos, as YouTube-VIS has it (write only): a run-length mask a frame."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from napari_sam2track.formats.rle import run_lengths
from napari_sam2track.params import WriteParams
from napari_sam2track.progress import ProgressHook
from napari_sam2track.storage.output import atomic_path
from napari_sam2track.tracks.regions import measure_regions
from napari_sam2track.tracks.tracked_movie import TrackedMovie


def write(
    path: Path, movie: TrackedMovie, options: WriteParams, overwrite: bool, progress: ProgressHook
) -> None:
    """Write one video with an annotation for each track, whose id is the track's.

    ``segmentations``, ``bboxes`` (x, y, width, height) and ``areas`` have an entry for each
    frame, null where the object is not there. Run lengths are kept until all frames were seen:
    memory grows with the objects, not with the pixels.

    Raises
    ------
    OutputError
        If the file exists or cannot be written.
    """
    assert movie.labels is not None  # the registry has made sure
    table = movie.table
    n, (height, width) = table.n_frames, table.frame_shape
    head = {
        "info": {"description": "tracks of napari-sam2track", **dict(movie.provenance)},
        "videos": [
            {
                "id": 1,
                "width": width,
                "height": height,
                "length": n,
                "file_names": [f"{t:05d}" for t in range(n)],
            }
        ],
        "categories": [{"id": 1, "name": "object", "supercategory": "object"}],
    }
    with (
        atomic_path(path, overwrite) as temporary,
        temporary.open("w", encoding="utf-8", newline="\n") as file,
    ):
        found: dict[int, dict[int, tuple[Any, list[int], int]]] = {
            t: {} for t in table.ids.tolist()
        }
        for t in progress(range(n), n, "Writing"):
            frame = movie.labels.read(t)
            regions = measure_regions(frame)
            for k, (label, rle) in enumerate(run_lengths(frame)):
                _, y0, x0, _, y1, x1 = regions.boxes[k].tolist()
                box = [x0, y0, x1 - x0, y1 - y0]
                found.setdefault(label, {})[t] = (rle, box, int(regions.areas[k]))
        file.write(json.dumps(head)[:-1] + ', "annotations": [')
        for k, (track, frames) in enumerate(sorted(found.items())):
            columns = [
                [frames[t][part] if t in frames else None for t in range(n)] for part in range(3)
            ]
            annotation = {
                "id": track,
                "video_id": 1,
                "category_id": 1,
                "iscrowd": 0,
                "width": width,
                "height": height,
                "length": n,
                "segmentations": columns[0],
                "bboxes": columns[1],
                "areas": columns[2],
            }
            file.write((",\n" if k else "\n") + json.dumps(annotation))
        file.write("\n]}\n")
