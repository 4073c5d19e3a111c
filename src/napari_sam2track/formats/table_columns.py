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
    without
        Meanings that none of its columns has, whatever their names.
    lineages
        True if a track of its table is a cell with all its descendants.
    links
        What stands in the name of a table of links beside, by what it replaces in the name of
        this one.
    parents_where
        Column of parents, and another column and its value in rows that name one.
    not_kept
        What its files hold and tracks have no place for, for the documentation.
    """

    name: str
    files: str
    marks: frozenset[str]
    columns: Mapping[str, str] = field(default_factory=dict)
    first_frame: int = 0
    without: frozenset[str] = frozenset()
    lineages: bool = False
    links: Mapping[str, str] = field(default_factory=dict)
    parents_where: tuple[str, str, str] | None = None
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
    "id": ("id", "nodeid", "spotid", "node", "detectionid", "segmentationid"),
    "parent_track": (
        *("parenttrackid", "parenttrack", "parenttrackletid", "parenttracklet", "parentidtree"),
        *("mothertrack", "mothertrackid", "trackparent", "trackparentid", "relativeid"),
    ),
    "parent_id": ("parentnodeid", "parentnode", "parentspotid", "predecessor", "predecessorid"),
    "parent": ("parent", "parentid", "mother", "motherid"),
    "z": ("z", "positionz", "centroidz", "zcentroid", "cellz", "posz", "spotpositionz"),
    "y": (
        *("y", "positiony", "centroidy", "ycentroid", "celly", "locationcentery", "spotpositiony"),
        "posy",
    ),
    "x": (
        *("x", "positionx", "centroidx", "xcentroid", "cellx", "locationcenterx", "spotpositionx"),
        "posx",
    ),
    "area": ("area", "cellareapxl", "areapx", "areashapearea", "npixels", "size"),
}

#: Most telling first.
PROGRAMS: tuple[TableProgram, ...] = (
    TableProgram(
        "TrackMate",
        "spots.csv, with edges.csv beside it",
        frozenset({"trackid", "positionx", "positiony", "frame"}),
        {"frame": "frame", "track": "trackid", "id": "id"},
        lineages=True,
        links={"Spots": "Links", "allspots": "edges", "spots": "edges"},
        not_kept="features but area; masks (they are in its XML)",
    ),
    TableProgram(
        "Imaris",
        "Position.csv of the statistics of spots",
        frozenset({"positionx", "positiony", "time", "category", "id"}),
        {"track": "trackid"},
        first_frame=1,
        without=frozenset({"id", "parent"}),
        lineages=True,
        not_kept="features; divisions, as its links are not in this table",
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
        without=frozenset({"id"}),
    ),
    TableProgram(
        "motile or funtracks", "CSV of tracks", frozenset({"id", "parentid", "trackletid"})
    ),
    TableProgram("motile", "CSV of tracks", frozenset({"t", "id", "parentid"})),
    TableProgram("traccuracy", "CSV of a tracking graph", frozenset({"t", "id", "parent"})),
    TableProgram(
        "traccuracy",
        "CSV of a tracking graph, by ids of a segmentation",
        frozenset({"t", "segmentationid", "parent"}),
    ),
    TableProgram(
        "Cell-ACDC",
        "acdc_output.csv",
        frozenset({"framei", "cellid"}),
        parents_where=("relativeid", "relationship", "bud"),
        not_kept="the cell cycle but parents; features but area; masks (_segm.npz holds them)",
    ),
    TableProgram(
        "CellProfiler",
        "table of objects, with TrackObjects",
        frozenset({"imagenumber", "objectnumber", "trackobjectslabel"}),
        {"track": "trackobjectslabel"},
        first_frame=1,
        without=frozenset({"id", "parent", "parent_id", "parent_track"}),
        lineages=True,
        not_kept="features but area; divisions",
    ),
    TableProgram(
        "Mastodon",
        "table of spots (-Spot.csv), with that of links (-Link.csv) beside it",
        frozenset({"spotframe"}),
        lineages=True,
        links={"Spot": "Link", "spot": "link", "Vertex": "Edge"},
        not_kept="tags, features",
    ),
    TableProgram("trackpy", "table of trajectories", frozenset({"particle", "frame"})),
    TableProgram(
        "laptrack",
        "table of tracks (track_df.csv), with that of divisions (split_df.csv) beside it",
        frozenset({"trackid", "treeid"}),
        links={"track": "split"},
        not_kept="merges",
    ),
    TableProgram("napari", "Tracks as CSV, with graph.json beside it", frozenset({"id", "t"})),
)

#: Names for `--columns`, in its order in messages.
_PARENTS = {"parent", "parent_track", "parent_id"}
KEYS = ("frame", "track", "id", "parent", "parent_track", "parent_id", "z", "y", "x", "area")

_BRACKETS = re.compile(r"[(\[].*?[)\]]")
_SEPARATORS = re.compile(r"[\s_\-.#:]+")
_UNIT = re.compile(r"[(\[]\s*(.*?)\s*[)\]]")
#: Units that end a name, as in x_um and time_s.
_UNIT_END = re.compile(
    r"(?<=[_\s])(um|µm|μm|microns?|micrometers?|nm|mm|px|pxl|pixels?)$"
    r"|(?:(?<=^t[_\s])|(?<=^time[_\s]))(ms|s|secs?|seconds?|min|minutes?|h|hours?)$",
    re.IGNORECASE,
)
#: What CellProfiler puts behind names: the largest distance, in pixels.
_DISTANCE = re.compile(r"(?<=^trackobjectslabel)[0-9]+$")


def normalised(name: str) -> str:
    """Return a name in lower case, without units at its end, spaces, hyphens or underscores."""
    plain = _UNIT_END.sub("", _BRACKETS.sub("", name).strip())
    return _DISTANCE.sub("", _SEPARATORS.sub("", plain).lower())


def unit_in(name: str) -> str:
    """Return the unit in a name, such as µm of "X (µm)" and um of x_um; "" if there is none."""
    found = _UNIT.search(name)
    if found is None:
        found = _UNIT_END.search(name.strip())
    return next((text for text in found.groups() if text), "") if found else ""


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
    for meaning in program.without if program else ():
        found.pop(meaning, None)
    found = {**_numbered(by_name), **found}
    wishes = asked_columns(names, asked)
    if wishes.keys() & _PARENTS:  # then the others are not meant
        found = {meaning: name for meaning, name in found.items() if meaning not in _PARENTS}
    return {meaning: name for meaning, name in (found | wishes).items() if name}


def _numbered(by_name: Mapping[str, str]) -> dict[str, str]:
    """Return places in columns that are numbered by axis, as scikit-image names them."""
    for stem in ("centroid", "weightedcentroid", "centroidweighted"):
        axes = "zyx" if f"{stem}2" in by_name else "yx"
        names = [f"{stem}{k}" for k in range(len(axes))]
        if all(name in by_name for name in names):
            return {axis: by_name[name] for axis, name in zip(axes, names, strict=True)}
    return {}


def asked_columns(names: tuple[str, ...], asked: str | None) -> dict[str, str]:
    """Return the columns that a person named, by their meaning; "" for one to leave out.

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
        if name and name not in names:
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
