"""``res_track.txt`` and ``man_track.txt`` of the Cell Tracking Challenge: a line a track.

Label, first frame, last frame, label of the parent or 0; whole numbers between spaces, lines in
any order (https://celltrackingchallenge.net, "File naming and data content conventions").
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

from napari_sam2track.errors import FormatError
from napari_sam2track.labels import checked_id


class Line(NamedTuple):
    """A track: its label, first and last frame (both included), label of its parent or 0."""

    label: int
    begin: int
    end: int
    parent: int


def parsed_lines(path: Path) -> Iterator[Line | str]:
    """Yield each line that is not blank: the track, or the error in the line.

    Raises
    ------
    FormatError
        If the file cannot be read.
    """
    try:
        text = path.read_text(encoding="utf-8-sig")
    except (OSError, UnicodeDecodeError) as error:
        raise FormatError(f"{path} cannot be read: {error}") from error
    for number, line in enumerate(text.splitlines(), start=1):
        if not line.strip():
            continue
        try:
            label, begin, end, parent = (int(word) for word in line.split())
        except ValueError:
            yield (
                f"line {number} of {path.name} is {line.strip()!r}, not four whole numbers: label, "
                "first frame, last frame, parent"
            )
            continue
        yield Line(label, begin, end, parent)


def read_lines(path: Path) -> dict[int, Line]:
    """Return all tracks of a file by their label.

    Raises
    ------
    FormatError
        If a line cannot be read, is there twice, or a label or parent is not possible.
    """
    lines: dict[int, Line] = {}
    for line in parsed_lines(path):
        if isinstance(line, str):
            raise FormatError(f"{path}: {line}")
        checked_id(line.label, f"{path}: the label of a track")
        checked_id(line.parent, f"{path}: the parent of track {line.label}", least=0)
        if line.label in lines:
            raise FormatError(f"{path}: track {line.label} is there twice; remove one line")
        lines[line.label] = line
    return lines


def write_lines(path: Path, lines: list[Line]) -> None:
    """Write tracks in the order of their labels."""
    text = "".join(" ".join(map(str, line)) + "\n" for line in sorted(lines))
    path.write_text(text, encoding="ascii", newline="\n")
