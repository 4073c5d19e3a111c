"""Lock of a folder: one process at a time writes to it."""

from __future__ import annotations

import json
import os
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from datetime import datetime
from pathlib import Path

from napari_sam2track.errors import OutputError
from napari_sam2track.storage.processes import host_name

LOCK, HOLDER = "lock", "lock.json"


@contextmanager
def only_writer(folder: Path) -> Iterator[None]:
    """Hold the lock of a folder; the system releases it when the process ends, however it ends.

    Parameters
    ----------
    folder
        Gets the lock's file, and a note about its holder.

    Raises
    ------
    OutputError
        If another process holds it; its number, machine and time are named.
    """
    from filelock import FileLock, Timeout

    lock = FileLock(folder / LOCK)
    try:
        lock.acquire(timeout=0)
    except Timeout as error:
        raise OutputError(
            f"another sam2track writes to {folder.parent} ({_holder(folder)}); wait until it is "
            "done, or stop it with Ctrl-C, which keeps what is finished"
        ) from error
    except OSError as error:
        raise OutputError(
            f"cannot lock {folder} ({error.strerror}), and two commands that write to it at once "
            "would spoil one another's results; choose another place"
        ) from error
    try:
        now = datetime.now().isoformat(timespec="seconds")
        who = {"process": os.getpid(), "host": host_name(), "since": now}
        with suppress(OSError):  # the note only informs others
            (folder / HOLDER).unlink(missing_ok=True)  # it may be a link that leads elsewhere
            (folder / HOLDER).write_text(json.dumps(who), "utf-8")
        yield
    finally:
        with suppress(OSError):
            (folder / HOLDER).unlink()
        lock.release()


def _holder(folder: Path) -> str:
    """Return the holder of the lock, in words."""
    try:
        who = json.loads((folder / HOLDER).read_text("utf-8"))
        return f"process {who['process']} on {who['host']}, since {who['since']}"
    except (OSError, ValueError, LookupError, TypeError):  # it was not written yet
        return "which has just begun"
