"""Words for numbers in what commands print."""

from __future__ import annotations


def counted(n: int, noun: str) -> str:
    """A number of things: "1 frame", "30 frames"."""
    return f"{n} {noun}{'' if n == 1 else 's'}"
