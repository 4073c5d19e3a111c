"""Bounds of what a file may claim, so that a small damaged file cannot ask for all the memory."""

from __future__ import annotations

from typing import Any

from napari_sam2track.errors import FormatError, Sam2TrackError

#: More frames than any movie: at 30 a second, it would last two days.
MAX_FRAMES = 5_000_000

#: Places and frames beyond it are not whole numbers any more, nor those of a movie.
FAR = 2.0**53

#: Memory that is always there; asking for what is free takes time.
_LITTLE = 64_000_000

#: More pixels along a side than any image.
MAX_SIDE = 2**24


def checked_frame(number: Any, what: str, error: type[Sam2TrackError] = FormatError) -> int:
    """Return a frame number that a movie can have.

    Parameters
    ----------
    number
        A whole number, also as a float.
    what
        Beginning of the message, such as "tracks.csv, line 3: frame".

    Raises
    ------
    Sam2TrackError
        Of class `error`, if it is not whole, negative, or beyond any movie.
    """
    try:
        value = int(number)
        whole = value == number
    except (TypeError, ValueError, OverflowError):
        value, whole = 0, False
    if not whole or not 0 <= value < MAX_FRAMES:
        shown = f"{number:.15g}" if isinstance(number, float) else str(number)[:40]
        raise error(
            f"{what} is {shown}; frames are whole numbers from 0 to {MAX_FRAMES - 1}: correct it, "
            "or remove the entry"
        )
    return value


def frame_in_text(digits: str, what: str, error: type[Sam2TrackError] = FormatError) -> int:
    """Return a frame number of its digits, however many; see `checked_frame`."""
    return checked_frame(int(digits) if len(digits) < 40 else float(digits), what, error)


def require_memory(n_bytes: int, what: str, error: type[Sam2TrackError] = FormatError) -> None:
    """Refuse what needs more memory than is free.

    Parameters
    ----------
    n_bytes
        The memory that is about to be taken.
    what
        Beginning of the message, such as "a frame of movie.tif (30000 x 30000 pixels)".

    Raises
    ------
    Sam2TrackError
        Of class `error`.
    """
    if n_bytes <= _LITTLE:
        return
    import psutil

    free = psutil.virtual_memory().available
    if n_bytes > free:
        raise error(
            f"{what} needs {n_bytes / 1e9:.1f} GB of memory, and {free / 1e9:.1f} GB are free; "
            "cut it into parts, make it smaller, or use a machine with more memory"
        )
