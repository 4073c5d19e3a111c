"""Outputs appear complete or not at all, and nothing that exists is lost by accident.

Everything is written to a temporary sibling and renamed at the end. What exists is refused
without ``overwrite``; a folder is only ever replaced if it holds nothing but our own files.
"""

from __future__ import annotations

import errno
import os
import re
import shutil
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from napari_sam2track.errors import OutputError

#: What a folder may hold and still be replaced: the images and the note that we write.
_OURS = re.compile(r"labels_\d+\.tif|overlay_\d+\.png|provenance\.json|graph\.json|tracks\.csv")
#: Names that others give too: there, the first image has to hold our note.
_SHARED = re.compile(r"(mask|man_track)\d+\.tif|(res|man)_track\.txt|\d+\.png")
_SIGN = b"napari_sam2track"
_ZARR_MARKS = ("zarr.json", ".zgroup", ".zarray")
#: Where zarr keeps attributes, and so our note.
_ZARR_NOTES = ("zarr.json", ".zattrs")

#: Characters of an output's name that its temporary name ends with: names have an upper limit.
_TAIL = 40
#: How often, and after how many seconds, a folder is removed again into which threads (zarr's)
#: still write when a command is interrupted.
_TRIES, _PAUSE = 40, 0.05

#: Errors of the disk rather than of the program, and what to say about them.
_DISK = {
    errno.ENOSPC: "the disk is full; free some space or choose another place",
    errno.EDQUOT: "your disk quota is used up; free some space or choose another place",
    errno.EFBIG: "the file system does not take files of this size; choose another place",
    errno.EROFS: "the file system is read-only; choose another place",
    errno.EACCES: "you may not write there; choose another place",
    errno.EPERM: "you may not write there; choose another place",
    errno.ENAMETOOLONG: "the name is too long; choose a shorter one",
}


def check_output(path: Path, overwrite: bool = False) -> None:
    """Refuse an output that cannot or must not be written, before any work is done.

    Parameters
    ----------
    path
        File or folder that is going to be written.
    overwrite
        Allow an existing file, or a folder of our own making, to be replaced.

    Raises
    ------
    OutputError
        If the output exists and `overwrite` is not set, if it is a folder that holds other
        people's files (whatever `overwrite` says), if its parent is not a folder that can
        be written to, or if its name is too long for the file system.
    """
    _check_name(path)
    if os.path.lexists(path):
        if not overwrite:
            raise OutputError(
                f"the output {path} exists already; choose another name, or say --overwrite "
                "(overwrite=True) to replace it"
            )
        if path.exists() and not (path.is_file() or path.is_dir()):
            raise OutputError(
                f"the output {path} is a device or a pipe, which would be lost; choose the name of "
                "a file"
            )
        if path.is_dir() and not _replaceable(path):
            raise OutputError(
                f"the output {path} is a folder that holds files which this program did not "
                "write, so it is not replaced; choose another name or an empty folder"
            )
    parent = path.absolute().parent
    while not parent.exists():
        parent = parent.parent
    if not parent.is_dir():
        raise OutputError(
            f"the output {path} cannot be written: {parent} is a file, not a folder; choose "
            "another place"
        )
    if not os.access(parent, os.W_OK):
        raise OutputError(
            f"the output {path} cannot be written: {parent} is not writable for you; choose "
            "another place"
        )


@contextmanager
def atomic_path(path: Path, overwrite: bool = False) -> Iterator[Path]:
    """A temporary sibling to write to, which becomes `path` if the block ends well.

    Parameters
    ----------
    path
        File or folder that is going to be written; missing parent folders are made.
    overwrite
        As in `check_output`, which is asked before and after the block.

    Yields
    ------
    Path
        A name in the same folder (so that the rename is atomic) with the same suffix (so that
        libraries which look at it behave). Nothing exists there yet.

    Raises
    ------
    OutputError
        If the output is refused, or the disk is full, read-only or forbidden. Whatever is
        raised, the temporary file or folder is gone afterwards and `path` is as it was.
    """
    check_output(path, overwrite)
    temporary = _sibling("partial", path)
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        yield temporary
        check_output(path, overwrite)
        _move_into_place(temporary, path)
    except OSError as error:
        if error.errno in _DISK and _is_about_output(error, temporary):
            raise OutputError(f"cannot write {path}: {_DISK[error.errno]}") from error
        raise
    finally:
        _remove(temporary)


def write_text_atomic(path: Path, text: str, overwrite: bool = False) -> None:
    """Write `text` as UTF-8 with Unix line ends, complete or not at all.

    Raises
    ------
    OutputError
        As `atomic_path`.
    """
    with (
        atomic_path(path, overwrite) as temporary,
        temporary.open("w", encoding="utf-8", newline="\n") as file,
    ):
        file.write(text)


def _check_name(path: Path) -> None:
    """Refuse what the system says is too long a name."""
    try:
        os.lstat(path)
    except OSError as error:
        if error.errno == errno.ENAMETOOLONG:
            raise OutputError(f"cannot write {path}: {_DISK[error.errno]}") from error


def _sibling(purpose: str, path: Path) -> Path:
    """A hidden name beside `path`, with the same suffixes, however long the name is."""
    return path.with_name(f".{purpose}-{os.getpid()}-{path.name[-_TAIL:]}")


def _is_about_output(error: OSError, temporary: Path) -> bool:
    """Whether an error is the output's: what is read inside the block can fail as well."""
    if error.filename is None:  # as a failed write or flush has it
        return True
    named = Path(os.fsdecode(error.filename)).absolute()
    ours = temporary.absolute()
    return named == ours or ours in named.parents or named in ours.parents


def _replaceable(folder: Path) -> bool:
    """Whether a folder is empty, or one that a writer of ours could have made."""
    names = [entry.name for entry in folder.iterdir()]
    if folder.suffix in (".zarr", ".geff") and any(mark in names for mark in _ZARR_MARKS):
        notes = [folder / name for name in names if name in _ZARR_NOTES]
        return any(_SIGN in note.read_bytes() for note in notes)
    if names and all(_SHARED.fullmatch(name) for name in names):
        images = sorted(name for name in names if not name.endswith(".txt"))
        return bool(images) and _SIGN in (folder / images[0]).read_bytes()
    return all(_OURS.fullmatch(name) for name in names)


def _move_into_place(temporary: Path, path: Path) -> None:
    """Rename; a folder cannot be renamed onto a full one, so the old one steps aside first."""
    if not path.is_dir() or path.is_symlink():
        temporary.replace(path)
        return
    old = _sibling("replaced", path)
    path.rename(old)
    try:
        temporary.rename(path)
    except OSError:
        old.rename(path)
        raise
    shutil.rmtree(old)


def _remove(path: Path) -> None:
    """Remove a file or a folder if it is there."""
    if path.is_dir():
        for _ in range(_TRIES):
            shutil.rmtree(path, ignore_errors=True)
            time.sleep(_PAUSE)  # a thread may be about to make the folder anew
            if not path.exists():
                return
    else:
        with suppress(OSError):
            path.unlink(missing_ok=True)
