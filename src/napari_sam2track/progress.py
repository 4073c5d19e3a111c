"""Hook that shows the progress of a long task: its items are passed through it."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any

#: Passes items on and may show progress: ``progress(items, total, doing)``.
ProgressHook = Callable[[Iterable[Any], int, str], Iterable[Any]]


def no_progress(items: Iterable[Any], total: int, doing: str) -> Iterable[Any]:
    """Pass items on and show nothing."""
    return items
