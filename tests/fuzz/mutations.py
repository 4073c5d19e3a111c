"""Damage to files, as copies, disks, editors and people do it; the same for the same seed."""

from __future__ import annotations

import random
import re

_NUMBERS = re.compile(rb"-?\d+(?:\.\d+)?(?:[eE][+-]?\d+)?")
_STRANGE = (
    *(b"0", b"-1", b"1", b"65536", b"4294967296", b"9223372036854775808", b"1e308", b"1e999"),
    *(b"nan", b"NaN", b"inf", b"null", b"true", b'"x"', b"", b"[]", b"{}", b"1_0", b"0.5"),
    *(b"100000000", b"1000000000", b"99999999999999999999", "²".encode(), b"\xff\xfe", b"\x00"),
)


def mutated(content: bytes, rng: random.Random) -> bytes:
    """Return the content with one to three kinds of damage."""
    for _ in range(rng.choice((1, 1, 1, 2, 3))):
        content = rng.choice(_KINDS)(content, rng)
    return content


def _flip(content: bytes, rng: random.Random) -> bytes:
    if not content:
        return b"\x00"
    at = rng.randrange(len(content))
    return content[:at] + bytes([content[at] ^ (1 << rng.randrange(8))]) + content[at + 1 :]


def _overwrite(content: bytes, rng: random.Random) -> bytes:
    at, n = rng.randrange(len(content) + 1), rng.choice((1, 2, 4, 8))
    value = rng.choice((b"\x00" * n, b"\xff" * n, rng.randbytes(n)))
    return content[:at] + value + content[at + n :]


def _near_the_head(content: bytes, rng: random.Random) -> bytes:
    at = rng.randrange(min(len(content), 200) + 1)
    return content[:at] + rng.randbytes(rng.choice((1, 2, 4))) + content[at + 1 :]


def _cut(content: bytes, rng: random.Random) -> bytes:
    return content[: rng.randrange(len(content) + 1)]


def _remove(content: bytes, rng: random.Random) -> bytes:
    at = rng.randrange(len(content) + 1)
    return content[:at] + content[at + rng.choice((1, 3, 20, 200)) :]


def _repeat(content: bytes, rng: random.Random) -> bytes:
    at = rng.randrange(len(content) + 1)
    return content[:at] + content[at : at + rng.choice((1, 8, 60))] * 2 + content[at:]


def _number(content: bytes, rng: random.Random) -> bytes:
    """Put another number, or no number, in the place of one in text."""
    found = list(_NUMBERS.finditer(content[:20_000]))
    if not found:
        return _flip(content, rng)
    one = rng.choice(found)
    return content[: one.start()] + rng.choice(_STRANGE) + content[one.end() :]


def _swap_lines(content: bytes, rng: random.Random) -> bytes:
    lines = content.split(b"\n")
    i, j = rng.randrange(len(lines)), rng.randrange(len(lines))
    lines[i], lines[j] = lines[j], lines[i]
    return b"\n".join(lines)


_KINDS = (
    _flip,
    _flip,
    _overwrite,
    _near_the_head,
    _cut,
    _remove,
    _repeat,
    _number,
    _number,
    _swap_lines,
)
