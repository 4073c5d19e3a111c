"""Edits as text: for the command line, scripts of edits, and saved histories.

=========  ============================  ==========================================================
verb       what follows                  example
=========  ============================  ==========================================================
merge      ids, and ``union``            ``merge 3,7``: 7 becomes 3
split      id@frame                      ``split 5@12``: from frame 12 on it has a new id
divide     mother,daughter@frame         ``divide 5,9@12``: 5 continues as the other daughter
swap       id,id@frame                   ``swap 3,4@10``: exchanged from frame 10 on
delete     id, or id@frames              ``delete 9``, ``delete 9@3:8``
relabel    old=new                       ``relabel 3=12``
parent     daughter=mother               ``parent 8=5``, ``parent 8,9=5``
no-parent  ids                           ``no-parent 8``
fill       id, or id@frames, and         ``fill 5``, ``fill 5@3:8 over``: gaps are drawn, over
           ``over``                      others too
=========  ============================  ==========================================================

Frames are counted from 0; those of a range are both included: ``3:8``, ``3:``, ``:8``, or ``5``.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass

from napari_sam2track.errors import EditError
from napari_sam2track.parsing.json_text import parsed_json
from napari_sam2track.tracks.editing.edits import (
    Delete,
    Divide,
    Merge,
    Relabel,
    SetParent,
    Split,
    Swap,
    UnsetParent,
)
from napari_sam2track.tracks.editing.paint_edits import FillGap
from napari_sam2track.tracks.editing.track_state import Edit


@dataclass(frozen=True)
class _Verb:
    """Form of an edit's text, and the function that makes edits of its parts."""

    pattern: str
    example: str
    make: Callable[[re.Match[str]], list[Edit]]


def _merge(found: re.Match[str]) -> list[Edit]:
    first, *others = _ids(found["ids"])
    return [Merge(first, b, "union" if found["union"] else "refuse") for b in others]


def _fill(found: re.Match[str]) -> list[Edit]:
    start, stop = _frames(found)
    return [FillGap(int(found["id"]), start, stop, "all" if found["over"] else "background")]


_FRAMES = r"(?:@(?:(?P<only>\d+)|(?P<start>\d*):(?P<stop>\d*)))?"

_VERBS = {
    "merge": _Verb(r"(?P<ids>\d+(?:,\d+)+)(?P<union> union)?", "3,7 or '3,7 union'", _merge),
    "split": _Verb(
        r"(?P<id>\d+)@(?P<frame>\d+)",
        "5@12",
        lambda m: [Split(int(m["id"]), int(m["frame"]))],
    ),
    "divide": _Verb(
        r"(?P<a>\d+),(?P<b>\d+)@(?P<frame>\d+)",
        "5,9@12",
        lambda m: [Divide(int(m["a"]), int(m["b"]), int(m["frame"]))],
    ),
    "swap": _Verb(
        r"(?P<a>\d+),(?P<b>\d+)@(?P<frame>\d+)",
        "3,4@10",
        lambda m: [Swap(int(m["a"]), int(m["b"]), int(m["frame"]))],
    ),
    "delete": _Verb(
        rf"(?P<id>\d+){_FRAMES}",
        "9, 9@5 or 9@3:8",
        lambda m: [Delete(int(m["id"]), *_frames(m))],
    ),
    "relabel": _Verb(
        r"(?P<old>\d+)=(?P<new>\d+)",
        "3=12",
        lambda m: [Relabel(int(m["old"]), int(m["new"]))],
    ),
    "parent": _Verb(
        r"(?P<ids>\d+(?:,\d+)*)=(?P<parent>\d+)",
        "8=5 or 8,9=5",
        lambda m: [SetParent(child, int(m["parent"])) for child in _ids(m["ids"])],
    ),
    "no-parent": _Verb(
        r"(?P<ids>\d+(?:,\d+)*)",
        "8",
        lambda m: [UnsetParent(child) for child in _ids(m["ids"])],
    ),
    "fill": _Verb(rf"(?P<id>\d+){_FRAMES}(?P<over> over)?", "5, 5@3:8 or '5 over'", _fill),
}
VERBS = tuple(_VERBS)

