"""Size of a pixel and of a frame, from the metadata of containers."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

from napari_sam2track.labels import Scale

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


def unit_of(text: Any) -> str | None:
    """Return a unit as UDUNITS spells it; None for pixels and frames."""
    name = str(text or "").strip()
    return None if name.lower() in _NO_UNITS else _UNITS.get(name.lower(), name)


def ome_scale(multiscale: Mapping[str, Any], letters: str | None) -> Scale:
    """Return the scale of an OME-Zarr multiscale's first level, whose axes have these letters."""
    try:
        axes = [a if isinstance(a, Mapping) else {} for a in multiscale["axes"]]
        scales = [1.0] * len(axes)
        for owner in (multiscale["datasets"][0], multiscale):
            for change in owner.get("coordinateTransformations", ()):
                if change.get("type") == "scale":
                    scales = [a * float(b) for a, b in zip(scales, change["scale"], strict=True)]
    except (KeyError, IndexError, TypeError, ValueError, AttributeError):
        return Scale()  # a scale that makes no sense is none; the labels are good without
    sizes = [n if math.isfinite(n) and n > 0 else 1.0 for n in scales]
    found = dict(zip(letters or "", sizes, strict=False))
    units = {k: unit_of(axis.get("unit")) for k, axis in zip(letters or "", axes, strict=False)}
    time, z, y, x = (found.get(letter, 1.0) for letter in "TZYX")
    return Scale(time, z, y, x, units.get("T"), units.get("X"))


def tiff_scale(file: Any, image: int = 0) -> Scale:
    """Return the scale that an ImageJ or OME TIFF declares; others give none.

    Parameters
    ----------
    file
        An open `tifffile.TiffFile`.
    image
        Number of the image in an OME-TIFF of several.
    """
    try:
        if file.is_imagej:
            return _imagej_scale(file)
        if file.is_ome:
            return _ome_tiff_scale(file, image)
    except (LookupError, TypeError, ValueError, ArithmeticError, AttributeError):
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


def _ome_tiff_scale(file: Any, number: int) -> Scale:
    import tifffile

    image = tifffile.xml2dict(file.ome_metadata)["OME"]["Image"]
    pixels = (image[number] if isinstance(image, list) else image)["Pixels"]
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
