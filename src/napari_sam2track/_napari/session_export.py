"""Export of a project for the command line: a session to run, and the origin of labels."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from napari_sam2track._napari.autosave import SavedProject, looked_at, source_of
from napari_sam2track.errors import UsageError
from napari_sam2track.session.session_file import write_session
from napari_sam2track.storage.output import write_text_atomic


def provenance_of(project: SavedProject) -> dict[str, Any]:
    """Return the origin of a project's labels: movie, model, parameters, frames."""
    work = project.work
    note = work.session.provenance(
        source_of(project.image) or project.image.name,
        work.store.finished(),
        work.decided,
        verify=False,  # in the window's thread; a run has verified the weights that it used
    )
    for name in ("start", "stop", "direction"):  # each run has its own
        del note["parameters"][name]
    return note


def save_session(project: SavedProject, path: Path) -> None:
    """Write a session file that ``sam2track video --session`` replays, prompts included.

    Raises
    ------
    UsageError
        If the image is in memory only, so that no other program could read it.
    OutputError
        If the file cannot be written.
    """
    source = source_of(project.image)
    if source is None:
        raise UsageError(
            f"the image {project.image.name!r} was not opened from a file, so a session cannot "
            "name it; save the image first, open it again, and go on there"
        )
    session = project.work.asked().to_file(
        source, looked_at(project), fingerprint=project.found.fingerprint, verify=False
    )
    write_text_atomic(path, write_session(session), overwrite=True)
