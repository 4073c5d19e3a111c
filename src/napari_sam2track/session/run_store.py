"""A run on disk, frame by frame: finished frames stay, whatever happens next.

Each frame is one file, written under another name and renamed, with the mask of each object by
itself: an object can be computed again without the others, and the labels are composed by the
overlap rule when they are read. A process that is killed loses the frame that it was
writing.

Frames, memories and decisions carry a checksum. A damaged one counts as missing, so that it is
computed again; one that cannot be read at all may be intact, and is an error.
"""

from __future__ import annotations

import json
import struct
from collections import Counter
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from napari_sam2track.engine.results import ObjectResult
from napari_sam2track.errors import FormatError, OutputError
from napari_sam2track.session.decisions import Decisions
from napari_sam2track.session.run_journals import RunJournals
from napari_sam2track.session.run_memories import RunMemories
from napari_sam2track.session.session_file import SessionFile, read_session, write_session
from napari_sam2track.session.stored_frame import StoredFrame, StoredLabels
from napari_sam2track.storage.durable import write_whole
from napari_sam2track.storage.output import disk_advice, refuse_links
from napari_sam2track.storage.seals import BrokenSealError, checksum, sealed, unsealed

#: Session of the run, its decisions, and its decisions one step before.
SESSION, NOTE, NOTE_BEFORE = "session.json", "note.json", "note.before.json"


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
        self._journals = RunJournals(folder / "journals")
        self._journal: Path | None = None
        self._removed, self._damaged_frames = set[int](), set[int]()
        self._noted: int | None = None
        self._memories = RunMemories(folder / "memories")
        self._revisions: Counter[int] = Counter()
        self._damage: Counter[str] = Counter()
        refuse_links(folder, *(folder / name for name in ("frames", "memories", "journals")))
        (folder / "frames").mkdir(parents=True, exist_ok=True)
        self._recover()

    def _recover(self) -> None:
        """Finish or clear up what a process that was killed had begun."""
        for part in self.folder.rglob("*.part"):
            part.unlink(missing_ok=True)
        self._journals.tidy()
        journal = self._journals.begun_undo()
        if journal is not None:
            self._carry_out_undo(journal)
        #: An undo that was finished for a process which did not live to show its results.
        self._finished_undo = self._journals.unsettled()

    def begin(self, session: SessionFile, keep: bool = True) -> None:
        """Note the session of this run; when resuming, refuse a different one.

        Other prompts are allowed: what they make stale is computed again. The change of the
        session is a part of the run, and undone with it.

        Parameters
        ----------
        session
            The session of the run.
        keep
            Store it; else only compare it.

        Raises
        ------
        FormatError
            If the folder holds a run with other settings.
        """
        path = self.folder / SESSION
        known = read_session(path) if path.exists() else None
        if known is not None:
            differ = known.same_run(session)
            if differ:
                raise FormatError(
                    f"the run in {self.folder.parent} cannot be resumed with other settings: "
                    f"{', '.join(differ)} differ; give the same ones, or start anew with "
                    "--overwrite"
                )
        if not keep:
            return
        if known is not None and known.asks_other(session):
            self._journals.prune()  # from the command line only the last run can be undone
            self.open_journal()
        self._write(path, write_session(session).encode())

    # -- frames --------------------------------------------------------------------------------

    def put(self, t: int, objects: Sequence[ObjectResult], keys: Mapping[int, int]) -> StoredFrame:
        """Store objects on a frame, in place of their earlier results there.

        Parameters
        ----------
        t
            The frame.
        objects
            The results.
        keys
            Object id to the key of its segment.

        Returns
        -------
        StoredFrame
            All that is stored of the frame now.
        """
        new = StoredFrame.of(*self.shape[1:], objects, keys, self._precise)
        return self._exchange(t, new)

    def remove(self, t: int, objects: Iterable[int]) -> None:
        """Forget objects on a frame."""
        self._exchange(t, self._nothing, objects)
        self._removed.add(t)

    @property
    def _nothing(self) -> StoredFrame:
        return StoredFrame.of(*self.shape[1:], precise=self._precise)

    def _exchange(self, t: int, new: StoredFrame, without: Iterable[int] = ()) -> StoredFrame:
        old = self.read(t)
        known = self._nothing if old is None else old
        without = set(without) & set(known.rows["id"].tolist())
        if not len(new.rows) and not without:
            return known
        touched = without | set(new.rows["id"].tolist())
        # frames that are computed again because they were damaged are no change to be undone
        if self._journal is not None and t not in self._damaged_frames:
            self._note_old(self._journal, t, known, touched)
        self._put_frame(t, frame := known.replaced(new, without))
        return frame

    def _put_frame(self, t: int, frame: StoredFrame) -> None:
        path = self._frame_path(t)
        if len(frame.rows):
            self._save(path, frame)
        else:
            path.unlink(missing_ok=True)
        self._damaged_frames.discard(t)
        self._revisions[t] += 1
        if self._keys is not None:
            self._keys[t] = frame.keys

    def revision(self, t: int) -> int:
        """Return how often a frame was written: what was read of it before may be old."""
        return self._revisions[t]

    def take_removed(self) -> list[int]:
        """Return the frames on which objects were removed since the last call."""
        removed, self._removed = self._removed, set()
        return sorted(removed)

    def read(self, t: int) -> StoredFrame | None:
        """Return a frame; None if nothing of it was finished, or it is damaged.

        Raises
        ------
        FormatError
            If it is there and the system cannot read it.
        """
        path = self._frame_path(t)
        if not path.exists():
            return None
        try:
            return self._load(path)[0]
        except BrokenSealError:
            if t not in self._damaged_frames:
                self._damaged_frames.add(t)
                self._damage["frame"] += 1
            return None

    @property
    def n_frames(self) -> int:
        """Number of frames of the movie."""
        return self.shape[0]

    def labels(self) -> StoredLabels:
        """Return the labels of all frames; unfinished frames are empty."""
        return StoredLabels(self.read, self.shape)

    def finished(self) -> list[int]:
        """Return the finished frames, in order, without those that are known to be damaged."""
        found = {int(path.stem) for path in _frames(self.folder / "frames")}
        return sorted(found - self._damaged_frames)

    def key(self, object_id: int, t: int) -> int | None:
        """Return the key of the segment that an object's frame is of; None if nothing is stored."""
        return self._known_keys().get(t, {}).get(object_id)

    def _known_keys(self) -> dict[int, dict[int, int]]:
        """Frame to object to key; all frames are read on first use."""
        if self._keys is None:
            frames = ((u, self.read(u)) for u in self.finished())
            self._keys = {u: frame.keys for u, frame in frames if frame is not None}
        return self._keys

    def damage(self) -> str | None:
        """Description of the damage found so far, which is computed again; None if there is none.

        Frames are checked when the first key is needed, memories when they are needed.
        """
        counts = self._damage + Counter(memory=self._memories.n_damaged)
        found = [_several(n, what) for what, n in sorted(counts.items())]
        if not found:
            return None
        listed = " and ".join([", ".join(found[:-1]), found[-1]] if found[1:] else found)
        return f"{listed} of the run in {self.folder.parent} damaged: computed again"

    def objects(self) -> set[int]:
        """Return all objects that have something stored."""
        return {i for keys in self._known_keys().values() for i in keys}

    def objects_at(self, t: int) -> set[int]:
        """Return the objects that have something stored on a frame."""
        return set(self._known_keys().get(t, {}))

    # -- undo ----------------------------------------------------------------------------------

    def open_journal(self) -> None:
        """From now on keep replaced frames, as one run that can be undone.

        A journal that a stopped run left open is continued.
        """
        self._journal = self._journals.open(self.folder / name for name in (SESSION, NOTE))

    def close_journal(self) -> None:
        """Finish the run. One that changed nothing leaves no journal."""
        journal, self._journal = self._journal, None
        if journal is None:
            return
        if any(journal.glob("*.frame")) or self._session_changed_since(journal):
            self._journals.close(journal)
            self._noted = int(journal.name)
        else:
            self._journals.drop(journal)

    def _session_changed_since(self, journal: Path) -> bool:
        was = journal / SESSION
        try:
            return was.exists() and read_session(was).asks_other(
                read_session(self.folder / SESSION)
            )
        except FormatError:  # rather one journal too many
            return True

    def take_journal(self) -> int | None:
        """Return the number of the run noted last, for `undo`; None if none is new."""
        number, self._noted = self._noted, None
        return number

    def undo(self, number: int | None = None) -> list[int] | None:
        """Restore what the last run replaced, which can be undone in turn.

        The session and the decisions noted when it began are restored too. A process that is
        killed meanwhile has done nothing, or what it has begun is finished when the store is
        opened next; an undo of the last run that was finished like that is not done twice. Call
        `settle` when results show it.

        Parameters
        ----------
        number
            Another run, see `take_journal`: to undo several, begin with the last.

        Returns
        -------
        list of int or None
            The frames that changed; None if there is no run to undo.

        Raises
        ------
        FormatError
            If the journal is damaged; nothing has changed then.
        """
        self._journal = None
        journal = self._journals.find(number)
        if journal is None:
            return None
        if journal != self._finished_undo:
            self._begin_undo(journal)
            self._carry_out_undo(journal)
        self._finished_undo = None
        return [int(path.stem) for path in _frames(journal)]

    def settle(self) -> None:
        """Note that results show the last undo."""
        self._journals.settle()

    def _begin_undo(self, journal: Path) -> None:
        """Keep all that the undo is going to replace, after checking that it is possible."""
        self.objects()  # reads all frames
        if self._damaged_frames:
            raise FormatError(
                f"{len(self._damaged_frames)} frames of the run in {self.folder.parent} are "
                "damaged, so that an undo could not be done again; compute them again with "
                "--resume first"
            )
        if (journal / SESSION).exists():
            read_session(journal / SESSION)
        if (journal / NOTE).exists() and self._decisions_in(journal / NOTE) is None:
            raise FormatError(
                f"{journal / NOTE} is damaged, so that the run cannot be undone; correct what it "
                "did with --resume, or start anew with --overwrite"
            )
        redo = self._journals.new_redo(journal, (self.folder / name for name in (SESSION, NOTE)))
        for t, _, touched in self._frames_in(journal):
            now = self.read(t) or self._nothing
            known = now.only(np.isin(now.rows["id"], np.array(sorted(touched), np.uint32)))
            self._save(redo / f"{t:06d}.frame", known, touched)
        self._journals.commit_undo(journal, redo)

    def _carry_out_undo(self, journal: Path) -> None:
        """Replace frames, session and decisions by those of the journal; can be repeated safely."""
        for t, old, touched in self._frames_in(journal):
            known = self.read(t) or self._nothing
            self._put_frame(t, known.replaced(old, touched))
        for name in (SESSION, NOTE):
            if (journal / name).exists():
                self._write(self.folder / name, (journal / name).read_bytes())
        self._journals.swap(journal)

    def _frames_in(self, journal: Path) -> Iterator[tuple[int, StoredFrame, set[int]]]:
        """Yield (frame, its earlier objects, ids that were touched) of a journal."""
        for path in _frames(journal):
            try:
                yield int(path.stem), *self._load(path)
            except BrokenSealError as error:
                raise FormatError(
                    f"{path}, which holds what the run replaced, is damaged, so that the run "
                    "cannot be undone; correct what it did with --resume, or start anew with "
                    "--overwrite"
                ) from error

    def _note_old(self, journal: Path, t: int, known: StoredFrame, touched: set[int]) -> None:
        """Keep frames that are replaced for the first time in this run."""
        path = journal / f"{t:06d}.frame"
        try:
            before, ids = self._load(path) if path.exists() else (None, set())
        except BrokenSealError:
            return  # undoing the run will be refused: the earlier content is lost
        fresh = touched - ids
        if not fresh:
            return
        old = known.only(np.isin(known.rows["id"], np.array(sorted(fresh), np.uint32)))
        self._save(path, old if before is None else before.replaced(old), ids | fresh)

    # -- memories and notes --------------------------------------------------------------------

    def save_memories(
        self, t: int, step: int, states: Iterable[tuple[tuple[int, int], Any]]
    ) -> None:
        """Save the memories of objects after a frame of a pass; see `RunMemories.save`."""
        try:
            self._memories.save(t, step, states)
        except OSError as error:
            raise self._cannot_write(error) from error

    def memories(self, object_id: int, key: int, step: int) -> list[int]:
        """Return the frames that have memories."""
        try:
            return self._memories.frames(object_id, key, step)
        except OSError as error:
            raise _cannot_read(self._memories.folder, error) from error

    def load_memory(self, object_id: int, key: int, step: int, t: int) -> dict[str, Any]:
        """Return a memory of an object, as `save_memories` stored it.

        Raises
        ------
        DamagedMemoryError
            If it is damaged: resume from another one.
        FormatError
            If the system cannot read it.
        """
        try:
            return self._memories.load(object_id, key, step, t)
        except OSError as error:
            raise _cannot_read(self._memories.folder, error) from error

    def save_note(self, note: Mapping[str, Any]) -> None:
        """Store the decisions of the run, as JSON."""
        path = self.folder / NOTE
        if self._decisions_in(path) is not None:
            self._write(self.folder / NOTE_BEFORE, path.read_bytes())
        text = json.dumps(note)
        self._write(
            path,
            json.dumps({"decisions": note, "checksum": checksum(text.encode()).hex()}).encode(),
        )

    def load_note(self) -> dict[str, Any] | None:
        """Return the note stored last; the one before it where that is damaged; or None."""
        path = self.folder / NOTE
        if not path.exists():
            return None
        note = self._decisions_in(path)
        if note is not None:
            return note
        self._damage["note of decisions"] = 1
        return self._decisions_in(self.folder / NOTE_BEFORE)

    def _decisions_in(self, path: Path) -> dict[str, Any] | None:
        """Return the decisions in a file; None if it is missing or damaged."""
        if not path.exists():
            return None
        stored = self._read(path)
        try:
            content = json.loads(stored)
            note: dict[str, Any] = content["decisions"]
            if content["checksum"] != checksum(json.dumps(note).encode()).hex():
                return None
            Decisions.from_dict(note)
        except (ValueError, LookupError, TypeError, RecursionError, FormatError):
            return None
        return note

    # -- files ---------------------------------------------------------------------------------

    def _frame_path(self, t: int) -> Path:
        return self.folder / "frames" / f"{t:06d}.frame"

    def _save(self, path: Path, frame: StoredFrame, touched: Collection[int] = ()) -> None:
        self._write(path, sealed(frame.to_bytes(touched)))

    def _load(self, path: Path) -> tuple[StoredFrame, set[int]]:
        """Return a stored frame, and the ids of the objects that were touched.

        Raises
        ------
        BrokenSealError
            If it is damaged, or of another version.
        """
        content = unsealed(self._read(path))
        try:
            return StoredFrame.from_bytes(content, *self.shape[1:])
        except (ValueError, struct.error, IndexError, OverflowError) as error:
            raise BrokenSealError(f"it is of another version: {error}") from error

    def _read(self, path: Path) -> bytes:
        try:
            return path.read_bytes()
        except OSError as error:
            raise _cannot_read(path, error) from error

    def _write(self, path: Path, content: bytes) -> None:
        try:
            write_whole(path, content)
        except OSError as error:
            raise self._cannot_write(error) from error

    def _cannot_write(self, error: OSError) -> OutputError:
        return OutputError(
            f"cannot write to {self.folder} ({error.strerror}: {disk_advice(error)}); what was "
            "finished is kept: go on with --resume"
        )


def recover_run(folder: Path) -> None:
    """Finish or clear up what a process that was killed had begun in the folder of a run."""
    # Frames are moved and not read, so their size does not matter.
    RunStore(folder, (0, 0, 0))


def _frames(folder: Path) -> list[Path]:
    """Return the files of frames in a folder, in order; other files are ignored."""
    return sorted(p for p in folder.glob("*.frame") if p.stem.isascii() and p.stem.isdecimal())


def _cannot_read(path: Path, error: OSError) -> FormatError:
    return FormatError(
        f"{error.filename or path} cannot be read ({error.strerror}), though it may be whole; see "
        "to its permissions and its disk, and keep it"
    )


def _several(n: int, what: str) -> str:
    plural = "memories" if what == "memory" else f"{what}s"
    return f"{n} {what if n == 1 else plural}"
