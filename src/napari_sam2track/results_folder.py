"""The folder that a run leaves: labels, a table, pictures, and the session that replays it."""

from __future__ import annotations

import csv
import shutil
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal, TypeVar

import numpy as np
from numpy.typing import NDArray

from napari_sam2track.errors import OutputError
from napari_sam2track.formats.label_writers import write_labels
from napari_sam2track.formats.output import atomic_path, write_text_atomic
from napari_sam2track.formats.video import write_video
from napari_sam2track.frames import Frames
from napari_sam2track.linking.regions import measure_regions
from napari_sam2track.overlays import draw_overlay
from napari_sam2track.prompts import PromptSet
from napari_sam2track.run_store import STATES, RunStore
from napari_sam2track.session_file import SessionFile, write_session

T = TypeVar("T")
Save = Literal["tif", "zarr", "frames"]
Overlay = Literal["none", "video", "frames", "both"]
#: Passes items on and shows how many of the total are done.
Watch = Callable[[Iterable[Any], int, str], Iterable[Any]]

RUN = ".run"
LABELS = {"tif": "labels.tif", "zarr": "labels.zarr", "frames": "labels"}
_OURS = (*LABELS.values(), "tracks.csv", "session.json", "overlay.mp4", "overlays", RUN)
COLUMNS = (
    *("track_id", "frame", "state", "score", "iou", "area", "y", "x"),
    *("bbox_y0", "bbox_x0", "bbox_y1", "bbox_x1"),
)


def prepare(folder: Path, resume: bool, overwrite: bool) -> None:
    """Make room for a run.

    Parameters
    ----------
    folder
        Of the results.
    resume
        Go on with the run that is there.
    overwrite
        Remove what a run of ours left there; other files stay.

    Raises
    ------
    OutputError
        If the folder holds something and neither was asked for, or there is nothing to resume.
    """
    if folder.exists() and not folder.is_dir():
        raise OutputError(f"{folder} is a file; give a folder for the results")
    filled = folder.exists() and any(folder.iterdir())
    if resume:
        if not (folder / RUN / "session.json").exists():
            raise OutputError(
                f"there is no unfinished run in {folder} to resume; leave --resume out to start one"
            )
    elif overwrite:
        for name in _OURS if filled else ():
            path = folder / name
            if path.is_dir():
                shutil.rmtree(path)
            else:
                path.unlink(missing_ok=True)
    elif filled:
        more = ", or --resume to go on with the run in it" if (folder / RUN).exists() else ""
        raise OutputError(
            f"the folder {folder} is not empty; choose another one, or say --overwrite to "
            f"replace the results in it{more}"
        )
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise OutputError(f"cannot make the folder {folder}: {error.strerror}") from error


@dataclass(frozen=True)
class Contents:
    """What to write.

    Attributes
    ----------
    save
        Kind of the labels.
    overlay
        Pictures of the result.
    fps
        Of the overlay video.
    """

    save: Save = "tif"
    overlay: Overlay = "video"
    fps: float = 10.0


def write_results(
    folder: Path,
    store: RunStore,
    frames: Frames,
    session: SessionFile,
    prompts: PromptSet,
    note: dict[str, Any],
    contents: Contents,
    watch: Watch,
) -> None:
    """Write all outputs of a run from its store, frame by frame; existing ones are replaced.

    Raises
    ------
    OutputError
        If the disk is full or cannot be written to; each output is there whole, or not at all.
    """
    n = store.shape[0]
    largest = max(prompts.objects, default=0)
    write_labels(
        folder / LABELS[contents.save],
        watch(store.labels(), n, "Writing labels"),
        n,
        note,
        overwrite=True,
        max_id=largest,
    )
    _write_table(folder / "tracks.csv", store)
    if contents.overlay in ("video", "both"):
        pictures = watch(_pictures(store, frames, prompts), n, "Writing overlay")
        write_video(folder / "overlay.mp4", pictures, contents.fps, overwrite=True)
    if contents.overlay in ("frames", "both"):
        pictures = watch(_pictures(store, frames, prompts), n, "Writing overlays")
        _write_pictures(folder / "overlays", pictures, n)
    write_text_atomic(folder / "session.json", write_session(session), overwrite=True)


def _pictures(store: RunStore, frames: Frames, prompts: PromptSet) -> Iterator[NDArray[np.uint8]]:
    for t, labels in enumerate(store.labels()):
        yield draw_overlay(frames.read(t), labels, prompts.at_frame(t))


def _write_pictures(folder: Path, pictures: Iterable[NDArray[np.uint8]], n: int) -> None:
    from PIL import Image

    folder.mkdir(exist_ok=True)
    digits = max(4, len(str(n - 1)))
    for t, picture in enumerate(pictures):
        with atomic_path(folder / f"overlay_{t:0{digits}d}.png", overwrite=True) as part:
            Image.fromarray(picture).save(part)


def _write_table(path: Path, store: RunStore) -> None:
    """``tracks.csv``: a row per object and frame, frame by frame."""
    with (
        atomic_path(path, overwrite=True) as temporary,
        temporary.open("w", encoding="utf-8", newline="") as file,
    ):
        writer = csv.writer(file, lineterminator="\n")
        writer.writerow(COLUMNS)
        for t in store.finished():
            frame = store.read(t)
            if frame is None:
                continue
            regions = measure_regions(frame.labels_yx)
            where = {int(label): k for k, label in enumerate(regions.labels)}
            for object_id, state, score, iou in frame.rows.tolist():
                row = [object_id, t, STATES[state], f"{score:.4f}", f"{iou:.4f}"]
                k = where.get(object_id)
                if k is None:
                    row += [0, "", "", "", "", "", ""]
                else:
                    y, x = regions.centroids[k]
                    row += [
                        int(regions.areas[k]),
                        f"{y:.2f}",
                        f"{x:.2f}",
                        *regions.boxes[k].tolist(),
                    ]
                writer.writerow(row)


def clear_run(folder: Path) -> None:
    """Remove the working files of a finished run."""
    shutil.rmtree(folder / RUN, ignore_errors=True)
