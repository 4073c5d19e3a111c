"""Writes one file or folder in place of another: whole, or not at all.

Everything is written in a hidden folder beside it and moved at the end. Existing files are refused
without ``overwrite``; a folder is only ever replaced if it holds nothing but our own files. The
leftovers of a process that was killed meanwhile are cleared up by `recover_folder`.
"""

from __future__ import annotations

import errno
import os
import re
import shutil
import stat
import tempfile
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path

from napari_sam2track.errors import OutputError
from napari_sam2track.storage.durable import exchange, sync, sync_all
from napari_sam2track.storage.processes import is_dead, leftovers, temporary_prefix

#: Contents of a folder that may be replaced: the images and the note that we write.
_OURS = re.compile(r"labels_\d+\.tif|provenance\.json|graph\.json|tracks\.csv")
#: Names that others give too: there, the first image has to hold our note.
_SHARED = re.compile(r"(mask|man_track)\d+\.tif|(res|man)_track\.txt|\d+\.png")
_SIGN, _NAME = b"napari_sam2track", b"napari-sam2track"
_ZARR_MARKS = ("zarr.json", ".zgroup", ".zarray")
#: Files in which zarr keeps attributes, and so our note.
_ZARR_NOTES = ("zarr.json", ".zattrs")

#: Hidden folders in which outputs are written; in them the new ones, the replaced ones where the
#: system cannot exchange two names, and the sign that files which belong together are all there.
_PARTIAL, _NEW, _REPLACED, _COMPLETE = ".partial", "new", "replaced", "complete"
#: After so many seconds a process of another machine is not between two renames any more.
_LONG = 60.0
#: How often, and after how many seconds, a folder is removed again into which threads (zarr's)
#: still write when a command is interrupted.
_TRIES, _PAUSE = 40, 0.05

#: Errors of the disk rather than of the program, and advice about them.
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
    """Yield a temporary path to write to, which becomes `path` if the block ends well.

    What is replaced leaves its permissions and its owner to the new one; a symbolic link stays,
    and its target is replaced. All is on the disk before the names change.

    Parameters
    ----------
    path
        File or folder that is going to be written; missing parent folders are made.
    overwrite
        As in `check_output`, which is called before and after the block.

    Yields
    ------
    Path
        The same name in a hidden folder beside it (so that the move is atomic, and libraries which
        look at the name behave). Nothing exists there yet.

    Raises
    ------
    OutputError
        If the output is refused, or the disk is full, read-only or forbidden. Whatever is
        raised, the temporary file or folder is gone afterwards and `path` is as it was.
    """
    with atomic_paths(path, overwrite=overwrite) as (temporary,):
        yield temporary


@contextmanager
def atomic_paths(*paths: Path, overwrite: bool = False) -> Iterator[tuple[Path, ...]]:
    """Yield temporary paths of files that belong together; see `atomic_path`.

    Parameters
    ----------
    *paths
        Several are files in one folder. If the process is killed between their moves, the next
        command there makes the others. (Links to several folders are followed one by one.)
    """
    targets = [Path(os.path.realpath(path)) for path in paths]
    parent = targets[0].parent
    if any(target.parent != parent for target in targets):
        with ExitStack() as each:
            yield tuple(each.enter_context(atomic_path(path, overwrite)) for path in paths)
        return
    recover_folder(parent)
    for path in paths:
        check_output(path, overwrite)
    made = [folder for folder in (parent, *parent.parents) if not folder.exists()]
    hidden = None
    try:
        parent.mkdir(parents=True, exist_ok=True)
        hidden = Path(tempfile.mkdtemp(prefix=temporary_prefix(_PARTIAL), dir=parent))
        new = hidden / _NEW
        new.mkdir()
        yield tuple(new / target.name for target in targets)
        for path, target in zip(paths, targets, strict=True):
            check_output(path, overwrite)
            inherit(new / target.name, target)
        sync_all(new)
        if len(targets) > 1:
            (hidden / _COMPLETE).touch()
            sync(hidden)
        for target in targets:
            _move_into_place(new / target.name, target, hidden / _REPLACED)
        sync(parent)
        made = []
    except OSError as error:
        if error.errno in _DISK and _is_about_output(error, hidden or parent):
            names = " and ".join(map(str, paths))
            raise OutputError(f"cannot write {names}: {_DISK[error.errno]}") from error
        raise
    finally:
        if hidden is not None:
            (hidden / _COMPLETE).unlink(missing_ok=True)
            folders = any((hidden / _NEW / target.name).is_dir() for target in targets)
            remove(hidden, patiently=folders)
        for folder in made:
            with suppress(OSError):
                folder.rmdir()


def recover_path(path: Path) -> None:
    """Finish changes of a path, or beside it, that killed processes had begun."""
    target = Path(os.path.realpath(path))
    while not target.parent.exists():
        target = target.parent
    recover_folder(target.parent)


def recover_folder(folder: Path) -> None:
    """Finish or clear up changes in a folder that killed processes had begun.

    A path that was moved aside to be replaced gets its name back if that is free; of files that
    belong together and were complete, the rest is moved; all else is removed.
    """
    if not folder.is_dir():
        return
    try:
        left = leftovers(folder, _PARTIAL)
        dead = [hidden for hidden in left if is_dead(hidden, _PARTIAL)]
    except OSError:  # nothing can be done in a folder that cannot be read
        return
    for hidden in left:
        with suppress(OSError):  # another process may be doing the same
            # Of other machines, only what must not be missing: between the two renames there are
            # milliseconds.
            if hidden in dead or time.time() - hidden.stat().st_mtime > _LONG:
                _give_back(hidden)
    for hidden in dead:
        with suppress(OSError):
            _move_the_rest(hidden)
            remove(hidden)


