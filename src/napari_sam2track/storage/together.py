"""Outputs in one folder that appear together; files that a person put there or changed stay.

A list holds the outputs, with checksums: those on it and unchanged are ours, to be replaced
or removed. All else is kept, and an output whose name is taken gets a free one.

The outputs are written aside, then a note of the next moves is put beside them: from there on
`finish` carries them out, however often it is killed. Before that nothing has happened.
"""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path, PurePath
from typing import Any

from napari_sam2track.errors import OutputError
from napari_sam2track.storage.durable import exchange, sync, sync_all, write_whole
from napari_sam2track.storage.output import inherit, refuse_links, remove

#: The hidden folder in a folder of outputs, and its contents.
HIDDEN = ".run"
LIST, STAGED, COMMIT, NAMES = "outputs.json", "staged", "commit.json", "names.json"
#: Names that no output may have.
_HERE = ("", ".", "..", HIDDEN)
_BROWSERS = {".DS_Store", "Thumbs.db", "desktop.ini"}
_BLOCK = 1 << 20


@dataclass(frozen=True)
class Written:
    """One output as it was written.

    Attributes
    ----------
    name
        In the folder.
    files
        Path to (bytes, sha256) of each file in it; a file has the one path ``""``.
    """

    name: str
    files: Mapping[str, tuple[int, str]]

    @classmethod
    def of(cls, path: Path, name: str) -> Written:
        """Describe the output at a path."""
        if not path.is_dir():
            return cls(name, {"": _content(path)})
        return cls(name, {p.relative_to(path).as_posix(): _content(p) for p in _files_in(path)})

    def is_at(self, path: Path) -> bool:
        """Return whether a path holds just this: the same files, unchanged, and no other."""
        if path.is_symlink() or not path.exists() or path.is_dir() == ("" in self.files):
            return False
        names = {""}
        if path.is_dir():
            names = {p.relative_to(path).as_posix() for p in _files_in(path)}
        return names == set(self.files) and all(
            (path / name if name else path).lstat().st_size == size
            and _content(path / name if name else path) == (size, digest)
            for name, (size, digest) in self.files.items()
        )


def _files_in(folder: Path) -> list[Path]:
    """Return all files in a folder, but for those that browsers of files leave."""
    inner = (p for p in folder.rglob("*") if not p.is_dir() or p.is_symlink())
    return sorted(p for p in inner if p.name not in _BROWSERS)


def _content(path: Path) -> tuple[int, str]:
    """Return bytes and sha256 of a file; of a symbolic link, of its target's path."""
    digest = hashlib.sha256()
    if path.is_symlink():
        digest.update(os.fsencode(path.readlink()))
        return 0, f"link {digest.hexdigest()}"
    with path.open("rb") as file:
        while block := file.read(_BLOCK):
            digest.update(block)
    return path.stat().st_size, digest.hexdigest()


@dataclass(frozen=True)
class Outcome:
    """Result of moving the outputs into place.

    Attributes
    ----------
    names
        Name that was wanted, to the name that it has.
    kept
        Names of outputs of earlier runs that this one did not write and that were changed since,
        so that they stay.
    """

    names: Mapping[str, str]
    kept: tuple[str, ...]


@contextmanager
def together(folder: Path) -> Iterator[Path]:
    """Yield a folder to write outputs to, which appear in ``folder`` if the block ends well.

    Parameters
    ----------
    folder
        Folder of the outputs. The caller is its only writer (`writer_lock.only_writer`).

    Yields
    ------
    Path
        An empty folder: each file or folder in it is an output, of the name that it has there.
        Call `finish` afterwards.
    """
    finish(folder)
    staged = folder / HIDDEN / STAGED
    new = staged / "new"
    new.mkdir(parents=True)
    try:
        yield new
        sync_all(new)
        outputs = [Written.of(path, path.name) for path in sorted(new.iterdir())]
        write_whole(staged / COMMIT, _to_json(outputs))
    except BaseException as error:
        (staged / COMMIT).unlink(missing_ok=True)
        remove(staged, patiently=True)
        if isinstance(error, OutputError):  # names the place that the person knows
            raise OutputError(str(error).replace(str(new), str(folder))) from error
        raise


