"""Divisions that a person decides on: where there may be one, and what accepting it does."""

from __future__ import annotations

from collections.abc import Generator, Iterable
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from napari_sam2track.engine.divisions import LASTING, LEAST_RATIO, LEAST_SHARE, two_pieces
from napari_sam2track.errors import EditError
from napari_sam2track.labels import LabelFrames
from napari_sam2track.masks import cut_across
from napari_sam2track.session.decisions import Division
from napari_sam2track.tracks.editing.change_builder import Draft, check_id, need, new_id
from napari_sam2track.tracks.editing.changes import Change, PixelEdit
from napari_sam2track.tracks.editing.edits import Divide, SetParent
from napari_sam2track.tracks.editing.track_state import Edit, TrackState
from napari_sam2track.tracks.regions import cut_mask, measure_regions
from napari_sam2track.tracks.table import TrackTable

#: A mother is at least so much larger than she is as one of her daughters.
_SHRUNK = 0.8
#: Area of two daughters over that of their mother.
_TOGETHER = (0.6, 1.5)
#: Parts of what the daughters had that are left of one which is gone, and of one that is there.
_GONE, _THERE = 0.1, 0.5

Ints = NDArray[np.intp]


@dataclass(frozen=True)
class DivisionCandidate:
    """Where a track may divide.

    Attributes
    ----------
    parent
        The track.
    frame
        The first frame with two.
    score
        From 0 to 1: how alike the two are.
    others
        None: its own mask is two, apart or in touch. One: it goes on as one daughter, and this
        track is the other. Two: it ends, and these begin.
    """

    parent: int
    frame: int
    score: float
    others: tuple[int, ...] = ()

    @property
    def text(self) -> str:
        """Why, in words."""
        match self.others:
            case (b,):
                return f"{b} begins beside"
            case (a, b):
                return f"{a} and {b} begin"
            case _:
                return "mask of two parts"

    def edits(self, prompted: bool) -> tuple[Edit, ...]:
        """What accepting it does; `prompted` as in `PartInTwo`."""
        match self.others:
            case (b,):
                return (Divide(self.parent, b, self.frame),)
            case (a, b):
                return SetParent(a, self.parent), SetParent(b, self.parent)
            case _:
                return (PartInTwo(self.parent, self.frame, prompted),)

    def is_like(self, parent: int, frame: int) -> bool:
        """Whether it is about the same event as another; scans may differ by some frames."""
        return parent == self.parent and abs(frame - self.frame) < LASTING


def suggested(divisions: Iterable[Division]) -> list[DivisionCandidate]:
    """Those that a run saw."""
    return [DivisionCandidate(d.parent, d.frame, d.score) for d in divisions]


def scan_steps(
    labels: LabelFrames, table: TrackTable
) -> Generator[tuple[int, int] | list[DivisionCandidate], None, None]:
    """Look for divisions that the tracks do not have; reads each frame once.

    Parameters
    ----------
    labels
        Values are tracks.
    table
        The tracks.

    Yields
    ------
    (done, total) frames, and in the end all candidates, the likeliest first.
    """
    found = beginnings(table)
    parted: dict[int, _Parted] = {}
    for t in range(labels.n_frames):
        frame = labels.read(t)
        regions = measure_regions(frame)
        seen: set[int] = set()
        for k, track in enumerate(regions.labels.tolist()):
            mask = cut_mask(frame, regions, k)
            parts = two_pieces(mask)
            if parts is not None:
                seen.add(track)
                small, large = sorted(int((parts == n).sum()) for n in (1, 2))
                parted.setdefault(track, _Parted(t)).ratios.append(small / large)
        for track in [track for track in parted if track not in seen]:
            found += parted.pop(track).candidates(track)
        yield t + 1, labels.n_frames
    for track, one in parted.items():
        found += one.candidates(track)
    begins = {int(rows["track"][0]): int(rows["frame"][0]) for rows in table.tracks()}
    real = [c for c in found if c.others or c.frame > begins.get(c.parent, c.frame)]
    yield sorted(real, key=lambda c: (-c.score, c.frame, c.parent))


@dataclass
class _Parted:
    """A track that has been in two parts since a frame."""

    frame: int
    ratios: list[float] = field(default_factory=list)

    def candidates(self, track: int) -> list[DivisionCandidate]:
        if len(self.ratios) < LASTING:
            return []
        return [DivisionCandidate(track, self.frame, round(float(np.mean(self.ratios)), 4))]


def beginnings(table: TrackTable) -> list[DivisionCandidate]:
    """Tracks without a parent that begin where another one becomes smaller, or ends."""
    mothers = set(table.parents.values())
    rows = table.detections
    first = {int(each["track"][0]): each[0] for each in table.tracks()}
    at: dict[int, dict[int, Any]] = {}
    for one in rows:
        at.setdefault(int(one["frame"]), {})[int(one["track"])] = one
    ended: dict[tuple[int, int], list[tuple[int, float]]] = {}
    found = []
    for track, begin in first.items():
        t = int(begin["frame"])
        before, now = at.get(t - 1, {}), at[t]
        if track in table.parents or not before:
            continue
        ids = [i for i in before if i not in mothers]
        if not ids:
            continue
        away = np.array([np.linalg.norm(before[i]["centroid"] - begin["centroid"]) for i in ids])
        mother = ids[int(away.argmin())]
        whole, deep = int(before[mother]["area"]), len(table.frame_shape) == 3
        size = whole ** (1 / 3) * 1.24 if deep else 2 * (whole / np.pi) ** 0.5
        if away.min() > size:
            continue
        if mother not in now:
            ended.setdefault((mother, t), []).append((track, float(begin["area"])))
            continue
        left, ratio = int(now[mother]["area"]), _ratio(now[mother]["area"], begin["area"])
        if left <= _SHRUNK * whole and _fits(left + int(begin["area"]), whole, ratio):
            found.append(DivisionCandidate(mother, t, round(ratio, 4), (track,)))
    for (mother, t), both in ended.items():
        if len(both) == 2:
            (a, one), (b, two) = both
            whole, ratio = int(at[t - 1][mother]["area"]), _ratio(one, two)
            if _fits(one + two, whole, ratio):
                found.append(DivisionCandidate(mother, t, round(ratio, 4), (a, b)))
    return found


def _ratio(a: float, b: float) -> float:
    return float(min(a, b) / max(a, b, 1))


def _fits(together: float, whole: float, ratio: float) -> bool:
    low, high = _TOGETHER
    return ratio >= LEAST_RATIO and low <= together / max(whole, 1) <= high


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
        The mother.
    frame
        The first frame of the daughters.
    prompted
        Whether runs are to follow them: their masks on that frame become prompts.
    """

    track: int
    frame: int
    prompted: bool = False

    def plan(self, state: TrackState) -> Change:
        """The change; raises EditError if the mask is in one piece and too round to be two."""
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
    """`two_pieces`, or the halves of a mask in one piece; None if it is neither."""
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
    """0 or 1 for each pixel of a mask: the daughter that it goes to; see `PartInTwo`."""
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
        if min(kept) < _GONE and max(kept) > _THERE:  # the mother went on as one of them
            return np.full(len(pixels), int(np.argmax(kept)), np.intp)
        # as they were, moved with the whole
        way = pixels.mean(axis=0) - np.concatenate(last).mean(axis=0)
        both = last[0] + way, last[1] + way
    near = [cKDTree(each).query(pixels)[0] for each in both]
    return np.asarray(near[1] < near[0], np.intp)
