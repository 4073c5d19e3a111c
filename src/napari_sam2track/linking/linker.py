"""Labels of single frames to tracks, streaming: two frames are in memory, whatever the movie.

First each frame is linked to the next (`pairs`), which gives tracklets without gaps. Then, over
the whole movie, ends of tracklets are joined to beginnings some frames later (`gaps`), where that
explains more than leaving them apart.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any

import numpy as np
from numpy.typing import NDArray

from napari_sam2track.labels import LabelFrames
from napari_sam2track.linking.gaps import NOTHING_LOST, Lost, coming_back, expected_motion
from napari_sam2track.linking.hypotheses import NO_HYPOTHESES, Growth
from napari_sam2track.linking.locks import LockedLink, Locks
from napari_sam2track.linking.motion import Motion
from napari_sam2track.linking.objects import ObjectFrame, describe
from napari_sam2track.linking.pairs import PairLinks, link_pair, seen_motion
from napari_sam2track.linking.tracklets import Tracklets
from napari_sam2track.params import LinkParams
from napari_sam2track.tracks.table import TrackTable

#: Passes items on and shows how many of the total are done.
Watch = Callable[[Iterable[Any], int, str], Iterable[Any]]


@dataclass(frozen=True, eq=False, slots=True)
class _Step:
    """The frame that was linked last: its objects, their tracklets, and how they came there."""

    t: int
    frame: ObjectFrame
    tracklets: NDArray[np.int64]
    velocity: NDArray[np.float64]


class Linker:
    """Takes the frames in order, and gives the tracks at the end.

    Parameters
    ----------
    params
        See there; ``binary`` is the caller's (`separate`).
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
        self._lost = NOTHING_LOST
        self._tracklets = Tracklets()

    def step(self, t: int, labels: NDArray[np.uint32]) -> None:
        """Link frame `t`, (Y, X) or (Z, Y, X) of uint32 labels, to the one before it.

        Raises
        ------
        ValueError
            If its shape is not that of the frame before.
        """
        frame, last = describe(labels), self._last
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
        links = link_pair(
            last.frame, frame, self._params, self._growth, last.velocity, constrain
        )
        tracklets = self._tracklets.add(t, frame.regions, links.chosen, last.tracklets)
        if self._params.max_gap > 0:
            self._look_for_lost(last, links, t, frame, tracklets)
        self._growth = links.growth
        self._last = _Step(t, frame, tracklets, links.velocity)

    def table(self, n_frames: int, frame_shape: tuple[int, ...]) -> TrackTable:
        """All tracks of a movie of this size, numbered from 1 in the order of appearance."""
        return self._tracklets.joined(self._locks, n_frames, frame_shape)

    def _look_for_lost(
        self,
        last: _Step,
        links: PairLinks,
        t: int,
        frame: ObjectFrame,
        tracklets: NDArray[np.int64],
    ) -> None:
        """Note which lost objects may have come back, and keep in mind what was lost just now."""
        here = last.frame.objects
        lost = self._lost.since(t - 1 - self._params.max_gap)
        if len(lost):
            seen = seen_motion(here, frame.objects, links.chosen)
            lost = lost.moved(expected_motion(lost.objects.centres, *seen))
            found = coming_back(lost, frame, t, self._params, links.growth)
            found = self._locks.without(
                found, lost.frame, lost.label, t, frame.regions.labels
            )
            self._tracklets.note_gaps(found, lost.tracklet, tracklets, self._params.max_gap)
        gone = np.setdiff1d(np.arange(len(here)), links.chosen.parent)
        just_lost = Lost(
            here.take(gone),
            last.tracklets[gone],
            np.full(len(gone), last.t),
            last.frame.regions.labels[gone],
        )
        motion = Motion(links.motion.shift[gone], links.motion.gradient[gone])
        just_lost = just_lost.moved(motion)
        self._lost = lost.and_more(just_lost) if len(lost) else just_lost


def link_all(
    frames: LabelFrames,
    params: LinkParams,
    locked: Sequence[LockedLink] = (),
    watch: Watch | None = None,
) -> TrackTable:
    """Link a whole movie of label images, reading one frame at a time.

    Parameters
    ----------
    frames
        Masks with ids that need not agree between frames.
    params
        See there; ``binary`` is the caller's (`separate`).
    locked
        Links that a person decided on.
    watch
        Shows progress.

    Returns
    -------
    TrackTable
        Its ``label`` column holds the ids of the masks (see `RelabelledFrames`).

    Raises
    ------
    UsageError
        If the locked links cannot all hold.
    """
    linker = Linker(params, locked)
    numbers: Iterable[int] = range(frames.n_frames)
    for t in watch(numbers, frames.n_frames, "Linking") if watch else numbers:
        linker.step(t, frames.read(t))
    return linker.table(frames.n_frames, frames.frame_shape)
