"""One finished frame of a run, as it is stored: the mask of each object by itself."""

from __future__ import annotations

import struct
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
from numpy.typing import NDArray

from napari_sam2track.engine.results import ObjectResult, State
from napari_sam2track.masks import Patch, compose_labels

#: Row of an object on a frame: id, state (index into STORED_STATES), score, predicted IoU; the
#: key of its segment (`engine.tasks.Segment`); the box of its mask; and the strength of its claim
#: (`engine.neighbours.Claim`).
ROW = np.dtype(
    [
        *(("id", np.uint32), ("state", np.uint8), ("score", np.float32), ("iou", np.float32)),
        *(("key", np.uint64), ("y0", np.int32), ("x0", np.int32)),
        *(("height", np.int32), ("width", np.int32)),
        *(("right", np.float32), ("firm", np.bool_)),
    ]
)
STORED_STATES = tuple(State)
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
        """Return the mask of the object in row ``k``."""
        row = self.rows[k]
        logits = np.abs(self._part(k)).reshape(int(row["height"]), int(row["width"]))
        return Patch(logits, int(row["y0"]), int(row["x0"]))

    def results(self) -> Iterator[tuple[int, ObjectResult]]:
        """Yield (key, result) of each object, by id."""
        for k, row in enumerate(self.rows):
            patch, ceded = self.patch(k), self._part(k) < 0
            yield (
                int(row["key"]),
                ObjectResult(
                    int(row["id"]),
                    STORED_STATES[int(row["state"])],
                    float(row["score"]),
                    float(row["iou"]),
                    patch,
                    float(row["right"]),
                    bool(row["firm"]),
                    ceded.reshape(patch.logits_yx.shape) if ceded.any() else None,
                ),
            )

    def patches(self) -> Iterator[tuple[int, Patch]]:
        """Yield (object id, mask) by id."""
        for k, object_id in enumerate(self.rows["id"].tolist()):
            yield object_id, self.patch(k)

    def patch_of(self, object_id: int) -> Patch | None:
        """Return the mask of an object; None if it is not stored on this frame."""
        (found,) = np.nonzero(self.rows["id"] == object_id)
        return self.patch(int(found[0])) if len(found) else None

    @property
    def labels_yx(self) -> NDArray[np.uint32]:
        """(Y, X) uint32 labels by the overlap rule, composed anew on each use."""
        return compose_labels(self.patches(), self.height, self.width)

    def only(self, keep: NDArray[np.bool_]) -> StoredFrame:
        """Return the frame with some of the rows."""
        parts = [self._part(k) for k in np.flatnonzero(keep).tolist()]
        logits = np.concatenate(parts) if parts else self.logits[:0]
        return StoredFrame(self.height, self.width, self.rows[keep], logits)

    def replaced(self, other: StoredFrame, without: Iterable[int] = ()) -> StoredFrame:
        """Return the frame with the objects of another frame in place of their earlier rows.

        Parameters
        ----------
        without
            More objects that are removed.
        """
        gone = {*other.rows["id"].tolist(), *without}
        kept = [k for k, i in enumerate(self.rows["id"].tolist()) if i not in gone]
        rows = np.concatenate([self.rows[kept], other.rows])
        parts = [self._part(k) for k in kept] + [other._part(k) for k in range(len(other.rows))]
        order = np.argsort(rows["id"], kind="stable")
        dtype = other.logits.dtype if len(other.rows) else self.logits.dtype
        logits = np.concatenate([parts[k] for k in order]) if parts else np.zeros(0)
        return StoredFrame(self.height, self.width, rows[order], logits.astype(dtype, copy=False))

    @property
    def keys(self) -> dict[int, int]:
        """Key of the segment of each object."""
        return dict(zip(self.rows["id"].tolist(), self.rows["key"].tolist(), strict=True))

    @classmethod
    def of(
        cls,
        height: int,
        width: int,
        objects: Sequence[ObjectResult] = (),
        keys: Mapping[int, int] | None = None,
        precise: bool = False,
    ) -> StoredFrame:
        """Make a frame of results of the engine and the keys of their segments.

        Parameters
        ----------
        precise
            Keep logits as float32, else as float16.
        """
        dtype = np.float32 if precise else np.float16
        keys = keys or {}
        rows = np.zeros(len(objects), ROW)
        parts = []
        for k, o in enumerate(objects):
            size = o.patch.logits_yx.shape
            place = (o.patch.y0, o.patch.x0, *size)
            known = (o.object_id, STORED_STATES.index(o.state), o.score, o.iou, keys[o.object_id])
            rows[k] = (*known, *place, o.claim_strength, o.firm)
            patch = o.patch if precise else o.patch.half()
            logits = patch.logits_yx.astype(dtype)
            if o.ceded is not None:
                logits = np.where(o.ceded, np.negative(logits), logits)
            parts.append(logits.ravel())
        logits = np.concatenate(parts) if parts else np.zeros(0)
        return cls(height, width, rows, logits.astype(dtype))

    def to_bytes(self, touched: Collection[int] = ()) -> bytes:
        """Return the content of a file; ``touched`` are the ids that a journal is about."""
        ids = np.array(sorted(touched), np.uint32)
        wide = self.logits.dtype == np.float32
        head = HEAD.pack(MAGIC, VERSION, len(self.rows), len(self.logits), wide, len(ids))
        return b"".join([head, self.rows.tobytes(), self.logits.tobytes(), ids.tobytes()])

    @classmethod
    def from_bytes(cls, content: bytes, height: int, width: int) -> tuple[StoredFrame, set[int]]:
        """Read what `to_bytes` returned.

        Raises
        ------
        ValueError, struct.error
            If it is something else, or cut off.
        """
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
        return cls(height, width, rows, logits), set(touched.tolist())


@dataclass(frozen=True)
class StoredLabels:
    """The labels of a run, composed when they are read; see `labels.LabelFrames`.

    Attributes
    ----------
    frame
        Function that returns a stored frame; None if nothing of it was finished.
    shape
        (n_frames, height, width).
    """

    frame: Callable[[int], StoredFrame | None]
    shape: tuple[int, int, int]

    @property
    def n_frames(self) -> int:
        """Number of frames."""
        return self.shape[0]

    @property
    def frame_shape(self) -> tuple[int, ...]:
        """Shape (Y, X) of a frame."""
        return self.shape[1:]

    def read(self, t: int) -> NDArray[np.uint32]:
        """Return frame `t`, uint32; empty if nothing of it was finished."""
        stored = self.frame(t)
        return np.zeros(self.frame_shape, np.uint32) if stored is None else stored.labels_yx

    def __iter__(self) -> Iterator[NDArray[np.uint32]]:
        return map(self.read, range(self.n_frames))
