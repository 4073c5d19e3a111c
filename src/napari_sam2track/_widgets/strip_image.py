"""States and scores as codes of one byte, and the colour of each code: numpy only.

Codes ascend with the urgency of a cell. So the largest of many cells is what one pixel
shows where there are more frames than pixels.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from napari_sam2track.workspace.state_grid import LOW_SCORE, PROPAGATED, STATES

#: Shades of scores, from 0 to 1; half of them are low.
LEVELS = 8

RGB = tuple[int, int, int]

#: Colours of states: those of Okabe and Ito, which colour-blind people can tell apart. Stale is
#: without colour, and hatched: it alternates between two greys.
COLOURS: dict[str, RGB] = {
    "prompted": (0, 114, 178),
    "propagated": (86, 180, 233),
    "corrected": (204, 121, 167),
    "stale": (178, 178, 178),
    "absent": (201, 186, 62),
    "approved": (0, 158, 115),
}
STALE_DARK: RGB = (92, 92, 92)
#: Colours of propagated cells: with the lowest score, just below the limit, and just above it.
LOWEST, LOW, FAIR = (213, 94, 0), (240, 168, 122), (176, 207, 226)

#: Meaning of each state, for a legend.
MEANINGS = {
    "prompted": "first prompt of the object",
    "propagated": "followed; paler: lower score",
    "corrected": "corrected by hand or by a later prompt",
    "stale": "out of date: a correction before or after has changed what follows",
    "absent": "not there, or not found",
    "approved": "approved by you",
    "low score": f"followed with a score below {LOW_SCORE:g}: look at it",
}

_APPROVED, _PROPAGATED, _CORRECTED = 1, 2, 6
_PROMPTED, _ABSENT, _LOW, _STALE = 7, 8, 9, 13
N_CODES = _STALE + 2
#: Codes of problems begin here.
FIRST_PROBLEM = _ABSENT

_HALF = LEVELS // 2
_CODE_OF_STATE = np.array(
    [0, _PROMPTED, _PROPAGATED, _CORRECTED, _STALE, _ABSENT, _APPROVED], np.uint8
)
#: Level of a score (0 is the lowest) to code: the lower, the larger.
_CODE_OF_LEVEL = np.array(
    [_LOW + _HALF - 1 - k for k in range(_HALF)]
    + [_PROPAGATED + LEVELS - 1 - k for k in range(_HALF, LEVELS)],
    np.uint8,
)


def cell_codes(states: NDArray[np.uint8], scores: NDArray[np.float32]) -> NDArray[np.uint8]:
    """Return the code of each cell.

    Parameters
    ----------
    states
        uint8 of any shape, indices into `STATES`.
    scores
        float32 of the same shape, 0 to 1; NaN: unknown, shown as good. They count where a state
        is "propagated".

    Raises
    ------
    ValueError
        If the shapes differ, or a state has no name.
    """
    if states.shape != scores.shape:
        raise ValueError(f"states have shape {states.shape}, scores {scores.shape}")
    if states.size and int(states.max()) >= len(STATES):
        raise ValueError(f"state {int(states.max())} has no name; there are {len(STATES)}")
    codes = _CODE_OF_STATE[states]
    known = (states == PROPAGATED) & ~np.isnan(scores)
    levels = np.clip(scores[known] * LEVELS, 0, LEVELS - 1).astype(np.intp)
    codes[known] = _CODE_OF_LEVEL[levels]
    return codes


def pooled(codes: NDArray[np.uint8], edges: NDArray[np.intp]) -> NDArray[np.uint8]:
    """Return the most urgent code of each group of frames.

    Parameters
    ----------
    codes
        (n_objects, n_frames) uint8.
    edges
        (n + 1,) ascending frames; group ``i`` is ``edges[i]:edges[i + 1]``, at least one frame.

    Returns
    -------
    numpy.ndarray
        (n_objects, n) uint8.
    """
    if codes.shape[0] == 0:
        return np.zeros((0, len(edges) - 1), np.uint8)
    return np.maximum.reduceat(codes[:, : edges[-1]], edges[:-1], axis=1)


def hatched(codes: NDArray[np.uint8], row: int = 0, column: int = 0) -> NDArray[np.uint8]:
    """Return stale pixels in two tones by turns; ``row`` and ``column`` number the first pixel."""
    stale = codes == _STALE
    if not stale.any():
        return codes
    rows, columns = np.nonzero(stale)
    codes = codes.copy()
    codes[rows, columns] += ((rows + row + columns + column) % 2).astype(np.uint8)
    return codes


def colour_table() -> list[tuple[int, int, int, int]]:
    """Return the RGBA of each code, 0 to 255; of "none" it is transparent."""
    table = [(0, 0, 0, 0)] * N_CODES

    def put(code: int, colour: Sequence[float]) -> None:
        table[code] = (round(colour[0]), round(colour[1]), round(colour[2]), 255)

    for state, name in enumerate(STATES):
        if name in COLOURS:
            put(int(_CODE_OF_STATE[state]), COLOURS[name])
    put(_STALE + 1, STALE_DARK)
    for level in range(LEVELS):
        low = level < _HALF
        share = (level % _HALF) / (_HALF - 1)
        ends = (LOWEST, LOW) if low else (FAIR, COLOURS["propagated"])
        mixed = [a + (b - a) * share for a, b in zip(*ends, strict=True)]
        put(int(_CODE_OF_LEVEL[level]), mixed)
    return table
