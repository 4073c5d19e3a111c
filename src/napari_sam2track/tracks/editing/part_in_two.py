"""The edit that lets a track divide whose mask is two, or is cut in two."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from napari_sam2track.errors import EditError
from napari_sam2track.masks import LEAST_SHARE, cut_across, two_pieces
from napari_sam2track.tracks.editing.change_builder import Draft, check_id, need, new_id
from napari_sam2track.tracks.editing.changes import Change, PixelEdit
from napari_sam2track.tracks.editing.track_state import TrackState

#: Parts of what the daughters had that are left of one which is gone, and of one that is there.
_GONE, _THERE = 0.1, 0.5

Ints = NDArray[np.intp]


@dataclass(frozen=True)
class PartInTwo:
    """Let a track divide whose mask is two: it ends, and each part is a daughter.

    A mask in one piece (and crumbs) is cut through its middle, across its longest axis. Both
    daughters get new ids. On the frames after that, two parts go to the daughters that they are
    nearest to. Where the mask is in one piece again, each pixel goes to the daughter that was
    nearest to it on the frame before (all of them if it is there alone); crumbs too, so that no
    pixel is lost. Children of the track become those of the daughter that ends nearest to them.

    Attributes
    ----------
    track
        The parent.
    frame
        The first frame of the daughters.
    prompted
        Whether runs are to follow them: their masks on that frame become prompts.
    """

    track: int
    frame: int
    prompted: bool = False

    def plan(self, state: TrackState) -> Change:
        """Return the change; raise EditError if the mask is in one piece too round to be two."""
        need(state, self.track)
        frames = state.places.frames(self.track)
        if self.frame not in frames or self.frame == frames[0]:
            raise EditError(
                f"track {self.track} cannot divide in frame {self.frame}: it has to be there, and "
                f"before that; it goes from {frames[0]} to {frames[-1]}"
            )
        box, mask = state.mask(self.track, self.frame)
        if _as_two(mask) is None:
            raise EditError(
                f"track {self.track} is not in two parts of about the same size in frame "
                f"{self.frame}, and not longer than wide; split it there, and draw the other "
                "daughter"
            )
        draft = Draft(state)
        a = new_id(state)
        check_id(state, a + 1)
        last: tuple[Ints, Ints] | None = None
        ends: dict[int, tuple[int, NDArray[np.float64]]] = {}
        for t in frames[frames.index(self.frame) :]:
            box, mask = state.mask(self.track, t)
            pixels = np.argwhere(mask) + [s.start for s in box]
            which = _assigned(mask, pixels, last)
            ids = np.array([a, a + 1], np.uint32)[which]
            draft.add([PixelEdit.of(t, box, mask, self.track, ids)])
            both = pixels[which == 0], pixels[which == 1]
            for k, each in enumerate(both):
                if len(each):
                    ends[a + k] = t, each.mean(axis=0)
            last = both if last is None or all(map(len, both)) else last
        self._hand_over(draft, ends)
        draft.parents[a] = draft.parents[a + 1] = self.track
        return draft.finish("")

    def _hand_over(self, draft: Draft, ends: dict[int, tuple[int, NDArray[np.float64]]]) -> None:
        """Give the children of the track to the nearer daughter."""
        state = draft.state
        for child, parent in state.parents.items():
            if parent != self.track:
                continue
            begin, _ = state.places.span(child)
            box = state.places.box(child, begin)
            assert box is not None
            centre = np.array([(s.start + s.stop - 1) / 2 for s in box])
            before = {i: c for i, (t, c) in ends.items() if t < begin}
            draft.parents[child] = min(before, key=lambda i: np.linalg.norm(before[i] - centre))


def _as_two(mask: NDArray[np.bool_]) -> NDArray[np.uint8] | None:
    """Return `two_pieces`, or the halves of a mask in one piece; None if it is neither."""
    parts = two_pieces(mask)
    if parts is not None:
        return parts
    from scipy import ndimage as ndi

    pieces, _ = ndi.label(mask)
    areas = np.bincount(pieces.ravel())[1:]
    if areas.max() < LEAST_SHARE * areas.sum():
        return None
    return cut_across(mask)


def _assigned(
    mask: NDArray[np.bool_], pixels: Ints, last: tuple[Ints, Ints] | None
) -> NDArray[np.intp]:
    """Return 0 or 1 for each pixel of a mask: the daughter that it goes to; see `PartInTwo`."""
    from scipy.spatial import cKDTree

    parts = _as_two(mask) if last is None else two_pieces(mask)
    if parts is not None:
        which = parts[mask]
        both = pixels[which == 1], pixels[which == 2]
        if last is not None:
            (p, q), (u, v) = ([each.mean(axis=0) for each in pair] for pair in (both, last))
            straight = np.linalg.norm(p - u) + np.linalg.norm(q - v)
            if np.linalg.norm(p - v) + np.linalg.norm(q - u) < straight:
                both = both[1], both[0]
    else:
        assert last is not None
        now = cKDTree(pixels)
        kept = [np.mean(now.query(each)[0] == 0) for each in last]
        if min(kept) < _GONE and max(kept) > _THERE:  # the parent continued as one of them
            return np.full(len(pixels), int(np.argmax(kept)), np.intp)
        # as they were, moved with the whole
        way = pixels.mean(axis=0) - np.concatenate(last).mean(axis=0)
        both = last[0] + way, last[1] + way
    near = [cKDTree(each).query(pixels)[0] for each in both]
    return np.asarray(near[1] < near[0], np.intp)
