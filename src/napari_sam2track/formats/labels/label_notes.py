"""Metadata in files of labels: our own note, and sizes in the files' own fields."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from typing import Any

from napari_sam2track.frames.zarr_store import ome_metadata
from napari_sam2track.labels import Scale

#: Keys of our note: where it comes from, and what the pixels cannot say.
PROVENANCE, TRACKS = "napari_sam2track", "sam2track_tracks"

#: Spellings of units that others have, in UDUNITS's.
_UNITS = {
    "nm": "nanometer",
    "um": "micrometer",
    "µm": "micrometer",
    "μm": "micrometer",
    "\\u00b5m": "micrometer",
    "micron": "micrometer",
    "microns": "micrometer",
    "mm": "millimeter",
    "cm": "centimeter",
    "m": "meter",
    "inch": "inch",
    "ms": "millisecond",
    "msec": "millisecond",
    "s": "second",
    "sec": "second",
    "seconds": "second",
    "min": "minute",
    "minutes": "minute",
    "h": "hour",
    "hr": "hour",
    "hours": "hour",
}
_NO_UNITS = ("", "pixel", "pixels", "px", "frame", "frames", "none", "dimensionless")
_IMAGEJ_UNITS = {"micrometer": "micron", "second": "sec", "minute": "min"}


def unit_of(text: Any) -> str | None:
    """Return a unit as UDUNITS spells it; None for pixels and frames."""
    name = str(text or "").strip()
    return None if name.lower() in _NO_UNITS else _UNITS.get(name.lower(), name)


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
    except (KeyError, TypeError, ValueError):
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


def ome_scale(attributes: Mapping[str, Any], letters: str | None) -> Scale:
    """Return the scale of an OME-Zarr multiscale's first level, whose axes have these letters."""
    try:
        multiscale = ome_metadata(attributes)["multiscales"][0]
        axes = [a if isinstance(a, Mapping) else {} for a in multiscale["axes"]]
        scales = [1.0] * len(axes)
        for owner in (multiscale["datasets"][0], multiscale):
            for change in owner.get("coordinateTransformations", ()):
                if change.get("type") == "scale":
                    scales = [a * float(b) for a, b in zip(scales, change["scale"], strict=True)]
    except (KeyError, IndexError, TypeError, ValueError, AttributeError):
        return Scale()  # a scale that makes no sense is none; the labels are good without
    sizes = [n if math.isfinite(n) and n > 0 else 1.0 for n in scales]
    found = dict(zip(letters or "", sizes, strict=True))
    units = {k: unit_of(axis.get("unit")) for k, axis in zip(letters or "", axes, strict=True)}
    time, z, y, x = (found.get(letter, 1.0) for letter in "TZYX")
    return Scale(time, z, y, x, units.get("T"), units.get("X"))


def tiff_scale(file: Any) -> Scale:
    """Return the scale that an ImageJ or OME TIFF declares; others give none.

    Parameters
    ----------
    file
        An open `tifffile.TiffFile`.
    """
    try:
        if file.is_imagej:
            return _imagej_scale(file)
        if file.is_ome:
            return _ome_tiff_scale(file)
    except (KeyError, IndexError, TypeError, ValueError, ZeroDivisionError):
        pass  # a scale that makes no sense is none; the labels are good without
    return Scale()


def _imagej_scale(file: Any) -> Scale:
    found = file.imagej_metadata or {}
    tags = file.pages[0].tags
    sizes = []
    for name in ("YResolution", "XResolution"):
        above, below = tags[name].value if name in tags else (1, 1)
        sizes.append(below / above if above else 1.0)
    return Scale(
        float(found.get("finterval", 0)) or 1.0,
        float(found.get("spacing", 0)) or 1.0,
        sizes[0],
        sizes[1],
        unit_of(found.get("tunit", "sec" if found.get("finterval") else None)),
        unit_of(found.get("unit")),
    )


def _ome_tiff_scale(file: Any) -> Scale:
    import tifffile

    image = tifffile.xml2dict(file.ome_metadata)["OME"]["Image"]
    pixels = (image[0] if isinstance(image, list) else image)["Pixels"]
    z, y, x = (float(pixels.get(f"PhysicalSize{axis}", 1)) for axis in "ZYX")
    time = "TimeIncrement" in pixels
    space = "PhysicalSizeX" in pixels
    return Scale(
        float(pixels.get("TimeIncrement", 1)),
        z,
        y,
        x,
        unit_of(pixels.get("TimeIncrementUnit", "s")) if time else None,
        unit_of(pixels.get("PhysicalSizeXUnit", "µm")) if space else None,
    )
