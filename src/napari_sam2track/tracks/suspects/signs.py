"""Signs that a track is wrong, each with a score from 0 to 1 and a reason in words."""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from napari_sam2track.params import SuspectParams
from napari_sam2track.tracks.lineage import children, problems, spans
from napari_sam2track.tracks.suspects.mask_signs import MaskSigns
from napari_sam2track.tracks.suspects.motion_signs import MotionSigns
from napari_sam2track.tracks.table import TrackTable

#: A track that begins so many frames after another one ended, or fewer, may be the same.
NEAR_FRAMES = 3
#: ... and no further away than so many diameters.
NEAR_DIAMETERS = 1.5


#: Factor for the score of a sign where the border cuts the object off.
CUT = 0.3


@dataclass(frozen=True, slots=True)
class Sign:
    """One reason to look at a track in a frame; see `suspects.Suspect`."""

    track: int
    frame: int
    kind: str
    score: float
    text: str


def excess(value: float, threshold: float) -> float:
    """Return 0 up to the threshold, 1/2 at twice as much, towards 1 beyond."""
    return 1 - threshold / value if value > threshold else 0.0


def jumps(table: TrackTable, motion: MotionSigns, params: SuspectParams) -> Iterator[Sign]:
    """Yield steps that neither the neighbours nor the track itself explain."""
    rows = table.detections
    usual = _by_track(table, motion.surprise)
    limit = params.jump + 2 * usual
    trust = _trust(table)
    for i in np.flatnonzero(motion.surprise > limit).tolist():
        track, frame = int(rows["track"][i]), int(rows["frame"][i])
        text = f"moved {motion.surprise[i]:.1f} diameters more than expected"
        score = trust[i] * excess(float(motion.surprise[i]), float(limit[i]))
        yield Sign(track, frame, "jump", score, text)


def area_changes(table: TrackTable, motion: MotionSigns, params: SuspectParams) -> Iterator[Sign]:
    """Areas that change by more than they usually do in the track."""
    rows = table.detections
    size = np.log(np.maximum(rows["area"], 1).astype(np.float64))
    change = np.full(len(rows), np.nan)
    change[1:] = np.where(motion.continues[1:], np.diff(size), np.nan)
    usual = _by_track(table, change)
    beside = np.abs(change - usual)
    limit = math.log(params.area_change) + 2 * _by_track(table, beside)
    trust = _trust(table)
    for i in np.flatnonzero(beside > limit).tolist():
        track, frame = int(rows["track"][i]), int(rows["frame"][i])
        text = f"area {rows['area'][i - 1]} to {rows['area'][i]}, {math.exp(change[i]):.2f} times"
        score = trust[i] * excess(float(beside[i]), float(limit[i]))
        yield Sign(track, frame, "area", score, text)


def overlaps(table: TrackTable, looks: MaskSigns, params: SuspectParams) -> Iterator[Sign]:
    """Masks that overlap less with the one before than they usually do."""
    rows = table.detections
    usual = _by_track(table, looks.overlap)
    spread = _by_track(table, np.abs(looks.overlap - usual))
    limit = np.maximum(np.minimum(params.min_iou, usual - 2 * spread), 0)
    trust = _trust(table)
    for i in np.flatnonzero(looks.overlap < limit).tolist():
        track, frame = int(rows["track"][i]), int(rows["frame"][i])
        score = trust[i] * 0.9 * (1 - looks.overlap[i] / limit[i])
        text = f"overlaps by {looks.overlap[i]:.2f} (IoU) with the frame before"
        yield Sign(track, frame, "overlap", float(score), text)


def parts_and_holes(table: TrackTable, looks: MaskSigns) -> Iterator[Sign]:
    """Masks of several parts, or with holes; a tenth of the pixels counts for a half."""
    rows = table.detections
    for kind, values, words in (
        ("parts", looks.apart, "of its pixels are not connected with the rest"),
        ("holes", looks.holes, "of its area are holes"),
    ):
        for i in np.flatnonzero(values > 0).tolist():
            track, frame = int(rows["track"][i]), int(rows["frame"][i])
            share = float(values[i])
            yield Sign(track, frame, kind, 0.9 * share / (share + 0.1), f"{share:.1%} {words}")


