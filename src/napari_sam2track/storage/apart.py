"""Checks that the outputs and inputs of a command lie apart."""

from __future__ import annotations

import os
from collections.abc import Iterable
from contextlib import suppress
from pathlib import Path

from napari_sam2track.errors import UsageError


def check_apart(
    outputs: Iterable[tuple[str, Path]], inputs: Iterable[Path], hint: str = ""
) -> None:
    """Refuse outputs that are an input or another output, lie in one, or contain one.

    Files are compared by device and inode, so links and other spellings of a name do not matter.

    Parameters
    ----------
    outputs
        Name of each for the person, as in ``--out``; and its path.
    inputs
        Files and folders that are read, or that this run was made from.
    hint
        Advice for the message.

    Raises
    ------
    UsageError
        With the two paths and their relation.
    """
    read = [path for path in inputs if path.exists()]
    done: list[tuple[str, Path]] = []
    for option, out in outputs:
        for source in read:
            if same_file(out, source):
                raise UsageError(f"{option} {out} is the input; choose another name{hint}")
            if _lies_in(out, source):
                raise UsageError(
                    f"{option} {out} would lie among the files of the input {source}, and be read "
                    "as one of them next time; choose another place"
                )
            if _lies_in(source, out):
                raise UsageError(
                    f"{option} {out} is a folder with the input {source} in it; choose another name"
                )
        for other, path in done:
            if same_file(out, path):
                raise UsageError(f"{other} and {option} are both {out}; choose two names")
            if _lies_in(out, path) or _lies_in(path, out):
                raise UsageError(
                    f"one of {other} {path} and {option} {out} lies in the other; choose two places"
                )
        done.append((option, out))


def same_file(one: Path, other: Path) -> bool:
    """Return whether two paths lead to the same file or folder, or would if they existed."""
    with suppress(OSError):
        return one.samefile(other)
    return os.path.realpath(one) == os.path.realpath(other)


def _lies_in(path: Path, folder: Path) -> bool:
    """Return whether a path lies in a folder that exists, at any depth."""
    if not folder.is_dir():
        return False
    return any(same_file(parent, folder) for parent in Path(os.path.realpath(path)).parents)
