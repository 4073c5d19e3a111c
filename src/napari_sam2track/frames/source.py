"""Interface of every kind of movie: raw pixels of one frame, or of a part of it."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Protocol, runtime_checkable

import numpy as np
from numpy.typing import NDArray


@runtime_checkable
class Source(Protocol):
    """Raw pixels on demand, in the type that the file has."""

    @property
    def n_frames(self) -> int:
        """Number of frames, at least 1."""
        ...

    @property
    def height(self) -> int:
        """Rows of a frame."""
        ...

    @property
    def width(self) -> int:
        """Columns of a frame."""
        ...

    @property
    def n_channels(self) -> int:
        """Channels of a frame, at least 1."""
        ...

    @property
    def dtype(self) -> np.dtype[Any]:
        """Type of the raw pixels."""
        ...

    @property
    def name(self) -> str:
        """Name of the movie in messages: a file name, mostly."""
        ...

    @property
    def rgb(self) -> bool:
        """True if the first three channels are the colours of one picture, not separate stains.

        They are then shown together and share one intensity window.
        """
        ...

    @property
    def notes(self) -> tuple[str, ...]:
        """What of the file is not used, and what was chosen by default, a sentence each."""
        ...

    def read_raw(
        self,
        t: int,
        y0: int,
        y1: int,
        x0: int,
        x1: int,
        channels: Sequence[int] | None = None,
    ) -> NDArray[Any]:
        """Read pixels of frame `t`, rows y0:y1, columns x0:x1; the caller checks the bounds.

        Parameters
        ----------
        channels
            Channels to return, in this order; None for all.

        Returns
        -------
        Shape (y1 - y0, x1 - x0, number of channels), dtype `dtype`. It may be a view: the
        caller does not write into it.

        Raises
        ------
        FramesError
            If the frame cannot be read.
        """
        ...

    def close(self) -> None:
        """Release the file; reading afterwards is undefined. Closing twice does no harm."""
        ...
