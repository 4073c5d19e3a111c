"""Motion of objects to the next frame: displacements, and fields that predict them.

A field is smooth: the motion of an object is that of its neighbours. It is fitted on matches that
are beyond doubt, weighted and robust, separately around each object (locally weighted regression,
Cleveland 1979), as a displacement that changes linearly with the place: drift, expansion,
rotation and shear of the neighbourhood.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from napari_sam2track.linking.objects import Objects

#: Neighbours that a local fit uses.
NEIGHBOURS = 8
#: Strength of the pull of the fit towards a plain displacement, in the units of the distances.
_RIDGE = 0.3
#: Number of times that the fit is repeated without those that do not move with the others.
_ROBUST_ROUNDS = 3
#: Most that a neighbourhood may grow or shrink along an axis from one frame to the next.
_MOST_STRETCH = 0.25
#: Area, as a share, below which no object falls by its motion.
_LEAST_STRETCH = 0.1


@dataclass(frozen=True, eq=False, slots=True)
class Motion:
    """A motion of each object of a frame.

    Attributes
    ----------
    shift
        Shape (n, d), float64: displacement of the centroid, in pixels.
    gradient
        Shape (n, d, d), float64: change of the displacement with the place, ``[k, i, j]`` along
        axis i per pixel along axis j; 0 moves an object without changing its shape.
    """

    shift: NDArray[np.float64]
    gradient: NDArray[np.float64]

    def take(self, which: NDArray[np.intp]) -> Motion:
        """Return the motion of some of the objects."""
        return Motion(self.shift[which], self.gradient[which])

    def stretch(self) -> NDArray[np.float64]:
        """Shape (n,): factor by which the area of each object changes."""
        n, d = self.shift.shape
        if not self.gradient.any():
            return np.ones(n)
        factor: NDArray[np.float64] = np.linalg.det(self.gradient + np.eye(d))
        return np.maximum(factor, _LEAST_STRETCH)


def same_shift(n: int, shift: NDArray[np.float64]) -> Motion:
    """Return a motion that moves all of `n` objects by `shift` (d,)."""
    d = len(shift)
    return Motion(np.tile(shift, (n, 1)), np.zeros((n, d, d)))


def at_rest(objects: Objects) -> Motion:
    """Return a motion that moves no object."""
    return same_shift(len(objects), np.zeros(objects.ndim))


def move(objects: Objects, motion: Motion) -> NDArray[np.float64]:
    """Return the points of the objects (p, d) after their motion."""
    owner = objects.owner
    if not motion.gradient.any():
        return objects.points + motion.shift[owner]
    arm = objects.points - objects.centres[owner]
    turned: NDArray[np.float64] = np.einsum("pij,pj->pi", motion.gradient[owner], arm)
    return objects.points + motion.shift[owner] + turned


def fit_field(
    places: NDArray[np.float64],
    source: NDArray[np.float64],
    shift: NDArray[np.float64],
    weight: NDArray[np.float64],
    neighbours: int = NEIGHBOURS,
) -> Motion:
    """Predict the motion at some places from the motion that was seen at others.

    Parameters
    ----------
    places
        Shape (n, d): where to predict.
    source, shift, weight
        Shapes (m, d), (m, d), (m,): places with a known motion, the motion, and its weight;
        m is at least 1.
    neighbours
        Number of the nearest ones that a prediction uses.

    Returns
    -------
    Motion
        Of the n places.
    """
    from scipy.spatial import cKDTree

    n, d = places.shape
    k = min(neighbours, len(source))
    found = cKDTree(source).query(places, k=k)
    distance, index = (np.asarray(part).reshape(n, k) for part in found)
    reach = np.median(distance, axis=1) + 1e-6
    arm = (source[index] - places[:, None]) / reach[:, None, None]
    seen = shift[index]
    trust = (weight[index] + 1e-6) * np.exp(-0.5 * (distance / reach[:, None]) ** 2)
    basis = np.concatenate([np.ones((n, k, 1)), arm], axis=2)
    pull = np.full(d + 1, _RIDGE)
    pull[0] = 1e-6
    coefficients = np.zeros((n, d + 1, d))
    for _ in range(_ROBUST_ROUNDS):
        normal = np.einsum("nk,nki,nkj->nij", trust, basis, basis)
        normal += trust.sum(axis=1)[:, None, None] * np.diag(pull)
        right = np.einsum("nk,nki,nkj->nij", trust, basis, seen)
        coefficients = np.linalg.solve(normal, right)
        off = np.linalg.norm(seen - basis @ coefficients, axis=2)
        scale = np.median(off, axis=1, keepdims=True) * 1.48 + 0.5
        trust = trust / (1 + (off / (2 * scale)) ** 2) ** 2
    gradient = np.swapaxes(coefficients[:, 1:], 1, 2) / reach[:, None, None]
    return Motion(coefficients[:, 0], np.clip(gradient, -_MOST_STRETCH, _MOST_STRETCH))
