"""Sizes of pixels as people write them."""

from __future__ import annotations

import math


def parsed_sizes(text: str) -> tuple[float | None, float, float]:
    """Return sizes along z, y and x; None along z where the text does not say it.

    Parameters
    ----------
    text
        "0.1", "0.2,0.1" (y, x), "1,0.2,0.1" (z, y, x), or "z=1,y=0.2,x=0.1".

    Raises
    ------
    ValueError
        If it is none of these, or a size is not above 0.
    """
    parts = [part.strip() for part in text.split(",")]
    if len(parts) == 1:
        parts *= 2
    pairs = [part.rpartition("=") for part in parts]
    names = [name.strip().lower() for name, _, _ in pairs]
    if not any(names):
        names = list("zyx"[-len(parts) :])
    try:
        sizes = {name: float(size) for name, (_, _, size) in zip(names, pairs, strict=True)}
    except ValueError:  # also one size or four
        sizes = {}
    if sizes.keys() not in ({"y", "x"}, {"z", "y", "x"}) or not all(
        0 < size < math.inf for size in sizes.values()
    ):
        raise ValueError(
            'a pixel size is one number above 0, or two ("y,x"), or three ("z,y,x"), as in '
            '"z=1,y=0.3,x=0.3"'
        )
    return sizes.get("z"), sizes["y"], sizes["x"]
