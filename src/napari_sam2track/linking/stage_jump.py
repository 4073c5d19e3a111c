"""Jumps of the stage: displacements that the whole frame may have made, by correlation."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from napari_sam2track.linking.objects import ObjectFrame

#: Cells along the longest axis of the grid on which frames are correlated.
_GRID = 256
#: How many of the highest correlations are returned.
_PEAKS = 3


def shift_candidates(first: ObjectFrame, second: ObjectFrame) -> list[NDArray[np.float64]]:
    """Return displacements (d,) in pixels, the likeliest first; to within a cell of the grid.

    Both frames are reduced to a grid of objects and of the outlines between objects,
    and correlated without wrapping round (by FFT).
    """
    from scipy import fft
    from scipy import ndimage as ndi

    sides = first.index.shape
    step = -(-max(sides[-2:]) // _GRID)
    steps = (1,) * (len(sides) - 2) + tuple(min(step, n) for n in sides[-2:])
    grids = [_outlined(frame.index, steps) for frame in (first, second)]
    shape = [fft.next_fast_len(2 * n, real=True) for n in grids[0].shape]
    spectra = [fft.rfftn(ndi.gaussian_filter(grid, 1.0), shape) for grid in grids]
    correlation = fft.irfftn(np.conj(spectra[0]) * spectra[1], shape)
    # Beyond three quarters of the frame hardly anything is left to compare.
    for axis, n in enumerate(grids[0].shape):
        far = np.arange(shape[axis])
        far = np.minimum(far, shape[axis] - far) > 0.75 * n
        correlation[(slice(None),) * axis + (far,)] = -np.inf
    peaks = []
    for _ in range(_PEAKS):
        at = np.array(np.unravel_index(int(correlation.argmax()), correlation.shape))
        signed = np.where(at > np.array(shape) // 2, at - shape, at)
        peaks.append(signed * np.array(steps, float))
        for offset in np.ndindex(*(5,) * len(shape)):  # nor again what lies beside it
            near = tuple((at + np.array(offset) - 2) % shape)
            correlation[near] = -np.inf
    return peaks


def _outlined(index: NDArray[np.int32], steps: tuple[int, ...]) -> NDArray[np.float32]:
    """Return object minus twice its outline towards others, averaged over cells."""
    picture = (index > 0).astype(np.float32)
    for axis in (-2, -1):
        ahead = np.moveaxis(index, axis, 0)
        edge = np.moveaxis(picture, axis, 0)
        edge[:-1] -= ahead[:-1] != ahead[1:]
    cut = tuple(slice(n - n % s) for n, s in zip(picture.shape, steps, strict=True))
    picture = picture[cut]
    for axis, s in enumerate(steps):
        if s > 1:
            split = (*picture.shape[:axis], -1, s, *picture.shape[axis + 1 :])
            picture = picture.reshape(split).mean(axis=axis + 1)
    return picture
