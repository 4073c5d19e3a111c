"""Labels of single frames to tracks, streaming: two frames are in memory, whatever the movie.

First each frame is linked to the next (`pairs`), which gives tracklets without gaps. Then, over
the whole movie, ends of tracklets are joined to beginnings some frames later (`gaps`), where that
explains more than leaving them apart.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial

import numpy as np
from numpy.typing import NDArray

from napari_sam2track.labels import LabelFrames
from napari_sam2track.linking.frame_pair import PairLinks, link_pair, seen_motion
from napari_sam2track.linking.gaps import NOTHING_LOST, Lost, coming_back, expected_motion
from napari_sam2track.linking.hypotheses import NO_HYPOTHESES, Growth, Hypotheses
from napari_sam2track.linking.locked_links import LockedLink, Locks
from napari_sam2track.linking.merged_masks import part_again, with_swallower
from napari_sam2track.linking.motion import Motion, at_rest
from napari_sam2track.linking.objects import ObjectFrame, describe
from napari_sam2track.linking.tracklets import Tracklets
from napari_sam2track.params import LinkParams
from napari_sam2track.progress import ProgressHook, no_progress
from napari_sam2track.tracks.table import TrackTable


@dataclass(frozen=True, eq=False, slots=True)
class _Step:
    """The frame that was linked last: its objects, their tracklets, and their motion."""

    t: int
    frame: ObjectFrame
    tracklets: NDArray[np.int64]
    velocity: NDArray[np.float64]

    def remembered(self, which: NDArray[np.intp], motion: Motion) -> Lost:
        """Return some of the objects, moved on by the motion of all."""
        lost = Lost(
            self.frame.objects.take(which),
            self.tracklets[which],
            np.full(len(which), self.t),
            self.frame.regions.labels[which],
            np.full(len(which), -1),
        )
        return lost.moved(motion.take(which))


class Linker:
    """Takes the frames in order, and returns the tracks at the end.

    Parameters
    ----------
    params
        See `LinkParams`; ``binary`` is the caller's (`separate`).
    locked
        Links that a person decided on.

    Raises
    ------
    UsageError
        If the locked links cannot all hold.
    """

    def __init__(self, params: LinkParams, locked: Sequence[LockedLink] = ()) -> None:
        self._params = params
        self._locks = Locks.of(locked)
        self._growth = Growth()
        self._last: _Step | None = None
        self._lost = self._ghosts = NOTHING_LOST
        self._tracklets = Tracklets()

    def step(self, t: int, labels: NDArray[np.uint32]) -> None:
        """Link frame `t`, (Y, X) or (Z, Y, X) of uint32 labels, to the one before it.

        Raises
        ------
        ValueError
            If its shape is not that of the frame before.
        UsageError
            If a locked link names an object that is not there.
        """
        frame, last = describe(labels), self._last
        if last is not None and last.frame.index.shape != labels.shape:
            raise ValueError(
                f"frames of {last.frame.index.shape} and {labels.shape} pixels do not match"
            )
        self._locks.check(t, frame.regions.labels)
        if last is None:
            unknown = np.full(frame.objects.centres.shape, np.nan)
            tracklets = self._tracklets.add(t, frame.regions, NO_HYPOTHESES)
            self._last = _Step(t, frame, tracklets, unknown)
            return
        constrain = partial(
            self._locks.applied,
            frames=np.full(len(last.tracklets), last.t),
            labels=last.frame.regions.labels,
            next_frame=t,
            next_labels=frame.regions.labels,
        )
        links = link_pair(last.frame, frame, self._params, self._growth, last.velocity, constrain)
        if self._params.max_gap > 0:
            tracklets = self._with_gaps(last, links, t, frame)
        else:
            tracklets = self._tracklets.add(t, frame.regions, links.chosen, last.tracklets)
        self._growth = links.growth
        self._last = _Step(t, frame, tracklets, links.velocity)

    def table(self, n_frames: int, frame_shape: tuple[int, ...]) -> TrackTable:
        """Return all tracks of a movie of this size, numbered from 1 in the order of appearance.

        Raises
        ------
        UsageError
            If a link is locked outside the movie.
        """
        self._locks.check_frames(n_frames)
        return self._tracklets.joined(self._locks, n_frames, frame_shape)

    def _with_gaps(
        self, last: _Step, links: PairLinks, t: int, frame: ObjectFrame
    ) -> NDArray[np.int64]:
        """Add a frame, search it for objects lost before, and remember those lost now."""
        self._move_lost(last, links, frame)
        lost, params, growth = self._lost, self._params, links.growth
        returns = coming_back(lost, frame, t, params, growth)
        labels = frame.regions.labels
        returns = self._locks.without(returns, lost.frame, lost.label, t, labels)
        parted = part_again(
            links.chosen,
            last.tracklets,
            lost,
            returns,
            self._ghosts,
            frame,
            t,
            params,
            growth,
        )
        tracklets = self._tracklets.add(t, frame.regions, parted.chosen, last.tracklets)
        self._tracklets.note_gaps(returns, lost.tracklet, tracklets)
        self._tracklets.note_back(parted.back, tracklets)
        self._remember(last, links, parted.chosen, frame, tracklets)
        return tracklets

    def _move_lost(self, last: _Step, links: PairLinks, frame: ObjectFrame) -> None:
        """Forget objects lost for too long, and move the rest with the objects around them."""
        seen = seen_motion(last.frame.objects, frame.objects, links.chosen)
        oldest = last.t - self._params.max_gap
        moved = []
        for some in (self._lost, self._ghosts):
            some = some.since(oldest)
            if len(some):
                some = some.moved(expected_motion(some.objects.centres, *seen))
            moved.append(some)
        self._lost, self._ghosts = moved

    def _remember(
        self,
        last: _Step,
        links: PairLinks,
        chosen: Hypotheses,
        frame: ObjectFrame,
        tracklets: NDArray[np.int64],
    ) -> None:
        """Remember the objects lost just now, and what swallowed them, as they were before.

        Where the motion does not lead into the mask of another, rest may: it was wrong for
        a lost object anyway.
        """
        gone = np.setdiff1d(np.arange(len(last.tracklets)), chosen.parent)
        if len(gone) == 0:
            return
        still = at_rest(last.frame.objects)
        moved, rested = (
            with_swallower(last.remembered(gone, motion), frame, tracklets)
            for motion in (links.motion, still)
        )
        fell_back = (moved.swallower < 0) & (rested.swallower >= 0)
        for some, motion in (
            (moved.take(np.flatnonzero(~fell_back)), links.motion),
            (rested.take(np.flatnonzero(fell_back)), still),
        ):
            outer = np.flatnonzero(np.isin(last.tracklets, some.swallower))
            self._lost = self._lost.and_more(some)
            self._ghosts = self._ghosts.and_more(last.remembered(outer, motion))


def link_all(
    frames: LabelFrames,
    params: LinkParams,
    locked: Sequence[LockedLink] = (),
    progress: ProgressHook = no_progress,
) -> TrackTable:
    """Link a whole movie of label images, reading one frame at a time.

    Parameters
    ----------
    frames
        Masks with ids that need not agree between frames.
    params
        See `LinkParams`; ``binary`` is the caller's (`separate`).
    locked
        Links that a person decided on.
    progress
        Shows progress.

    Returns
    -------
    TrackTable
        Its ``label`` column holds the ids of the masks (see `relabelled_frames`).

    Raises
    ------
    UsageError
        If the locked links cannot all hold.
    """
    linker = Linker(params, locked)
    for t in progress(range(frames.n_frames), frames.n_frames, "Linking"):
        linker.step(t, frames.read(t))
    return linker.table(frames.n_frames, frames.frame_shape)
