"""Several outputs in one folder, which appear together; what a person put there or changed stays.

A list says what was written, with checksums: what is on it and as it was is ours, to be replaced
or removed. All else is kept, and an output whose name is taken gets a free one.

The outputs are written aside, then a note of what is to be done is put beside them: from there on
`finish` carries it out, however often it is killed. Before that nothing has happened.
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
from napari_sam2track.storage.output import remove

#: The hidden folder in a folder of outputs, and what is in it.
HIDDEN = ".run"
LIST, STAGED, COMMIT = "outputs.json", "staged", "commit.json"
#: Names that are none of an output.
_HERE = ("", ".", "..", HIDDEN)
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
        """What is at a path now."""
        if not path.is_dir():
            return cls(name, {"": _content(path)})
        inner = sorted(p for p in path.rglob("*") if not p.is_dir() or p.is_symlink())
        return cls(name, {p.relative_to(path).as_posix(): _content(p) for p in inner})

    def is_at(self, path: Path) -> bool:
        """Whether a path holds just this: the same files, unchanged, and no other."""
        if path.is_symlink() or not path.exists() or path.is_dir() == ("" in self.files):
            return False
        names = {""}
        if path.is_dir():
            inner = (p for p in path.rglob("*") if not p.is_dir() or p.is_symlink())
            names = {p.relative_to(path).as_posix() for p in inner}
        return names == set(self.files) and all(
            (path / name if name else path).lstat().st_size == size
            and _content(path / name if name else path) == (size, digest)
            for name, (size, digest) in self.files.items()
        )


def _content(path: Path) -> tuple[int, str]:
    """Bytes and sha256 of a file; of a symbolic link, of where it leads."""
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
    """What became of the outputs.

    Attributes
    ----------
    names
        Name that was asked for, to the name that it has.
    kept
        Names of outputs of an earlier run that are not needed any more but were changed since,
        so that they stay.
    """

    names: Mapping[str, str]
    kept: tuple[str, ...]


@contextmanager
def together(folder: Path) -> Iterator[Path]:
    """A folder to write outputs to, which appear in ``folder`` if the block ends well.

    Parameters
    ----------
    folder
        Of the outputs. The caller is the only one who writes there (`locks.only_writer`).

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
        remove(staged, patiently=True)
        if isinstance(error, OutputError):  # names the place that the person knows
            raise OutputError(str(error).replace(str(new), str(folder))) from error
        raise


def finish(folder: Path) -> Outcome | None:
    """Carry out what `together` prepared, and remove what it left when it was killed before.

    Returns
    -------
    Outcome or None
        None if there was nothing to carry out.

    Raises
    ------
    OutputError
        If the list is damaged.
    """
    hidden = folder / HIDDEN
    staged = hidden / STAGED
    if not (staged / COMMIT).exists():
        remove(staged)
        return None
    old, new = written(folder), _from_json(staged / COMMIT)
    ours = {one.name: one for one in old}
    placed: list[Written] = []
    aside = staged / "old"
    aside.mkdir(exist_ok=True)
    for one in new:
        source = staged / "new" / one.name
        name = one.name
        if one.is_at(source):  # else it was put in its place before a kill
            name = _place(folder, one, ours)
            _move(source, folder / name, aside / name)
        placed.append(Written(name, one.files))
    sync(folder)
    left, taken = [], {one.name for one in (*placed, *new)}
    for one in old:
        if one.name in taken or not os.path.lexists(folder / one.name):
            continue
        if one.is_at(folder / one.name):
            (folder / one.name).rename(aside / one.name)
        else:
            left.append(one.name)
    sync(folder)
    write_whole(hidden / LIST, _to_json(placed))
    (staged / COMMIT).unlink()
    remove(staged)
    asked = (one.name for one in new)
    return Outcome(dict(zip(asked, (one.name for one in placed), strict=True)), tuple(left))


def written(folder: Path) -> list[Written]:
    """The outputs of the last run, as they were written; empty if there was none.

    Raises
    ------
    OutputError
        If the list is damaged.
    """
    path = folder / HIDDEN / LIST
    return _from_json(path) if path.exists() else []


def _place(folder: Path, one: Written, ours: Mapping[str, Written]) -> str:
    """The name for an output: its own, or where that is taken by something else, a free one."""
    own, name, number = Path(one.name), one.name, 1
    while os.path.lexists(folder / name):
        was = ours.get(name)
        if was is not None and was.is_at(folder / name):
            break
        number += 1
        name = f"{own.stem}-{number}{own.suffix}"
    return name


def _move(new: Path, target: Path, aside: Path) -> None:
    """Put an output in its place, and what was there aside."""
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
    """Whether a path stays in the folder that it begins in."""
    pure = PurePath(path)
    return not pure.is_absolute() and not pure.drive and ".." not in pure.parts


def _to_json(outputs: list[Written]) -> bytes:
    content = [{"name": one.name, "files": dict(one.files)} for one in outputs]
    return json.dumps({"version": 1, "outputs": content}, indent=1).encode()


def _from_json(path: Path) -> list[Written]:
    try:
        content: Any = json.loads(path.read_bytes())
        found = []
        for one in content["outputs"]:
            files = {str(k): (int(size), str(digest)) for k, (size, digest) in one["files"].items()}
            name = str(one["name"])
            # A list from somebody else must not lead out of the folder.
            if name in _HERE or len(PurePath(name).parts) != 1 or not all(map(_stays, files)):
                raise ValueError(name)
            found.append(Written(name, files))
        return found
    except (ValueError, LookupError, TypeError, AttributeError) as error:
        raise OutputError(
            f"the list of outputs {path} is damaged, so it is not known which files the run wrote; "
            "remove the list to keep all of them, and have new ones written beside them"
        ) from error
