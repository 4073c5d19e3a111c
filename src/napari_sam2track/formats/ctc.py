"""Folders of the Cell Tracking Challenge: results (``01_RES``) and ground truth (``01_GT/TRA``).

A track without a detection in between is not allowed there: after a gap comes a new label with
the one before as its parent. Writing splits tracks there, and reading joins them again.
"""

from __future__ import annotations

from collections import Counter
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from napari_sam2track.errors import FormatError, OutputError
from napari_sam2track.formats.conversions import (
    measured,
    renumbered,
    require_order,
    table_from,
    with_notes,
)
from napari_sam2track.formats.ctc_text import Line, read_lines, write_lines
from napari_sam2track.formats.labels.label_notes import make_note
from napari_sam2track.formats.labels.label_writers import checked_frames, write_label_image
from napari_sam2track.formats.labels.open_labels import open_labels
from napari_sam2track.formats.sniffing import ctc_folder
from napari_sam2track.labels import LabelFrames
from napari_sam2track.params import ReadParams, WriteParams
from napari_sam2track.progress import ProgressHook
from napari_sam2track.storage.output import atomic_path
from napari_sam2track.tracks.lineage import children, spans
from napari_sam2track.tracks.regions import measure_regions
from napari_sam2track.tracks.table import TrackTable
from napari_sam2track.tracks.tracked_movie import TrackedMovie, relabelled, relabelled_frames

MAX_LABEL = 0xFFFF


def read(path: Path, options: ReadParams, progress: ProgressHook) -> TrackedMovie:
    """Read a folder of results or of ground truth; its parent with ``TRA`` inside will do.

    Where the text and the masks disagree on frames, the masks are believed, and a note says so:
    `napari_sam2track.formats.ctc_checks` finds all such places.

    Raises
    ------
    FormatError
        If the text or a mask cannot be read, or a parent is not there.
    """
    text = ctc_folder(path)
    if text is None:
        raise FormatError(
            f"{path} holds neither res_track.txt nor man_track.txt (nor TRA/man_track.txt); give "
            "the folder with the masks and the text"
        )
    lines = read_lines(text)
    unknown = [line for line in lines.values() if line.parent and line.parent not in lines]
    if unknown:
        raise FormatError(
            f"{text}: the parent {unknown[0].parent} of track {unknown[0].label} has no line; add "
            "it, or put 0"
        )
    stack = open_labels(text.parent, axes=options.axes, one_a_frame=True)
    rows = measured(stack, progress)
    known = set(rows["track"].tolist())
    parents = {
        line.label: line.parent
        for line in lines.values()
        if line.parent and {line.label, line.parent} <= known
    }
    table = table_from(rows, stack.n_frames, stack.frame_shape, parents, str(text))
    found = _disagreements(table, lines, stack.frame_numbers[0])
    note = with_notes(stack.note, text, [found] if found else [])
    joined = _joined(table, options.join)
    labels: LabelFrames = stack
    if joined is not table:
        labels, table = relabelled_frames(stack, joined), relabelled(joined)
    return TrackedMovie(table, labels, stack.scale, note, stack.close)


def _disagreements(table: TrackTable, lines: dict[int, Line], first: int) -> str:
    """Return in how many tracks the text and the masks differ; empty if in none."""
    seen = spans(table)
    lengths = dict(zip(table.ids.tolist(), map(len, table.tracks()), strict=True))
    other = sum(
        1
        for label, line in lines.items()
        if label not in seen
        or (line.begin - first, line.end - first) != seen[label]
        or line.end - line.begin + 1 != lengths[label]
    ) + len(seen.keys() - lines.keys())
    if not other:
        return ""
    return (
        f"{other} tracks are in other frames in the masks than in the text; the masks are "
        "believed (sam2track validate lists them)"
    )


def _joined(table: TrackTable, join: str) -> TrackTable:
    """Join tracks with their only children, where `join` says so; else return the table itself.

    ``label`` are then the labels in the masks.
    """
    when, roots = spans(table), {}
    for parent, brood in children(table.parents).items():
        wait = when[brood[0]][0] - when[parent][1] - 1
        if len(brood) == 1 and ((join == "gaps" and wait > 0) or (join == "single" and wait >= 0)):
            roots[brood[0]] = parent
    if not roots:
        return table
    for child in sorted(roots, key=lambda track: when[track][0]):  # ancestors come first
        roots[child] = roots.get(roots[child], roots[child])
    rows = table.detections.copy()
    names = np.array([roots.get(track, track) for track in table.ids.tolist()], np.uint32)
    rows["track"] = names[np.searchsorted(table.ids, rows["track"])]
    parents = {
        child: roots.get(parent, parent)
        for child, parent in table.parents.items()
        if child not in roots
    }
    return replace(table, detections=rows, parents=parents)


