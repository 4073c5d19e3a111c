"""A run on disk, frame by frame: what was finished stays, whatever happens next.

Each frame is one file, written under another name and renamed; so is the state from which the
run can go on. A process that is killed loses the frame that it was writing.
"""

from __future__ import annotations

import zipfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from napari_sam2track.engine.results import FrameResult, State
from napari_sam2track.errors import FormatError, OutputError
from napari_sam2track.masks import paint
from napari_sam2track.session_file import SessionFile, read_session, write_session

#: What is known of an object on a frame: id, state (index into STATES), score, predicted IoU.
ROW = np.dtype([("id", np.uint32), ("state", np.uint8), ("score", np.float32), ("iou", np.float32)])
STATES = tuple(State)


@dataclass(frozen=True, eq=False)
class StoredFrame:
    """One finished frame.

    Attributes
    ----------
    labels_yx
        (Y, X) uint32.
    logits_yx
        (Y, X) float16: what won each pixel, so that a later pass can be merged by the same rule.
    rows
        (N,) of `ROW`, by id.
    """

    labels_yx: NDArray[np.uint32]
    logits_yx: NDArray[np.float16]
    rows: NDArray[np.void]


class RunStore:
    """The frames and the state of one run, in a folder.

    Parameters
    ----------
    folder
        Made if it is missing.
    shape
        (n_frames, height, width) of the movie.
    """

    def __init__(self, folder: Path, shape: tuple[int, int, int]) -> None:
        self.folder, self.shape = folder, shape
        (folder / "frames").mkdir(parents=True, exist_ok=True)

    def begin(self, session: SessionFile) -> None:
        """Note what this run is; on going on, refuse another one.

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
        else:
            self._write(note, write_session(session).encode())

    def put(self, result: FrameResult) -> None:
        """Store a frame; what an earlier, interrupted try left of it is gone."""
        self._store(result, None)

    def merge(self, result: FrameResult) -> None:
        """Put the objects of a result into their frame, by the overlap rule."""
        self._store(result, self.read(result.frame))

    def _store(self, result: FrameResult, old: StoredFrame | None) -> None:
        labels, best = result.labels_yx, result.logits_yx
        rows = np.array(
            [(o.object_id, STATES.index(o.state), o.score, o.iou) for o in result.objects], ROW
        )
        if old is not None:
            kept = old.rows[~np.isin(old.rows["id"], rows["id"])]
            labels, best = old.labels_yx.copy(), old.logits_yx.astype(np.float32)
            gone = np.isin(labels, rows["id"])
            labels[gone], best[gone] = 0, 0
            # compared as float16, as they are stored: the result must not depend on the order
            new = result.logits_yx.astype(np.float16).astype(np.float32)
            for object_id in rows["id"]:
                patch = np.where(result.labels_yx == object_id, new, np.float32(0))
                paint(labels, best, int(object_id), patch, 0, 0)
            rows = np.concatenate([kept, rows])
        with np.errstate(over="ignore"):
            stored = best.astype(np.float16)
        path = self._frame_path(result.frame)
        part = path.with_suffix(".part")
        try:
            with part.open("wb") as file:
                np.savez_compressed(file, labels=labels, logits=stored, rows=np.sort(rows))
            part.replace(path)
        except OSError as error:
            part.unlink(missing_ok=True)
            raise _full(self.folder, error) from error

    def read(self, t: int) -> StoredFrame | None:
        """A frame, or None if it was not finished."""
        path = self._frame_path(t)
        if not path.exists():
            return None
        try:
            with path.open("rb") as opened, np.load(opened) as file:
                return StoredFrame(file["labels"], file["logits"], file["rows"])
        except (OSError, ValueError, zipfile.BadZipFile, KeyError) as error:
            raise FormatError(
                f"the finished frame {path} is damaged; start the run anew with --overwrite"
            ) from error

    def labels(self) -> Iterator[NDArray[np.uint32]]:
        """The labels of all frames in turn; unfinished frames are empty."""
        for t in range(self.shape[0]):
            frame = self.read(t)
            yield np.zeros(self.shape[1:], np.uint32) if frame is None else frame.labels_yx

    def finished(self) -> list[int]:
        """The frames that are there, in order."""
        return sorted(int(p.stem) for p in (self.folder / "frames").glob("*.npz"))

    def save_state(self, state: dict[str, Any]) -> None:
        """Keep what the run needs to go on from here."""
        import torch

        part = self.folder / "state.part"
        try:
            torch.save(state, part)
            part.replace(self.folder / "state.pt")
        except (OSError, RuntimeError) as error:  # torch reports a full disk as RuntimeError
            part.unlink(missing_ok=True)
            raise _full(self.folder, error) from error

    def load_state(self) -> dict[str, Any] | None:
        """What `save_state` kept last, or None."""
        import torch

        path = self.folder / "state.pt"
        if not path.exists():
            return None
        state: dict[str, Any] = torch.load(path, map_location="cpu", weights_only=True)
        return state

    def _frame_path(self, t: int) -> Path:
        return self.folder / "frames" / f"{t:06d}.npz"

    def _write(self, path: Path, content: bytes) -> None:
        part = path.with_suffix(".part")
        try:
            part.write_bytes(content)
            part.replace(path)
        except OSError as error:
            part.unlink(missing_ok=True)
            raise _full(self.folder, error) from error


def _full(folder: Path, error: Exception) -> OutputError:
    return OutputError(
        f"cannot write to {folder} ({error}); what was finished is kept, so make room and go on "
        "with --resume"
    )
