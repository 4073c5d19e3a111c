"""The guard round parsers: what they raise on a bad file becomes one sentence of ours."""

from __future__ import annotations

import struct
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from napari_sam2track.errors import FormatError, Sam2TrackError

#: Most characters of a parser's own words in a message.
_LONGEST_REASON = 200

#: Errors of parsers that stumble over content; their words name code, not the file.
_STUMBLES = (AttributeError, TypeError, AssertionError, IndexError, NameError, SystemError)


@contextmanager
def parsing(
    path: Path | str,
    kind: str,
    error: type[Sam2TrackError] = FormatError,
    way_out: str = "it may be damaged: copy or export it again",
) -> Iterator[None]:
    """Turn what parsers raise in the block into an error with file, reason and way out.

    Only calls of parsers belong in the block, so that mistakes of our own code stay visible.

    Parameters
    ----------
    path
        Name of the file in the message.
    kind
        What it is read as, such as "TIFF" or "a numpy array".
    error
        Class of the error.
    way_out
        What a person can do about it.

    Raises
    ------
    Sam2TrackError
        Of class `error`, if anything is raised but our own errors: a damaged header can break a
        parser anywhere. The cause is kept.
    """
    try:
        yield
    except Sam2TrackError:
        raise
    except PermissionError as denied:
        raise error(
            f"{path} may not be read ({denied.strerror}); see to its permissions, or copy it"
        ) from denied
    except MemoryError as full:
        raise error(
            f"{path} cannot be read as {kind}: it asks for more memory than there is; if it is "
            "not damaged, close other programs, or cut it into parts"
        ) from full
    except Exception as cause:
        if isinstance(cause, FileNotFoundError) and not Path(path).exists():
            raise error(f"{path} does not exist; check the spelling and the folder") from cause
        raise error(f"{path} cannot be read as {kind} ({reason_of(cause)}); {way_out}") from cause


def reason_of(error: BaseException) -> str:
    """Return the reason that an error gives, in one line, without the words of code."""
    text = " ".join(str(error).split())
    if isinstance(error, RecursionError):
        return "it is nested too deep"
    if isinstance(error, struct.error | EOFError):
        return "it ends too early"
    if "set_int_max_str_digits" in text:  # Python's advice is for programmers
        return "a number in it has thousands of digits"
    if isinstance(error, KeyError):
        return f"{text or 'a part'} is missing"
    if isinstance(error, UnicodeDecodeError):
        return "it is not text in UTF-8"
    if isinstance(error, OSError) and error.strerror:
        text = error.strerror
    if isinstance(error, _STUMBLES) or not text:
        return "its parts do not fit together"
    return text if len(text) <= _LONGEST_REASON else text[:_LONGEST_REASON].rstrip() + " ..."


def quoted(text: str, most: int = 60) -> str:
    """Return a person's text as it stands in a message: quoted, and not without end."""
    return repr(text if len(text) <= most else f"{text[:most]}...")
