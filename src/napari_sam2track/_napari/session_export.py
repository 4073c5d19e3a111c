"""What the command line gets of a project: a session to run, and where labels come from."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from napari_sam2track._napari.autosave import SavedProject, looked_at, source_of
from napari_sam2track.errors import UsageError
from napari_sam2track.formats.provenance import provenance
from napari_sam2track.session.session_file import ModelRef, session_of, write_session
from napari_sam2track.storage.output import write_text_atomic


def provenance_of(project: SavedProject) -> dict[str, Any]:
    """Where the labels of a project come from: movie, model, parameters, frames."""
    work = project.work
    info, done = work.session.model, work.store.finished()
    return provenance(
        source=source_of(project.image) or project.image.name,
        frames=done,
        parameters={
            **work.session.engine.model_dump(exclude={"start", "stop", "direction"}),
            "movie": work.frames.describe(),
        },
        model={"name": info.name, "sha256": info.sha256},
    )


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
    work, info = project.work, project.work.session.model
    name = info.name if info.kind != "local" else str(info.path)
    session = session_of(
        source=source,
        frames=looked_at(project),
        model=ModelRef(name=name, sha256=info.sha256),
        engine=work.session.engine,
        auto=None,
        prompts=work.said.prompts,
        fingerprint=project.found.fingerprint,
    )
    write_text_atomic(path, write_session(session), overwrite=True)
