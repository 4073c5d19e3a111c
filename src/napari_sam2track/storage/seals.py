"""Checksums at the ends of files: a file that the disk damaged is not taken for data."""

from __future__ import annotations

import hashlib

#: Bytes of the checksum.
SIZE = 16


class BrokenSealError(ValueError):
    """A file is not as it was written: cut off, changed, or of another program."""


def sealed(content: bytes) -> bytes:
    """Return the content with its checksum behind it (BLAKE2b, 16 bytes)."""
    return content + checksum(content)


def unsealed(content: bytes) -> bytes:
    """Return the content that `sealed` was called with.

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
    """Return BLAKE2b in `SIZE` bytes."""
    return hashlib.blake2b(content, digest_size=SIZE).digest()
