"""The folder that a run leaves: labels, a table, pictures, and the session that replays it."""

from __future__ import annotations

import csv
import shutil
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from napari_sam2track.decisions import Division
from napari_sam2track.errors import OutputError
from napari_sam2track.formats.label_writers import write_labels
from napari_sam2track.formats.output import atomic_path, check_output, write_text_atomic
from napari_sam2track.formats.video import write_video
from napari_sam2track.frames import Frames
from napari_sam2track.overlays import draw_overlay
from napari_sam2track.params import OutputParams
from napari_sam2track.prompts import PromptSet
from napari_sam2track.run_store import RunStore
from napari_sam2track.session import Session
from napari_sam2track.session_file import SessionFile, write_session
from napari_sam2track.stored_frame import STATES
from napari_sam2track.tracks.movie import table_of
from napari_sam2track.tracks.regions import measure_regions
from napari_sam2track.tracks.table import TrackTable
from napari_sam2track.watch import Watch

RUN = ".run"
LABELS = {"tif": "labels.tif", "zarr": "labels.zarr", "frames": "labels"}
COLUMNS = (
    *("track_id", "frame", "parent_id", "state", "score", "iou", "area", "y", "x"),
    *("bbox_y0", "bbox_x0", "bbox_y1", "bbox_x1"),
)

FIELDS = ["id", "state", "score", "iou"]


def prepare(folder: Path, resume: bool, overwrite: bool) -> None:
    """Make room for a run.

    Parameters
    ----------
    folder
        Of the results.
    resume
        Go on with the run that is there.
    overwrite
        Begin anew where a run of ours left results; they stay until there are new ones.

    Raises
    ------
    OutputError
        If the folder holds something and neither was asked for, there is nothing to resume, or
        a folder that would be replaced holds files which are not ours.
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
        for path in _results(folder) if filled else ():
            check_output(path, overwrite=True)
        clear_run(folder)
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


def write_results(
    folder: Path,
    store: RunStore,
    work: Session,
    session: SessionFile,
    note: dict[str, Any],
    contents: OutputParams,
    watch: Watch,
) -> None:
    """Write all outputs of a run from its store, frame by frame; existing ones are replaced.

    Pictures are drawn of the frames that were worked on; labels of the others are empty.

    Raises
    ------
    OutputError
        If the disk is full or cannot be written to; each output is there whole, or not at all.
    """
    n = store.shape[0]
    frames, prompts = work.frames, work.all_prompts()
    divisions = () if work.decided is None else work.decided.divisions
    parents = {} if work.decided is None else work.plan.parents
    largest = max({*prompts.objects, *store.objects()}, default=0)
    write_labels(
        folder / LABELS[contents.save],
        watch(store.labels(), n, "Writing labels"),
        n,
        note,
        overwrite=True,
        max_id=largest,
        table=_table_with(parents, store) if parents else None,
    )
    _write_table(folder / "tracks.csv", store, parents)
    write_text_atomic(folder / "session.json", write_session(session), overwrite=True)
    made = {LABELS[contents.save]}
    if divisions:
        _write_divisions(folder / "divisions.csv", divisions)
        made.add("divisions.csv")
    done = store.finished()
    if contents.overlay in ("video", "both") and done:
        drawn = watch(_pictures(store, frames, prompts), len(done), "Writing overlay")
        pictures = (picture for _, picture in drawn)
        write_video(folder / "overlay.mp4", pictures, contents.fps, overwrite=True)
        made.add("overlay.mp4")
    if contents.overlay in ("frames", "both") and done:
        drawn = watch(_pictures(store, frames, prompts), len(done), "Writing overlays")
        _write_pictures(folder / "overlays", drawn, len(str(n - 1)))
        made.add("overlays")
    for path in _results(folder):  # of an earlier run, with other settings
        if path.name not in made:
            _remove(path)


def _results(folder: Path) -> list[Path]:
    """Labels and pictures that an earlier run may have left, of all kinds."""
    names = (*LABELS.values(), "overlay.mp4", "overlays", "divisions.csv")
    return [folder / name for name in names if (folder / name).exists()]


def _remove(path: Path) -> None:
    if path.is_dir():
        shutil.rmtree(path)
    else:
        path.unlink()


def _pictures(
    store: RunStore, frames: Frames, prompts: PromptSet
) -> Iterator[tuple[int, NDArray[np.uint8]]]:
    """The finished frames with their objects."""
    for t in store.finished():
        stored = store.read(t)
        if stored is not None:
            yield t, draw_overlay(frames.read(t), stored.labels_yx, prompts.at_frame(t))


def _write_pictures(
    folder: Path, pictures: Iterable[tuple[int, NDArray[np.uint8]]], digits: int
) -> None:
    from PIL import Image

    folder.mkdir(exist_ok=True)
    digits = max(4, digits)
    for t, picture in pictures:
        with atomic_path(folder / f"overlay_{t:0{digits}d}.png", overwrite=True) as part:
            Image.fromarray(picture).save(part)


@dataclass(frozen=True)
class _StoredLabels:
    """The labels of a run, see `labels.LabelFrames`."""

    store: RunStore

    @property
    def n_frames(self) -> int:
        return self.store.shape[0]

    @property
    def frame_shape(self) -> tuple[int, ...]:
        return self.store.shape[1:]

    def read(self, t: int) -> NDArray[np.uint32]:
        frame = self.store.read(t)
        return np.zeros(self.store.shape[1:], np.uint32) if frame is None else frame.labels_yx


def _table_with(parents: Mapping[int, int], store: RunStore) -> TrackTable:
    """All tracks of a run; a parent or daughter that shows no pixel is none."""
    table = table_of(_StoredLabels(store))
    ids = set(table.ids.tolist())
    return replace(table, parents={d: p for d, p in parents.items() if {d, p} <= ids})


def _write_divisions(path: Path, divisions: Iterable[Division]) -> None:
    """``divisions.csv``: a row per division, applied (with daughters) or suggested."""
    with (
        atomic_path(path, overwrite=True) as temporary,
        temporary.open("w", encoding="utf-8", newline="") as file,
    ):
        writer = csv.writer(file, lineterminator="\n")
        writer.writerow(("parent_id", "frame", "score", "daughters"))
        for d in sorted(divisions, key=lambda d: (d.frame, d.parent)):
            writer.writerow((d.parent, d.frame, d.score, " ".join(map(str, d.daughters))))


def _write_table(path: Path, store: RunStore, parents: Mapping[int, int]) -> None:
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
            for object_id, state, score, iou in frame.rows[FIELDS].tolist():
                parent = parents.get(object_id, "")
                row = [object_id, t, parent, STATES[state], f"{score:.4f}", f"{iou:.4f}"]
                k = where.get(object_id)
                if k is None:
                    row += [0, "", "", "", "", "", ""]
                else:
                    _, y, x = regions.centroids[k]
                    _, y0, x0, _, y1, x1 = regions.boxes[k].tolist()
                    row += [int(regions.areas[k]), f"{y:.2f}", f"{x:.2f}", y0, x0, y1, x1]
                writer.writerow(row)


def clear_run(folder: Path) -> None:
    """Remove the working files of a finished run."""
    shutil.rmtree(folder / RUN, ignore_errors=True)
