"""Sizes of pixels as text: one number, or height and width."""

from __future__ import annotations

import re

_DECIMAL = re.compile(r"(?:[0-9]{1,20}+(?:\.[0-9]{0,20}+)?|\.[0-9]{1,20}+)(?:[eE][+-]?[0-9]{1,3})?")


def pixel_sizes(text: str) -> tuple[float, float]:
    """Return height and width of a pixel, of a text such as "0.65" or "0.65,0.7".

    Raises
    ------
    ValueError
        If they are not one or two numbers above 0.
    """
    parts = [float(part) if _DECIMAL.fullmatch(part.strip()) else 0.0 for part in text.split(",")]
    if len(parts) > 2 or not all(1e-9 < part < 1e9 for part in parts):
        raise ValueError("it should be one number above 0, or two (height,width), such as 0.65")
    return parts[0], parts[-1]
