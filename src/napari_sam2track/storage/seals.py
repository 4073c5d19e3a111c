"""A checksum at the end of a file: what a fault of the disk changed is not taken for data."""

from __future__ import annotations

import hashlib

#: Bytes of the checksum.
SIZE = 16


class BrokenSealError(ValueError):
    """What was read is not what was written: cut off, changed, or of another program."""


def sealed(content: bytes) -> bytes:
    """The content with its checksum behind it (BLAKE2b, 16 bytes)."""
    return content + checksum(content)


def unsealed(content: bytes) -> bytes:
    """What `sealed` was given.

    Raises
    ------
    BrokenSealError
        If the checksum is not that of the content.
    """
    inner, seal = content[:-SIZE], content[-SIZE:]
    if len(content) < SIZE or checksum(inner) != seal:
        raise BrokenSealError("it is not what was written")
    return inner


def checksum(content: bytes) -> bytes:
    """BLAKE2b in `SIZE` bytes."""
    return hashlib.blake2b(content, digest_size=SIZE).digest()
