"""TrackMate's XML (https://imagej.net/plugins/trackmate): spots, links, and outlines of spots.

A track of TrackMate is a whole lineage; it is cut into tracks of ours at its divisions. Spots
without links are tracks of one frame. XML that defines entities is refused: they serve to make
small files that unfold into gigabytes, or read other files.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from napari_sam2track.errors import FormatError
from napari_sam2track.formats.conversions import (
    detections,
    extent,
    point_rows,
    table_from,
    with_notes,
)
from napari_sam2track.formats.graphs import Graph, tracks_of
from napari_sam2track.formats.labels.label_notes import LabelNote, note_in_text
from napari_sam2track.formats.outlines import DrawnFrames, DrawnObject
from napari_sam2track.formats.pixel_sizes import given_sizes
from napari_sam2track.frames.pixel_scale import unit_of
from napari_sam2track.labels import MAX_ID, Scale
from napari_sam2track.params import ReadParams
from napari_sam2track.parsing.bounds import FAR, MAX_FRAMES, checked_frame
from napari_sam2track.progress import ProgressHook
from napari_sam2track.tracks.tracked_movie import UNKNOWN_PIXEL, TrackedMovie

#: The feature of spots in which we keep our track ids.
OWN_ID = "SAM2TRACK_ID"
#: Sizes of the image.
_SIZES = ("nframes", "nslices", "height", "width")


@dataclass
class _File:
    """Content of a file as it is written; sizes and places in its units."""

    spots: dict[int, _Spot] = field(default_factory=dict)
    links: list[tuple[int, int, int]] = field(default_factory=list)  # source, target, track
    shown: set[int] = field(default_factory=set)  # tracks that TrackMate's filters leave
    image: dict[str, str] = field(default_factory=dict)
    units: dict[str, str] = field(default_factory=dict)
    log: str = ""


@dataclass(frozen=True, eq=False, slots=True)
class _Spot:
    """A spot: frame, (z, y, x), radius, outline (x, y from the centre), other features."""

    frame: int
    place: tuple[float, float, float]
    radius: float
    corners: NDArray[np.float64] | None
    area: float | None
    visible: bool
    own: int | None


def read(path: Path, options: ReadParams, progress: ProgressHook) -> TrackedMovie:
    """Read a TrackMate file.

    Masks are drawn from the outlines of spots, or as discs of their radius, when they are
    read, if the file has the size of the image.

    Raises
    ------
    FormatError
        If it is not TrackMate's, defines entities, a spot has no place, or tracks merge.
    """
    file = _parsed(path)
    notes = _hide(file, options.visible)
    note = note_in_text(file.log)
    sizes, scale, unknown = _scale(file, note, path, options)
    ids = np.array(list(file.spots), np.int64)
    spots = list(file.spots.values())
    at = {spot: k for k, spot in enumerate(file.spots)}
    stray = [e for e in file.links if e[0] not in at or e[1] not in at]
    if stray:
        raise FormatError(
            f"{path}: a link of track {stray[0][2]} leads from spot {stray[0][0]} to "
            f"{stray[0][1]}, and one of them is not there"
        )
    frames = np.array([spot.frame for spot in spots], np.int64)
    places = np.array([spot.place for spot in spots], np.float64).reshape(-1, 3) / sizes
    edges = np.array([(at[a], at[b]) for a, b, _ in file.links], np.int64).reshape(-1, 2)
    named = [spot.own for spot in spots if spot.own is not None]
    own = np.array(named, np.uint32) if spots and len(named) == len(spots) else None
    graph = Graph(frames, places, edges, ids)
    tracks, parents, cut = tracks_of(graph, str(path), options.merges, own)
    rows = point_rows(tracks, frames, places, None if unknown else _areas(spots, sizes))
    n_frames, shape, known = _size(file, rows, note)
    labels = None
    shapes = _shapes(spots, tracks, places, sizes, len(shape), n_frames)
    if known and any(shapes) and unknown is None:
        labels = DrawnFrames(shape, shapes)
        rows, hidden = _drawn(rows, labels, progress)
        cut += hidden
    elif any(shapes) and unknown is None:
        said = ", ".join(f"{name} {file.image.get(name, 'missing')[:20]}" for name in _SIZES[-2:])
        cut.append(f"outlines are not drawn, as the file has no size of the image ({said})")
    table = table_from(rows, n_frames, shape, parents, str(path))
    provenance = with_notes(note.provenance, path, (*notes, *cut))
    if unknown is not None:
        provenance[UNKNOWN_PIXEL] = unknown
    return TrackedMovie(table, labels, scale, provenance)


def _parsed(path: Path) -> _File:
    """Go through the XML once; each element is forgotten after it was read."""
    from xml.etree.ElementTree import ParseError

    from defusedxml import DefusedXmlException

    file = _File()
    try:
        for place, element in _elements(path):
            _take(file, place, element)
    except DefusedXmlException as error:
        raise FormatError(
            f"{path} defines XML entities ({type(error).__name__}), which TrackMate never does; "
            "it is not read, as entities can unfold without end"
        ) from error
    except FormatError as error:
        raise FormatError(f"{path}: {error}") from error
    except (ParseError, OSError, LookupError) as error:
        raise FormatError(f"{path} cannot be read as XML: {error}") from error
    except (TypeError, ValueError, OverflowError) as error:
        raise FormatError(f"{path}: {error}") from error
    return file


def _elements(path: Path) -> Iterator[tuple[str, Any]]:
    """Yield finished elements with the name of the one that they are in."""
    from defusedxml import ElementTree

    stack: list[Any] = []
    for event, element in ElementTree.iterparse(path, events=("start", "end"), forbid_dtd=True):
        if event == "start":
            if not stack and element.tag != "TrackMate":
                raise ValueError(
                    f"its root is <{element.tag}>, so it is not a TrackMate file; save the whole "
                    "session in TrackMate (Save), not only its tracks"
                )
            stack.append(element)
            continue
        stack.pop()
        yield (_name(stack[-1]) if stack else ""), element
        if stack:
            stack[-1].remove(element)


def _name(element: Any) -> str:
    """Return the name of an element, with the id of a track."""
    track = element.get("TRACK_ID")
    return f"{element.tag} {track}" if track is not None else str(element.tag)


def _take(file: _File, place: str, element: Any) -> None:
    """Keep what matters of a finished element."""
    values = element.attrib
    match element.tag:
        case "Spot":
            number = _number(values, "ID")
            if number in file.spots:
                raise ValueError(f"spot {number} is there twice")
            file.spots[number] = _spot(number, element)
        case "Edge" if place.startswith("Track "):
            ends = _number(values, "SPOT_SOURCE_ID"), _number(values, "SPOT_TARGET_ID")
            file.links.append((*ends, int(place.removeprefix("Track "))))
        case "TrackID":
            file.shown.add(_number(values, "TRACK_ID"))
        case "ImageData":
            file.image = dict(values)
        case "Model":
            file.units = dict(values)
        case "Log":
            file.log = element.text or ""


def _number(values: Any, name: str) -> int:
    if name not in values:
        raise ValueError(f"an element has no {name}: {dict(values)}")
    number = int(values[name])
    if abs(number) >= 2**63:
        raise ValueError(f"{name} is {number}, which is larger than TrackMate's numbers")
    return number


def _spot(number: int, element: Any) -> _Spot:
    values = element.attrib
    missing = [n for n in ("FRAME", "POSITION_X", "POSITION_Y") if n not in values]
    if missing:
        raise ValueError(f"spot {number} has no {', '.join(missing)}")
    z, y, x = (float(values.get(f"POSITION_{axis}", 0)) for axis in "ZYX")
    frame = checked_frame(float(values["FRAME"]), f"the frame of spot {number}")
    if not all(abs(place) < FAR for place in (z, y, x)):
        raise ValueError(f"spot {number} is at {x}, {y}, {z} in frame {frame}, which is nowhere")
    corners = None
    n = int(values.get("ROI_N_POINTS", 0))
    if n >= 3 and element.text:
        numbers = np.array(element.text.split(), np.float64)
        if len(numbers) == 2 * n and np.isfinite(numbers).all():
            corners = numbers.reshape(n, 2)
    area, own = values.get("AREA"), values.get(OWN_ID)
    return _Spot(
        frame=frame,
        place=(z, y, x),
        radius=float(values.get("RADIUS", 0)),
        corners=corners,
        area=None if area is None else float(area),
        visible=values.get("VISIBILITY", "1") != "0",
        own=None if own is None else _id(own),
    )


def _id(text: str) -> int | None:
    """Return an id of ours, None for a number that is none."""
    number = float(text)
    return int(number) if number.is_integer() and 1 <= number <= MAX_ID else None


def _hide(file: _File, hide: bool) -> list[str]:
    """Remove what TrackMate's filters hide, or note that it is there."""
    spots = {number for number, spot in file.spots.items() if not spot.visible}
    links = [link for link in file.links if link[2] not in file.shown]
    tracks = {track for _, _, track in links}
    if not hide:
        found = [f"{len(spots)} spots"] * bool(spots) + [f"{len(tracks)} tracks"] * bool(tracks)
        text = f"{' and '.join(found)} that TrackMate's filters hide were read too (--visible)"
        return [text] if found else []
    spots |= {end for a, b, _ in links for end in (a, b)}
    file.links = [link for link in file.links if link[2] in file.shown]
    file.links = [link for link in file.links if not {link[0], link[1]} & spots]
    for number in spots:
        del file.spots[number]
    return []


