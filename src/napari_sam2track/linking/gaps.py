"""Lost objects, remembered for some frames in case they come back.

A lost object moves on with its neighbours: the points of its last mask follow the motion that the
other objects show, so that they lie where the object would be now.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from napari_sam2track.linking.frame_pair import possible
from napari_sam2track.linking.hypotheses import NO_HYPOTHESES, Growth, Hypotheses
from napari_sam2track.linking.motion import Motion, at_rest, fit_field, move, same_shift
from napari_sam2track.linking.objects import ObjectFrame, Objects, together
from napari_sam2track.linking.overlap import overlap_moved
from napari_sam2track.params import LinkParams

#: Gain for each frame in which an object is missing.
_MISSING = -0.7


@dataclass(frozen=True, eq=False, slots=True)
class Lost:
    """Objects without a successor; row k of each array is one.

    Attributes
    ----------
    objects
        Their expected places in the last frame.
    tracklet
        Shape (n,), int64: the tracklet that each ends.
    frame
        Shape (n,), int64: the frame in which each was seen last.
    label
        Shape (n,), uint32: their label there.
    swallower
        Shape (n,), int64: the tracklet inside which each disappeared, -1 if in none.
    """

    objects: Objects
    tracklet: NDArray[np.int64]
    frame: NDArray[np.int64]
    label: NDArray[np.uint32]
    swallower: NDArray[np.int64]

    def __len__(self) -> int:
        return len(self.tracklet)

    def take(self, which: NDArray[np.intp]) -> Lost:
        """Return some of them."""
        return Lost(
            self.objects.take(which),
            self.tracklet[which],
            self.frame[which],
            self.label[which],
            self.swallower[which],
        )

    def since(self, frame: int) -> Lost:
        """Return those that were seen in `frame` or after."""
        return self.take(np.flatnonzero(self.frame >= frame))

    def and_more(self, more: Lost) -> Lost:
        """Return these and others, which lie in the same frame."""
        if len(self) == 0:
            return more
        return Lost(
            together(self.objects, more.objects),
            np.concatenate([self.tracklet, more.tracklet]),
            np.concatenate([self.frame, more.frame]),
            np.concatenate([self.label, more.label]),
            np.concatenate([self.swallower, more.swallower]),
        )

    def moved(self, motion: Motion) -> Lost:
        """Return them one frame later."""
        objects = self.objects
        stretch = motion.stretch()
        return replace(
            self,
            objects=replace(
                objects,
                centres=objects.centres + motion.shift,
                points=move(objects, motion),
                areas=objects.areas * stretch,
                weight=objects.weight * stretch,
            ),
        )


_NONE = np.zeros(0)
NOTHING_LOST = Lost(
    Objects(
        _NONE,
        _NONE.reshape(0, 2),
        np.zeros(0, bool),
        _NONE.reshape(0, 2),
        np.zeros(0, np.int64),
        _NONE,
        _NONE,
    ),
    np.zeros(0, np.int64),
    np.zeros(0, np.int64),
    np.zeros(0, np.uint32),
    np.zeros(0, np.int64),
)


def expected_motion(
    places: NDArray[np.float64],
    source: NDArray[np.float64],
    shift: NDArray[np.float64],
    weight: NDArray[np.float64],
) -> Motion:
    """Return the motion at places (n, d), from that of the objects around (see `fit_field`)."""
    if len(source) == 0:
        return same_shift(len(places), np.zeros(places.shape[1]))
    return fit_field(places, source, shift, weight)


def coming_back(
    lost: Lost, frame: ObjectFrame, t: int, params: LinkParams, growth: Growth
) -> Hypotheses:
    """Return hypotheses of lost objects that are one of frame `t`, or two after a division.

    Parents are positions in `lost`, children in the frame.
    """
    if len(lost) == 0:
        return NO_HYPOTHESES
    steps = (t - lost.frame).astype(np.float64)
    objects = replace(lost.objects, age=steps)
    overlaps = overlap_moved(objects, at_rest(objects), frame)
    h = possible(objects, frame.objects, overlaps, objects.centres, params, growth)
    return replace(h, gain=h.gain + _MISSING * (steps[h.parent] - 1))
