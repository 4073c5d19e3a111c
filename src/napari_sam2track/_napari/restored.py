"""Work that a reader brought: prompts of a session that lie on an image as layers."""

from __future__ import annotations

from typing import Any

from napari_sam2track._napari.project import KEY, Project


def restored_work(project: Project, image: Any) -> None:
    """Take the prompts of the session that an image was opened with, if nothing was said yet."""
    known = image.metadata.get(KEY)
    path = known.get("session") if isinstance(known, dict) else None
    if path is None or project.work.said.prompts:
        return
    from pathlib import Path

    from napari_sam2track.errors import Sam2TrackError
    from napari_sam2track.session_file import read_session

    try:
        project.say_prompts(read_session(Path(path)).prompt_set())
    except Sam2TrackError as error:
        project.fail(error)
