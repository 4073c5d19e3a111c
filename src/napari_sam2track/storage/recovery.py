"""What a command that was killed left half done, another one finishes before it begins."""

from __future__ import annotations

from contextlib import suppress
from pathlib import Path

from napari_sam2track.errors import OutputError
from napari_sam2track.storage.locks import only_writer
from napari_sam2track.storage.output import recover_path
from napari_sam2track.storage.together import COMMIT, HIDDEN, STAGED, finish


def recover(path: Path) -> None:
    """Make a path whole before it is used.

    What was moved aside gets its name back, and outputs that were about to appear together, in
    this folder or in the one that the path lies in, appear.
    """
    with suppress(OSError, ValueError):  # no path, or one that whoever uses it has to refuse
        recover_path(path)
        for folder in (path, path.parent):
            if (folder / HIDDEN / STAGED / COMMIT).exists():
                with suppress(OutputError), only_writer(folder / HIDDEN):  # else somebody is at it
                    finish(folder)
