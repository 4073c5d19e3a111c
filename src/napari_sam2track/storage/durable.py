"""Calls of the operating system that make changes of files last, and happen at once."""

from __future__ import annotations

import ctypes
import errno
import os
import sys
from functools import cache
from pathlib import Path
from typing import Any

#: Event of `exchange` for audit hooks (PEP 578).
EXCHANGE = "napari_sam2track.exchange"
#: Flags of renameat2(2) on Linux and renamex_np(2) on macOS: two names change places.
_RENAME_EXCHANGE, _RENAME_SWAP, _AT_FDCWD = 2, 2, -100
#: Errors of systems and file systems that cannot exchange names.
_CANNOT = {errno.ENOSYS, errno.EINVAL, errno.ENOTSUP, errno.EOPNOTSUPP, errno.EXDEV}


def write_whole(path: Path, content: bytes) -> None:
    """Write a file whole, so that it lasts: under another name, to the disk, then renamed.

    After a power cut the file has the old content or the new one, never a part or nothing. The
    order is git's and SQLite's: the file before the rename, the folder after it.
    """
    part = path.with_name(path.name + ".part")
    try:
        part.unlink(missing_ok=True)  # it may be a link that leads elsewhere
        part.write_bytes(content)
        sync(part)
        part.replace(path)
    except OSError:
        part.unlink(missing_ok=True)
        raise
    sync(path.parent)


def sync(path: Path) -> None:
    """Wait until a file or the names in a folder are on the disk."""
    if os.name == "nt":  # which orders changes of names itself, and opens no folders
        return
    number = os.open(path, os.O_RDONLY)
    try:
        os.fsync(number)
    except OSError as error:
        if error.errno != errno.EINVAL:  # a file system without it
            raise
    finally:
        os.close(number)


def sync_all(path: Path) -> None:
    """Wait until a file, or all that is in a folder, is on the disk."""
    if path.is_dir() and not path.is_symlink():
        for inner in path.iterdir():
            sync_all(inner)
    if not path.is_symlink():
        sync(path)


def exchange(one: Path, other: Path) -> bool:
    """Exchange two names that exist at once; return False where the system cannot.

    Raises
    ------
    OSError
        If it can, and it failed.
    """
    call = _exchange_call()
    sys.audit(EXCHANGE, str(one), str(other))  # as Python's own renames do
    if call is None or call(os.fsencode(one), os.fsencode(other)) == 0:
        return call is not None
    number = ctypes.get_errno()
    if number in _CANNOT:
        return False
    raise OSError(number, os.strerror(number), str(one), None, str(other))


@cache
def _exchange_call() -> Any:
    """Return the system's call for `exchange`, as a function of two names; None without one."""
    try:
        system = ctypes.CDLL(None, use_errno=True)
    except (OSError, TypeError):
        return None
    if sys.platform.startswith("linux") and hasattr(system, "renameat2"):
        call = system.renameat2
        call.argtypes = ctypes.c_int, ctypes.c_char_p, ctypes.c_int, ctypes.c_char_p, ctypes.c_uint
        return lambda a, b: call(_AT_FDCWD, a, _AT_FDCWD, b, _RENAME_EXCHANGE)
    if sys.platform == "darwin" and hasattr(system, "renamex_np"):
        swap = system.renamex_np
        swap.argtypes = ctypes.c_char_p, ctypes.c_char_p, ctypes.c_uint
        return lambda a, b: swap(a, b, _RENAME_SWAP)
    return None
