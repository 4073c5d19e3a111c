"""Candidates for divisions, on which a person decides."""

from __future__ import annotations

from collections.abc import Collection, Generator, Iterable
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from napari_sam2track.engine.divisions import LASTING
from napari_sam2track.labels import LabelFrames
from napari_sam2track.masks import LEAST_RATIO, two_pieces
from napari_sam2track.session.decisions import Division
from napari_sam2track.tracks.editing.edits import Divide, SetParent
from napari_sam2track.tracks.editing.part_in_two import PartInTwo
from napari_sam2track.tracks.editing.track_state import Edit, TrackState
from napari_sam2track.tracks.regions import cut_mask, measure_regions
from napari_sam2track.tracks.table import TrackTable

#: A parent is at least so many times as large as one of its daughters.
_SHRUNK = 0.8
#: Area of two daughters over that of their parent.
_TOGETHER = (0.6, 1.5)


@dataclass(frozen=True)
class DivisionCandidate:
    """A place where a track may divide.

    Attributes
    ----------
    parent
        The track.
    frame
        The first frame with two objects.
    score
        From 0 to 1: how alike the two are.
    others
        None: its own mask is two, apart or in touch. One: the track continues as one daughter, and
        this track is the other. Two: the track ends, and these begin.
    """

    parent: int
    frame: int
    score: float
    others: tuple[int, ...] = ()

    @property
    def text(self) -> str:
        """The reason, in words."""
        match self.others:
            case (b,):
                return f"{b} begins beside"
            case (a, b):
                return f"{a} and {b} begin"
            case _:
                return "mask of two parts"

    def edits(self, prompted: bool) -> tuple[Edit, ...]:
        """Return the edits that accepting it makes; `prompted` as in `PartInTwo`."""
        match self.others:
            case (b,):
                return (Divide(self.parent, b, self.frame),)
            case (a, b):
                return SetParent(a, self.parent), SetParent(b, self.parent)
            case _:
                return (PartInTwo(self.parent, self.frame, prompted),)

    def is_like(self, parent: int, frame: int) -> bool:
        """Return whether both are the same event; scans may differ by some frames."""
        return parent == self.parent and abs(frame - self.frame) < LASTING


def suggested(divisions: Iterable[Division]) -> list[DivisionCandidate]:
    """Return the candidates that a run found."""
    return [DivisionCandidate(d.parent, d.frame, d.score) for d in divisions]


def still_open(
    candidates: Iterable[DivisionCandidate],
    state: TrackState,
    refused: Collection[tuple[int, int]],
) -> list[DivisionCandidate]:
    """Return the candidates that may still be divisions, the best first.

    Candidates are left out if their tracks are gone, or have known parents or daughters, or a
    person refused them (parent and frame); each remaining one is listed once.
    """
    places, parents = state.places, state.parents
    mothers = set(parents.values())
    found: list[DivisionCandidate] = []
    for one in candidates:
        missing = any(i not in places for i in (one.parent, *one.others))
        gone = one.frame not in places.frames(one.parent) and len(one.others) < 2
        known = one.parent in mothers or any(i in parents for i in one.others)
        twice = any(one.is_like(c.parent, c.frame) for c in found)
        if not (missing or gone or known or twice or any(one.is_like(*pair) for pair in refused)):
            found.append(one)
    return sorted(found, key=lambda c: (-c.score, c.frame, c.parent))


def scan_steps(
    labels: LabelFrames, table: TrackTable
) -> Generator[tuple[int, int] | list[DivisionCandidate], None, None]:
    """Search for divisions that the tracks do not have; reads each frame once.

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
    """Return tracks without a parent that begin where another one becomes smaller, or ends."""
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
