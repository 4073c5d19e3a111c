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
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from pickle import UnpicklingError
from typing import Any

from napari_sam2track.storage.seals import BrokenSealError, sealed, unsealed

_HEAD, _MAGIC = struct.Struct("<8sI"), b"s2tmemo1"
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
        self._known: dict[MemoryKey, dict[int, _Place]] | None = None
        self._next = 0

    @property
    def _places(self) -> dict[MemoryKey, dict[int, _Place]]:
        if self._known is None:
            self._known = {}
            for path in sorted(self.folder.glob("*/*.pt")):
                found = _OLD_NAME.fullmatch(path.name)
                if found and path.parent.name.isdecimal():
                    memory = int(path.parent.name), int(found[1], 16), _step(found[2])
                    self._enter(memory, int(found[3]), _Place(path, 0, -1))
            files = [(m, p) for p in self.folder.glob("*.mem") if (m := _NAME.fullmatch(p.name))]
            for found, path in sorted(files, key=lambda each: int(each[0][3])):
                self._next = int(found[3]) + 1
                rows = _contents(path)
                self.n_damaged += rows is None
                for object_id, key, place in rows or ():
                    self._enter((object_id, key, _step(found[2])), int(found[1]), place)
        return self._known

    def _enter(self, key: MemoryKey, t: int, place: _Place) -> _Place | None:
        """Note where a memory is; return where it was before."""
        assert self._known is not None
        frames = self._known.setdefault(key, {})
        before = frames.get(t)
        frames[t] = place
        return before

    def save(self, t: int, step: int, states: Mapping[tuple[int, int], Any]) -> None:
        """Save the memories of objects after a frame of a pass.

        This does not wait for the disk: if a memory is lost, more frames are computed again.

        Parameters
        ----------
        t, step
            The frame, and the direction of the pass: 1 or -1.
        states
            (object, key of its segment) to its memory: tensors and numbers.

        Raises
        ------
        OSError
            If it cannot be written.
        """
        import torch

        if not states:
            return
        blobs = []
        for state in states.values():
            content = io.BytesIO()
            torch.save(state, content)
            blobs.append(sealed(content.getvalue()))
        rows = [[i, key, len(b)] for (i, key), b in zip(states, blobs, strict=True)]
        table = sealed(json.dumps(rows).encode())
        known = self._places  # this also finds the number of the next file
        path = self.folder / f"{t:06d}{'f' if step > 0 else 'b'}-{self._next:04d}.mem"
        part = path.with_suffix(".part")
        try:
            self.folder.mkdir(parents=True, exist_ok=True)
            part.write_bytes(b"".join([_HEAD.pack(_MAGIC, len(table)), table, *blobs]))
            part.replace(path)
        except OSError:
            part.unlink(missing_ok=True)
            raise
        self._next += 1
        begin, replaced = _HEAD.size + len(table), set()
        for object_id, key, length in rows:
            before = self._enter((object_id, key, step), t, _Place(path, begin, length))
            replaced |= {before.path} if before is not None else set()
            begin += length
        needed = {place.path for frames in known.values() for place in frames.values()}
        for old in replaced - needed:
            old.unlink(missing_ok=True)

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
            self.n_damaged += 1
            raise DamagedMemoryError from error
        return state


def _contents(path: Path) -> list[tuple[int, int, _Place]] | None:
    """Return (object, key, place) of all memories in a file; None if its table is damaged."""
    with path.open("rb") as file:
        head = file.read(_HEAD.size)
        try:
            magic, length = _HEAD.unpack(head)
            rows = json.loads(unsealed(file.read(length))) if magic == _MAGIC else None
        except (struct.error, ValueError):
            return None
    if rows is None:
        return None
    found, begin = [], _HEAD.size + length
    for object_id, key, size in rows:
        found.append((object_id, key, _Place(path, begin, size)))
        begin += size
    return found


def _step(sign: str) -> int:
    return 1 if sign == "f" else -1