def gaps(table: TrackTable) -> Iterator[Sign]:
    """Frames in which a track is missing, reported at the first of them."""
    rows = table.detections
    missing = np.zeros(len(rows), np.int64)
    missing[1:] = np.where(np.diff(rows["track"]) == 0, np.diff(rows["frame"]) - 1, 0)
    for i in np.flatnonzero(missing).tolist():
        first, n = int(rows["frame"][i - 1]) + 1, int(missing[i])
        where = f"frame {first}" if n == 1 else f"frames {first} to {first + n - 1}"
        yield Sign(int(rows["track"][i]), first, "lost", 0.8 + 0.1 * (1 - 1 / n), f"not in {where}")


def short_tracks(table: TrackTable, params: SuspectParams) -> Iterator[Sign]:
    """Tracks of few frames that neither the movie nor the border cuts short."""
    for rows, cut in zip(table.tracks(), _split(table, _cut(table)), strict=True):
        begin, end = int(rows["frame"][0]), int(rows["frame"][-1])
        if len(rows) < params.min_length and begin > 0 and end < table.n_frames - 1:
            n = f"{len(rows)} frame" + ("s" if len(rows) > 1 else "")
            score = 0.5 * (CUT if cut.any() else 1)
            yield Sign(int(rows["track"][0]), begin, "short", score, f"is in {n} only")


def begins_and_ends(
    table: TrackTable, motion: MotionSigns, params: SuspectParams
) -> Iterator[Sign]:
    """Tracks without parents that begin, and without children that end, away from the border.

    Where one begins close to where another one ended shortly before, both are very likely the
    same.
    """
    rows = table.detections
    first = np.flatnonzero(~motion.continues)
    last = np.append(first[1:] - 1, len(rows) - 1)
    mothers = set(table.parents.values())
    inside = _inside(table, motion, params)
    ends = [
        i
        for i in last.tolist()
        if rows["frame"][i] < table.n_frames - 1 and int(rows["track"][i]) not in mothers
    ]
    begins = [
        i
        for i in first.tolist()
        if rows["frame"][i] > 0 and int(rows["track"][i]) not in table.parents
    ]
    again = _reappearing(ends, begins, rows["frame"], motion)
    for i in ends:
        track, frame = int(rows["track"][i]), int(rows["frame"][i])
        if i in again:
            k = again[i]
            text = f"ends where {rows['track'][k]} begins in frame {rows['frame'][k]}: one track?"
            yield Sign(track, frame, "end", 0.85, text)
        elif inside[i]:
            yield Sign(track, frame, "end", 0.5, "ends inside the frame")
    for i in set(begins) - set(again.values()):
        if inside[i]:
            track, frame = int(rows["track"][i]), int(rows["frame"][i])
            yield Sign(track, frame, "begin", 0.4, "begins inside the frame, without a parent")


def divisions(table: TrackTable, motion: MotionSigns, params: SuspectParams) -> Iterator[Sign]:
    """Divisions whose daughters are unlike, together smaller than the parent, or far off."""
    rows = table.detections
    first = {int(rows["track"][i]): int(i) for i in np.flatnonzero(~motion.continues)}
    last = {
        int(track[-1]["track"]): first[int(track[0]["track"])] + len(track) - 1
        for track in table.tracks()
    }
    ends = {track: end for track, (_, end) in spans(table).items()}
    cut = _cut(table)
    for mother, brood in children(table.parents).items():
        frame = ends[mother]
        i = last[mother]
        begin = [first[c] for c in brood]
        trust = CUT if cut[[i, *begin]].any() else 1.0
        if len(brood) == 1:
            yield Sign(mother, frame, "division", 0.3, f"has one child only, {brood[0]}")
        elif len(brood) > 2:
            yield Sign(mother, frame, "division", 0.6, f"has {len(brood)} children")
        elif rows["area"][[i, *begin]].all():  # where only places are known, sizes say nothing
            areas = sorted(int(rows["area"][k]) for k in begin)
            ratio = areas[0] / areas[1]
            if ratio < params.daughter_ratio:
                text = f"has daughters of {areas[0]} and {areas[1]} pixels"
                score = trust * (1 - ratio / params.daughter_ratio)
                yield Sign(mother, frame, "division", score, text)
            whole = math.log(sum(areas) / int(rows["area"][i]))
            limit = 2 * math.log(params.area_change)
            if abs(whole) > limit:
                text = f"{rows['area'][i]} pixels become {areas[0]} and {areas[1]}"
                score = trust * excess(abs(whole), limit)
                yield Sign(mother, frame, "division", score, text)
        for child, k in zip(brood, begin, strict=True):
            far = float(np.linalg.norm(motion.place[k] - motion.place[i]) / motion.diameter[i])
            if far > NEAR_DIAMETERS:
                text = f"begins {far:.1f} diameters from its mother {mother}"
                when = int(rows["frame"][k])
                yield Sign(child, when, "division", excess(far, NEAR_DIAMETERS), text)


