"""How long work is watched: whatever goes through many items passes them through this."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any

#: Passes items on and may show progress: ``watch(items, total, doing)``.
Watch = Callable[[Iterable[Any], int, str], Iterable[Any]]


def silent(items: Iterable[Any], total: int, doing: str) -> Iterable[Any]:
    """Pass items on without a word."""
    return items
