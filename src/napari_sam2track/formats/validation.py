"""Checks of a file of tracks: all errors at once rather than up to the first."""

from __future__ import annotations

import csv
import itertools
import json
from collections.abc import Iterable
from pathlib import Path

from pydantic import ValidationError

from napari_sam2track.errors import FormatError
from napari_sam2track.formats import tracks_json
from napari_sam2track.formats.conversions import notes
from napari_sam2track.formats.ctc_checks import check_ctc
from napari_sam2track.formats.findings import Finding, error, shortened, warning
from napari_sam2track.formats.sniffing import format_of_input
from napari_sam2track.formats.tracks_files import open_tracks
from napari_sam2track.progress import ProgressHook, no_progress
from napari_sam2track.tracks.lineage import lineage_problems, problems
from napari_sam2track.tracks.tracked_movie import TrackedMovie


def check(path: Path, progress: ProgressHook = no_progress) -> list[Finding]:
    """Check a file or folder in any of the formats that are read.

    Parameters
    ----------
    path
        A Cell Tracking Challenge folder, GEFF, our JSON, the folder of a run, labels ...
    progress
        May show progress.

    Returns
    -------
    list
        Errors, then warnings; empty if there are none.
    """
    if not path.exists():
        return [error(f"{path} does not exist")]
    try:
        name, place = format_of_input(path)
    except FormatError as problem:
        return [error(str(problem))]
    if name == "tiff-folder" and _is_result(path):
        found = [error(f"{path} has the masks of a result, but no res_track.txt or man_track.txt")]
    elif name == "ctc":
        found = check_ctc(place, progress)
    elif name == "json":
        found = check_json(place)
    else:
        found = _check_geff(place) if name == "geff" else []
        if not any(finding.severity == "error" for finding in found):
            found += _opened(place, name, path, progress)
    order = ("error", "warning", "note")
    return sorted(found, key=lambda finding: order.index(finding.severity))


#: Words of the note on what a table was taken for, which is nothing wrong with it.
_READ_AS = ": read as "


def _is_result(path: Path) -> bool:
    """Return whether a folder is named as the Cell Tracking Challenge names results or truth."""
    masks = path.name.endswith("_RES") and any(path.glob("mask*.tif"))
    return masks or any(path.glob("man_track*.tif"))


def _opened(place: Path, name: str, path: Path, progress: ProgressHook) -> list[Finding]:
    """Read a file and return the findings of it and of its lineage."""
    try:
        movie = open_tracks(place, name, progress=progress)
    except FormatError as problem:
        return [error(str(problem))]
    with movie:
        found = [Finding("note" if _READ_AS in t else "warning", t) for t in notes(movie)]
        found += [Finding(problem.severity, problem.text) for problem in problems(movie.table)]
        if len(movie.table) == 0:
            found.append(warning(f"{path} holds no objects"))
        if (path / "session.json").is_file() and (path / "tracks.csv").is_file():
            found += _check_run_table(path / "tracks.csv", movie)
    return found


def _check_geff(path: Path) -> list[Finding]:
    """Return the errors of geff's own validator."""
    from napari_sam2track.formats.geff_writer import invalid

    problem = invalid(path)
    return [error(f"geff's validator: {problem}")] if problem else []


def check_json(path: Path) -> list[Finding]:
    """Return everything that is wrong with a file of our own JSON."""
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError, RecursionError) as problem:
        return [error(f"{path} cannot be read as JSON: {problem}")]
    if not isinstance(content, dict) or content.get("format") != tracks_json.FORMAT:
        return [error(f"{path} is JSON, but not a file of tracks")]
    try:
        file = tracks_json.TracksFile.model_validate(content)
    except ValidationError as problem:
        return [
            error(f"{'.'.join(str(part) for part in item['loc'])}: {item['msg']}")
            for item in problem.errors()
        ]
    found: list[Finding] = []
    spans: dict[int, tuple[int, int]] = {}
    for track in file.tracks:
        found += _check_track(track, file.size.n_frames)
        if track.id in spans:
            found.append(error(f"track {track.id} is there twice"))
        spans[track.id] = (track.start, track.end)
    parents = {track.id: track.parent for track in file.tracks if track.parent is not None}
    found += [Finding(p.severity, p.text) for p in lineage_problems(spans, parents)]
    if not found:
        found += _opened(path, "json", path, no_progress)
    return found


def _check_track(track: tracks_json.Track, n_frames: int) -> Iterable[Finding]:
    """Yield the errors of a track by itself."""
    frames = sorted(detection.frame for detection in track.detections)
    if (frames[0], frames[-1]) != (track.start, track.end):
        yield error(
            f"track {track.id} says {track.start} to {track.end}, but has detections from "
            f"{frames[0]} to {frames[-1]}"
        )
    twice = sorted({a for a, b in itertools.pairwise(frames) if a == b})
    if twice:
        yield error(f"track {track.id} is more than once in frames {shortened(twice)}")
    beyond = [t for t in frames if t >= n_frames]
    if beyond:
        yield error(
            f"track {track.id} is in frames {shortened(beyond)}, of {n_frames}: frames count from 0"
        )


def _check_run_table(path: Path, movie: TrackedMovie) -> list[Finding]:
    """Return the differences between the table of a run and its labels."""
    rows = movie.table.detections
    masks = dict(
        zip(
            zip(rows["track"].tolist(), rows["frame"].tolist(), strict=True),
            rows["area"].tolist(),
            strict=True,
        )
    )
    told: dict[tuple[int, int], int] = {}
    try:
        with path.open(encoding="utf-8", newline="") as file:
            for row in csv.DictReader(file):
                told[int(row["track_id"]), int(row["frame"])] = int(row["area"])
    except (OSError, ValueError, KeyError, TypeError, csv.Error) as problem:
        return [error(f"{path} cannot be read as the table of a run: {problem!r}")]
    found: list[Finding] = []
    for (track, frame), area in sorted(told.items()):
        there = masks.get((track, frame), 0)
        if there != area:
            found.append(
                error(
                    f"track {track} has {there} pixels in frame {frame} of the labels, and {area} "
                    f"in {path.name}"
                )
            )
    for track, frame in sorted(masks.keys() - told.keys()):
        found.append(error(f"track {track} in frame {frame} of the labels is not in {path.name}"))
    return found
