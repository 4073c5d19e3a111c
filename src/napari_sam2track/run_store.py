"""A run on disk, frame by frame: what was finished stays, whatever happens next.

Each frame is one file, written under another name and renamed, with the mask of each object by
itself: an object can be computed again without the others, and the labels are composed by the
overlap rule when they are asked for. A process that is killed loses the frame that it was
writing.
"""

from __future__ import annotations

import json
import pickle
import shutil
import struct
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from napari_sam2track.engine.results import ObjectResult
from napari_sam2track.errors import FormatError, OutputError
from napari_sam2track.session_file import SessionFile, read_session, write_session
from napari_sam2track.stored_frame import StoredFrame

#: What a run is, what it was before it was last changed, and what it decided by itself.
SESSION, BEFORE, NOTE = "session.json", "session.before.json", "note.json"


class RunStore:
    """The frames, the memories and the notes of one run, in a folder.

    Parameters
    ----------
    folder
        Made if it is missing.
    shape
        (n_frames, height, width) of the movie.
    precise
        Keep logits as float32, as ``exact`` needs it; else as float16.
    """

    def __init__(self, folder: Path, shape: tuple[int, int, int], precise: bool = False) -> None:
        self.folder, self.shape = folder, shape
        self._precise = precise
        self._keys: dict[int, dict[int, int]] | None = None
        self._journal: Path | None = None
        self._removed: set[int] = set()
        self._noted: int | None = None
        (folder / "frames").mkdir(parents=True, exist_ok=True)

    def begin(self, session: SessionFile, keep: bool = True) -> None:
        """Note what this run is; on going on, refuse another one.

        Other prompts are welcome: what they make stale is computed again.

        Parameters
        ----------
        session
            What is to be run.
        keep
            Note it; else only compare it.

        Raises
        ------
        FormatError
            If the folder holds a run with other settings.
        """
        note = self.folder / SESSION
        if note.exists():
            differ = read_session(note).same_run(session)
            if differ:
                raise FormatError(
                    f"the run in {self.folder.parent} cannot be resumed with other settings: "
                    f"{', '.join(differ)} differ; give the same ones, or start anew with "
                    "--overwrite"
                )
        if keep:
            if note.exists():
                self._write(self.folder / BEFORE, note.read_bytes())
            self._write(note, write_session(session).encode())

    # -- frames --------------------------------------------------------------------------------

    def put(self, t: int, objects: Sequence[ObjectResult], keys: Mapping[int, int]) -> None:
        """Store objects on a frame, in place of what was known of them there.

        Parameters
        ----------
        t
            The frame.
        objects
            What was found.
        keys
            Object id to the key of what it follows from.
        """
        new = StoredFrame.of(*self.shape[1:], objects, keys, self._precise)
        self._exchange(t, new)

    def remove(self, t: int, objects: Iterable[int]) -> None:
        """Forget objects on a frame."""
        self._exchange(t, self._nothing, objects)
        self._removed.add(t)

    @property
    def _nothing(self) -> StoredFrame:
        return StoredFrame.of(*self.shape[1:], precise=self._precise)

    def _exchange(self, t: int, new: StoredFrame, without: Iterable[int] = ()) -> None:
        old = self.read(t)
        known = self._nothing if old is None else old
        without = set(without) & set(known.rows["id"].tolist())
        if not len(new.rows) and not without:
            return
        touched = without | set(new.rows["id"].tolist())
        if self._journal is not None:
            self._note_old(self._journal, t, known, touched)
        frame = known.replaced(new, without)
        path = self._frame_path(t)
        if len(frame.rows):
            self._save(path, frame)
        else:
            path.unlink(missing_ok=True)
        if self._keys is not None:
            self._keys[t] = frame.keys

    def take_removed(self) -> list[int]:
        """The frames on which objects were forgotten since this was called last."""
        removed, self._removed = self._removed, set()
        return sorted(removed)

    def read(self, t: int) -> StoredFrame | None:
        """A frame, or None if nothing of it was finished."""
        path = self._frame_path(t)
        return self._load(path)[0] if path.exists() else None

    def labels(self) -> Iterator[NDArray[np.uint32]]:
        """The labels of all frames in turn; unfinished frames are empty."""
        for t in range(self.shape[0]):
            frame = self.read(t)
            yield np.zeros(self.shape[1:], np.uint32) if frame is None else frame.labels_yx

    def finished(self) -> list[int]:
        """The frames that are there, in order."""
        return sorted(int(p.stem) for p in (self.folder / "frames").glob("*.frame"))

    def key(self, object_id: int, t: int) -> int | None:
        """The key of what an object on a frame follows from; None if it is not known there."""
        if self._keys is None:
            self._keys = {}
            for u in self.finished():
                frame = self.read(u)
                assert frame is not None  # it was listed
                self._keys[u] = frame.keys
        return self._keys.get(t, {}).get(object_id)

    def objects(self) -> set[int]:
        """All objects of which something is stored."""
        self.key(0, 0)  # reads them
        assert self._keys is not None
        return {i for keys in self._keys.values() for i in keys}

    # -- undo ----------------------------------------------------------------------------------

    def open_journal(self) -> None:
        """From now on keep what is replaced, as one run that can be undone.

        A journal that a stopped run left open is gone on with.
        """
        folder = self.folder / "journals"
        folder.mkdir(exist_ok=True)
        known = self._journals()
        if known and not (known[-1] / "closed").exists():
            self._journal = known[-1]
            return
        number = int(known[-1].name) + 1 if known else 0
        self._journal = folder / f"{number:04d}"
        self._journal.mkdir()
        # what was said and decided goes back together with the masks
        for name, origin in ((SESSION, BEFORE), (NOTE, NOTE)):
            if (self.folder / origin).exists():
                shutil.copyfile(self.folder / origin, self._journal / name)

    def close_journal(self) -> None:
        """The run is finished. One that changed nothing leaves no journal."""
        if self._journal is not None:
            if any(self._journal.glob("*.frame")):
                (self._journal / "closed").touch()
                self._noted = int(self._journal.name)
            else:
                shutil.rmtree(self._journal)  # a kill may have left a part of a file
        self._journal = None

    def take_journal(self) -> int | None:
        """Number of the run that was noted last, for `undo`; None if nothing was since."""
        number, self._noted = self._noted, None
        return number

    def undo(self, number: int | None = None) -> list[int]:
        """Put back what the last run replaced, which can be undone in turn.

        So are the session and the decisions that were noted when it began.

        Parameters
        ----------
        number
            Another run, see `take_journal`: whoever undoes several goes back in their order.

        Returns
        -------
        list of int
            The frames that changed; empty if there is no run to undo.
        """
        known = [p for p in self._journals() if number is None or int(p.name) == number]
        if not known:
            return []
        self._journal = None
        folder = known[-1]
        paths = sorted(folder.glob("*.frame"))
        redo = folder.with_name(folder.name + ".redo")
        for path in paths:
            t = int(path.stem)
            old, touched = self._load(path)
            now = self.read(t) or self._nothing
            redo.mkdir(exist_ok=True)
            self._note_old(redo, t, now, touched)
            self._exchange(t, old, touched - set(old.rows["id"].tolist()))
        for name in (SESSION, NOTE) if paths else ():
            if (folder / name).exists():
                shutil.copyfile(self.folder / name, redo / name)
                (folder / name).replace(self.folder / name)
        shutil.rmtree(folder)  # a kill may have left a part of a file
        if paths:
            redo.rename(folder)
            (folder / "closed").touch()
        return [int(path.stem) for path in paths]

    def _journals(self) -> list[Path]:
        return sorted(p for p in (self.folder / "journals").glob("*") if p.name.isdigit())

    def _note_old(self, journal: Path, t: int, known: StoredFrame, touched: set[int]) -> None:
        """Keep what is replaced for the first time in this run."""
        path = journal / f"{t:06d}.frame"
        before, ids = self._load(path) if path.exists() else (None, set())
        fresh = touched - ids
        if not fresh:
            return
        old = known.only(np.isin(known.rows["id"], np.array(sorted(fresh), np.uint32)))
        self._save(path, old if before is None else before.replaced(old), ids | fresh)

    # -- memories and notes --------------------------------------------------------------------

    def save_memory(self, object_id: int, key: int, step: int, t: int, state: Any) -> None:
        """Keep what is remembered of an object after frame ``t`` of a pass."""
        import torch

        path = self._memory_path(object_id, key, step, t)
        path.parent.mkdir(parents=True, exist_ok=True)
        part = path.with_suffix(".part")
        try:
            torch.save(state, part)
            part.replace(path)
        except (OSError, RuntimeError) as error:  # torch reports a full disk as RuntimeError
            part.unlink(missing_ok=True)
            raise _full(self.folder, error) from error

    def memories(self, object_id: int, key: int, step: int) -> list[int]:
        """The frames of which there are memories."""
        folder = self._memory_path(object_id, key, step, 0).parent
        return sorted(
            int(p.stem.split("-")[1]) for p in folder.glob(f"{key:016x}{_sign(step)}-*.pt")
        )

    def load_memory(self, object_id: int, key: int, step: int, t: int) -> dict[str, Any]:
        """What `save_memory` kept."""
        import torch

        path = self._memory_path(object_id, key, step, t)
        try:
            state: dict[str, Any] = torch.load(path, map_location="cpu", weights_only=True)
        except (OSError, RuntimeError, EOFError, ValueError, pickle.UnpicklingError) as error:
            raise FormatError(
                f"the memory {path} is damaged; remove it to have more computed again with "
                "--resume, or start the run anew with --overwrite"
            ) from error
        return state

    def _memory_path(self, object_id: int, key: int, step: int, t: int) -> Path:
        name = f"{key:016x}{_sign(step)}-{t:06d}.pt"
        return self.folder / "memories" / str(object_id) / name

    def save_note(self, note: Mapping[str, Any]) -> None:
        """Keep what was decided in the run, as JSON."""
        self._write(self.folder / NOTE, json.dumps(note).encode())

    def load_note(self) -> dict[str, Any] | None:
        """What `save_note` kept last, or None."""
        path = self.folder / NOTE
        if not path.exists():
            return None
        note: dict[str, Any] = json.loads(path.read_text("utf-8"))
        return note

    # -- files ---------------------------------------------------------------------------------

    def _frame_path(self, t: int) -> Path:
        return self.folder / "frames" / f"{t:06d}.frame"

    def _save(self, path: Path, frame: StoredFrame, touched: Collection[int] = ()) -> None:
        self._write(path, frame.to_bytes(touched))

    def _load(self, path: Path) -> tuple[StoredFrame, set[int]]:
        try:
            return StoredFrame.from_bytes(path.read_bytes(), *self.shape[1:])
        except (OSError, ValueError, struct.error) as error:
            raise FormatError(
                f"the finished frame {path} is damaged; remove it to have it computed again with "
                "--resume, or start the run anew with --overwrite"
            ) from error

    def _write(self, path: Path, content: bytes) -> None:
        part = path.with_suffix(".part")
        try:
            part.write_bytes(content)
            part.replace(path)
        except OSError as error:
            part.unlink(missing_ok=True)
            raise _full(self.folder, error) from error


def _sign(step: int) -> str:
    return "f" if step > 0 else "b"


def _full(folder: Path, error: Exception) -> OutputError:
    return OutputError(
        f"cannot write to {folder} ({error}); what was finished is kept, so make room and go on "
        "with --resume"
    )
