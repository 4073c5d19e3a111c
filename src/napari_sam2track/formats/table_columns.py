"""Columns of tables of tracks, by their meaning, and the programs that write them.

Sources: the documentation and export code of the programs that `PROGRAMS` names.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field

from napari_sam2track.errors import UsageError


@dataclass(frozen=True)
class TableProgram:
    """A program whose tables of tracks are known.

    Attributes
    ----------
    name
        What the table is taken for, in a message.
    files
        Files that it writes, for the documentation.
    marks
        Columns that tell its tables from others, normalised; all have to be there.
    columns
        Meaning of columns that differs from the dictionary, `MEANINGS`.
    first_frame
        Number of the first frame.
    not_kept
        What its files hold and tracks have no place for, for the documentation.
    """

    name: str
    files: str
    marks: frozenset[str]
    columns: Mapping[str, str] = field(default_factory=dict)
    first_frame: int = 0
    not_kept: str = "features but area"


#: Names of columns by their meaning, normalised; earlier names win.
#:
#: A track is a piece of a lineage without a division. `parent` is a track or an object, which the
#: values tell; the others say it in their names.
MEANINGS: dict[str, tuple[str, ...]] = {
    "frame": (
        *("frame", "t", "time", "framei", "frameindex", "frameid", "framenumber", "timepoint"),
        *("timeframe", "timeindex", "positiont", "spotframe", "axis0", "tp", "imagenumber"),
    ),
    "track": (
        *("trackid", "tracklet", "trackletid", "track", "particle", "particleid", "trackindex"),
        *("cellidtree", "tracknumber", "trackname", "cellid", "objectid", "trajectory"),
        *("trajectoryid", "spottrackid", "trackobjectslabel"),
    ),
    "id": ("id", "nodeid", "spotid", "node", "detectionid", "objectnumber"),
    "parent_track": (
        *("parenttrackid", "parenttrack", "parenttrackletid", "parenttracklet", "parentidtree"),
        *("mothertrack", "mothertrackid", "trackparent", "trackparentid"),
    ),
    "parent_id": ("parentnodeid", "parentnode", "parentspotid", "predecessor", "predecessorid"),
    "parent": ("parent", "parentid", "mother", "motherid"),
    "z": ("z", "positionz", "centroidz", "zcentroid", "cellz", "poszpx", "axisz"),
    "y": ("y", "positiony", "centroidy", "ycentroid", "celly", "locationcentery", "spotpositiony"),
    "x": ("x", "positionx", "centroidx", "xcentroid", "cellx", "locationcenterx", "spotpositionx"),
    "area": ("area", "cellareapxl", "areapx", "areashapearea", "npixels", "size"),
}

#: Most telling first.
PROGRAMS: tuple[TableProgram, ...] = (
    TableProgram(
        "TrackMate",
        "spots.csv, with edges.csv beside it",
        frozenset({"trackid", "positionx", "positiony", "positiont", "frame", "quality"}),
        {"frame": "frame", "track": "trackid", "id": "id"},
        not_kept="features but area; masks (they are in its XML)",
    ),
    TableProgram(
        "Imaris",
        "Position.csv of the statistics of spots",
        frozenset({"positionx", "positiony", "time", "category", "id"}),
        {"track": "trackid"},
        first_frame=1,
    ),
    TableProgram(
        "ultrack",
        "tracks.csv",
        frozenset({"trackid", "t", "parenttrackid", "parentid", "id"}),
        not_kept="segments.zarr beside it: give that for masks",
    ),
    TableProgram("inTRACKtive", "CSV of tracks", frozenset({"trackid", "t", "parenttrackid"})),
    TableProgram(
        "btrack",
        "tracks.csv, with graph.json beside it",
        frozenset({"id", "t", "parent", "root", "generation"}),
        {"track": "id"},
    ),
    TableProgram(
        "motile or funtracks", "CSV of tracks", frozenset({"id", "parentid", "trackletid"})
    ),
    TableProgram("motile", "CSV of tracks", frozenset({"t", "id", "parentid", "trackid"})),
    TableProgram("traccuracy", "CSV of a tracking graph", frozenset({"t", "id", "parent"})),
    TableProgram(
        "Cell-ACDC",
        "acdc_output.csv",
        frozenset({"framei", "cellid"}),
        not_kept="the cell cycle but parents; features but area; masks (_segm.npz holds them)",
    ),
    TableProgram(
        "Mastodon", "table of spots", frozenset({"spotframe", "label"}), not_kept="tags, features"
    ),
    TableProgram("trackpy", "table of trajectories", frozenset({"particle", "frame"})),
    TableProgram(
        "laptrack", "table of tracks", frozenset({"trackid", "treeid"}), not_kept="its split table"
    ),
    TableProgram("napari", "Tracks as CSV, with graph.json beside it", frozenset({"id", "t"})),
)

#: Names for `--columns`, in its order in messages.
KEYS = ("frame", "track", "id", "parent", "parent_track", "parent_id", "z", "y", "x", "area")

_BRACKETS = re.compile(r"[(\[].*?[)\]]")
_SEPARATORS = re.compile(r"[\s_\-.#:]+")
_UNIT = re.compile(r"[(\[]\s*(.*?)\s*[)\]]")


def normalised(name: str) -> str:
    """Return a name in lower case, without units in brackets, spaces, hyphens or underscores."""
    return _SEPARATORS.sub("", _BRACKETS.sub("", name)).lower()


def unit_in(name: str) -> str:
    """Return what stands in brackets in a name, such as "µm"; "" if nothing does."""
    found = _UNIT.search(name)
    return found[1] if found else ""


def program_of(names: Iterable[str]) -> TableProgram | None:
    """Return the program that writes a table with these columns, if it is known."""
    known = {normalised(name) for name in names}
    return next((program for program in PROGRAMS if program.marks <= known), None)


def columns_of(names: tuple[str, ...], asked: str | None) -> dict[str, str]:
    """Return the columns of a table by their meaning.

    Parameters
    ----------
    names
        Names of the columns.
    asked
        What a person said, such as "frame=T,track=cell_id"; it wins.

    Raises
    ------
    UsageError
        If there is no such meaning or column.
    """
    program = program_of(names)
    by_name: dict[str, str] = {}
    for name in reversed(names):
        by_name[normalised(name)] = name
    found: dict[str, str] = {}
    for meaning, known in MEANINGS.items():
        wanted = program.columns.get(meaning) if program else None
        for name in (wanted, *known) if wanted else known:
            if name in by_name:
                found[meaning] = by_name[name]
                break
    if program is not None and program.name == "btrack":
        found.pop("id", None)
    return found | asked_columns(names, asked)


def asked_columns(names: tuple[str, ...], asked: str | None) -> dict[str, str]:
    """Return the columns that a person named, by their meaning.

    Raises
    ------
    UsageError
        If there is no such meaning or column.
    """
    found: dict[str, str] = {}
    for part in (asked or "").split(","):
        if not part.strip():
            continue
        meaning, equals, name = (piece.strip() for piece in part.partition("="))
        if not equals or meaning not in KEYS:
            raise UsageError(
                f"--columns {asked!r}: {part.strip()!r} is not MEANING=COLUMN; the meanings are "
                f"{', '.join(KEYS)}, as in frame=T,track=cell_id"
            )
        if name not in names:
            raise UsageError(
                f"--columns {asked!r}: there is no column {name!r}; the columns are "
                f"{', '.join(names)}"
            )
        found[meaning] = name
    return found


def looks_like_tracks(names: Iterable[str]) -> bool:
    """Return whether a table has places over time that belong to tracks."""
    found = columns_of(tuple(names), None)
    return {"frame", "y", "x"} <= found.keys() and bool({"track", "id"} & found.keys())
