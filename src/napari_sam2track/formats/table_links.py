"""Tables of links beside tables of tracks: of TrackMate, Mastodon and LapTrack."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from napari_sam2track.errors import FormatError
from napari_sam2track.formats.table_columns import TableProgram, normalised
from napari_sam2track.parsing.csv_table import CsvTable, read_csv_table

#: Columns of the two ends of a link: of objects, or of a parent and its child; normalised.
_ENDS = (
    ("spotsourceid", "spottargetid"),
    ("linktargetidssourcespotid", "linktargetidstargetspotid"),
    ("sourcespotid", "targetspotid"),
    ("parenttrackid", "childtrackid"),
)
#: Names of TrackMate's table, whatever that of spots is called.
_USUAL = ("edges.csv", "links.csv")


def links_beside(path: Path, program: TableProgram | None) -> CsvTable | None:
    """Return the table of links that belongs to a table of tracks, if it is there.

    Raises
    ------
    FormatError
        If it cannot be read.
    """
    if program is None or not program.links:
        return None
    names = [path.name.replace(a, b) for a, b in program.links.items() if a in path.stem]
    for name in [*names, *(_USUAL if program.name == "TrackMate" else ())]:
        beside = path.with_name(name)
        if beside != path and beside.is_file():
            return read_csv_table(beside)
    return None


def has_only_links(names: tuple[str, ...]) -> bool:
    """Return whether columns are those of a table of links."""
    known = {normalised(name) for name in names}
    return any(set(ends) <= known for ends in _ENDS)


def linked_pairs(links: CsvTable) -> NDArray[np.int64]:
    """Return the two ends of each link, shape (n, 2).

    Raises
    ------
    FormatError
        If there are no such columns, or an end is no number.
    """
    known = {normalised(name): name for name in links.names}
    ends = next((ends for ends in _ENDS if set(ends) <= known.keys()), None)
    if ends is None:
        raise FormatError(
            f"{links.path} beside the table has the columns {', '.join(links.names[:40])}, and "
            "none for the two ends of a link; export it again, or move it away"
        )
    return np.stack([links.whole_numbers(known[end]) for end in ends], axis=1)
