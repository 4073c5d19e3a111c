"""What holds a file open, and can be used in a ``with`` block."""

from __future__ import annotations

from collections.abc import Callable
from types import TracebackType
from typing import Self


class Closing:
    """Gives `close` and ``with`` to a dataclass that has a field ``_close``.

    ``_close`` lets go of the file; None if there is none.
    """

    _close: Callable[[], object] | None

    def close(self) -> None:
        """Let go of the file, if there is one."""
        if self._close is not None:
            self._close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        exc_type: type[BaseException] | None,
        exc: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self.close()
