"""Temporary folders of the system that are removed with the process, or by the next one."""

from __future__ import annotations

import errno
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from napari_sam2track.errors import OutputError
from napari_sam2track.storage.output import disk_advice, remove
from napari_sam2track.storage.processes import dead_leftovers, temporary_prefix

_FULL = {errno.ENOSPC, errno.EDQUOT}


def new_scratch(kind: str) -> Path:
    """Make a new folder of this process; those of its kind of dead processes are removed.

    Parameters
    ----------
    kind
        Begin of its name.
    """
    parent = Path(tempfile.gettempdir())
    with suppress(OSError):
        for old in dead_leftovers(parent, kind):
            remove(old)
    return Path(tempfile.mkdtemp(prefix=temporary_prefix(kind), dir=parent))


@contextmanager
def scratch_folder(kind: str) -> Iterator[Path]:
    """A temporary folder that is gone after the block.

    Raises
    ------
    OutputError
        If its disk is full.
    """
    folder = new_scratch(kind)
    try:
        yield folder
    except OSError as error:
        if error.errno in _FULL and (error.filename is None or str(folder) in str(error.filename)):
            raise OutputError(
                f"cannot write to the temporary folder {folder.parent}: {disk_advice(error)}, with "
                "the environment variable TMPDIR"
            ) from error
        raise
    finally:
        remove(folder, patiently=True)  # zarr's threads may still write into it
