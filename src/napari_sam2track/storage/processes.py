"""Processes that made a temporary file, or use a folder, and whether they still live."""

from __future__ import annotations

import os
import re
import socket
import stat
import zlib
from functools import cache
from pathlib import Path

#: Seconds by which the begin of a process may differ: clocks are corrected.
_SAME = 5.0


@cache
def host_name() -> str:
    """The name of this machine."""
    return socket.gethostname()


def began(number: int) -> float:
    """Return when a process began, in seconds since 1970; NaN if there is none."""
    import psutil

    try:
        return float(psutil.Process(number).create_time())
    except (psutil.Error, ValueError, OverflowError):
        return float("nan")


def is_alive(number: int, when: float) -> bool:
    """Return whether the process of a number that began at a time still lives.

    Numbers of processes are used again, in a container even the same one each time, so the
    begin of the process counts, too.
    """
    return abs(began(number) - when) < _SAME


def temporary_prefix(kind: str) -> str:
    """Return the prefix of the names of this process's temporary files, for `dead_leftovers`.

    Parameters
    ----------
    kind
        Kind of file, as in ``.partial``.
    """
    return f"{kind}-{_host_code()}-{os.getpid()}-"


def is_ours(path: Path) -> bool:
    """Return whether a path is no link, and belongs to the person who runs this."""
    status = path.lstat()
    owner = not hasattr(os, "geteuid") or status.st_uid == os.geteuid()
    return owner and not stat.S_ISLNK(status.st_mode)


def leftovers(folder: Path, kind: str) -> list[Path]:
    """Return temporary files of this person in a folder, of any machine, dead process or not."""
    name = re.compile(rf"{re.escape(kind)}-[0-9a-f]{{8}}-\d+-.*", re.DOTALL)
    return [p for p in folder.iterdir() if name.fullmatch(p.name) and is_ours(p)]


def is_dead(leftover: Path, kind: str) -> bool:
    """Return whether the process that made one of `leftovers` is known to be gone.

    A file that is older than the process which has its number now was another process's. Processes
    of other machines, which may write to the same disk, are not known.
    """
    host, number = leftover.name.removeprefix(f"{kind}-").split("-")[:2]
    if host != _host_code():
        return False
    # a process that does not exist is NaN, which no time is later than
    return not leftover.lstat().st_mtime >= began(int(number)) - _SAME


def dead_leftovers(folder: Path, kind: str) -> list[Path]:
    """Return leftovers in a folder, of dead processes of this machine."""
    return [path for path in leftovers(folder, kind) if is_dead(path, kind)]


@cache
def _host_code() -> str:
    """Return the machine as eight characters: its name may be long, or hold forbidden ones."""
    return f"{zlib.crc32(host_name().encode()):08x}"
