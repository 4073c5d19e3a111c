"""Labels that can be edited without changing their source."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from napari_sam2track.errors import EditError
from napari_sam2track.labels import ArrayLabels, LabelFrames

#: Side of a chunk: an edit of a cell rewrites a small part of a large frame.
CHUNK = 512


class EditedCopy:
    """Labels that read frames from their source until something is written to them.

    Frames that were written to are kept in a zarr array, compressed; nothing of the movie is in
    memory but the frame of the source that was read last.

    Parameters
    ----------
    source
        Where the frames come from; never changed.
    folder
        An empty folder for the frames that differ; the caller's to remove.
    """

    def __init__(self, source: LabelFrames, folder: Path) -> None:
        import zarr

        self._source, self._folder = source, folder
        shape = (source.n_frames, *source.frame_shape)
        planes = (1,) * (len(shape) - 2)
        array = zarr.create_array(
            str(folder / "labels.zarr"),
            shape=shape,
            chunks=(*planes, *(min(n, CHUNK) for n in shape[-2:])),
            dtype=np.uint32,
            config={"write_empty_chunks": False},
        )
        self._own = ArrayLabels(array)
        self._written: set[int] = set()
        self._last: tuple[int, NDArray[np.uint32]] | None = None

    @property
    def n_frames(self) -> int:
        """Number of frames."""
        return self._source.n_frames

    @property
    def frame_shape(self) -> tuple[int, ...]:
        """Shape of a frame."""
        return self._source.frame_shape

    @property
    def max_id(self) -> int:
        """The largest id that can be written."""
        return self._own.max_id

    @property
    def written(self) -> frozenset[int]:
        """Frames that do not come from the source any more."""
        return frozenset(self._written)

    def read(self, t: int) -> NDArray[np.uint32]:
        """Frame `t`, uint32; a copy."""
        self._check()
        return self._own.read(t) if t in self._written else self._source.read(t)

    def read_box(self, t: int, box: tuple[slice, ...]) -> NDArray[np.uint32]:
        """The pixels of a box of frame `t`, uint32; a copy."""
        self._check()
        if t in self._written:
            return self._own.read_box(t, box)
        if self._last is None or self._last[0] != t:
            self._last = t, self._source.read(t)
        return self._last[1][box].copy()

    def write_box(self, t: int, box: tuple[slice, ...], values: NDArray[np.uint32]) -> None:
        """Replace the pixels of a box."""
        self.take(t)
        self._own.write_box(t, box, values)

    def take(self, t: int) -> None:
        """Copy a frame, so that the source is not needed for it."""
        if t not in self._written:
            whole = tuple(slice(0, n) for n in self.frame_shape)
            self._own.write_box(t, whole, self.read_box(t, whole))
            self._written.add(t)

    def _check(self) -> None:
        """Refuse to read once the folder is gone: zarr would give empty frames."""
        if not self._folder.exists():
            raise EditError("the edited labels are gone, as their tracks were closed; edit again")
