"""Memories of objects after some frames of a run, from which it can resume later.

One file holds the memories of all objects that were followed on a frame in one direction, and a
table of their places in the file, so that one can be read alone. Each has a checksum: a damaged
one counts as missing. A file whose memories are all in later files as well is removed.
"""

from __future__ import annotations

import io
import json
import re
import struct
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from pickle import UnpicklingError
from typing import Any

from napari_sam2track.storage.seals import BrokenSealError, sealed, unsealed

#: At the end of a file: length of the table before it, and what kind of file it is.
_TAIL, _MAGIC = struct.Struct("<I8s"), b"s2tmemo1"
_NAME = re.compile(r"([0-9]{6,9})([fb])-([0-9]{4,9})\.mem")
#: A file of 0.1.0 before its release: one memory each, in a folder for each object.
_OLD_NAME = re.compile(r"([0-9a-f]{16})([fb])-([0-9]{6,9})\.pt")

#: Object, key of its segment, direction (1 or -1).
MemoryKey = tuple[int, int, int]


class DamagedMemoryError(Exception):
    """A memory that is damaged; from now on the store does not list it."""


@dataclass(frozen=True)
class _Place:
    """Place of a memory: a file, and its bytes there; all of them if the length is -1."""

    path: Path
    begin: int
    length: int


Places = dict[MemoryKey, dict[int, _Place]]


class RunMemories:
    """The memories of a run, in a folder.

    Parameters
    ----------
    folder
        Made when the first memory is saved.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.n_damaged = 0
        self._known: Places | None = None
        self._next = 0
        #: Files of which nothing can be read any more; removed at the next save.
        self._useless: set[Path] = set()

    @property
    def _places(self) -> Places:
        if self._known is None:
            known: Places = {}
            for path in sorted(self.folder.glob("*/*.pt")):
                found = _OLD_NAME.fullmatch(path.name)
                if found and path.parent.name.isdecimal():
                    memory = int(path.parent.name), int(found[1], 16), _step(found[2])
                    known.setdefault(memory, {})[int(found[3])] = _Place(path, 0, -1)
            files = [(m, p) for p in self.folder.glob("*.mem") if (m := _NAME.fullmatch(p.name))]
            for found, path in sorted(files, key=lambda each: int(each[0][3])):
                self._next = max(self._next, int(found[3]) + 1)
                rows = _contents(path)
                if rows is None:
                    self._useless.add(path)
                for object_id, key, place in rows or ():
                    memory = object_id, key, _step(found[2])
                    known.setdefault(memory, {})[int(found[1])] = place
            self.n_damaged += len(self._useless)
            self._known = known
        return self._known

    def save(self, t: int, step: int, states: Iterable[tuple[tuple[int, int], Any]]) -> None:
        """Keep what is remembered after a frame of a pass.

        It is not waited for until it is on the disk: if it is lost, more is computed again.

        Parameters
        ----------
        t, step
            The frame, and the direction of the pass: 1 or -1.
        states
            (object, key of what it follows from), and what is remembered: tensors and numbers.
            They are taken one by one.

        Raises
        ------
        OSError
            If it cannot be written.
        """
        import torch

        known = self._places  # first: it finds the number of the next file
        path = self.folder / f"{t:06d}{'f' if step > 0 else 'b'}-{self._next:04d}.mem"
        part = path.with_suffix(".part")
        rows: list[tuple[int, int, int]] = []
        try:
            for (object_id, key), state in states:
                content = io.BytesIO()
                torch.save(state, content)
                blob = sealed(content.getvalue())
                if not rows:
                    self.folder.mkdir(parents=True, exist_ok=True)
                with part.open("ab" if rows else "wb") as file:
                    file.write(blob)
                rows.append((object_id, key, len(blob)))
            if not rows:
                return
            table = sealed(json.dumps(rows).encode())
            with part.open("ab") as file:
                file.write(table + _TAIL.pack(len(table), _MAGIC))
            part.replace(path)
        except OSError:
            part.unlink(missing_ok=True)
            raise
        self._next += 1
        begin = 0
        for object_id, key, length in rows:
            frames = known.setdefault((object_id, key, step), {})
            if t in frames:
                self._useless.add(frames[t].path)
            frames[t] = _Place(path, begin, length)
            begin += length
        if self._useless:
            self._useless -= {place.path for frames in known.values() for place in frames.values()}
        for old in self._useless:
            old.unlink(missing_ok=True)
        self._useless.clear()

    def frames(self, object_id: int, key: int, step: int) -> list[int]:
        """Return the frames that have memories."""
        return sorted(self._places.get((object_id, key, step), {}))

    def load(self, object_id: int, key: int, step: int, t: int) -> dict[str, Any]:
        """Return a memory that was saved.

        Raises
        ------
        DamagedMemoryError
            If it is damaged: resume from another one.
        OSError
            If the system cannot read it.
        """
        import torch

        place = self._places[object_id, key, step][t]
        try:
            with place.path.open("rb") as file:
                file.seek(place.begin)
                content = io.BytesIO(unsealed(file.read(place.length)))
            state: dict[str, Any] = torch.load(content, map_location="cpu", weights_only=True)
        except (BrokenSealError, RuntimeError, ValueError, EOFError, UnpicklingError) as error:
            del self._places[object_id, key, step][t]
            self._useless.add(place.path)
            self.n_damaged += 1
            raise DamagedMemoryError from error
        return state


def _contents(path: Path) -> list[tuple[int, int, _Place]] | None:
    """Return (object, key, place) of all memories in a file; None if its table is damaged."""
    with path.open("rb") as file:
        size = file.seek(0, io.SEEK_END)
        try:
            file.seek(size - _TAIL.size)
            length, magic = _TAIL.unpack(file.read(_TAIL.size))
            file.seek(size - _TAIL.size - length)
            rows = json.loads(unsealed(file.read(length))) if magic == _MAGIC else None
        except (struct.error, ValueError, OSError):
            return None
    if rows is None:
        return None
    found, begin = [], 0
    for object_id, key, n in rows:
        found.append((object_id, key, _Place(path, begin, n)))
        begin += n
    return found


def _step(sign: str) -> int:
    return 1 if sign == "f" else -1
