"""Linking two frames: find the motion between them, then decide all objects together."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from napari_sam2track.linking.assignment import solve, solve_greedily
from napari_sam2track.linking.hypotheses import (
    NO_HYPOTHESES,
    Growth,
    Hypotheses,
    dividing,
    going_on,
    join,
    log_ratios,
    nearby,
)
from napari_sam2track.linking.motion import Motion, at_rest, fit_field, same_shift
from napari_sam2track.linking.objects import ObjectFrame, Objects, thinned
from napari_sam2track.linking.overlap import Overlaps, overlap_moved, overlap_table, untouched
from napari_sam2track.linking.stage_jump import shift_candidates
from napari_sam2track.params import LinkParams

#: A field is fitted anew on the matches of the last one, until it was no better so often;
#: better is a total that is higher by this share.
_PATIENCE, _WORTHWHILE = 2, 0.002
#: Share of the objects that must be matched without doubt to rule out a jump.
_MOST = 0.8
#: One in so many points is enough to compare two motions.
_THIN = 4
#: IoU of matches that a field may rest on; the lower one where there are few.
_SURE, _SURE_ENOUGH = 0.45, 0.25
#: Objects that have to move together to be called a jump of the stage, or a field.
_FEW = 3


@dataclass(frozen=True, eq=False, slots=True)
class PairLinks:
    """Links of the objects of a frame with those of the next.

    Attributes
    ----------
    chosen
        The hypotheses that were chosen, with positions in the two frames.
    motion
        Expected motion of the first frame's objects.
    velocity
        Shape (m, d), float64: motion of the second frame's objects, in pixels per frame;
        NaN where that is not known.
    growth
        Growth of areas, with these frames included.
    """

    chosen: Hypotheses
    motion: Motion
    velocity: NDArray[np.float64]
    growth: Growth


def link_pair(
    first: ObjectFrame,
    second: ObjectFrame,
    params: LinkParams,
    growth: Growth,
    velocity: NDArray[np.float64],
    constrain: Callable[[Hypotheses], Hypotheses] = lambda hypotheses: hypotheses,
) -> PairLinks:
    """Link the objects of a frame with those of the next.

    Parameters
    ----------
    first, second
        A frame and the next.
    params
        See `LinkParams`.
    growth
        Growth of areas so far.
    velocity
        As `PairLinks.velocity`, of the first frame's objects.
    constrain
        Applies the locked links of a person: removes hypotheses, and adds the locked ones.
    """
    here, there = first.objects, second.objects
    motion = at_rest(here)
    chosen = NO_HYPOTHESES
    if len(here) and len(there):
        others: list[Motion] = []
        if params.motion == "on":
            motion, others = _find_motion(first, second, params, growth, velocity)
        hypotheses = constrain(_hypotheses(first, second, motion, params, growth))
        chosen = hypotheses.take(solve(hypotheses))
        more = _elsewhere(chosen, here, second, others, params, growth)
        if len(more):
            hypotheses = constrain(join((hypotheses, more)))
            chosen = hypotheses.take(solve(hypotheses))
    growth = growth.after(log_ratios(here, there, chosen))
    return PairLinks(chosen, motion, _velocity(here, there, chosen), growth)


def _hypotheses(
    first: ObjectFrame, second: ObjectFrame, motion: Motion, params: LinkParams, growth: Growth
) -> Hypotheses:
    """Return all hypotheses, if the objects moved like this."""
    here, there = first.objects, second.objects
    still = not (motion.shift.any() or motion.gradient.any())
    overlaps = overlap_table(first, second) if still else overlap_moved(here, motion, second)
    return possible(here, there, overlaps, here.centres + motion.shift, params, growth)


def _elsewhere(
    chosen: Hypotheses,
    here: Objects,
    second: ObjectFrame,
    motions: Sequence[Motion],
    params: LinkParams,
    growth: Growth,
) -> Hypotheses:
    """Return hypotheses by other motions, for objects that the best motion does not explain.

    A motion that is right for most can be wrong for some: each of them is searched where the
    others would have taken it.
    """
    if len(motions) == 0:
        return NO_HYPOTHESES
    good = chosen.parent[chosen.iou > _SURE_ENOUGH]
    poor = np.setdiff1d(np.arange(len(here)), good)
    found = [NO_HYPOTHESES]
    if len(poor):
        objects = here.take(poor)
        for motion in motions:
            moved = motion.take(poor)
            overlaps = overlap_moved(objects, moved, second)
            expected = objects.centres + moved.shift
            h = possible(objects, second.objects, overlaps, expected, params, growth)
            found.append(replace(h, parent=poor[h.parent]))
    return join(found)


def possible(
    first: Objects,
    second: Objects,
    overlaps: Overlaps,
    expected: NDArray[np.float64],
    params: LinkParams,
    growth: Growth,
) -> Hypotheses:
    """Return all hypotheses of some objects.

    Parameters
    ----------
    first, second
        The objects, and those of a later frame.
    overlaps
        Overlaps at the expected places of the first.
    expected
        Shape (n, d): where the centres of the first are expected.
    params, growth
        See `LinkParams` and `Growth`.
    """
    parts = [going_on(first, second, overlaps, growth)]
    if params.divisions == "auto":
        parts.append(dividing(first, second, overlaps, growth))
    parts = [h.take(h.iou >= params.min_iou) for h in parts]
    if params.motion == "on" or params.max_distance is not None:
        free = untouched(overlaps, len(first), len(second), params.min_iou)
        parts.append(nearby(first, second, expected, *free, params.max_distance, growth))
    return join(parts)


@dataclass(frozen=True, eq=False, slots=True)
class _Trial:
    """A motion, and the matches that it gives."""

    motion: Motion
    matches: Hypotheses

    @property
    def total(self) -> float:
        """Gain of all matches, by which motions are compared."""
        return float(self.matches.gain.sum())


def _find_motion(
    first: ObjectFrame,
    second: ObjectFrame,
    params: LinkParams,
    growth: Growth,
    velocity: NDArray[np.float64],
) -> tuple[Motion, list[Motion]]:
    """Return the best motion among those that the frames suggest, and the others.

    At rest; on as before; a jump of the whole frame; and a smooth field, fitted on the matches
    that are beyond doubt and fitted again on those that it adds, so that it spreads outwards.
    """
    # A few points are enough to compare motions.
    first = replace(first, objects=thinned(first.objects, _THIN))
    here, there = first.objects, second.objects

    def attempt(motion: Motion) -> _Trial:
        hypotheses = _hypotheses(first, second, motion, params, growth)
        return _Trial(motion, hypotheses.take(solve_greedily(hypotheses)))

    trials = [attempt(at_rest(here))]
    known = np.isfinite(velocity[:, 0])
    if known.any():
        usual = np.median(velocity[known], axis=0)
        gone_on = np.where(known[:, None], velocity, usual)
        trials.append(attempt(Motion(gone_on, trials[0].motion.gradient)))
    best = max(trials, key=_total)
    if min(len(here), len(there)) >= _FEW:
        if np.count_nonzero(best.matches.iou > _SURE) < _MOST * len(here):
            jumps = [same_shift(len(here), s) for s in shift_candidates(first, second)]
            best = max(best, *map(attempt, jumps), key=_total)
        field = _spread(here, there, best, attempt)
        if field is not None:
            trials.append(field)
            best = max(best, field, key=_total)
    return best.motion, [trial.motion for trial in trials if trial is not best]


def _spread(
    here: Objects, there: Objects, start: _Trial, attempt: Callable[[Motion], _Trial]
) -> _Trial | None:
    """Return the best of the fields, each fitted on the last one's matches; None without any."""
    best, last, worse = None, start, 0
    while worse < _PATIENCE:
        field = _field(here, there, last.matches)
        if field is None:
            break
        last = attempt(field)
        level = max(start.total, best.total if best else 0.0)
        worse = 0 if last.total > level * (1 + _WORTHWHILE) else worse + 1
        best = last if best is None else max(best, last, key=_total)
    return best