def _scale(
    file: _File, note: LabelNote, path: Path, options: ReadParams
) -> tuple[NDArray[np.float64], Scale, str | None]:
    """Return the size of a pixel along z, y, x, the scale, and the unit if its pixel is unknown."""
    names = ("timeinterval", "voxeldepth", "pixelheight", "pixelwidth")
    try:
        time, z, y, x = (float(file.image.get(name, 1)) for name in names)
    except ValueError as error:
        raise FormatError(f"{path}: a size in ImageData is no number: {error}") from error
    time, z, y, x = (n if math.isfinite(n) and n > 0 else 1.0 for n in (time, z, y, x))
    units = unit_of(file.units.get("timeunits")), unit_of(file.units.get("spatialunits"))
    given, unknown = options.pixel_sizes(), None
    if UNKNOWN_PIXEL in note.provenance:  # written by us, of places in a unit; see `sized`
        unknown = str(note.provenance[UNKNOWN_PIXEL])
    elif given is not None:
        deep = any(spot.place[0] for spot in file.spots.values())
        z, y, x = given_sizes(given, deep, str(path))
    elif "pixelwidth" not in file.image:
        unknown = units[1]
    return np.array([z, y, x]), Scale(time, z, y, x, *units), unknown


def _areas(spots: list[_Spot], sizes: NDArray[np.float64]) -> NDArray[np.int64]:
    """Return areas in pixels: the feature AREA, or else that of a disc of the radius."""
    pixel = float(sizes[1] * sizes[2])
    found = [math.pi * s.radius**2 if s.area is None else s.area for s in spots]
    areas = np.nan_to_num(np.array(found, np.float64) / pixel, posinf=0, neginf=0)
    return np.maximum(np.rint(areas), 0).astype(np.int64)