def split(table: TrackTable) -> tuple[TrackTable, dict[int, int]]:
    """Return tracks as the challenge defines them: without gaps, ended before their children.

    Returns
    -------
    tuple
        The tracks, with ``label`` the track that each was a part of; the first part keeps its id,
        and others get ids above all that are there. And the parent of each, which is the part
        before, or the last part of the parent that ends before the child begins.
    """
    begins = {track: begin for track, (begin, _) in spans(table).items()}
    births: dict[int, list[int]] = {}
    for child, parent in table.parents.items():
        births.setdefault(parent, []).append(begins[child])
    parts: list[NDArray[np.void]] = []
    parts_of: dict[int, list[tuple[int, int]]] = {}  # track: label and last frame of its parts
    parents: dict[int, int] = {}
    fresh = table.max_id
    for rows in table.tracks():
        track = int(rows["track"][0])
        rows = rows[rows["area"] > 0]
        frames = rows["frame"]
        cuts = set((np.flatnonzero(np.diff(frames) > 1) + 1).tolist())
        cuts |= set(np.searchsorted(frames, births.get(track, [])).tolist())
        for k, part in enumerate(np.split(rows, sorted(cuts - {0, len(rows)}))):
            if len(part) == 0:
                continue
            label = track
            if k:
                fresh += 1
                label = fresh
                parents[label] = parts_of[track][-1][0]
            part = part.copy()
            part["label"], part["track"] = track, label
            parts.append(part)
            parts_of.setdefault(track, []).append((label, int(part["frame"][-1])))
    for child, parent in table.parents.items():
        ended = [label for label, end in parts_of.get(parent, ()) if end < begins[child]]
        if ended and child in parts_of:
            parents[child] = ended[-1]
    rows = np.concatenate(parts) if parts else table.detections[:0]
    return replace(table, detections=rows, parents={}), parents


def write(
    path: Path, movie: TrackedMovie, options: WriteParams, overwrite: bool, progress: ProgressHook
) -> None:
    """Write ``mask000.tif`` ... and ``res_track.txt`` (in a folder TRA: ``man_track``).

    Raises
    ------
    OutputError
        If there are no tracks, parents that begin too late, more labels than 16 bits hold, or
        the masks are not those of the table.
    """
    assert movie.labels is not None  # the registry has made sure
    require_order(movie.table, path)
    table, parents = split(movie.table)
    if len(table) == 0:
        raise OutputError(
            f"cannot write {path}: there are no tracks, and a result without tracks is not valid "
            "in the Cell Tracking Challenge"
        )
    if table.max_id > MAX_LABEL:
        if not options.renumber or table.n_tracks > MAX_LABEL:
            raise OutputError(
                f"cannot write {path}: labels would go up to {table.max_id} (parts after gaps are "
                f"tracks of their own), and 16 bits hold {MAX_LABEL}; number the tracks anew with "
                "--renumber, or choose another format"
            )
        new = {old: k for k, old in enumerate(table.ids.tolist(), start=1)}
        parents = {new[child]: new[parent] for child, parent in parents.items()}
        rows = table.detections.copy()
        rows["track"] = [new[track] for track in rows["track"].tolist()]
        table = replace(table, detections=rows)
    mask, text = ("man_track", "man_track.txt") if path.name == "TRA" else ("mask", "res_track.txt")
    n = table.n_frames
    digits = max(3, len(str(n - 1)))
    frames = progress(_relabelled(movie.labels, table, path), n, "Writing")
    note = make_note(movie.provenance, {}, movie.scale, ())
    with atomic_path(path, overwrite) as temporary:
        temporary.mkdir()
        for t, frame in enumerate(checked_frames(frames, n, np.dtype(np.uint16), path)):
            write_label_image(
                temporary / f"{mask}{t:0{digits}d}.tif", frame, note if t == 0 else None
            )
        lines = [
            Line(track, begin, end, parents.get(track, 0))
            for track, (begin, end) in spans(table).items()
        ]
        write_lines(temporary / text, lines)


def _relabelled(labels: LabelFrames, table: TrackTable, path: Path) -> Any:
    """Yield frames with the labels of `split`, after checking that each track has its mask."""
    source = relabelled_frames(labels, table)
    for t in range(table.n_frames):
        frame = labels.read(t)
        there, wanted = measure_regions(frame).labels, table.frame_map(t)[0]
        if not np.array_equal(there, wanted):
            odd = np.setxor1d(there, wanted)[:5].tolist()
            raise OutputError(
                f"cannot write {path}: in frame {t} the masks and the table of tracks do not have "
                f"the same tracks ({', '.join(map(str, odd))}); measure the masks anew"
            )
        yield source.read(t)


def losses(movie: TrackedMovie) -> list[str]:
    """Return what a folder of the challenge cannot hold of a movie."""
    found = []
    # Parts get ids above all others; if large ids leave no room, only writing fails.
    compact = renumbered(replace(movie, labels=None)).table
    more = split(compact)[0].n_tracks - compact.n_tracks
    if more > 0:
        found.append(
            f"tracks with gaps, or that go on beside a child, are split: {more} parts get labels "
            "of their own, with the part before as parent"
        )
    when, counts = spans(movie.table), Counter(movie.table.parents.values())
    lone = sum(
        1
        for child, parent in movie.table.parents.items()
        if counts[parent] == 1 and when[child][0] > when[parent][1] + 1
    )
    if lone:
        found.append(
            f"{lone} tracks are their parent's only child after a gap: a reader takes them for the "
            "same track going on"
        )
    return found
