"""The state of reading a table of tracks."""

from __future__ import annotations

from dataclasses import dataclass, field

from napari_sam2track.formats.table_columns import TableProgram, unit_in
from napari_sam2track.frames.pixel_scale import unit_of
from napari_sam2track.parsing.csv_table import CsvTable


@dataclass(eq=False)
class TableReading:
    """A table that is being read.

    Attributes
    ----------
    table
        Its values.
    columns
        Name of the column of each meaning.
    program
        The program that wrote it, if it is known.
    notes
        What there is to say.
    used
        Columns that were used.
    """

    table: CsvTable
    columns: dict[str, str]
    program: TableProgram | None
    notes: list[str] = field(default_factory=list)
    used: set[str] = field(default_factory=set)

    def name_of(self, meaning: str) -> str | None:
        """Return the column of a meaning, which is used then; None if there is none."""
        name = self.columns.get(meaning)
        if name is not None:
            self.used.add(name)
        return name

    def unit_of(self, name: str) -> str | None:
        """Return the unit of a column, in its name or below; None for pixels and frames."""
        k = self.table.names.index(name)
        words = [unit_in(name), *(unit_in(row[k]) for row in self.table.subheaders)]
        return next((unit for word in words if word and (unit := unit_of(word))), None)
