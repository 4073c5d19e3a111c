"""The text syntax of the command line: ``"0@120,80:pos 40,40:neg"``, x before y."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from pathlib import Path

from napari_sam2track.errors import PromptError
from napari_sam2track.parsing.bounds import frame_in_text
from napari_sam2track.parsing.guard import quoted
from napari_sam2track.prompts.prompt_words import parse_label
from napari_sam2track.prompts.values import Box, Point, Prompt, PromptSet

# Possessive: a text of 100,000 digits is looked at once.
_NUMBER = r"[+-]?(?:[0-9]++(?:\.[0-9]*+)?|\.[0-9]++)(?:[eE][+-]?[0-9]++)?"
_POINT = re.compile(rf"(?:([0-9]++)@)?({_NUMBER}),({_NUMBER})(?::(\S+))?")
_BOX = re.compile(rf"(?:([0-9]++)@)?({_NUMBER}),({_NUMBER}),({_NUMBER}),({_NUMBER})")
_POINT_EXAMPLE = 'write x,y:pos or x,y:neg, for example "120,80:pos 40,40:neg"'
_FRAME_EXAMPLE = 'write frame@x,y:pos, for example "0@120,80:pos 12@130,85:pos"'
_BOX_EXAMPLE = 'write x0,y0,x1,y1, for example "10,20,110,90" or, on frame 5, "5@10,20,110,90"'


def parse_points(text: str) -> tuple[Point, ...]:
    """Read clicks on one image, such as ``"120,80:pos 40,40:neg"``.

    Parameters
    ----------
    text
        ``x,y`` or ``x,y:label`` in pixels, separated by white space or semicolons. Labels are
        ``pos``, ``positive``, ``+``, ``1`` (also if left out), and ``neg``, ``negative``, ``-``,
        ``0``, and others (`parse_label`).

    Returns
    -------
    At least one point, in the order given.

    Raises
    ------
    PromptError
        With the piece that cannot be read and an example.
    """
    points = []
    for piece in _pieces(text, _POINT_EXAMPLE):
        frame, point = _point(piece, _POINT_EXAMPLE)
        if frame is not None:
            raise PromptError(
                f"point {quoted(piece)} names frame {frame}, but this is for one image; "
                f"{_POINT_EXAMPLE}"
            )
        points.append(point)
    return tuple(points)


def parse_object_points(text: str) -> dict[int, tuple[Point, ...]]:
    """Read clicks of one object on frames, such as ``"0@120,80:pos 40,40:neg 12@130,85"``.

    Parameters
    ----------
    text
        As for `parse_points`, each piece with or without ``frame@`` in front. A point without
        belongs to the frame named last, or to frame 0 at the beginning.

    Returns
    -------
    Points by frame, ascending.

    Raises
    ------
    PromptError
        With the piece that cannot be read and an example.
    """
    found: dict[int, list[Point]] = {}
    current = 0
    for piece in _pieces(text, _FRAME_EXAMPLE):
        frame, point = _point(piece, _FRAME_EXAMPLE)
        current = current if frame is None else frame
        found.setdefault(current, []).append(point)
    return {frame: tuple(found[frame]) for frame in sorted(found)}


def parse_box(text: str) -> tuple[int, Box]:
    """Read a box, such as ``"10,20,110,90"`` or, on frame 5, ``"5@10,20,110,90"``.

    Parameters
    ----------
    text
        x0,y0,x1,y1 in pixels: two opposite corners, in any order.

    Returns
    -------
    The frame (0 if none was named) and the box (y0, x0, y1, x1) with y0 < y1 and x0 < x1.

    Raises
    ------
    PromptError
        If the text cannot be read or the box has no area.
    """
    match = _BOX.fullmatch(_tight(text).strip())
    if match is None:
        raise PromptError(f"box {quoted(text)} cannot be read; {_BOX_EXAMPLE}")
    xa, ya, xb, yb = (float(match[k]) for k in (2, 3, 4, 5))
    if xa == xb or ya == yb:
        raise PromptError(f"box {quoted(text)} has no area; {_BOX_EXAMPLE}")
    frame = _frame(match[1] or "0", f"box {quoted(text)}")
    return frame, (min(ya, yb), min(xa, xb), max(ya, yb), max(xa, xb))


def prompts_from_texts(texts: Iterable[str], first_id: int = 1) -> PromptSet:
    """Make prompts of one text of points (see `parse_object_points`) per object.

    Objects are numbered in the order of the texts, from `first_id`.

    Raises
    ------
    PromptError
        If a text cannot be read.
    """
    return PromptSet(
        {
            (object_id, frame): Prompt(points=points)
            for object_id, text in enumerate(texts, first_id)
            for frame, points in parse_object_points(text).items()
        }
    )


def prompts_from_boxes(texts: Iterable[str], first_id: int = 1) -> PromptSet:
    """Make prompts of one box (see `parse_box`) per object.

    Objects are numbered in the order of the texts, from `first_id`, so that boxes and points
    (`prompts_from_texts`) of the same objects can be joined with `PromptSet.merge`.

    Raises
    ------
    PromptError
        If a text cannot be read.
    """
    boxes = {}
    for object_id, text in enumerate(texts, first_id):
        frame, box = parse_box(text)
        boxes[object_id, frame] = Prompt(box=box)
    return PromptSet(boxes)


def parse_mask_source(text: str) -> tuple[Path, int | None]:
    """Read the source of a mask prompt: ``"labels.tif@12"`` is that file, for frame 12.

    Only digits after the last @ count, so that folders may have one in their names; without
    them no frame is named (None).

    Raises
    ------
    PromptError
        If no file is named.
    """
    name, at, digits = text.strip().rpartition("@")
    if not (name and at and digits.isascii() and digits.isdigit()):
        name, digits = text.strip(), ""
    if not name or name.startswith("@"):
        raise PromptError(
            f'mask {quoted(text)} names no file; write file@frame, for example "labels.tif@12"'
        )
    return Path(name), _frame(digits, f"mask {quoted(text)}") if digits else None


def format_points(points: Iterable[Point]) -> str:
    """Write points as `parse_points` reads them, without loss."""
    return " ".join(
        f"{_number(point.x)},{_number(point.y)}:{'pos' if point.positive else 'neg'}"
        for point in points
    )


def format_object_points(points: Mapping[int, Iterable[Point]]) -> str:
    """Write points by frame as `parse_object_points` reads them, without loss."""
    return " ".join(f"{frame}@{format_points(of_frame)}" for frame, of_frame in points.items())


def _pieces(text: str, example: str) -> list[str]:
    pieces = re.split(r"[\s;]+", _tight(text).strip(" \t\r\n;"))
    if pieces == [""]:
        raise PromptError(f"no point was given in {quoted(text)}; {example}")
    return pieces


def _tight(text: str) -> str:
    """Remove the spaces that people put after commas."""
    return re.sub(r" ?([,:@]) ?", r"\1", re.sub(r"\s+", " ", text))


def _point(piece: str, example: str) -> tuple[int | None, Point]:
    match = _POINT.fullmatch(piece)
    if match is None:
        raise PromptError(f"point {quoted(piece)} cannot be read; {example}")
    positive = True if match[4] is None else parse_label(match[4])
    if positive is None:
        raise PromptError(
            f"point {quoted(piece)} has the label {quoted(match[4])}, which is neither pos nor "
            f"neg; {example}"
        )
    frame = None if match[1] is None else _frame(match[1], f"point {quoted(piece)}")
    return frame, Point(y=float(match[3]), x=float(match[2]), positive=positive)


def _frame(digits: str, what: str) -> int:
    return frame_in_text(digits, f"the frame of {what}", PromptError)


def _number(value: float) -> str:
    return str(int(value)) if value.is_integer() and abs(value) < 1e15 else repr(value)
