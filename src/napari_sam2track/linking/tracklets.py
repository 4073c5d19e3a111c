"""Pieces of tracks without gaps, and how they are put together at the end."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from napari_sam2track.linking.assignment import solve
from napari_sam2track.linking.hypotheses import NO_HYPOTHESES, Hypotheses, join
from napari_sam2track.linking.locked_links import Locks, certain
from napari_sam2track.tracks.regions import Regions
from napari_sam2track.tracks.table import DETECTION, TrackTable
from napari_sam2track.tracks.tracked_movie import detections_of


class Tracklets:
    """Tracklets, numbered from 0 in the order of appearance, as they grow frame by frame."""

    def __init__(self) -> None:
        self._rows: list[NDArray[np.void]] = [np.zeros(0, DETECTION)]
        self._begin: list[int] = []
        #: Number of tracklets before the last frame.
        self._n_before = 0
        #: Whether a tracklet begins as the daughter of another.
        self._born: list[bool] = []
        self._divisions = [NO_HYPOTHESES]
        self._gaps = [NO_HYPOTHESES]

    def add(
        self,
        t: int,
        regions: Regions,
        chosen: Hypotheses,
        last: NDArray[np.int64] | None = None,
    ) -> NDArray[np.int64]:
        """Add a frame.

        Parameters
        ----------
        t
            Its number.
        regions
            Its objects.
        chosen
            Links of the objects of the frame before, with positions in both frames.
        last
            Tracklets of the frame before, as this method returned them.

        Returns
        -------
        ndarray
            Shape (n,), int64: tracklets of the objects.
        """
        tracklets = np.full(len(regions), -1)
        ious = np.full(len(regions), np.nan)
        before = np.zeros(0, np.int64) if last is None else last
        on = chosen.take(chosen.sibling < 0)
        tracklets[on.child], ious[on.child] = before[on.parent], on.iou
        begins = np.flatnonzero(tracklets < 0)
        self._n_before = len(self._begin)
        tracklets[begins] = self._n_before + np.arange(len(begins))
        self._begin += [t] * len(begins)
        self._born += [False] * len(begins)
        split = chosen.take(chosen.sibling >= 0)
        self._divisions.append(_renamed(split, before, tracklets))
        for k in (*tracklets[split.child].tolist(), *tracklets[split.sibling].tolist()):
            self._born[k] = True
        rows = detections_of(t, regions, np.asarray(tracklets, np.uint32))
        rows["iou"] = ious
        self._rows.append(rows)
        return tracklets

    def note_gaps(
        self,
        found: Hypotheses,
        lost: NDArray[np.int64],
        tracklets: NDArray[np.int64],
    ) -> None:
        """Note hypotheses that lost objects came back in the frame that was added last.

        Only objects without a predecessor in the frame before can be lost ones.

        Parameters
        ----------
        found
            With positions in `lost` and in the frame.
        lost, tracklets
            Tracklets of the lost objects and of the frame's.
        """
        free = np.array([k >= self._n_before and not self._born[k] for k in tracklets], bool)
        sibling = found.sibling
        possible = free[found.child] & ((sibling < 0) | free[sibling])
        self._gaps.append(_renamed(found.take(possible), lost, tracklets))

    def note_back(
        self, back: Sequence[tuple[int, int, float, float]], tracklets: NDArray[np.int64]
    ) -> None:
        """Note objects that came back: (tracklet, position in the frame, gain, IoU) of each."""
        if not back:
            return
        parent, place = (np.array([row[k] for row in back], np.int64) for k in (0, 1))
        gain, iou = (np.array([row[k] for row in back]) for k in (2, 3))
        child = tracklets[place]
        self._gaps.append(Hypotheses(parent, child, np.full(len(back), -1), gain, iou))

    def joined(self, locks: Locks, n_frames: int, frame_shape: tuple[int, ...]) -> TrackTable:
        """Return the tracks: tracklets joined over gaps, numbered by their first appearance."""
        rows = np.concatenate(self._rows)
        hypotheses = join((*self._divisions, *self._gaps, self._locked(locks, rows)))
        chosen = hypotheses.take(solve(hypotheses))

        root = np.arange(len(self._begin))
        on = chosen.take(chosen.sibling < 0)
        order = np.argsort(on.child)  # a tracklet's predecessor has a lower number than its own
        for parent, child in zip(on.parent[order].tolist(), on.child[order].tolist(), strict=True):
            root[child] = root[parent]
        _, ids = np.unique(root, return_inverse=True)
        ids = ids + 1
        split = chosen.take(chosen.sibling >= 0)
        parents = {
            int(ids[child]): int(ids[mother])
            for children in (split.child, split.sibling)
            for mother, child in zip(split.parent.tolist(), children.tolist(), strict=True)
        }
        begins = np.array(self._begin, np.int64)
        joint = {(int(k), int(begins[k])): iou for k, iou in zip(on.child, on.iou, strict=True)}
        if joint:
            first = rows["frame"] == begins[rows["track"]]
            for row in np.flatnonzero(first).tolist():
                key = int(rows["track"][row]), int(rows["frame"][row])
                rows["iou"][row] = joint.get(key, np.nan)
        rows["track"] = ids[rows["track"]] if len(rows) else rows["track"]
        return TrackTable(rows, n_frames, frame_shape, parents)

    def _locked(self, locks: Locks, rows: NDArray[np.void]) -> Hypotheses:
        """Return links over gaps that a person locked, as hypotheses of tracklets."""
        groups = locks.across_gaps()
        wanted = {(k.frame, k.label) for out in groups for k in out}
        wanted |= {(k.next_frame, k.next_label) for out in groups for k in out}
        if not wanted:
            return NO_HYPOTHESES
        where = {
            (frame, label): track
            for track, frame, label in rows[["track", "frame", "label"]].tolist()
            if (frame, label) in wanted
        }
        found = []
        for out in groups:
            ends = [where.get((k.next_frame, k.next_label)) for k in out]
            known = [k for k in ends if k is not None]
            begin = where.get((out[0].frame, out[0].label))
            if begin is not None and known:
                found.append((begin, known[0], known[1] if len(known) == 2 else -1))
        return certain(found)


def _renamed(h: Hypotheses, parents: NDArray[np.int64], children: NDArray[np.int64]) -> Hypotheses:
    """Replace the positions of hypotheses by the values at those positions."""
    sibling = np.where(h.sibling < 0, -1, children[h.sibling]) if len(h) else h.sibling
    return Hypotheses(parents[h.parent], children[h.child], sibling, h.gain, h.iou)
