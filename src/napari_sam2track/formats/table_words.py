"""Words and large numbers as ids in tables of tracks: they get numbers of their own."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

from napari_sam2track.parsing.bounds import FAR
from napari_sam2track.parsing.csv_table import CsvTable

#: Columns by meaning, the first of which holds the ids that the others name.
_GROUPS = (("id", "parent_id", "parent"), ("track", "parent_track", "parent"))


def without_words(table: CsvTable, columns: Mapping[str, str], notes: list[str]) -> CsvTable:
    """Return a table whose ids are numbers: others are numbered from 1, in the order of rows.

    Parameters
    ----------
    table
        The table.
    columns
        Name of the column of each meaning.
    notes
        Sentences on what was decided, to which one is added for tracks.
    """
    changed: dict[int, list[str]] = {}
    for own, *others in _GROUPS:
        if own not in columns:
            continue
        texts = table.texts(columns[own])
        named = list(dict.fromkeys(text for text in texts if text))
        if not _are_words(named):
            continue
        numbers = {text: str(k) for k, text in enumerate(named, start=1)}
        changed[table.names.index(columns[own])] = [numbers.get(text, text) for text in texts]
        for name in {columns[other] for other in others if other in columns}:
            values = table.texts(name)
            if all(value in numbers or value in ("", "-1", "0") for value in values):
                k = table.names.index(name)
                changed[k] = [numbers.get(value, "-1") for value in values]
        if own == "track" or not columns.keys() & {"track", *others}:
            notes.append(
                f"{columns[own]} holds words or very large numbers: tracks are numbered from 1, in "
                "the order of rows"
            )
    if not changed:
        return table
    rows = [list(row) for row in table.rows]
    for k, values in changed.items():
        for row, value in zip(rows, values, strict=True):
            row[k] = value
    return replace(table, rows=rows)


def _are_words(texts: list[str]) -> bool:
    """Return whether ids are words, or numbers too large to be exact; one among others is wrong."""
    if texts and all(text.isascii() and text.isdigit() for text in texts):
        return max(map(len, texts)) < 40 and any(int(text) >= FAR for text in texts)
    return bool(texts) and not any(_is_number(text) for text in texts)


def _is_number(text: str) -> bool:
    """Return whether a text is a number."""
    try:
        float(text)
    except ValueError:
        return False
    return True
