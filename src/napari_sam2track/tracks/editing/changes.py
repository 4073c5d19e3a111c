"""Changes of labels and lineage by edits: sparse, and exactly reversible."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

Box = tuple[slice, ...]
#: One id for all pixels, or one for each: shape (n,), uint32.
Ids = int | NDArray[np.uint32]


@dataclass(frozen=True, eq=False, slots=True)
class PixelEdit:
    """Pixels of one frame that get other ids.

    Attributes
    ----------
    frame
        Its index.
    box
        Place of the box: one slice for each axis of the frame.
    bits
        Which pixels of the box, in C order, 8 of them a byte (`numpy.packbits`); uint8.
    old, new
        Their ids before and after, in C order.
    """

    frame: int
    box: Box
    bits: NDArray[np.uint8]
    old: Ids
    new: Ids

    @classmethod
    def of(cls, frame: int, box: Box, mask: NDArray[np.bool_], old: Ids, new: Ids) -> PixelEdit:
        """Make a patch of the pixels of `box` that are set in `mask`, cut to their extent."""
        inner = extent(mask)
        tight = tuple(
            slice(a.start + b.start, a.start + b.stop) for a, b in zip(box, inner, strict=True)
        )
        return cls(frame, tight, np.packbits(mask[inner]), _scalar(old), _scalar(new))

    @property
    def shape(self) -> tuple[int, ...]:
        """Size of the box, in pixels."""
        return tuple(s.stop - s.start for s in self.box)

    @property
    def mask(self) -> NDArray[np.bool_]:
        """Pixels of the box that the patch holds, as an array of its shape."""
        shape = self.shape
        return np.unpackbits(self.bits, count=int(np.prod(shape))).view(bool).reshape(shape)

    @property
    def nbytes(self) -> int:
        """Bytes of the pixels' part."""
        ids = (v.nbytes if isinstance(v, np.ndarray) else 0 for v in (self.old, self.new))
        return int(self.bits.nbytes) + sum(ids)

    def ids(self, ids: Ids) -> NDArray[np.uint32]:
        """Return `old` or `new` as one id for each pixel; shape (n,), uint32, read-only."""
        return np.broadcast_to(np.asarray(ids, np.uint32), self.count())

    def inverse(self) -> PixelEdit:
        """Return the patch that restores the old ids."""
        return PixelEdit(self.frame, self.box, self.bits, self.new, self.old)

    def count(self) -> int:
        """Return the number of pixels."""
        return int(np.unpackbits(self.bits).sum())


@dataclass(frozen=True, eq=False, slots=True)
class Change:
    """Change of labels and parents by an edit.

    Attributes
    ----------
    patches
        Pixels; no pixel is in two of them.
    parents
        Track to its parent before and after, None for none; only where that differs.
    """

    patches: tuple[PixelEdit, ...] = ()
    parents: Mapping[int, tuple[int | None, int | None]] = field(default_factory=dict)

    def __bool__(self) -> bool:
        return bool(self.patches or self.parents)

    def inverse(self) -> Change:
        """Return the change that undoes this one, bit for bit."""
        return Change(
            tuple(patch.inverse() for patch in reversed(self.patches)),
            {track: (after, before) for track, (before, after) in self.parents.items()},
        )

    @property
    def nbytes(self) -> int:
        """Approximate memory in bytes."""
        return sum(patch.nbytes + 400 for patch in self.patches) + 200 * (1 + len(self.parents))

    def summary(self) -> Changed:
        """Return the frames, tracks and pixels that it touches."""
        tracks = {track for pair in self.parents.items() for track in _named(*pair)}
        for patch in self.patches:
            for ids in (patch.old, patch.new):
                tracks.update(np.unique(ids).tolist())
        return Changed(
            frozenset(patch.frame for patch in self.patches),
            frozenset(tracks - {0}),
            sum(patch.count() for patch in self.patches),
            bool(self.parents),
        )


@dataclass(frozen=True, slots=True)
class Changed:
    """Frames, tracks and pixels that changes touched: the content of an event.

    Attributes
    ----------
    frames
        Frames with pixels that have other ids now.
    tracks
        Tracks that gained or lost pixels, a parent or a child.
    pixels
        Number of pixels that were written.
    lineage
        Whether a parent differs.
    """

    frames: frozenset[int] = frozenset()
    tracks: frozenset[int] = frozenset()
    pixels: int = 0
    lineage: bool = False

    @classmethod
    def by(cls, changes: Sequence[Change]) -> Changed:
        """Join what some changes touched."""
        parts = [change.summary() for change in changes]
        return cls(
            frozenset().union(*(part.frames for part in parts)),
            frozenset().union(*(part.tracks for part in parts)),
            sum(part.pixels for part in parts),
            any(part.lineage for part in parts),
        )


def extent(mask: NDArray[np.bool_]) -> Box:
    """Return the smallest box with the set pixels of `mask`; all slices are 0:0 if none is set."""
    box = []
    for axis in range(mask.ndim):
        others = tuple(a for a in range(mask.ndim) if a != axis)
        at = np.flatnonzero(mask.any(axis=others))
        box.append(slice(int(at[0]), int(at[-1]) + 1) if len(at) else slice(0, 0))
    return tuple(box)


def _scalar(ids: Ids) -> Ids:
    """One id where all are the same."""
    if isinstance(ids, np.ndarray) and len(ids) and (ids == ids[0]).all():
        return int(ids[0])
    return ids


def _named(track: int, parents: tuple[int | None, int | None]) -> list[int]:
    """Return the tracks that a new parent concerns."""
    return [track, *(parent for parent in parents if parent is not None)]
