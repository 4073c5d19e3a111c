"""Labels of single frames to tracks, streaming: two frames are in memory, whatever the movie.

An object goes on in the object of the next frame that it overlaps with most, all decided
together (`assign`); a track that finds nothing stays open for some frames (`OpenTracks`).
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from napari_sam2track.labels import LabelFrames
from napari_sam2track.linking.assignment import assign
from napari_sam2track.linking.gaps import OpenTrack, OpenTracks
from napari_sam2track.linking.overlap import overlap_table
from napari_sam2track.params import LinkParams
from napari_sam2track.tracks.movie import detections_of
from napari_sam2track.tracks.regions import Regions, cut_mask, measure_regions
from napari_sam2track.tracks.table import DETECTION, TrackTable


@dataclass(frozen=True, eq=False, slots=True)
class LinkedFrame:
    """The objects of one frame and their tracks.

    Attributes
    ----------
    frame
        Position in the movie, from 0.
    regions
        The objects, sorted by label; the other arrays go with them.
    tracks
        Shape (n,), uint32: track ids, from 1 in the order of appearance.
    ious
        Shape (n,), float64: IoU with the last detection of the track, NaN where it begins.
    """

    frame: int
    regions: Regions
    tracks: NDArray[np.uint32]
    ious: NDArray[np.float64]

    @property
    def mapping(self) -> dict[int, int]:
        """Label to track id."""
        return dict(zip(self.regions.labels.tolist(), self.tracks.tolist(), strict=True))

    def detections(self) -> NDArray[np.void]:
        """The frame's rows of a `TrackTable`, dtype `DETECTION`."""
        rows = detections_of(self.frame, self.regions, self.tracks)
        rows["iou"] = self.ious
        return rows


class Linker:
    """Takes the frames in order and says which track each object belongs to.

    Parameters
    ----------
    params
        Least overlap and longest gap.
    """

    def __init__(self, params: LinkParams) -> None:
        self._params = params
        self._open = OpenTracks(params.max_gap)
        self._next_track = 1
        self._last: tuple[NDArray[np.uint32], LinkedFrame] | None = None

    def step(self, t: int, labels_yx: NDArray[np.uint32]) -> LinkedFrame:
        """Link frame `t`, shape (Y, X), uint32, to the frames before it."""
        regions = measure_regions(labels_yx)
        tracks = np.zeros(len(regions), np.uint32)
        ious = np.full(len(regions), np.nan)
        self._open.forget_before(t)
        lost = self._continue_last(labels_yx, regions, tracks, ious)
        for k, track, iou in self._open.take(labels_yx, regions, tracks == 0, self._params.min_iou):
            tracks[k], ious[k] = track, iou
        for gone in lost:  # only now: they had their chance with this frame already
            self._open.add(gone)
        begins = np.flatnonzero(tracks == 0)
        tracks[begins] = np.arange(self._next_track, self._next_track + len(begins))
        self._next_track += len(begins)
        linked = LinkedFrame(t, regions, tracks, ious)
        self._last = labels_yx, linked
        return linked

    def _continue_last(
        self,
        labels_yx: NDArray[np.uint32],
        regions: Regions,
        tracks: NDArray[np.uint32],
        ious: NDArray[np.float64],
    ) -> list[OpenTrack]:
        """Fill in the tracks that go on from the last frame; give back those that do not."""
        if self._last is None:
            return []
        last_yx, last = self._last
        pairs = overlap_table(last_yx, labels_yx, last.regions.labels, regions.labels)
        pairs = pairs.at_least(self._params.min_iou)
        chosen = assign(pairs.first, pairs.second, pairs.iou)
        first, second = pairs.first[chosen], pairs.second[chosen]
        tracks[second] = last.tracks[first]
        ious[second] = pairs.iou[chosen]
        if self._params.max_gap == 0:
            return []
        lost = np.setdiff1d(np.arange(len(last.tracks)), first, assume_unique=True)
        return [
            OpenTrack(
                int(last.tracks[k]),
                last.frame,
                cut_mask(last_yx, last.regions, int(k)),
                last.regions.box(int(k), last_yx.ndim),
            )
            for k in lost
        ]


def link(frames: LabelFrames, params: LinkParams) -> Iterator[LinkedFrame]:
    """Link a movie of label images, one frame at a time.

    Parameters
    ----------
    frames
        Masks with ids that need not agree between frames.
    params
        Least overlap and longest gap; ``binary`` is the caller's (see `separate`).

    Yields
    ------
    LinkedFrame
        Objects and their tracks, in the order of the frames.
    """
    linker = Linker(params)
    for t in range(frames.n_frames):
        yield linker.step(t, frames.read(t))


def collect(frames: LabelFrames, linked: Iterable[LinkedFrame]) -> TrackTable:
    """Put linked frames (all of `frames`, in any order) together as one table."""
    rows = [frame.detections() for frame in linked]
    detections = np.concatenate([np.zeros(0, DETECTION), *rows])
    return TrackTable(detections, frames.n_frames, frames.frame_shape)


def link_all(frames: LabelFrames, params: LinkParams) -> TrackTable:
    """Link a whole movie; as `link`, with the result as one table."""
    return collect(frames, link(frames, params))