def _size(
    file: _File, rows: NDArray[np.void], note: LabelNote
) -> tuple[int, tuple[int, ...], bool]:
    """Return number of frames, shape of a frame, and whether the file has it."""
    found = []
    for name in _SIZES:
        text = file.image.get(name, "0")
        found.append(int(text) if text.isascii() and text.isdigit() and len(text) < 9 else 0)
    n, depth, height, width = found
    n = n if n < MAX_FRAMES else 0
    deep = depth > 1 or len(note.shape) == 4
    least, shape = extent(rows, deep or bool(len(rows) and rows["bbox"][:, 3].max() > 1))
    if height and width and (len(shape) == 2 or depth):
        shape = (depth, height, width) if len(shape) == 3 else (height, width)
        return max(n, least), shape, True
    return max(n, least), shape, False


def _shapes(
    spots: list[_Spot],
    tracks: NDArray[np.uint32],
    places: NDArray[np.float64],
    sizes: NDArray[np.float64],
    ndim: int,
    n_frames: int,
) -> list[list[DrawnObject]]:
    """Return the shapes to draw in each frame; a spot with an area of 0 is a point only."""
    shapes: list[list[DrawnObject]] = [[] for _ in range(n_frames)]
    for spot, track, place in zip(spots, tracks.tolist(), places, strict=True):
        if spot.area == 0:
            continue
        centre = place[-ndim:]
        if spot.corners is not None and ndim == 2:
            corners = spot.corners[:, ::-1] / sizes[1:]
            shapes[spot.frame].append(DrawnObject(track, centre, corners=corners))
        elif spot.radius > 0:
            shapes[spot.frame].append(DrawnObject(track, centre, spot.radius / sizes[-ndim:]))
    return shapes


def _drawn(
    rows: NDArray[np.void], labels: DrawnFrames, progress: ProgressHook
) -> tuple[NDArray[np.void], list[str]]:
    """Return rows with areas and boxes as drawn, and how much of them others hide."""
    rows, hidden, gone = rows.copy(), 0, 0
    rows["area"] = 0
    for t in progress(range(labels.n_frames), labels.n_frames, "Reading"):
        frame, below = labels.draw(t)
        hidden += below
        seen = detections(t, frame)
        here = np.flatnonzero(rows["frame"] == t)
        at = {track: k for k, track in enumerate(seen["track"].tolist())}
        for k in here.tolist():
            row = at.get(int(rows["track"][k]))
            if row is not None:
                rows["area"][k], rows["bbox"][k] = seen["area"][row], seen["bbox"][row]
            elif labels.shapes[t]:
                gone += 1
    notes = []
    if hidden:
        notes.append(f"{hidden} pixels of outlines are hidden below those of lower track ids")
    if gone:
        notes.append(f"{gone} spots have no pixels in the masks")
    return rows, notes
