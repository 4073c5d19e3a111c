"""The folder that a run leaves: labels, a table, pictures, and the session that replays it."""

from __future__ import annotations

import csv
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from napari_sam2track.errors import OutputError
from napari_sam2track.formats.labels.label_writers import write_labels
from napari_sam2track.formats.overlay import draw_overlay
from napari_sam2track.formats.video_writer import video_writer
from napari_sam2track.params import OutputParams
from napari_sam2track.progress import ProgressHook
from napari_sam2track.session.decisions import Division
from napari_sam2track.session.object_table import table_writer
from napari_sam2track.session.run_store import NOTE, NOTE_BEFORE, SESSION, RunStore, recover_run
from napari_sam2track.session.runner import Runner
from napari_sam2track.session.session_file import SessionFile, write_session
from napari_sam2track.storage.output import disk_advice, refuse_links, remove, write_text_atomic
from napari_sam2track.storage.together import HIDDEN, Outcome, finish, together, written
from napari_sam2track.storage.writer_lock import HOLDER, LOCK, only_writer
from napari_sam2track.tracks.regions import measure_regions

RUN = HIDDEN
LABELS = {"tif": "labels.tif", "zarr": "labels.zarr", "frames": "labels"}
TABLE, DIVISIONS, MOVIE, PICTURES = "tracks.csv", "divisions.csv", "overlay.mp4", "overlays"


def check_folder(folder: Path, resume: bool, overwrite: bool) -> None:
    """Refuse a folder in which a run cannot begin or resume; nothing is made or changed.

    Parameters
    ----------
    folder
        Of the results.
    resume
        Continue the run that is there.
    overwrite
        Begin anew where a run of ours left results; they stay until there are new ones.

    Raises
    ------
    OutputError
        If the folder holds something and neither option is set, or there is nothing to resume.
    """
    if folder.exists() and not folder.is_dir():
        raise OutputError(f"{folder} is a file; give a folder for the results")
    there = has_run(folder)
    if resume and not there:
        raise OutputError(
            f"there is no unfinished run in {folder} to resume; leave --resume out to start one"
        )
    if not resume and not overwrite and folder.exists() and any(folder.iterdir()):
        more = ", or --resume to go on with the run in it" if there else ""
        raise OutputError(
            f"the folder {folder} is not empty; choose another one, or say --overwrite to "
            f"replace the results in it{more}"
        )


def session_of_run(folder: Path) -> Path:
    """Return the path of the session file of the run in a folder."""
    return folder / RUN / SESSION


def has_run(folder: Path) -> bool:
    """Return whether there is a run to resume."""
    return session_of_run(folder).exists()


@contextmanager
def writing_to(folder: Path) -> Iterator[Path]:
    """Hold the hidden folder of a run (made if missing) with this process as its only writer.

    What a killed process had begun there is finished first.

    Raises
    ------
    OutputError
        If another process writes there, or the folder cannot be made.
    """
    hidden = folder / RUN
    refuse_links(hidden)
    made = [path for path in (hidden, *hidden.parents) if not path.exists()]
    try:
        hidden.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise OutputError(
            f"cannot make the folder {folder} ({error.strerror}): {disk_advice(error)}"
        ) from error
    with only_writer(hidden):
        finish(folder)
        if has_run(folder):
            recover_run(hidden)
        try:
            yield hidden
        except BaseException:
            if made and not has_run(folder):  # it failed before there was anything to keep
                clear_run(folder)
                (hidden / LOCK).unlink(missing_ok=True)
                (hidden / HOLDER).unlink(missing_ok=True)
                for path in made:
                    with suppress(OSError):
                        path.rmdir()
            raise


def output_paths(folder: Path) -> list[Path]:
    """Paths of everything that a run may write in a folder."""
    names = (RUN, *LABELS.values(), TABLE, SESSION, DIVISIONS, MOVIE, PICTURES)
    known = (one.name for one in written(folder))
    return [folder / name for name in dict.fromkeys((*names, *known))]


