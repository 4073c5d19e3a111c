"""Metadata in files of labels: our own note, and sizes in the files' own fields."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from typing import Any

from napari_sam2track.frames.pixel_scale import unit_of
from napari_sam2track.labels import Scale

#: Keys of our note: where it comes from, and what the pixels cannot say.
PROVENANCE, TRACKS = "napari_sam2track", "sam2track_tracks"

_IMAGEJ_UNITS = {"micrometer": "micron", "second": "sec", "minute": "min"}


def imagej_unit(unit: str | None, none: str) -> str:
    """Return a unit as ImageJ spells it."""
    return none if unit is None else _IMAGEJ_UNITS.get(unit, unit)


@dataclass(frozen=True)
class LabelNote:
    """Our note in a file of labels.

    Attributes
    ----------
    provenance
        Origin of the labels.
    parents
        Parent of each daughter; keys may be text, as in JSON.
    scale
        Size of a frame and of a pixel; None if the note has none.
    shape
        Number of frames, and shape of a frame; empty if the note has none.
    """

    provenance: Mapping[str, Any] = field(default_factory=dict)
    parents: Mapping[Any, Any] = field(default_factory=dict)
    scale: Scale | None = None
    shape: tuple[int, ...] = ()

    def axes_of(self, shape: tuple[int, ...]) -> str | None:
        """Return the axes of an array that has the shape of the note."""
        return "T" + "ZYX"[-len(shape) + 1 :] if shape == self.shape else None

    def scale_near(self, found: Scale, depth: bool = True) -> Scale:
        """Return the note's scale, unless the file's own fields, which others may edit, differ.

        Without `depth` these fields hold nothing about z.
        """
        if self.scale is None:
            return found
        ours, theirs = asdict(self.scale), asdict(found)
        sizes = ("time", "y", "x", *(("z",) if depth else ()))
        same = all(math.isclose(ours[name], theirs[name], rel_tol=1e-4) for name in sizes)
        same &= all(
            unit_of(ours[name]) == unit_of(theirs[name]) for name in ("time_unit", "space_unit")
        )
        return self.scale if same else found


def make_note(
    provenance: Mapping[str, Any],
    parents: Mapping[int, int],
    scale: Scale,
    shape: tuple[int, ...],
) -> dict[str, Any]:
    """Return our note, ready for JSON."""
    return {
        PROVENANCE: dict(provenance),
        TRACKS: {
            "shape": list(shape),
            "scale": asdict(scale),
            "parents": {str(child): parent for child, parent in sorted(parents.items())},
        },
    }


def read_note(content: Any) -> LabelNote:
    """Return our note in a file's metadata, as far as it is valid."""
    if not isinstance(content, Mapping):
        return LabelNote()
    provenance, tracks = content.get(PROVENANCE), content.get(TRACKS)
    provenance = provenance if isinstance(provenance, Mapping) else {}
    if not isinstance(tracks, Mapping):
        return LabelNote(provenance)
    try:
        parents = dict(tracks.get("parents", {}))
        values = dict(tracks["scale"])
        units = values.pop("time_unit"), values.pop("space_unit")
        time, z, y, x = (float(values[name]) for name in ("time", "z", "y", "x"))
        scale = Scale(time, z, y, x, *units)
        return LabelNote(provenance, parents, scale, tuple(int(n) for n in tracks["shape"]))
    except (KeyError, TypeError, ValueError, OverflowError):
        return LabelNote(provenance)


def note_in_text(text: str) -> LabelNote:
    """Return our note as JSON somewhere in a text, as the ``Info`` of ImageJ has it."""
    begin = text.find('{"' + PROVENANCE)
    if begin < 0:
        return LabelNote()
    try:
        return read_note(json.JSONDecoder().raw_decode(text[begin:])[0])
    except ValueError:
        return LabelNote()


def label_properties(
    parents: Mapping[int, int], spans: Mapping[int, tuple[int, int]]
) -> list[dict[str, int]]:
    """Return OME-Zarr's ``properties`` of labels: parent (0 for none), first and last frame."""
    return [
        {
            "label-value": track,
            "parent": int(parents.get(track, 0)),
            "begin": begin,
            "end": end,
        }
        for track, (begin, end) in sorted(spans.items())
    ]