def finish(folder: Path) -> Outcome | None:
    """Carry out what `together` prepared, also after a kill, and remove its leftovers.

    Returns
    -------
    Outcome or None
        None if there was nothing to carry out.

    Raises
    ------
    OutputError
        If a link leads out of the hidden folder.
    """
    hidden = folder / HIDDEN
    staged = hidden / STAGED
    refuse_links(hidden, staged, staged / "new", staged / "old")
    new = _read(staged / COMMIT)
    if new is None:
        remove(staged)
        return None
    old = written(folder)
    ours = {one.name: one for one in old}
    names = _chosen_names(folder, new, ours)
    aside = staged / "old"
    aside.mkdir(exist_ok=True)
    placed: list[Written] = []
    for one in new:
        source, name = staged / "new" / one.name, names[one.name]
        if one.is_at(source):  # else it was put in its place before a kill
            name = _place(folder, name, ours)  # another process may have taken it since
            _move(source, folder / name, aside / name)
        placed.append(Written(name, one.files))
    sync(folder)
    taken, kept = {one.name for one in placed}, []
    for one in old:
        if one.name in taken or not os.path.lexists(folder / one.name):
            continue
        if one.is_at(folder / one.name):
            (folder / one.name).rename(aside / one.name)
        else:
            kept.append(one)  # it stays on the list: the change may be undone
    sync(folder)
    write_whole(hidden / LIST, _to_json([*placed, *kept]))
    (staged / COMMIT).unlink()
    remove(staged)
    asked = {one.name: now.name for one, now in zip(new, placed, strict=True)}
    return Outcome(asked, tuple(one.name for one in kept if one.name not in asked))


def written(folder: Path) -> list[Written]:
    """Return the outputs of the last run as they were written, and changed ones of earlier runs.

    Empty if there was none, or the list is damaged: then no output is known to be ours.
    """
    return _read(folder / HIDDEN / LIST) or []


def _chosen_names(folder: Path, new: list[Written], ours: Mapping[str, Written]) -> dict[str, str]:
    """Return the names of outputs, noted before the first of them is used."""
    path = folder / HIDDEN / STAGED / NAMES
    known = _load(path)
    if isinstance(known, dict) and all(_is_name(known.get(one.name)) for one in new):
        return known
    names = {one.name: _place(folder, one.name, ours) for one in new}
    write_whole(path, json.dumps(names).encode())
    return names


def _place(folder: Path, asked: str, ours: Mapping[str, Written]) -> str:
    """Return the name for an output: its own, or if somebody else's file has it, a free one."""
    own, name, number = Path(asked), asked, 1
    while os.path.lexists(folder / name):
        was = ours.get(name)
        if was is not None and was.is_at(folder / name):
            break
        number += 1
        name = f"{own.stem}-{number}{own.suffix}"
    return name


def _move(new: Path, target: Path, aside: Path) -> None:
    """Move an output into place, and an earlier one aside."""
    inherit(new, target)
    if not os.path.lexists(target):
        new.rename(target)
    elif not (new.is_dir() or target.is_dir()):
        new.replace(target)
    elif exchange(new, target):
        new.rename(aside)
    else:
        target.rename(aside)
        new.rename(target)


def _stays(path: str) -> bool:
    """Return whether a path stays in the folder that it begins in."""
    pure = PurePath(path)
    return not pure.is_absolute() and not pure.drive and ".." not in pure.parts


def _to_json(outputs: list[Written]) -> bytes:
    content = [{"name": one.name, "files": dict(one.files)} for one in outputs]
    return json.dumps({"version": 1, "outputs": content}, indent=1).encode()


def _read(path: Path) -> list[Written] | None:
    """Read what `_to_json` returned; None if it is missing, damaged, or leads out of the folder."""
    content = _load(path)
    try:
        found = []
        for one in content["outputs"]:
            files = {str(k): (int(size), str(digest)) for k, (size, digest) in one["files"].items()}
            if not _is_name(one["name"]) or not all(map(_stays, files)):
                return None
            found.append(Written(one["name"], files))
    except (LookupError, TypeError, AttributeError, ValueError, OverflowError):
        return None
    return found


def _load(path: Path) -> Any:
    """Return the content of a file of JSON; None if it is missing or damaged."""
    if not path.exists():
        return None
    try:
        return json.loads(path.read_bytes())
    except (ValueError, RecursionError):
        return None


def _is_name(name: object) -> bool:
    """Return whether something is the name of an output: a list from a stranger may hold others."""
    return isinstance(name, str) and name not in _HERE and len(PurePath(name).parts) == 1
