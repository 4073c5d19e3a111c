"""A run on disk, frame by frame: what was finished stays, whatever happens next.

Each frame is one file, written under another name and renamed, with the mask of each object by
itself: an object can be computed again without the others, and the labels are composed by the
overlap rule when they are asked for. A process that is killed loses the frame that it was
writing.
"""

from __future__ import annotations

import json
import struct
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from napari_sam2track.engine.results import ObjectResult, State
from napari_sam2track.errors import FormatError, OutputError
from napari_sam2track.masks import Patch, compose
from napari_sam2track.session_file import SessionFile, read_session, write_session

#: What is known of an object on a frame: id, state (index into STATES), score, predicted IoU; the
#: key of what it follows from (`engine.plan.Segment`); the box of its mask; and how good its claim
#: on it is (`engine.neighbours.Claim`).
ROW = np.dtype(
    [
        *(("id", np.uint32), ("state", np.uint8), ("score", np.float32), ("iou", np.float32)),
        *(("key", np.uint64), ("y0", np.int32), ("x0", np.int32)),
        *(("height", np.int32), ("width", np.int32)),
        *(("right", np.float32), ("firm", np.bool_)),
    ]
)
STATES = tuple(State)
#: Head of a file: numbers of rows and logits, whether these are float32, number of touched ids.
#: numpy's own files take several times as long to write and to read.
HEAD, MAGIC, VERSION = struct.Struct("<8sIQQ?Q"), b"s2tframe", 1


