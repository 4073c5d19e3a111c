"""Findings of checks of files."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal


@dataclass(frozen=True, slots=True)
class Finding:
    """An error of a file, something that looks like one, or what it was read as, in a sentence."""

    severity: Literal["error", "warning", "note"]
    text: str


def error(text: str) -> Finding:
    """Make a finding that breaks the rules."""
    return Finding("error", text)


def warning(text: str) -> Finding:
    """Make a finding that is allowed, but seldom meant."""
    return Finding("warning", text)


def shortened(numbers: Sequence[int], most: int = 8) -> str:
    """Return the first of some numbers, as text."""
    shown = ", ".join(str(n) for n in numbers[:most])
    return shown if len(numbers) <= most else f"{shown} and {len(numbers) - most} more"
