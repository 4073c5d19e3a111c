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
from napari_sam2track.labels import checked_id
from napari_sam2track.parsing.bounds import frame_in_text
from napari_sam2track.parsing.guard import quoted
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
    return [FillGap(_id(found["id"]), start, stop, "all" if found["over"] else "background")]


_FRAMES = r"(?:@(?:(?P<only>[0-9]++)|(?P<start>[0-9]*+):(?P<stop>[0-9]*+)))?"

_VERBS = {
    "merge": _Verb(
        r"(?P<ids>[0-9]++(?:,[0-9]++)+)(?P<union> union)?", "3,7 or '3,7 union'", _merge
    ),
    "split": _Verb(
        r"(?P<id>[0-9]++)@(?P<frame>[0-9]++)",
        "5@12",
        lambda m: [Split(_id(m["id"]), _frame(m["frame"]))],
    ),
    "divide": _Verb(
        r"(?P<a>[0-9]++),(?P<b>[0-9]++)@(?P<frame>[0-9]++)",
        "5,9@12",
        lambda m: [Divide(_id(m["a"]), _id(m["b"]), _frame(m["frame"]))],
    ),
    "swap": _Verb(
        r"(?P<a>[0-9]++),(?P<b>[0-9]++)@(?P<frame>[0-9]++)",
        "3,4@10",
        lambda m: [Swap(_id(m["a"]), _id(m["b"]), _frame(m["frame"]))],
    ),
    "delete": _Verb(
        rf"(?P<id>[0-9]++){_FRAMES}",
        "9, 9@5 or 9@3:8",
        lambda m: [Delete(_id(m["id"]), *_frames(m))],
    ),
    "relabel": _Verb(
        r"(?P<old>[0-9]++)=(?P<new>[0-9]++)",
        "3=12",
        lambda m: [Relabel(_id(m["old"]), _id(m["new"]))],
    ),
    "parent": _Verb(
        r"(?P<ids>[0-9]++(?:,[0-9]++)*)=(?P<parent>[0-9]++)",
        "8=5 or 8,9=5",
        lambda m: [SetParent(child, _id(m["parent"])) for child in _ids(m["ids"])],
    ),
    "no-parent": _Verb(
        r"(?P<ids>[0-9]++(?:,[0-9]++)*)",
        "8",
        lambda m: [UnsetParent(child) for child in _ids(m["ids"])],
    ),
    "fill": _Verb(rf"(?P<id>[0-9]++){_FRAMES}(?P<over> over)?", "5, 5@3:8 or '5 over'", _fill),
}
VERBS = tuple(_VERBS)


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
        raise EditError(f"there is no edit {quoted(verb)}; there are {', '.join(_VERBS)}")
    form = _VERBS[verb]
    tidy = re.sub(r"\s*([,@:=])(?:\s+(?=[\d:]))?", r"\1", " ".join(text.split()))
    found = re.fullmatch(form.pattern, tidy)
    if found is None:
        raise EditError(f"{verb} {quoted(text)} cannot be read; write it as {verb} {form.example}")
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
        lines = parsed_json(text, name, EditError, "correct it, or write one edit a line")
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
    return [_id(part) for part in text.split(",")]


def _id(digits: str) -> int:
    return checked_id(digits, "an id", EditError, least=0)


def _frame(digits: str) -> int:
    return frame_in_text(digits, "a frame", EditError)


def _frames(found: re.Match[str]) -> tuple[int | None, int | None]:
    """First and last frame of a match of `_FRAMES`."""
    if found["only"]:
        return _frame(found["only"]), _frame(found["only"])
    start, stop = found["start"], found["stop"]
    return (_frame(start) if start else None), (_frame(stop) if stop else None)


def _range(start: int | None, stop: int | None) -> str:
    """Frames as they are written."""
    if start is None and stop is None:
        return ""
    if start == stop:
        return f"@{start}"
    return f"@{'' if start is None else start}:{'' if stop is None else stop}"
