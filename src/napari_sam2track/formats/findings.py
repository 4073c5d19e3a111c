"""What checks of files find."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal


@dataclass(frozen=True, slots=True)
class Finding:
    """Something that is wrong with a file, or looks so, in one sentence."""

    severity: Literal["error", "warning"]
    text: str


def error(text: str) -> Finding:
    """Something that breaks the rules."""
    return Finding("error", text)


def warning(text: str) -> Finding:
    """Something that is allowed, but seldom meant."""
    return Finding("warning", text)


def shortened(numbers: Sequence[int], most: int = 8) -> str:
    """The first of some numbers, as text."""
    shown = ", ".join(str(n) for n in numbers[:most])
    return shown if len(numbers) <= most else f"{shown} and {len(numbers) - most} more"
