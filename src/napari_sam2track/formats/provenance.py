"""Provenance of a result: the note on its origin that every export carries."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from napari_sam2track import __version__


def provenance(
    *,
    source: str,
    frames: Sequence[int],
    parameters: Mapping[str, Any],
    model: Mapping[str, Any] | None = None,
) -> dict[str, Any]:
    """Return the note that goes into an export, ready for JSON.

    Parameters
    ----------
    source
        Path, or name of a layer, that was read.
    frames
        Numbers of the frames that were used, ascending; the first and the last are kept.
    parameters
        Name to value, as `Params.model_dump` gives it.
    model
        ``{"name": ..., "sha256": ...}`` of the network, or None if none took part.

    Returns
    -------
    dict
        Keys software, version, source, frame_range, parameters, model. No time of day: the
        same run gives the same bytes.
    """
    return {
        "software": "napari-sam2track",
        "version": __version__,
        "source": source,
        "frame_range": [int(frames[0]), int(frames[-1])] if len(frames) else None,
        "parameters": dict(parameters),
        "model": dict(model) if model is not None else None,
    }
