"""JSON from files of others: every way in which it can be bad is one sentence."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from napari_sam2track.errors import FormatError, Sam2TrackError
from napari_sam2track.parsing.guard import parsing, reason_of


def parsed_json(
    text: str | bytes,
    name: str,
    error: type[Sam2TrackError] = FormatError,
    way_out: str = "save or export it again",
) -> Any:
    """Return the values of a JSON text.

    Parameters
    ----------
    text
        The JSON.
    name
        Its name in a message.
    error, way_out
        See `parsing`.

    Raises
    ------
    Sam2TrackError
        Of class `error`, if it is not JSON, or nested too deep.
    """
    try:
        return json.loads(text)
    except (ValueError, RecursionError) as cause:
        raise error(f"{name} is not valid JSON ({reason_of(cause)}); {way_out}") from cause


def read_json(
    path: Path,
    error: type[Sam2TrackError] = FormatError,
    way_out: str = "save or export it again",
) -> Any:
    """Return the values in a file of JSON.

    Raises
    ------
    Sam2TrackError
        Of class `error`, if it cannot be read or is not JSON.
    """
    with parsing(path, "text", error, way_out):
        text = path.read_text(encoding="utf-8-sig")
    return parsed_json(text, str(path), error, way_out)
