"""Recovery: a command finishes what a killed one left half done, before it begins."""

from __future__ import annotations

from contextlib import suppress
from pathlib import Path

from napari_sam2track.errors import OutputError
from napari_sam2track.storage.output import recover_path
from napari_sam2track.storage.processes import is_ours
from napari_sam2track.storage.together import COMMIT, HIDDEN, STAGED, finish
from napari_sam2track.storage.writer_lock import only_writer


def recover(path: Path) -> None:
    """Make a path whole before it is used.

    A path that was moved aside gets its name back, and outputs that were about to appear together,
    in this folder or in the one that the path lies in, appear.
    """
    with suppress(OSError, ValueError):  # no path, or one that its user has to refuse
        recover_path(path)
        for folder in (path, path.parent):
            hidden = folder / HIDDEN
            # Only changes of this person's own run: the path may be a stranger's.
            if (hidden / STAGED / COMMIT).exists() and is_ours(hidden) and is_ours(hidden / STAGED):
                with suppress(OutputError), only_writer(hidden):  # else another process is at it
                    finish(folder)
