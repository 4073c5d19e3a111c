"""Words for prompts in tables and layers of other programs: names of columns, labels of clicks.

Names are compared in lower case, without spaces, underscores and hyphens.
"""

from __future__ import annotations

import math
import re
from collections.abc import Iterable, Sequence
from typing import Any

from napari_sam2track.parsing.csv_table import is_missing

#: Columns that say which object a prompt is of; of several, the first in this order counts.
OBJECT_COLUMNS = (
    *("objectid", "objid", "object", "obj"),
    *("trackid", "track", "instanceid", "instance", "cellid", "cell"),
    *("labelid", "maskid", "segmentid", "id"),
)

#: Columns that say whether a click is on the object.
LABEL_COLUMNS = (
    *("label", "pointlabel", "clicklabel", "positive", "ispositive", "polarity", "sign"),
)

#: Columns of places, in tables without napari's axis-0, axis-1, ...
FRAME_COLUMNS = ("frame", "t", "timepoint", "time", "frameid", "framenumber", "frameindex")
PLANE_COLUMNS = ("z", "plane")
ROW_COLUMNS = ("y", "row", "ypx", "ypixel", "posy", "yposition", "positiony", "centroidy")
COLUMN_COLUMNS = (
    *("x", "col", "column", "xpx", "xpixel", "posx", "xposition", "positionx", "centroidx"),
)

#: Columns that number the rows, and say nothing of prompts.
ROW_NUMBERS = ("index", "")

POSITIVE = frozenset({"positive", "pos", "+", "true", "t", "yes", "foreground", "fg", "object"})
NEGATIVE = frozenset({"negative", "neg", "-", "false", "f", "no", "background", "bg"})
_SIGNS = {1.0: True, 0.0: False, -1.0: False}
_NUMBER = re.compile(r"[+-]?[0-9]{1,30}+(?:\.[0-9]{0,30}+)?+")


def plain_name(name: Any) -> str:
    """Return the name of a column as it is compared."""
    return re.sub(r"[\s_-]", "", str(name).lower())


def columns_of(names: Iterable[Any], known: Sequence[str]) -> list[Any]:
    """Return those names that are known, the one that counts first."""
    found = [name for name in names if plain_name(name) in known]
    return sorted(found, key=lambda name: known.index(plain_name(name)))


def parse_label(label: Any) -> bool | None:
    """Return whether a label is positive; None if it is neither positive nor negative.

    Parameters
    ----------
    label
        A word in any case, true or false, or 1, 0 or -1, as a value or as text.
    """
    text = str(label).strip().lower()
    if text in POSITIVE:
        return True
    if text in NEGATIVE:
        return False
    return _SIGNS.get(float(text)) if _NUMBER.fullmatch(text) else None


def unknown_label(label: Any, column: str) -> str:
    """Return what to say of a label that is neither positive nor negative."""
    hint = ""
    if _NUMBER.fullmatch(str(label).strip()):
        hint = "; if it numbers objects, call the column object_id"
    return (
        f"{column} is {str(label)[:40]!r}, neither positive nor negative; write positive or "
        f"negative, 1 or 0{hint}"
    )


def has_value(value: Any) -> bool:
    """Return whether a cell or feature says something: not empty, NaN or None."""
    if value is None or (isinstance(value, float) and math.isnan(value)):
        return False
    return not is_missing(str(value))
