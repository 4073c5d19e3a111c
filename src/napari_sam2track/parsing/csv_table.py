"""Tables as text, of any program: separators, decimal commas and encodings are found out.

Values stay text until a column is asked for, so that a column that nobody needs is never wrong,
and an error names the line.
"""

from __future__ import annotations

import csv
import io
import re
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from napari_sam2track.errors import FormatError
from napari_sam2track.parsing.bounds import FAR
from napari_sam2track.parsing.guard import parsing

_SEPARATORS = ",;\t|"

#: Bytes that are enough to see the names of columns.
_HEAD = 65_536

#: Most lines of a title, and of words below the names.
_TITLE_LINES, _MOST_SUBHEADERS = 10, 4

#: Spellings of "no value" by pandas, R, Excel and databases, in lower case.
_MISSING = frozenset({"", "nan", "na", "n/a", "#n/a", "null", "none", "<na>", "-nan"})

_NUMBER = re.compile(r"[+-]?(?:[0-9]+\.?[0-9]*|\.[0-9]+)(?:[eE][+-]?[0-9]+)?")
_COLUMN = re.compile(rf"{_NUMBER.pattern}(?:\n{_NUMBER.pattern})*+")
_COMMA_NUMBER = re.compile(r"[+-]?[0-9]+,[0-9]+(?:[eE][+-]?[0-9]+)?")


@dataclass(frozen=True, eq=False)
class CsvTable:
    """A table as its file has it.

    Attributes
    ----------
    path
        The file.
    names
        Names of the columns, without spaces around.
    rows
        Text of each value, by row; as many in each as there are `names`.
    lines
        Line of the file that each row begins in, from 1.
    subheaders
        Rows of words below the names, as TrackMate and Mastodon write them: longer names, units.
    notes
        What was found out and may be worth a word: decimal commas, the encoding.
    """

    path: Path
    names: tuple[str, ...]
    rows: list[list[str]] = field(repr=False)
    lines: list[int] = field(repr=False)
    subheaders: tuple[tuple[str, ...], ...] = ()
    notes: tuple[str, ...] = ()

    def __len__(self) -> int:
        return len(self.rows)

    def texts(self, name: str) -> list[str]:
        """Return the text of a column, without spaces around; "" where there is no value.

        Raises
        ------
        FormatError
            If there are two columns of this name.
        """
        k = self.names.index(name)
        if self.names.count(name) > 1:
            raise FormatError(
                f"{self.path} has the column {name!r} {self.names.count(name)} times; rename or "
                "remove one of them"
            )
        return ["" if is_missing(row[k]) else row[k].strip() for row in self.rows]

    def numbers(self, name: str, missing: float | None = None) -> NDArray[np.float64]:
        """Return a column as finite numbers.

        Parameters
        ----------
        name
            The column.
        missing
            Value where there is none; None refuses such lines.

        Raises
        ------
        FormatError
            If a value is no number, infinite, or beyond any movie; with its line.
        """
        texts = self.texts(name)
        if _COLUMN.fullmatch("\n".join(texts)) and all(map(_short, texts)):
            values = np.array([float(text) for text in texts], np.float64)
        else:
            bad = np.nan if missing is None else missing
            values = np.array([_number(text, bad) for text in texts], np.float64)
        wrong = np.flatnonzero(~(np.abs(values) < FAR))
        if len(wrong):
            k = int(wrong[0])
            raise FormatError(f"{self.where(k)}: {name} is {self._shown(k, name)}")
        return values

    def whole_numbers(self, name: str, missing: int | None = None) -> NDArray[np.int64]:
        """Return a column as whole numbers; see `numbers`.

        Raises
        ------
        FormatError
            As `numbers`, or if a number has a fraction.
        """
        values = self.numbers(name, None if missing is None else float(missing))
        whole = np.rint(values)
        odd = np.flatnonzero(whole != values)
        if len(odd):
            k = int(odd[0])
            raise FormatError(
                f"{self.where(k)}: {name} is {values[k]:g}, and has to be a whole number; correct "
                "or remove the line"
            )
        return whole.astype(np.int64)

    def where(self, row: int) -> str:
        """Return the place of a row in a message."""
        return f"{self.path}, line {self.lines[row]}"

    def _shown(self, row: int, name: str) -> str:
        """Return what is wrong with a value that is no number."""
        text = self.rows[row][self.names.index(name)].strip()
        if is_missing(text):
            return "missing; correct or remove the line"
        if text.lower().lstrip("+-") in ("inf", "infinity"):
            return "infinite; correct or remove the line"
        if _NUMBER.fullmatch(text):
            return f"{text[:40]}, beyond any movie; correct or remove the line"
        return f"{text[:40]!r}, not a number; correct or remove the line"


def _short(text: str) -> bool:
    """Return whether a number is of a length that people and programs write."""
    return len(text) < 400


def _number(text: str, missing: float) -> float:
    """Return the value of a text: `missing` without one, NaN if it is no number."""
    if not text:
        return missing
    return float(text) if _short(text) and _NUMBER.fullmatch(text) else np.nan


def is_missing(text: str) -> bool:
    """Return whether a text stands for no value."""
    return text.strip().lower() in _MISSING


def read_csv_table(path: Path) -> CsvTable:
    """Read a table with a line of names, and maybe a title above or more words below it.

    Commas, semicolons, tabs and bars separate values; where they are not commas, a comma is
    taken for a decimal point. Blank lines are skipped.

    Raises
    ------
    FormatError
        If it cannot be read, has no header, or a row is longer or shorter than the header.
    """
    return _parsed(*_text_of(path), path)


