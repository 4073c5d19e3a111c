"""Choice of channels to show, and their colours."""

from __future__ import annotations

import operator
import re

from napari_sam2track.errors import FramesError, UsageError
from napari_sam2track.frames.source import Source

_EXAMPLE = 'give one as "0", or up to three as "2,0,1" for red, green and blue'


def parse_channel(text: str) -> tuple[int, ...]:
    """Read a channel choice such as ``"0"`` or ``"2,0,1"``.

    Returns
    -------
    One to three channel numbers, counted from 0. One is shown in grey; two or three become red,
    green and blue (blue stays black if there are two).

    Raises
    ------
    UsageError
        If the text is not such a list.
    """
    pieces = [piece.strip() for piece in text.split(",")]
    for piece in pieces:
        if not re.fullmatch(r"[0-9]+", piece):
            raise UsageError(f"channel {text!r}: {piece!r} is not a channel number; {_EXAMPLE}")
    if len(pieces) > 3:
        raise UsageError(f"channel {text!r}: {len(pieces)} channels are too many; {_EXAMPLE}")
    return tuple(int(piece) for piece in pieces)


def choose_channels(
    source: Source, choice: int | str | tuple[int, ...] | list[int] | None
) -> tuple[tuple[int, ...], str]:
    """Settle which channels of a source are shown.

    Parameters
    ----------
    choice
        A number, a text for `parse_channel`, up to three numbers, or None to choose: a picture
        in colour is shown in colour (alpha is dropped), of anything else the first channel.

    Returns
    -------
    The channels, and a note for the provenance ("" if nothing was assumed).

    Raises
    ------
    FramesError
        If the source has no such channel.
    UsageError
        If the choice is not valid.
    """
    n = source.n_channels
    if choice is None:
        if n == 1:
            return (0,), ""
        if source.rgb:
            return (0, 1, 2), "" if n == 3 else "the alpha channel is not used"
        return (0,), f"channel 0 of {n} is used; --channel (channel=) takes others, up to three"
    numbers = parse_channel(choice) if isinstance(choice, str) else choice
    chosen = tuple(numbers) if isinstance(numbers, tuple | list) else (operator.index(numbers),)
    if not 1 <= len(chosen) <= 3:
        raise UsageError(f"channel {choice!r} names {len(chosen)} channels; {_EXAMPLE}")
    for channel in chosen:
        if not 0 <= channel < n:
            have = "one channel, number 0" if n == 1 else f"{n} channels, 0 to {n - 1}"
            raise FramesError(f"channel {channel} is not in {source.name}, which has {have}")
    return chosen, ""