def write_results(
    folder: Path,
    runner: Runner,
    session: SessionFile,
    note: dict[str, Any],
    contents: OutputParams,
    progress: ProgressHook,
) -> Outcome:
    """Write all outputs of a run in one pass over its frames; they appear together.

    Those of the run before are replaced, if they are as it left them: what a person changed or
    put there is kept, and the new output gets a free name. Pictures are drawn of the frames that
    were computed; labels of the others are empty.

    Raises
    ------
    OutputError
        If the disk is full or cannot be written to; all files are then as before.
    """
    store, decided = runner.store, runner.decided
    movie, prompts, n = runner.session.frames, runner.all_prompts(), store.n_frames
    divisions = () if decided is None else decided.divisions
    lineage = {} if decided is None else runner.plan.parents
    parents = _with_pixels(store, lineage) if lineage else {}
    spans: dict[int, tuple[int, int]] = {}
    nothing_yx = np.zeros(store.shape[1:], np.uint32)
    largest = max({*prompts.objects, *store.objects()}, default=0)
    with together(folder) as new, ExitStack() as outputs:
        add_rows = outputs.enter_context(table_writer(new / TABLE, lineage))
        pictures = _picture_outputs(new, contents, n, outputs) if store.finished() else []

        def composed() -> Iterator[NDArray[np.uint32]]:
            """Yield the labels of each frame, after all other outputs took them."""
            for t in range(n):
                stored = store.read(t)
                labels_yx = nothing_yx if stored is None else stored.labels_yx
                if stored is not None:
                    regions = measure_regions(labels_yx)
                    add_rows(t, stored, regions)
                    if parents:
                        ids = regions.labels.tolist()
                        spans.update({i: (spans.get(i, (t, t))[0], t) for i in ids})
                    if pictures:
                        drawn = draw_overlay(movie.read(t), labels_yx, prompts.at_frame(t))
                        for add in pictures:
                            add(t, drawn)
                yield labels_yx

        write_labels(
            new / LABELS[contents.save],
            progress(composed(), n, "Writing results"),
            n,
            note,
            max_id=largest,
            parents=parents,
            spans=spans,
        )
        write_text_atomic(new / SESSION, write_session(session))
        if divisions:
            _write_divisions(new / DIVISIONS, divisions)
    outcome = finish(folder)
    assert outcome is not None  # it was prepared just now
    return outcome


def what_was_kept(folder: Path, outcome: Outcome) -> list[str]:
    """Return notes to a person about files that were kept, a sentence each."""
    known = {RUN, *outcome.names, *outcome.names.values(), *outcome.kept}
    others = [p.name for p in output_paths(folder) if p.name not in known and p.exists()]
    told = [
        f"{asked} is not as a run of sam2track wrote it here, so it is kept: the new one is {name}"
        for asked, name in outcome.names.items()
        if asked != name
    ]
    told += [
        f"{name} was changed since the last run wrote it, so it is kept; this run wrote none"
        for name in outcome.kept
    ]
    return told + [f"{name} is not what this run wrote; it is kept" for name in others]


def _picture_outputs(
    folder: Path, contents: OutputParams, n_frames: int, outputs: ExitStack
) -> list[Callable[[int, NDArray[np.uint8]], None]]:
    """Return what takes each drawn frame: a video, a folder of pictures, both or none."""
    takers: list[Callable[[int, NDArray[np.uint8]], None]] = []
    if contents.overlay in ("video", "both"):
        add = outputs.enter_context(video_writer(folder / MOVIE, contents.fps))
        takers.append(lambda t, picture: add(picture))
    if contents.overlay in ("frames", "both"):
        from PIL import Image

        digits = max(4, len(str(n_frames - 1)))
        (folder / PICTURES).mkdir()
        takers.append(
            lambda t, picture: Image.fromarray(picture).save(
                folder / PICTURES / f"overlay_{t:0{digits}d}.png"
            )
        )
    return takers


def _with_pixels(store: RunStore, parents: Mapping[int, int]) -> dict[int, int]:
    """Return the pairs of daughter and parent that both show a pixel somewhere."""
    hidden = {*parents, *parents.values()}
    for t in store.finished():
        if hidden & store.objects_at(t):
            stored = store.read(t)
            hidden -= set() if stored is None else set(np.unique(stored.labels_yx).tolist())
    return {d: p for d, p in parents.items() if not {d, p} & hidden}


def _write_divisions(path: Path, divisions: Iterable[Division]) -> None:
    """``divisions.csv``: a row per division, applied (with daughters) or suggested."""
    with path.open("w", encoding="utf-8", newline="") as file:
        writer = csv.writer(file, lineterminator="\n")
        writer.writerow(("parent_id", "frame", "score", "daughters"))
        for d in sorted(divisions, key=lambda d: (d.frame, d.parent)):
            writer.writerow((d.parent, d.frame, d.score, " ".join(map(str, d.daughters))))


def clear_run(folder: Path) -> None:
    """Remove the working files of a run; the list of its outputs stays."""
    session_of_run(folder).unlink(missing_ok=True)  # first: without it there is no run
    for name in ("frames", "memories", "journals", "embeddings", NOTE, NOTE_BEFORE):
        remove(folder / RUN / name)
