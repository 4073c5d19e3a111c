"""Hook that shows the progress of a long task: its items are passed through it."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any

from napari_sam2track.errors import UsageError

#: Passes items on and may show progress: ``progress(items, total, doing)``.
ProgressHook = Callable[[Iterable[Any], int, str], Iterable[Any]]


def checked_hook(progress: ProgressHook | None) -> ProgressHook:
    """Return a hook; `no_progress` for None.

    Raises
    ------
    UsageError
        If it cannot be called.
    """
    if progress is None:
        return no_progress
    if not callable(progress):
        raise UsageError(f"progress is {progress!r}; give a function of (items, total, doing)")
    return progress


def no_progress(items: Iterable[Any], total: int, doing: str) -> Iterable[Any]:
    """Pass items on and show nothing."""
    return items
