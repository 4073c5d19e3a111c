"""Edits that draw pixels: fill the gaps of a track, paint, erase or replace a mask."""

from __future__ import annotations

import itertools
from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from napari_sam2track.errors import EditError
from napari_sam2track.tracks.editing.change_builder import Draft, check_id, listed, need
from napari_sam2track.tracks.editing.changes import Box, Change
from napari_sam2track.tracks.editing.edits import within
from napari_sam2track.tracks.editing.interpolation import Between
from napari_sam2track.tracks.editing.track_state import TrackState

#: Pixels that may be painted over: background, or other tracks as well.
Over = Literal["background", "all"]


@dataclass(frozen=True)
class FillGap:
    """Draw a track in frames in which it is missing, between its masks before and after.

    Attributes
    ----------
    track
        The track.
    start, stop
        First and last frame to fill, both included; None: all gaps.
    over
        Whether only background becomes part of the track, or pixels of others too.
    """

    track: int
    start: int | None = None
    stop: int | None = None
    over: Over = "background"

    def plan(self, state: TrackState) -> Change:
        """Return the change; raise EditError without a gap, or without room in any frame of one."""
        need(state, self.track)
        frames = state.places.frames(self.track)
        draft = Draft(state)
        missing: list[int] = []
        for before, after in itertools.pairwise(frames):
            gap = within(list(range(before + 1, after)), self.start, self.stop)
            if not gap:
                continue
            missing += gap
            way = Between(state.mask(self.track, before), state.mask(self.track, after))
            for t in gap:
                box, mask = _clip(*way.at((t - before) / (after - before)), state)
                draft.paint(self.track, t, box, mask, self.over == "all")
        if not missing:
            raise EditError(
                f"track {self.track} has no gap to fill: it is in frame {listed(frames)}"
                + ("" if self.start is None and self.stop is None else "; choose other frames")
            )
        return draft.finish(
            f"track {self.track} finds no room in frame {listed(missing)}: other tracks are there; "
            "fill over them if that is meant"
        )


@dataclass(frozen=True, eq=False)
class PaintMask:
    """Draw a mask of a track in one frame; the track may be a new one.

    Attributes
    ----------
    track
        The track.
    frame
        The frame.
    mask
        Shape (h, w) or (d, h, w), bool.
    origin
        Pixel ([z,] y, x) of the frame at the first pixel of `mask`. Parts outside are cut off.
    mode
        "add" these pixels to the track, "erase" them from it, or "replace" its pixels in the
        frame by them.
    over
        Whether only background is painted, or pixels of others too.
    """

    track: int
    frame: int
    mask: NDArray[np.bool_]
    origin: tuple[int, ...]
    mode: Literal["add", "erase", "replace"] = "add"
    over: Over = "all"

    def plan(self, state: TrackState) -> Change:
        """Return the change; raise EditError if frame or id are refused, or nothing changes."""
        labels = state.labels
        check_id(state, self.track)
        if not 0 <= self.frame < labels.n_frames:
            raise EditError(
                f"frame {self.frame} is outside the movie, which has frames 0 to "
                f"{labels.n_frames - 1}"
            )
        ndim = len(labels.frame_shape)
        if self.mask.ndim != ndim or len(self.origin) != ndim:
            raise EditError(
                f"a mask of {self.mask.ndim} axes at {self.origin} does not fit frames of {ndim} "
                f"axes; give a mask and an origin of {ndim}"
            )
        if self.mode == "erase":
            need(state, self.track)
        whole = tuple(
            slice(int(a), int(a) + n) for a, n in zip(self.origin, self.mask.shape, strict=True)
        )
        box, mask = _clip(whole, np.asarray(self.mask, bool), state)
        draft = Draft(state)
        if self.mode == "erase":
            draft.erase(self.track, self.frame, box, mask)
        else:
            if self.mode == "replace" and state.places.box(self.track, self.frame) is not None:
                old_box, old = state.mask(self.track, self.frame)
                draft.erase(self.track, self.frame, old_box, old & ~_moved(mask, box, old_box))
            draft.paint(self.track, self.frame, box, mask, self.over == "all")
        return draft.finish(
            f"the mask changes nothing of track {self.track} in frame {self.frame}; it has no "
            "pixel inside the frame that could change"
        )


def _clip(box: Box, mask: NDArray[np.bool_], state: TrackState) -> tuple[Box, NDArray[np.bool_]]:
    """Cut the part outside the frame off a mask and its box."""
    inner, keep = [], []
    for s, n in zip(box, state.labels.frame_shape, strict=True):
        start = min(max(s.start, 0), n)
        stop = max(min(s.stop, n), start)
        inner.append(slice(start, stop))
        keep.append(slice(start - s.start, stop - s.start))
    return tuple(inner), mask[tuple(keep)]


def _moved(mask: NDArray[np.bool_], box: Box, into: Box) -> NDArray[np.bool_]:
    """Return the part of a mask that lies in another box, as an array of that one's size."""
    out = np.zeros([s.stop - s.start for s in into], bool)
    source, target = [], []
    for a, b in zip(box, into, strict=True):
        start, stop = max(a.start, b.start), min(a.stop, b.stop)
        if start >= stop:
            return out
        source.append(slice(start - a.start, stop - a.start))
        target.append(slice(start - b.start, stop - b.start))
    out[tuple(target)] = mask[tuple(source)]
    return out
