"""Numbers in the names of files: which of them counts frames, planes, channels or positions."""

from __future__ import annotations

import itertools
import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from napari_sam2track.errors import FramesError

_DIGITS = re.compile(r"\d+", re.ASCII)
_LAST_WORD = re.compile(r"([A-Za-z]+)[ =_-]*$")

#: Words before a number, by its meaning.
_TAGS = {
    "T": ("t", "time", "tp", "timepoint", "frame", "f", "tt"),
    "Z": ("z", "zz", "slice", "plane"),
    "C": ("c", "ch", "channel", "w", "wavelength"),
    "P": ("s", "p", "pos", "position", "series", "xy", "m", "site", "field", "fov", "scene"),
}

#: A position in the name of a stack: a word, as single letters stand for too much.
_POSITION = re.compile(
    rf"(?:{'|'.join(word for word in _TAGS['P'] if len(word) > 1)})[ =_-]?(\d+)",
    re.ASCII | re.IGNORECASE,
)

#: Units behind a number that make it a clock: 00d01h20m.
_CLOCK_UNITS = re.compile(r"^(?:d|h|hr|m|min|s|sec)(?![A-Za-z])")

#: What stands between the numbers of a clock: 08-20, 08h20.
_CLOCK_BETWEEN = ("-", ":", ".", "h", "d")


@dataclass(frozen=True, slots=True)
class NumberedFiles:
    """Files in the order of their numbers.

    Attributes
    ----------
    files
        Frame by frame; within a frame in the order of `axes`.
    numbers
        The number of each frame.
    axes
        Letters of the axes along which the files of one frame are counted: "", "Z", "C" or "ZC".
    sizes
        Length of each of these axes.
    notes
        What was assumed.
    """

    files: tuple[Path, ...]
    numbers: tuple[int, ...]
    axes: str = ""
    sizes: tuple[int, ...] = ()
    notes: tuple[str, ...] = ()


def last_number(path: Path) -> int | None:
    """Return the last number in a name; None if there is none."""
    found = _DIGITS.findall(_stem(path))
    return _number(found[-1], path) if found else None


def number_files(files: Sequence[Path], folder: Path) -> NumberedFiles:
    """Find the numbers of frames in the names of files.

    The number that varies from name to name counts the frames. Where several vary, letters in
    front of them tell (``t001_z01_c1``); clock times and dates give the order of the frames,
    which are then counted from 0.

    Raises
    ------
    FramesError
        If a name has no number, two files have the same, or planes or channels are missing.
    """
    parsed = [_DIGITS.findall(_stem(file)) for file in files]
    for file, digits in zip(files, parsed, strict=True):
        if not digits:
            raise FramesError(
                f"{file} has no frame number in its name, among others in {folder}; name the "
                "files like mask_0001.tif"
            )
    between = {tuple(_DIGITS.split(_stem(file))) for file in files}
    words = _channel_words(files, parsed, between)
    if words is not None:
        return words
    if len(between) > 1 or len(files) == 1:  # names of several kinds: their last numbers
        last = [(_number(digits[-1], f),) for f, digits in zip(files, parsed, strict=True)]
        return _by_frame(files, last, folder)
    (texts,) = between
    groups = [tuple(_number(d, f) for d in digits) for f, digits in zip(files, parsed, strict=True)]
    varying = [k for k in range(len(texts) - 1) if len({group[k] for group in groups}) > 1]
    if len(varying) == 1 and not _is_clock(texts, varying[0], parsed):
        return _by_frame(files, [(group[varying[0]],) for group in groups], folder)
    if not varying:
        return _by_frame(files, [(group[-1],) for group in groups], folder)
    tags = {k: _tag(texts[k]) for k in varying}
    found = list(tags.values())
    if "T" in found and set(found) <= {"T", "Z", "C"} and len(set(found)) == len(found):
        return _grid(files, groups, {letter: k for k, letter in tags.items() if letter}, folder)
    clocks = [k for k in varying if _is_clock(texts, k, parsed)]
    counters = [
        k for k in varying if k not in clocks and _is_counter([group[k] for group in groups])
    ]
    timed = [k for k in counters if tags[k] == "T"] or counters
    if timed:
        return _by_frame(files, [(group[timed[0]],) for group in groups], folder)
    order = sorted(range(len(files)), key=lambda i: tuple(groups[i][k] for k in varying))
    keys = [tuple(groups[i][k] for k in varying) for i in order]
    _refuse_doubles([files[i] for i in order], keys, folder)
    note = "the numbers in the names are times, so frames are in their order, counted from 0"
    return NumberedFiles(tuple(files[i] for i in order), tuple(range(len(order))), notes=(note,))


def _channel_words(
    files: Sequence[Path], parsed: list[list[str]], between: set[tuple[str, ...]]
) -> NumberedFiles | None:
    """Return files whose names differ in a word for the channel, as in t000_DAPI and t000_GFP."""
    if len(between) < 2 or len({len(texts) for texts in between}) > 1:
        return None
    differ = [k for k, each in enumerate(zip(*between, strict=True)) if len(set(each)) > 1]
    if len(differ) != 1:
        return None
    words = sorted(texts[differ[0]] for texts in between)
    keys = [
        (tuple(_number(d, f) for d in digits), words.index(_DIGITS.split(_stem(f))[differ[0]]))
        for f, digits in zip(files, parsed, strict=True)
    ]
    numbers = sorted({number for number, _ in keys})
    varying = [k for k in range(len(numbers[0])) if len({number[k] for number in numbers}) > 1]
    if len(set(keys)) < len(numbers) * len(words) or len(varying) != 1:
        return None
    at = dict(zip(keys, files, strict=True))
    names = ", ".join(word.strip(" _-.") or "(none)" for word in words)
    return NumberedFiles(
        tuple(at[number, k] for number in numbers for k in range(len(words))),
        tuple(number[varying[0]] for number in numbers),
        "C",
        (len(words),),
        (f"its channels are {names}, by the names of the files",),
    )


