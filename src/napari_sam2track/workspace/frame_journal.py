"""Frames of labels as they were before a run, on disk, so that the run is one step to undo."""

from __future__ import annotations

import shutil
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from napari_sam2track.errors import FormatError, OutputError
from napari_sam2track.labels import EditableLabels


class FrameJournal:
    """Old frames, in a folder for each step.

    Parameters
    ----------
    folder
        Emptied: steps do not outlive the window.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        shutil.rmtree(folder, ignore_errors=True)
        self._last = 0

    def begin(self) -> int:
        """Begin a new step; return its number."""
        self._last += 1
        self._step(self._last).mkdir(parents=True)
        return self._last

    def note(self, step: int, t: int, labels_yx: NDArray[np.uint32]) -> None:
        """Keep a frame as it is before a step first changes it; later calls do nothing.

        Raises
        ------
        OutputError
            If the disk is full.
        """
        path = self._step(step) / f"{t:06d}.labels"
        if path.exists():
            return
        import imagecodecs

        part = path.with_suffix(".part")
        flat = labels_yx.astype("<u4", copy=False).tobytes()
        try:
            # ten times as fast as zlib: it is done in the window's thread
            part.write_bytes(imagecodecs.zstd_encode(flat, level=1))
            part.replace(path)
        except OSError as error:
            part.unlink(missing_ok=True)
            raise OutputError(
                f"cannot write to {self.folder} ({error.strerror}); make room on that disk, or "
                "choose another work folder in the settings"
            ) from error

    def frames(self, step: int) -> list[int]:
        """Return the frames that a step changed."""
        return sorted(int(p.stem) for p in self._step(step).glob("*.labels"))

    def swap(self, step: int, t: int, labels: EditableLabels) -> None:
        """Exchange a kept frame with what the labels hold: undo, and redo.

        Raises
        ------
        FormatError
            If the kept frame is damaged.
        """
        import imagecodecs

        path = self._step(step) / f"{t:06d}.labels"
        now = labels.read(t)
        try:
            flat = np.frombuffer(imagecodecs.zstd_decode(path.read_bytes()), "<u4")
            before = flat.astype(np.uint32).reshape(labels.frame_shape)
        except (OSError, imagecodecs.ZstdError, ValueError) as error:
            raise FormatError(
                f"the old labels in {path} are damaged ({error}); this step cannot be undone"
            ) from error
        path.unlink()
        self.note(step, t, now)
        labels.write_box(t, tuple(slice(0, n) for n in labels.frame_shape), before)

    def drop(self, step: int) -> None:
        """Forget a step."""
        shutil.rmtree(self._step(step), ignore_errors=True)

    def _step(self, step: int) -> Path:
        return self.folder / f"{step:04d}"