def lineage_signs(table: TrackTable) -> Iterator[Sign]:
    """Parents that cannot be, and daughters that begin long after."""
    for problem in problems(table):
        score = 0.95 if problem.severity == "error" else 0.3
        if problem.severity == "error" or problem.kind == "long wait":
            frame = 0 if problem.frame is None else problem.frame
            yield Sign(problem.track, frame, "lineage", score, problem.text)


def border_contacts(table: TrackTable) -> Iterator[Sign]:
    """Tracks that touch the border, reported where they first do: their areas are cut."""
    for rows, touches in zip(table.tracks(), _split(table, _cut(table)), strict=True):
        if touches.any():
            frame = int(rows["frame"][np.flatnonzero(touches)[0]])
            n = int(touches.sum())
            text = f"touches the border in {n} frame" + ("s" if n > 1 else "")
            yield Sign(int(rows["track"][0]), frame, "border", 0.05, text)


def _reappearing(
    ends: list[int], begins: list[int], frames: NDArray[np.int64], motion: MotionSigns
) -> dict[int, int]:
    """Rows at which tracks end to the nearest row at which one begins soon after, if any."""
    from scipy.spatial import KDTree

    begun, ended = (_by_frame(rows, frames) for rows in (begins, ends))
    found: dict[int, int] = {}
    for t, here in ended.items():
        least = NEAR_DIAMETERS * motion.diameter[here]
        for wait in range(1, NEAR_FRAMES + 1):
            soon = begun.get(t + wait)
            if soon is None:
                continue
            far, at = map(np.asarray, KDTree(motion.place[soon]).query(motion.place[here]))
            near = np.flatnonzero(far < least)
            least[near] = far[near]
            found |= {here[j]: soon[at[j]] for j in near.tolist()}
    return found


def _by_frame(rows: list[int], frames: NDArray[np.int64]) -> dict[int, list[int]]:
    """Rows by the frame that they are in."""
    found: dict[int, list[int]] = {}
    for k in rows:
        found.setdefault(int(frames[k]), []).append(k)
    return found


def _cut(table: TrackTable) -> NDArray[np.bool_]:
    """Return whether the border of the plane cuts each row's mask off, or may do so.

    First and last planes of a volume do not count: they are touched all the time.
    """
    box = table.detections["bbox"]
    cut: NDArray[np.bool_] = (box[:, 1:3] == 0).any(axis=1)
    cut |= (box[:, 4:6] == table.frame_shape[-2:]).any(axis=1)
    return cut & (table.detections["area"] > 0)


def _trust(table: TrackTable) -> NDArray[np.float64]:
    """Return the weight of each row's comparison with the one before: less where one is cut off."""
    cut = _cut(table)
    before = np.concatenate([[False], cut[:-1]])
    return np.where(cut | before, CUT, 1.0)


def _inside(table: TrackTable, motion: MotionSigns, params: SuspectParams) -> NDArray[np.bool_]:
    """Return whether each row is further from the border than objects move in a frame."""
    box = table.detections["bbox"]
    free = np.minimum(box[:, 1:3], np.array(table.frame_shape[-2:]) - box[:, 4:6]).min(axis=1)
    inside: NDArray[np.bool_] = free > params.border * np.nan_to_num(motion.diameter)
    return inside


def _by_track(table: TrackTable, values: NDArray[np.float64]) -> NDArray[np.float64]:
    """The median of the values of its track, for each row; 0 where there are none."""
    medians = []
    for each in _split(table, values):
        there = each[~np.isnan(each)]
        medians.append(np.full(len(each), np.median(there) if len(there) else 0.0))
    return np.concatenate(medians)


def _split(table: TrackTable, values: NDArray[Any]) -> list[NDArray[Any]]:
    """Values of the rows, track by track in the order of `TrackTable.tracks`."""
    return np.split(values, np.flatnonzero(np.diff(table.detections["track"])) + 1)