def positions_in(files: Sequence[Path]) -> dict[int, list[Path]]:
    """Return the files by the number of their position (``s1t01``); one group if there is none."""
    alone = {0: list(files)}
    between = {tuple(_DIGITS.split(_stem(file))) for file in files}
    if len(between) != 1:
        return alone
    (texts,) = between
    parsed = [_DIGITS.findall(_stem(file)) for file in files]
    places = [k for k in range(len(texts) - 1) if _tag(texts[k]) == "P"]
    varying = [k for k in places if len({digits[k] for digits in parsed}) > 1]
    timed = any(_tag(texts[k]) == "T" for k in range(len(texts) - 1))
    if len(varying) != 1 or not timed:
        return alone
    found: dict[int, list[Path]] = {}
    for file, digits in zip(files, parsed, strict=True):
        found.setdefault(_number(digits[varying[0]], file), []).append(file)
    return dict(sorted(found.items()))


def stack_positions(files: Sequence[Path]) -> dict[int, list[Path]]:
    """Return stacks by the position in their names, as in ``_MMStack_Pos1_2``; else one group."""
    numbers = [_POSITION.search(_stem(file)) for file in files]
    found: dict[int, list[Path]] = {}
    for file, number in zip(files, numbers, strict=True):
        if number is None:
            return {0: list(files)}
        found.setdefault(_number(number[1], file), []).append(file)
    return dict(sorted(found.items()))


def missing_numbers(numbers: Sequence[int], most: int = 10) -> str:
    """Return the numbers that a sorted list leaves out, as text."""
    gaps: list[int] = []
    total = numbers[-1] - numbers[0] + 1 - len(numbers)
    for a, b in itertools.pairwise(numbers):
        gaps.extend(range(a + 1, min(b, a + 2 + most)))  # no more than can be shown
    shown = ", ".join(str(n) for n in gaps[:most])
    return shown if total <= most else f"{shown} and {total - most} more"


def _stem(path: Path) -> str:
    """Return a name without the suffix, or ``.ome.tif``."""
    return path.stem.removesuffix(".ome")


def _number(digits: str, path: Path) -> int:
    if len(digits) > 18:
        raise FramesError(
            f"{path.name[:60]} has a number of {len(digits)} digits in its name, beyond any movie; "
            "rename the file"
        )
    return int(digits)


def _tag(text: str) -> str:
    """Return the meaning of a number after a text: T, Z, C, P, or "" if it is not known."""
    word = _LAST_WORD.search(text)
    if word is None:
        return ""
    name = word[1].lower()
    return next((letter for letter, words in _TAGS.items() if name in words), "")


def _is_counter(values: list[int]) -> bool:
    """Return whether numbers are all different and evenly spaced, as those of frames are."""
    ordered = sorted(values)
    steps = {b - a for a, b in itertools.pairwise(ordered)}
    return len(steps) == 1 and 0 not in steps


def _is_clock(texts: tuple[str, ...], k: int, parsed: list[list[str]]) -> bool:
    """Return whether a number is part of a time of the day: 08-20, 08h20m, 00d01h20m."""
    if _CLOCK_UNITS.match(texts[k + 1]) and (k > 0 and _CLOCK_UNITS.match(texts[k])):
        return True
    if k == 0 or texts[k] not in _CLOCK_BETWEEN:
        return False
    pairs = [(digits[k - 1], digits[k]) for digits in parsed]
    return all(len(a) == len(b) == 2 and int(a) < 24 and int(b) < 60 for a, b in pairs)


def _by_frame(
    files: Sequence[Path], keys: Sequence[tuple[int, ...]], folder: Path
) -> NumberedFiles:
    """Return files in the order of their frame numbers."""
    order = sorted(range(len(files)), key=lambda i: keys[i])
    _refuse_doubles([files[i] for i in order], [keys[i] for i in order], folder)
    return NumberedFiles(tuple(files[i] for i in order), tuple(keys[i][0] for i in order))


def _refuse_doubles(files: Sequence[Path], keys: Sequence[tuple[int, ...]], folder: Path) -> None:
    for (a, key), (b, other) in itertools.pairwise(zip(files, keys, strict=True)):
        if key == other:
            raise FramesError(
                f"{a.name} and {b.name} in {folder} are both frame "
                f"{', '.join(map(str, key))}; keep one series of images in a folder"
            )


def _grid(
    files: Sequence[Path], groups: list[tuple[int, ...]], where: dict[str, int], folder: Path
) -> NumberedFiles:
    """Return files with planes and channels of each frame in files of their own."""
    axes = "".join(letter for letter in "ZC" if letter in where)
    values = {letter: sorted({group[k] for group in groups}) for letter, k in where.items()}
    at = {
        tuple(group[where[letter]] for letter in "T" + axes): file
        for file, group in zip(files, groups, strict=True)
    }
    wanted = list(itertools.product(*(values[letter] for letter in "T" + axes)))
    if len(wanted) > len(files):
        gap = next(key for key in wanted if key not in at)
        place = ", ".join(f"{a} {n}" for a, n in zip("T" + axes, gap, strict=True))
        raise FramesError(
            f"{folder} has {len(files)} files, and none for {place}; put all planes and channels "
            "of all frames there, or those of one plane and channel only"
        )
    return NumberedFiles(
        tuple(at[key] for key in wanted),
        tuple(values["T"]),
        axes,
        tuple(len(values[letter]) for letter in axes),
    )