def _total(trial: _Trial) -> float:
    return trial.total


def _field(here: Objects, there: Objects, matches: Hypotheses) -> Motion | None:
    """Return the field of the matches that are beyond doubt; None if there are too few."""
    sure = matches.iou > _SURE
    if sure.sum() <= _FEW:
        sure = matches.iou > _SURE_ENOUGH
    if sure.sum() < _FEW:
        return None
    source, shift, iou = seen_motion(here, there, matches.take(sure))
    return fit_field(here.centres, source, shift, iou**2)


def seen_motion(
    here: Objects, there: Objects, matches: Hypotheses
) -> tuple[NDArray[np.float64], NDArray[np.float64], NDArray[np.float64]]:
    """Return the places of matched objects, their shifts, and the IoU of the match.

    A division moved to the common centre of its daughters.
    """
    source = here.centres[matches.parent]
    # A link that a person locked has no IoU, and is certain.
    return source, _targets(there, matches) - source, np.nan_to_num(matches.iou, nan=1.0)


def _targets(there: Objects, matches: Hypotheses) -> NDArray[np.float64]:
    """Return the places that the parents moved to, (m, d)."""
    child, sibling = matches.child, matches.sibling
    target = there.centres[child].copy()
    two = sibling >= 0
    a, b = there.areas[child[two]][:, None], there.areas[sibling[two]][:, None]
    other = there.centres[sibling[two]]
    target[two] = (a * target[two] + b * other) / (a + b)
    return target


def _velocity(here: Objects, there: Objects, chosen: Hypotheses) -> NDArray[np.float64]:
    """Return the shift of each object of the second frame; that of a parent for its daughters."""
    velocity = np.full(there.centres.shape, np.nan)
    _, shift, _ = seen_motion(here, there, chosen)
    velocity[chosen.child] = shift
    two = chosen.sibling >= 0
    velocity[chosen.sibling[two]] = shift[two]
    return velocity
