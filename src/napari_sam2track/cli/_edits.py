"""Edits of ``sam2track edit``: made on a copy, reported, and written."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import typer

from napari_sam2track.cli._progress import counted
from napari_sam2track.errors import EditError, FormatError
from napari_sam2track.params import WriteParams

if TYPE_CHECKING:
    from napari_sam2track.tracks.editing.changes import Changed
    from napari_sam2track.tracks.editing.track_state import Edit, TrackState
    from napari_sam2track.tracks.lineage import Problem
    from napari_sam2track.tracks.tracked_movie import TrackedMovie


def run_edits(
    movie: TrackedMovie,
    source: Path,
    edits: list[Edit],
    target: Path | None,
    format_name: str | None,
    write: WriteParams,
    overwrite: bool,
) -> None:
    """Make edits, print what each one changed, and write the result.

    Parameters
    ----------
    movie, source
        The tracks, and their path. They are closed before they are replaced.
    edits
        In order.
    target, format_name
        Output, None for none: then all edits are tried. It may be `source`.
    write, overwrite
        Options of writing.

    Raises
    ------
    EditError
        If an edit cannot be made; nothing is written then.
    FormatError
        If there are no masks.
    """
    from napari_sam2track.cli._progress import progress
    from napari_sam2track.formats.tracks_files import write_tracks
    from napari_sam2track.storage.scratch import scratch_folder
    from napari_sam2track.tracks.editing.edit_syntax import format_edit
    from napari_sam2track.tracks.editing.edited_copy import EditedCopy
    from napari_sam2track.tracks.editing.track_state import TrackState
    from napari_sam2track.tracks.lineage import problems

    if movie.labels is None:
        raise FormatError(
            f"{source} holds places of tracks and no masks, so there is nothing to edit; "
            "give labels, or a format that holds them"
        )
    with scratch_folder("sam2track-edit") as folder:
        bare = int((movie.table.detections["area"] == 0).sum())
        if bare:
            typer.echo(f"Note: {bare} objects without pixels are left out")
        labels = EditedCopy(movie.labels, folder)
        state = TrackState(labels, movie.table.parents, movie.table)
        before = set(problems(movie.table))
        failed = _make(state, edits, stop=target is not None)
        for problem in problems(state.table()):
            if problem not in before:
                typer.echo(_as_note(problem))
        if target is None:
            if failed:
                raise EditError(
                    f"{failed} of {len(edits)} edits cannot be made; nothing is written"
                )
            typer.echo("Nothing is written (--dry-run)")
            return
        if target == source:  # which is replaced, so it must not be open any more
            for t in progress(range(labels.n_frames), labels.n_frames, "Copying"):
                labels.take(t)
            movie.close()
        table = state.table()
        note = _provenance(movie, source, [format_edit(edit) for edit in edits])
        edited = replace(movie, table=table, labels=labels, provenance=note)
        write_tracks(
            target,
            edited,
            format=format_name,
            overwrite=overwrite,
            options=write,
            progress=progress,
        )
        typer.echo(
            f"{counted(table.n_tracks, 'track')}, {counted(len(table), 'object')}, "
            f"{counted(len(table.parents), 'parent')} in "
            f"{counted(table.n_frames, 'frame')}: {target}"
        )


def _make(state: TrackState, edits: list[Edit], stop: bool) -> int:
    """Make the edits and report each one; return how many could not be made.

    Raises
    ------
    EditError
        With `stop`, at the first that cannot be made.
    """
    from napari_sam2track.tracks.editing.changes import Changed
    from napari_sam2track.tracks.editing.edit_syntax import format_edit

    failed = 0
    for edit in edits:
        text = format_edit(edit)
        try:
            changes = state.run([edit])
        except EditError as error:
            if stop:
                raise EditError(f"{text}: {error}") from error
            failed += 1
            typer.echo(f"{text}: cannot be made: {error}")
        else:
            typer.echo(f"{text}: {_what(Changed.by(changes))}")
    return failed


def _what(changed: Changed) -> str:
    """Return what an edit changed, in words."""
    parts = []
    if changed.pixels:
        frames = len(changed.frames)
        first, last = min(changed.frames), max(changed.frames)
        where = f"frame {first}" if frames == 1 else f"{frames} frames ({first} to {last})"
        parts.append(f"{changed.pixels} pixels in {where}")
    if changed.lineage:
        parts.append("parents")
    return f"{' and '.join(parts)} of tracks {', '.join(map(str, sorted(changed.tracks)))}"


def _as_note(problem: Problem) -> str:
    word = "Problem" if problem.severity == "error" else "Note"
    return f"{word}: {problem.text}"


def _provenance(movie: TrackedMovie, source: Path, texts: list[str]) -> dict[str, Any]:
    """Return the origin of the labels, with the edits since."""
    from napari_sam2track.formats.provenance import provenance

    known = dict(movie.provenance)
    if "software" not in known:
        known |= provenance(source=str(source), frames=range(movie.table.n_frames), parameters={})
    return {**known, "edits": [*known.get("edits", ()), *texts]}