def csv_names(path: Path) -> tuple[str, ...]:
    """Return the names of the columns of a table, of which only the beginning is read.

    Raises
    ------
    FormatError
        As `read_csv_table`.
    """
    with parsing(path, "CSV"), path.open("rb") as file:
        raw = file.read(_HEAD)
    if len(raw) == _HEAD:
        raw = raw[: raw.rfind(b"\n") + 1] or raw
    return _parsed(*_decoded(raw, path), path).names


def _parsed(text: str, notes: tuple[str, ...], path: Path) -> CsvTable:
    """Return the table in a text."""
    head = text[:20_000].splitlines()[:_TITLE_LINES]
    first = next((line for line in head if any(each in line for each in _SEPARATORS)), "")
    separator = max(_SEPARATORS, key=first.count)
    rows: list[list[str]] = []
    lines: list[int] = []
    reader = csv.reader(io.StringIO(text, newline=""), delimiter=separator, skipinitialspace=True)
    with parsing(path, "CSV", way_out="correct it, or export it again"):
        last = 0
        for row in reader:
            if any(value.strip() for value in row):
                rows.append(row)
                lines.append(last + 1)
            last = reader.line_num
    if not rows:
        raise FormatError(f"{path} is an empty table; export it again")
    begin = _header_row(rows)
    names = [name.strip().strip('"') for name in rows[begin]]
    while names and not names[-1] and not any(any(row[len(names) - 1 :]) for row in rows[begin:]):
        names.pop()  # a separator at the end of each line
    rows, lines = rows[begin + 1 :], lines[begin + 1 :]
    body = [_fitted(row, len(names), path, line) for row, line in zip(rows, lines, strict=True)]
    n_words = next(
        (k for k, row in enumerate(body[:_MOST_SUBHEADERS]) if any(map(_is_number, row))),
        min(len(body), _MOST_SUBHEADERS),
    )
    n_words = n_words if n_words < len(body) else 0
    subheaders = tuple(tuple(value.strip() for value in row) for row in body[:n_words])
    if subheaders:
        names = _full_names(names, subheaders[0])
    body, at = body[n_words:], lines[n_words:]
    if separator != "," and _decimal_commas(body):
        body = [[_with_point(value) for value in row] for row in body]
        notes = (*notes, "numbers have decimal commas")
    return CsvTable(path, tuple(names), body, at, subheaders, notes)


def _text_of(path: Path) -> tuple[str, tuple[str, ...]]:
    """Return the text of a file."""
    with parsing(path, "CSV"):
        raw = path.read_bytes()
    return _decoded(raw, path)


def _decoded(raw: bytes, path: Path) -> tuple[str, tuple[str, ...]]:
    """Return a text in the encodings that spreadsheets write, and a note on an unusual one."""
    if raw[:2] in (b"\xff\xfe", b"\xfe\xff"):
        with parsing(path, "text in UTF-16"):
            return raw.decode("utf-16"), ()
    if b"\0" in raw[:65_536]:
        raise FormatError(f"{path} is no text, so it is not a table; give a CSV")
    try:
        return raw.decode("utf-8-sig"), ()
    except UnicodeDecodeError:
        return raw.decode("cp1252", errors="replace"), ("the text is not UTF-8, read as Windows'",)


def _header_row(rows: list[list[str]]) -> int:
    """Return the row of names, which a title of one word or two may stand above."""
    filled = [sum(bool(value.strip()) for value in row) for row in rows[:_TITLE_LINES]]
    widest = max(filled)
    return next(k for k, n in enumerate(filled) if n > 1 or n == widest) if widest > 2 else 0


def _full_names(names: list[str], words: Sequence[str]) -> list[str]:
    """Return names with the word below them, where one name stands for several columns."""
    full, last = [], ""
    for name, after, word in zip(names, [*names[1:], "-"], words, strict=True):
        last = name or last
        several = not name or not after or names.count(name) > 1
        full.append(f"{last} {word}".strip() if several else name)
    return full


def _is_number(text: str) -> bool:
    """Return whether a text is a number, with a point or a comma."""
    return bool(_NUMBER.fullmatch(text.strip()) or _COMMA_NUMBER.fullmatch(text.strip()))


def _fitted(row: list[str], n: int, path: Path, line: int) -> list[str]:
    """Return a row of `n` values; empty ones at its end may be too many."""
    if len(row) > n and not any(value.strip() for value in row[n:]):
        return row[:n]
    if len(row) != n:
        more = "more" if len(row) > n else "fewer"
        comma = "; decimal commas need another separator than a comma" if len(row) > n else ""
        raise FormatError(
            f"{path}, line {line} has {len(row)} values, {more} than the {n} columns of the "
            f"header{comma}; correct or remove the line"
        )
    return row


def _decimal_commas(rows: list[list[str]]) -> bool:
    """Return whether values look like 3,5, and none like 3.5."""
    values = [value.strip() for row in rows[:1000] for value in row]
    commas = any(_COMMA_NUMBER.fullmatch(value) for value in values)
    return commas and not any("." in value and _NUMBER.fullmatch(value) for value in values)


def _with_point(value: str) -> str:
    """Return a number with a point in place of its comma; other text as it is."""
    return value.replace(",", ".") if _COMMA_NUMBER.fullmatch(value.strip()) else value
