"""Sizes of pixels: places in micrometers become pixels, or it is said that nobody knows how.

A reader whose places are in a unit of length, and whose file does not say how large a pixel is,
leaves them as they are and puts the unit into the provenance, as `UNKNOWN_PIXEL`. All formats with
a provenance keep it, so that a size can still be given when such a file is read. Areas are in
pixels there, too: 0, if nobody knows how many.
"""

from __future__ import annotations

from dataclasses import replace

from napari_sam2track.errors import FormatError
from napari_sam2track.formats.conversions import extent, notes, point_rows
from napari_sam2track.params import ReadParams
from napari_sam2track.tracks.tracked_movie import UNKNOWN_PIXEL, TrackedMovie

_ASSUMED = "and nothing says how large a pixel is"


def sized(movie: TrackedMovie, options: ReadParams, source: str) -> TrackedMovie:
    """Return a movie with places in pixels, as far as the size of a pixel is known or given.

    A size that is given is the scale of movies whose places are in pixels.

    Parameters
    ----------
    movie
        A movie as its reader returns it.
    options
        Options of reading, with the size of a pixel.
    source
        Name of the file in a message.

    Raises
    ------
    FormatError
        If there are volumes, and the size along z was not given.
    """
    given, unit = options.pixel_sizes(), movie.unknown_pixel
    others = [text for text in notes(movie) if _ASSUMED not in text]
    if given is None:
        if unit is None:
            return movie
        note = (
            f"{source}: places are in {unit}, {_ASSUMED}; 1 {unit} is assumed, --pixel-size "
            "(pixel_size=) says it"
        )
        return replace(movie, provenance={**movie.provenance, "notes": [*others, note]})
    z, y, x = given_sizes(given, movie.ndim == 4, source)
    scale = replace(
        movie.scale, z=z, y=y, x=x, space_unit=unit or movie.scale.space_unit or "micrometer"
    )
    if unit is None:
        return replace(movie, scale=scale)
    rows = movie.table.detections
    new = point_rows(rows["track"], rows["frame"], rows["centroid"] / (z, y, x), rows["area"])
    new["label"], new["iou"] = rows["label"], rows["iou"]
    _, shape = extent(new, movie.ndim == 4)
    told = {name: value for name, value in movie.provenance.items() if name != UNKNOWN_PIXEL}
    note = f"{source}: places in {unit} were divided by the size of a pixel, {y:g} x {x:g}"
    return replace(
        movie,
        table=replace(movie.table, detections=new, frame_shape=shape),
        scale=scale,
        provenance={**told, "notes": [*others, note]},
    )


def given_sizes(
    sizes: tuple[float | None, float, float], deep: bool, source: str
) -> tuple[float, float, float]:
    """Return the size of a pixel along z, y and x that a person gave; 1 along z for planes.

    Raises
    ------
    FormatError
        If there are volumes, and the size along z was not given.
    """
    z, y, x = sizes
    if z is None and deep:
        raise FormatError(
            f"{source} has volumes, and --pixel-size does not say how far planes are apart; say "
            f"z=1,y={y:g},x={x:g}, with the distance in place of 1"
        )
    return 1.0 if z is None else z, y, x
