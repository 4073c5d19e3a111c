"""Sizes of pixels as people write them."""

from __future__ import annotations

import math


def parsed_sizes(text: str) -> tuple[float, float, float]:
    """Return sizes along z, y and x: of "0.1", "0.2,0.1" (y, x) or "1,0.2,0.1" (z, y, x).

    Raises
    ------
    ValueError
        If it is none of these, or a size is not above 0.
    """
    try:
        sizes = [float(part) for part in text.split(",")]
    except ValueError:
        sizes = []
    if not 1 <= len(sizes) <= 3 or not all(0 < size < math.inf for size in sizes):
        raise ValueError('a pixel size is one number above 0, or two ("y,x"), or three ("z,y,x")')
    if len(sizes) == 1:
        return (sizes[0],) * 3
    z, y, x = sizes if len(sizes) == 3 else (1.0, *sizes)
    return z, y, x