@dataclass(frozen=True, eq=False)
class StoredFrame:
    """One finished frame.

    Attributes
    ----------
    height, width
        Of the frame, in pixels.
    rows
        (N,) of `ROW`, by id.
    logits
        (K,) float16 or float32, the boxes of all masks in the order of the rows. Those of pixels
        that an object remembers as a neighbour's (`ObjectResult.ceded`) are negative.
    """

    height: int
    width: int
    rows: NDArray[np.void]
    logits: NDArray[np.floating[Any]]

    @cached_property
    def _ends(self) -> list[int]:
        sizes = self.rows["height"].astype(np.int64) * self.rows["width"]
        return [0, *np.cumsum(sizes).tolist()]

    def _part(self, k: int) -> NDArray[np.floating[Any]]:
        return self.logits[self._ends[k] : self._ends[k + 1]]

    def patch(self, k: int) -> Patch:
        """The mask of the object in row ``k``."""
        row = self.rows[k]
        logits = np.abs(self._part(k)).reshape(int(row["height"]), int(row["width"]))
        return Patch(logits, int(row["y0"]), int(row["x0"]))

    def results(self) -> Iterator[tuple[int, ObjectResult]]:
        """(key, what was stored) by id."""
        for k, row in enumerate(self.rows):
            patch, ceded = self.patch(k), self._part(k) < 0
            yield (
                int(row["key"]),
                ObjectResult(
                    int(row["id"]),
                    STATES[int(row["state"])],
                    float(row["score"]),
                    float(row["iou"]),
                    patch,
                    float(row["right"]),
                    bool(row["firm"]),
                    ceded.reshape(patch.logits_yx.shape) if ceded.any() else None,
                ),
            )

    def patches(self) -> Iterator[tuple[int, Patch]]:
        """(object id, mask) by id."""
        for k, object_id in enumerate(self.rows["id"].tolist()):
            yield object_id, self.patch(k)

    def patch_of(self, object_id: int) -> Patch | None:
        """The mask of an object; None if it is not known on this frame."""
        (found,) = np.nonzero(self.rows["id"] == object_id)
        return self.patch(int(found[0])) if len(found) else None

    @property
    def labels_yx(self) -> NDArray[np.uint32]:
        """(Y, X) uint32 labels by the overlap rule, composed anew on each use."""
        return compose(self.patches(), self.height, self.width)[0]

    def only(self, keep: NDArray[np.bool_]) -> StoredFrame:
        """Some of the rows."""
        parts = [self._part(k) for k in np.flatnonzero(keep).tolist()]
        logits = np.concatenate(parts) if parts else self.logits[:0]
        return StoredFrame(self.height, self.width, self.rows[keep], logits)

    def replaced(self, other: StoredFrame, without: Iterable[int] = ()) -> StoredFrame:
        """With the objects of another frame in place of what was known of them.

        Parameters
        ----------
        without
            More objects that are gone.
        """
        gone = {*other.rows["id"].tolist(), *without}
        kept = [k for k, i in enumerate(self.rows["id"].tolist()) if i not in gone]
        rows = np.concatenate([self.rows[kept], other.rows])
        parts = [self._part(k) for k in kept] + [other._part(k) for k in range(len(other.rows))]
        order = np.argsort(rows["id"], kind="stable")
        dtype = other.logits.dtype if len(other.rows) else self.logits.dtype
        logits = np.concatenate([parts[k] for k in order]) if parts else np.zeros(0)
        return StoredFrame(self.height, self.width, rows[order], logits.astype(dtype, copy=False))


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
        self._dtype = np.float32 if precise else np.float16
        self._keys: dict[int, dict[int, int]] | None = None
        self._journal: Path | None = None
        (folder / "frames").mkdir(parents=True, exist_ok=True)

    def begin(self, session: SessionFile) -> None:
        """Note what this run is; on going on, refuse another one.

        Other prompts are welcome: what they make stale is computed again.

        Raises
        ------
        FormatError
            If the folder holds a run with other settings.
        """
        note = self.folder / "session.json"
        if note.exists():
            differ = read_session(note).same_run(session)
            if differ:
                raise FormatError(
                    f"the run in {self.folder.parent} cannot be resumed with other settings: "
                    f"{', '.join(differ)} differ; give the same ones, or start anew with "
                    "--overwrite"
                )
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
        rows = np.zeros(len(objects), ROW)
        parts = []
        for k, o in enumerate(objects):
            size = o.patch.logits_yx.shape
            place = (o.patch.y0, o.patch.x0, *size)
            known = (o.object_id, STATES.index(o.state), o.score, o.iou, keys[o.object_id])
            rows[k] = (*known, *place, o.right, o.firm)
            patch = o.patch.half() if self._dtype is np.float16 else o.patch
            logits = patch.logits_yx.astype(self._dtype)
            if o.ceded is not None:
                logits = np.where(o.ceded, np.negative(logits), logits)
            parts.append(logits.ravel())
        logits = np.concatenate(parts) if parts else np.zeros(0)
        self._exchange(t, self._frame(rows, logits.astype(self._dtype)))

    def remove(self, t: int, objects: Iterable[int]) -> None:
        """Forget objects on a frame."""
        self._exchange(t, self._frame(np.zeros(0, ROW), np.zeros(0, self._dtype)), objects)

    def _frame(self, rows: NDArray[np.void], logits: NDArray[Any]) -> StoredFrame:
        return StoredFrame(self.shape[1], self.shape[2], rows, logits)

    def _exchange(self, t: int, new: StoredFrame, without: Iterable[int] = ()) -> None:
        old = self.read(t)
        known = self._frame(np.zeros(0, ROW), np.zeros(0, self._dtype)) if old is None else old
        without = set(without) & set(known.rows["id"].tolist())
        if not len(new.rows) and not without:
            return
        touched = without | set(new.rows["id"].tolist())
        if self._journal is not None:
            self._note_old(self._journal, t, known, touched)
        frame = known.replaced(new, without)
        path = self._frame_path(t)
        if len(frame.rows):
            self._save(path, frame, None)
        else:
            path.unlink(missing_ok=True)
        if self._keys is not None:
            self._keys[t] = _keys_of(frame.rows)

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
                self._keys[u] = _keys_of(frame.rows)
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

    def close_journal(self) -> None:
        """The run is finished. One that changed nothing leaves no journal."""
        if self._journal is not None:
            if any(self._journal.glob("*.frame")):
                (self._journal / "closed").touch()
            else:
                self._journal.rmdir()
        self._journal = None

    def undo(self) -> list[int]:
        """Put back what the last run replaced, which can be undone in turn.

        Returns
        -------
        list of int
            The frames that changed; empty if there is no run to undo.
        """
        known = self._journals()
        if not known:
            return []
        self._journal = None
        folder = known[-1]
        paths = sorted(folder.glob("*.frame"))
        redo = folder.with_name(folder.name + ".redo")
        for path in paths:
            t = int(path.stem)
            old, touched = self._load(path)
            now = self.read(t) or self._frame(np.zeros(0, ROW), np.zeros(0, self._dtype))
            redo.mkdir(exist_ok=True)
            self._note_old(redo, t, now, touched)
            self._exchange(t, old, touched - set(old.rows["id"].tolist()))
        for path in paths:
            path.unlink()
        (folder / "closed").unlink(missing_ok=True)
        folder.rmdir()
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
        state: dict[str, Any] = torch.load(path, map_location="cpu", weights_only=True)
        return state

    def _memory_path(self, object_id: int, key: int, step: int, t: int) -> Path:
        name = f"{key:016x}{_sign(step)}-{t:06d}.pt"
        return self.folder / "memories" / str(object_id) / name

    def save_note(self, note: Mapping[str, Any]) -> None:
        """Keep what was decided in the run, as JSON."""
        self._write(self.folder / "note.json", json.dumps(note).encode())

    def load_note(self) -> dict[str, Any] | None:
        """What `save_note` kept last, or None."""
        path = self.folder / "note.json"
        if not path.exists():
            return None
        note: dict[str, Any] = json.loads(path.read_text("utf-8"))
        return note

    # -- files ---------------------------------------------------------------------------------

    def _frame_path(self, t: int) -> Path:
        return self.folder / "frames" / f"{t:06d}.frame"

    def _save(self, path: Path, frame: StoredFrame, touched: set[int] | None) -> None:
        ids = np.array(sorted(touched or ()), np.uint32)
        wide = frame.logits.dtype == np.float32
        head = HEAD.pack(MAGIC, VERSION, len(frame.rows), len(frame.logits), wide, len(ids))
        part = path.with_suffix(".part")
        try:
            part.write_bytes(
                b"".join([head, frame.rows.tobytes(), frame.logits.tobytes(), ids.tobytes()])
            )
            part.replace(path)
        except OSError as error:
            part.unlink(missing_ok=True)
            raise _full(self.folder, error) from error

    def _load(self, path: Path) -> tuple[StoredFrame, set[int]]:
        try:
            content = path.read_bytes()
            magic, version, n_rows, n_logits, wide, n_ids = HEAD.unpack_from(content)
            if (magic, version) != (MAGIC, VERSION):
                raise ValueError(f"it is of version {version}")
            dtype = np.dtype(np.float32 if wide else np.float16)
            at = HEAD.size
            rows = np.frombuffer(content, ROW, n_rows, at)
            at += rows.nbytes
            logits = np.frombuffer(content, dtype, n_logits, at)
            at += logits.nbytes
            touched = np.frombuffer(content, np.uint32, n_ids, at)
            return self._frame(rows, logits), set(touched.tolist())
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


def _keys_of(rows: NDArray[np.void]) -> dict[int, int]:
    return dict(zip(rows["id"].tolist(), rows["key"].tolist(), strict=True))


def _sign(step: int) -> str:
    return "f" if step > 0 else "b"


def _full(folder: Path, error: Exception) -> OutputError:
    return OutputError(
        f"cannot write to {folder} ({error}); what was finished is kept, so make room and go on "
        "with --resume"
    )