#: More digits than an id or a frame has.
_MOST_DIGITS = 18
_LONG_NUMBER = re.compile(rf"\d{{{_MOST_DIGITS + 1}}}")


def parse_edit(verb: str, text: str) -> tuple[Edit, ...]:
    """Read one edit: ``parse_edit("split", "5@12")``.

    Returns
    -------
    tuple
        The edits, in order; some verbs take several tracks.

    Raises
    ------
    EditError
        If there is no such verb, or the text is not of its form.
    """
    if verb not in _VERBS:
        raise EditError(f"there is no edit {verb!r}; there are {', '.join(_VERBS)}")
    form = _VERBS[verb]
    if _LONG_NUMBER.search(text):
        raise EditError(
            f"{verb} {text[:40]!r} ... has a number of more than {_MOST_DIGITS} digits; write it "
            f"as {verb} {form.example}"
        )
    tidy = re.sub(r"\s*([,@:=])(?:\s+(?=[\d:]))?", r"\1", " ".join(text.split()))
    found = re.fullmatch(form.pattern, tidy)
    if found is None:
        raise EditError(f"{verb} {text!r} cannot be read; write it as {verb} {form.example}")
    return tuple(form.make(found))


def parse_line(line: str) -> tuple[Edit, ...]:
    """Read one edit with its verb: ``parse_line("split 5@12")``; raises EditError."""
    verb, _, text = line.strip().partition(" ")
    return parse_edit(verb, text)


def parse_script(text: str, name: str) -> tuple[Edit, ...]:
    """Read a script: one edit a line, ``#`` begins a remark; or the lines as a list in JSON.

    Parameters
    ----------
    text
        The script.
    name
        What to call it in a message.

    Raises
    ------
    EditError
        If a line cannot be read, or there are none.
    """
    if text.lstrip().startswith("["):
        lines = parsed_json(text, name, EditError, "correct it")
        if not all(isinstance(line, str) for line in lines):
            raise EditError(f'{name} is not a list of texts such as ["split 5@12", "merge 3,7"]')
        numbered = list(enumerate(lines, start=1))
    else:
        bare = (line.partition("#")[0] for line in text.splitlines())
        numbered = [(k, line) for k, line in enumerate(bare, start=1) if line.strip()]
    edits: list[Edit] = []
    for number, line in numbered:
        try:
            edits += parse_line(line)
        except EditError as error:
            raise EditError(f"{name}, line {number}: {error}") from error
    if not edits:
        raise EditError(f"{name} holds no edits; write one a line, such as split 5@12")
    return tuple(edits)


def format_edit(edit: Edit) -> str:
    """Return the text of an edit, which `parse_line` reads.

    Raises
    ------
    EditError
        If it has none: a painted mask is pixels.
    """
    match edit:
        case Merge(a, b, overlap):
            return f"merge {a},{b}" + (" union" if overlap == "union" else "")
        case Split(track, frame):
            return f"split {track}@{frame}"
        case Divide(track, other, frame):
            return f"divide {track},{other}@{frame}"
        case Swap(a, b, frame):
            return f"swap {a},{b}@{frame}"
        case Delete(track, start, stop):
            return f"delete {track}{_range(start, stop)}"
        case Relabel(old, new):
            return f"relabel {old}={new}"
        case SetParent(child, parent):
            return f"parent {child}={parent}"
        case UnsetParent(child):
            return f"no-parent {child}"
        case FillGap(track, start, stop, over):
            return f"fill {track}{_range(start, stop)}" + (" over" if over == "all" else "")
    raise EditError(f"{type(edit).__name__} cannot be written as text; save the labels instead")


def _ids(text: str) -> list[int]:
    return [int(part) for part in text.split(",")]


def _frames(found: re.Match[str]) -> tuple[int | None, int | None]:
    """First and last frame of a match of `_FRAMES`."""
    if found["only"]:
        return int(found["only"]), int(found["only"])
    start, stop = found["start"], found["stop"]
    return (int(start) if start else None), (int(stop) if stop else None)


def _range(start: int | None, stop: int | None) -> str:
    """Frames as they are written."""
    if start is None and stop is None:
        return ""
    if start == stop:
        return f"@{start}"
    return f"@{'' if start is None else start}:{'' if stop is None else stop}"