def _move_the_rest(hidden: Path) -> None:
    """Move the rest of files that belong together, after a process was killed between moves."""
    if not (hidden / _COMPLETE).exists():
        return
    for new in (hidden / _NEW).iterdir():
        new.replace(hidden.parent / new.name)
    sync(hidden.parent)
    (hidden / _COMPLETE).unlink()


def _give_back(hidden: Path) -> None:
    """Restore the name of a path that a process had moved aside before it was killed."""
    for old in (hidden / _REPLACED).glob("*"):
        if not os.path.lexists(hidden.parent / old.name):
            old.rename(hidden.parent / old.name)
            sync(hidden.parent)


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


def refuse_links(*paths: Path) -> None:
    """Refuse links where we make none: they would lead our changes to other people's files.

    Raises
    ------
    OutputError
        With the link.
    """
    for path in paths:
        if path.is_symlink():
            raise OutputError(
                f"{path} is a link, which no run makes there, so nothing is changed through it; "
                "remove the link, or choose another folder"
            )


def disk_advice(error: OSError) -> str:
    """Return advice about an error of the disk."""
    return _DISK.get(error.errno or 0, "see to that disk")


def _check_name(path: Path) -> None:
    """Refuse a name that is too long for the system."""
    try:
        os.lstat(path)
    except OSError as error:
        if error.errno == errno.ENAMETOOLONG:
            raise OutputError(f"cannot write {path}: {_DISK[error.errno]}") from error


def _is_about_output(error: OSError, temporary: Path) -> bool:
    """Return whether an error is the output's: reads inside the block can fail as well."""
    if error.filename is None:  # as a failed write or flush has it
        return True
    named = Path(os.fsdecode(error.filename)).absolute()
    ours = temporary.absolute()
    return named == ours or ours in named.parents or named in ours.parents


def _replaceable(folder: Path) -> bool:
    """Return whether a folder is empty, or one that a writer of ours could have made."""
    names = [entry.name for entry in folder.iterdir()]
    if folder.suffix in (".zarr", ".geff") and any(mark in names for mark in _ZARR_MARKS):
        notes = [folder / name for name in names if name in _ZARR_NOTES]
        return any(_SIGN in note.read_bytes() for note in notes)
    if names and all(_SHARED.fullmatch(name) for name in names):
        images = sorted(name for name in names if not name.endswith(".txt"))
        return bool(images) and _SIGN in (folder / images[0]).read_bytes()
    if any(name.endswith(".tif") for name in names):  # other programs use this name, too
        note = folder / "provenance.json"
        if not note.is_file() or _NAME not in note.read_bytes():
            return False
    return all(_OURS.fullmatch(name) for name in names)


def inherit(new: Path, old: Path) -> None:
    """Give the permissions and the owner of the replaced path to the new one."""
    if not old.exists():
        return
    known = _like(old)
    for path in [new, *new.rglob("*")]:
        relative = path.relative_to(new)
        wanted = known.get(relative) or known.get(Path("*") if path.is_file() else Path())
        if wanted is None or path.is_symlink():
            continue
        now = path.stat()
        if (now.st_uid, now.st_gid) != (wanted.st_uid, wanted.st_gid):
            _give_to(path, wanted)
        if stat.S_IMODE(now.st_mode) != stat.S_IMODE(wanted.st_mode):
            path.chmod(stat.S_IMODE(wanted.st_mode))


def _give_to(path: Path, wanted: os.stat_result) -> None:
    """Set the owner and the group, as far as the system allows."""
    with suppress(OSError):
        os.chown(path, -1, wanted.st_gid)  # a group that one belongs to
        os.chown(path, wanted.st_uid, -1)  # only root may


def _like(old: Path) -> dict[Path, os.stat_result]:
    """Return the permissions to inherit, by relative path; ``*`` stands for any other file."""
    known = {Path(): old.stat()}
    for path in old.rglob("*"):
        if path.is_symlink():
            continue
        status = known[path.relative_to(old)] = path.stat()
        if stat.S_ISREG(status.st_mode):
            known.setdefault(Path("*"), status)
    return known


def _move_into_place(new: Path, target: Path, aside: Path) -> None:
    """Move an output into place; an existing folder is exchanged with it, or moved aside."""
    if not os.path.lexists(target) or not (target.is_dir() or new.is_dir()):
        new.replace(target)
    elif not exchange(new, target):
        old = aside / target.name
        aside.mkdir()
        target.rename(old)
        try:
            new.rename(target)
        except OSError:
            old.rename(target)
            raise


def remove(path: Path, patiently: bool = False) -> None:
    """Remove a file or a folder if it is there.

    Parameters
    ----------
    path
        A symbolic link is removed itself, not its target.
    patiently
        Repeat it: a thread that is still running may be about to make the folder anew.
    """
    if not path.is_dir() or path.is_symlink():
        with suppress(OSError):
            path.unlink(missing_ok=True)
        return
    for _ in range(_TRIES if patiently else 1):
        shutil.rmtree(path, ignore_errors=True)
        time.sleep(_PAUSE if patiently else 0)
        if not path.exists():
            return
