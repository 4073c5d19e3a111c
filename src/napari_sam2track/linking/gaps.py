"""Tracks that lost their object, kept open for a few frames in case it comes back."""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from napari_sam2track.linking.assignment import assign
from napari_sam2track.linking.overlap import Overlaps
from napari_sam2track.tracks.regions import Regions


@dataclass(frozen=True, eq=False, slots=True)
class OpenTrack:
    """A track without an object in the frame before this one.

    Attributes
    ----------
    track
        Its id.
    frame
        Position of the frame in which it was last seen.
    mask
        Its mask there, within `box`.
    box
        Where that is.
    """

    track: int
    frame: int
    mask: NDArray[np.bool_]
    box: tuple[slice, ...]


@dataclass(slots=True)
class OpenTracks:
    """The tracks that may still be continued.

    Attributes
    ----------
    max_gap
        How many frames in a row a track may miss; older ones are forgotten.
    """

    max_gap: int
    _open: list[OpenTrack] = field(default_factory=list)

    def __len__(self) -> int:
        return len(self._open)

    def add(self, track: OpenTrack) -> None:
        """Keep a track open, unless no gap is allowed at all."""
        if self.max_gap > 0:
            self._open.append(track)

    def forget_before(self, frame: int) -> None:
        """Close the tracks that would have missed too many frames if they went on in `frame`."""
        self._open = [o for o in self._open if frame - o.frame - 1 <= self.max_gap]

    def take(
        self,
        labels_yx: NDArray[np.uint32],
        regions: Regions,
        free: NDArray[np.bool_],
        min_iou: float,
    ) -> list[tuple[int, int, float]]:
        """Continue open tracks with objects that have no track yet.

        Parameters
        ----------
        labels_yx
            The frame, shape (Y, X), uint32.
        regions
            Its objects.
        free
            Shape (n,), bool: which of the objects can be taken.
        min_iou
            The least IoU of the last mask of a track and an object.

        Returns
        -------
        list
            (position in `regions`, track id, IoU); these tracks are not open any more.
        """
        if not self._open or not free.any():
            return []
        pairs = self._overlaps(labels_yx, regions, free).at_least(min_iou)
        chosen = assign(pairs.first, pairs.second, pairs.iou)
        found = [
            (int(pairs.second[k]), self._open[int(pairs.first[k])].track, float(pairs.iou[k]))
            for k in chosen
        ]
        gone = set(pairs.first[chosen].tolist())
        self._open = [o for k, o in enumerate(self._open) if k not in gone]
        return found

    def _overlaps(
        self, labels_yx: NDArray[np.uint32], regions: Regions, free: NDArray[np.bool_]
    ) -> Overlaps:
        """Overlaps of the open tracks' last masks with the free objects."""
        first, second, pixels, iou = [], [], [], []
        for k, track in enumerate(self._open):
            under = labels_yx[track.box][track.mask]
            values, counts = np.unique(under[under != 0], return_counts=True)
            at = np.searchsorted(regions.labels, values)
            at, counts = at[free[at]], counts[free[at]]
            first.append(np.full(len(at), k, np.int64))
            second.append(at)
            pixels.append(counts)
            iou.append(counts / (track.mask.sum() + regions.areas[at] - counts))
        return Overlaps(*(np.concatenate(column) for column in (first, second, pixels, iou)))
