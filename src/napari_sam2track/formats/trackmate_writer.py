"""TrackMate's XML, written frame by frame: a session that TrackMate opens as if saved by it."""

from __future__ import annotations

import json
import math
from collections import Counter, defaultdict
from collections.abc import Iterator
from pathlib import Path
from typing import Any, TextIO
from xml.sax.saxutils import escape, quoteattr

import numpy as np
from numpy.typing import NDArray

from napari_sam2track.formats.conversions import require_order
from napari_sam2track.formats.graphs import edges_of, families_of
from napari_sam2track.formats.labels.label_notes import make_note
from napari_sam2track.formats.outlines import outline
from napari_sam2track.formats.trackmate_reader import OWN_ID
from napari_sam2track.params import WriteParams
from napari_sam2track.progress import ProgressHook
from napari_sam2track.storage.output import atomic_path
from napari_sam2track.tracks.regions import cut_mask, measure_regions
from napari_sam2track.tracks.tracked_movie import TrackedMovie

#: The version of TrackMate whose files these are like.
_VERSION = "7.11.1"
#: Radius in pixels of objects of which only the place is known: large enough to click on.
_POINT_RADIUS = 2.5

#: Key, name, short name, dimension, whether it is a whole number.
_SPOT_FEATURES = (
    ("QUALITY", "Quality", "Quality", "QUALITY", False),
    ("POSITION_X", "X", "X", "POSITION", False),
    ("POSITION_Y", "Y", "Y", "POSITION", False),
    ("POSITION_Z", "Z", "Z", "POSITION", False),
    ("POSITION_T", "T", "T", "TIME", False),
    ("FRAME", "Frame", "Frame", "NONE", True),
    ("RADIUS", "Radius", "R", "LENGTH", False),
    ("VISIBILITY", "Visibility", "Visibility", "NONE", True),
    ("AREA", "Area", "Area", "AREA", False),
    (OWN_ID, "napari-sam2track id", "Sam2track id", "NONE", True),
)
_EDGE_FEATURES = (
    ("SPOT_SOURCE_ID", "Source spot ID", "Source ID", "NONE", True),
    ("SPOT_TARGET_ID", "Target spot ID", "Target ID", "NONE", True),
    ("LINK_COST", "Edge cost", "Cost", "COST", False),
    ("EDGE_TIME", "Edge time", "Edge T", "TIME", False),
)
_TRACK_FEATURES = (
    ("TRACK_INDEX", "Track index", "Index", "NONE", True),
    ("TRACK_ID", "Track ID", "ID", "NONE", True),
    ("NUMBER_SPOTS", "Number of spots in track", "N spots", "NONE", True),
    ("NUMBER_GAPS", "Number of gaps", "N gaps", "NONE", True),
    ("NUMBER_SPLITS", "Number of split events", "N splits", "NONE", True),
    ("TRACK_DURATION", "Duration of track", "Duration", "TIME", False),
    ("TRACK_START", "Track start", "Track start", "TIME", False),
    ("TRACK_STOP", "Track stop", "Track stop", "TIME", False),
)


def write(
    path: Path, movie: TrackedMovie, options: WriteParams, overwrite: bool, progress: ProgressHook
) -> None:
    """Write spots (with outlines in 2D), links, and the size of the image.

    A lineage is one track of TrackMate; tracks of one frame without relatives are spots without
    links. Our track ids are the feature SAM2TRACK_ID of spots.

    Raises
    ------
    OutputError
        If the file exists or cannot be written, or a parent begins too late.
    """
    require_order(movie.table, path)
    scale = movie.scale
    space, time = scale.space_unit or "pixel", scale.time_unit or "frame"
    shape = (movie.table.n_frames, *movie.table.frame_shape)
    note = json.dumps(make_note(movie.provenance, {}, scale, shape))
    with (
        atomic_path(path, overwrite) as temporary,
        temporary.open("w", encoding="utf-8", newline="\n") as file,
    ):
        file.write('<?xml version="1.0" encoding="UTF-8"?>\n')
        file.write(f"<TrackMate version={quoteattr(_VERSION)}>\n")
        file.write(f"  <Log>{escape(note)}</Log>\n")
        file.write(f"  <Model{_attributes(spatialunits=space, timeunits=time)}>\n")
        _write_features(file)
        _write_spots(file, movie, progress)
        _write_tracks(file, movie)
        file.write("  </Model>\n")
        _write_settings(file, movie)
        file.write('  <GUIState state="ConfigureViews" />\n</TrackMate>\n')


def _attributes(**values: Any) -> str:
    """Return attributes of an element; numbers as short as they can be without loss."""
    return "".join(f" {name}={quoteattr(str(value))}" for name, value in values.items())


def _write_features(file: TextIO) -> None:
    kinds = (
        ("SpotFeatures", _SPOT_FEATURES),
        ("EdgeFeatures", _EDGE_FEATURES),
        ("TrackFeatures", _TRACK_FEATURES),
    )
    file.write("    <FeatureDeclarations>\n")
    for kind, features in kinds:
        file.write(f"      <{kind}>\n")
        for key, name, short, dimension, whole in features:
            values = {"feature": key, "name": name, "shortname": short, "dimension": dimension}
            text = _attributes(**values, isint=str(whole).lower())
            file.write(f"        <Feature{text} />\n")
        file.write(f"      </{kind}>\n")
    file.write("    </FeatureDeclarations>\n")


def _write_spots(file: TextIO, movie: TrackedMovie, progress: ProgressHook) -> None:
    """Write all spots frame by frame; the id of a spot is its row in the table."""
    table, scale = movie.table, movie.scale
    rows = table.detections
    order = np.argsort(rows["frame"], kind="stable")
    frames, firsts = np.unique(rows["frame"][order], return_index=True)
    ends = [*firsts[1:].tolist(), len(rows)]
    bounds = list(zip(frames.tolist(), firsts.tolist(), ends[: len(frames)], strict=True))
    file.write(f'    <AllSpots nspots="{len(rows)}">\n')
    # A frame without spots needs no element, and a file may claim millions of them.
    for t, first, end in progress(bounds, len(bounds), "Writing"):
        here = order[first:end]
        corners = _outlines(movie, t)
        file.write(f'      <SpotsInFrame frame="{t}">\n')
        for k in here.tolist():
            row = rows[k]
            z, y, x = row["centroid"].tolist()
            track, area = int(row["track"]), int(row["area"])
            text = _attributes(
                ID=k,
                name=f"ID{k}",
                QUALITY=1.0,
                POSITION_T=t * scale.time,
                POSITION_X=x * scale.x,
                POSITION_Y=y * scale.y,
                POSITION_Z=z * scale.z,
                FRAME=t,
                RADIUS=_radius(area, movie),
                VISIBILITY=1,
                AREA=area * scale.y * scale.x,
                **{OWN_ID: track},
            )
            found = corners.get(track)
            if found is None:
                file.write(f"        <Spot{text} />\n")
                continue
            places = (found - row["centroid"][1:]) * (scale.y, scale.x)
            numbers = " ".join(f"{value:.9g}" for value in places[:, ::-1].ravel())
            text += _attributes(ROI_N_POINTS=len(found))
            file.write(f"        <Spot{text}>{numbers}</Spot>\n")
        file.write("      </SpotsInFrame>\n")
    file.write("    </AllSpots>\n")


def _outlines(movie: TrackedMovie, t: int) -> dict[int, NDArray[np.float64]]:
    """Return the outline of each object of a frame of planes, (y, x) in pixels."""
    if movie.labels is None or movie.ndim == 4:
        return {}
    frame = movie.labels.read(t)
    regions, found = measure_regions(frame), {}
    for k in range(len(regions)):
        corners = outline(cut_mask(frame, regions, k))
        found[int(regions.labels[k])] = corners + regions.boxes[k, 1:3]
    return found


def _radius(area: int, movie: TrackedMovie) -> float:
    """Return the radius of the disc or ball of an area in pixels, in the unit of space."""
    scale = movie.scale
    if area == 0:
        return _POINT_RADIUS * scale.x
    if movie.ndim == 4:
        return float(math.cbrt(area * scale.z * scale.y * scale.x * 3 / (4 * math.pi)))
    return math.sqrt(area * scale.y * scale.x / math.pi)


def _write_tracks(file: TextIO, movie: TrackedMovie) -> None:
    """Write a track for each lineage that has a link."""
    rows, edges = movie.table.detections, edges_of(movie.table)
    families = families_of(len(rows), edges)
    by_family: dict[int, list[tuple[int, int]]] = defaultdict(list)
    for source, target in edges.tolist():
        by_family[int(families[source])].append((source, target))
    file.write("    <AllTracks>\n")
    for index, links in enumerate(by_family.values()):
        for line in _track_lines(index, links, rows["frame"], movie.scale.time):
            file.write(line)
    file.write("    </AllTracks>\n    <FilteredTracks>\n")
    for index in range(len(by_family)):
        file.write(f'      <TrackID TRACK_ID="{index}" />\n')
    file.write("    </FilteredTracks>\n")


def _track_lines(
    index: int, links: list[tuple[int, int]], frames: NDArray[np.int64], step: float
) -> Iterator[str]:
    successors = Counter(source for source, _ in links)
    spots = {spot for link in links for spot in link}
    times = [int(frames[spot]) for spot in spots]
    text = _attributes(
        name=f"Track_{index}",
        TRACK_ID=index,
        TRACK_INDEX=index,
        NUMBER_SPOTS=len(spots),
        NUMBER_GAPS=sum(int(frames[b] - frames[a]) > 1 for a, b in links),
        NUMBER_SPLITS=sum(n > 1 for n in successors.values()),
        TRACK_DURATION=(max(times) - min(times)) * step,
        TRACK_START=min(times) * step,
        TRACK_STOP=max(times) * step,
    )
    yield f"      <Track{text}>\n"
    for source, target in links:
        middle = float(frames[source] + frames[target]) / 2 * step
        text = _attributes(
            SPOT_SOURCE_ID=source, SPOT_TARGET_ID=target, LINK_COST=0.0, EDGE_TIME=middle
        )
        yield f"        <Edge{text} />\n"
    yield "      </Track>\n"


def _write_settings(file: TextIO, movie: TrackedMovie) -> None:
    """Write the image without its file, which is not known: TrackMate shows a blank one."""
    table, scale = movie.table, movie.scale
    depth = table.frame_shape[0] if movie.ndim == 4 else 1
    height, width = table.frame_shape[-2:]
    image = _attributes(
        filename="",
        folder="",
        width=width,
        height=height,
        nslices=depth,
        nframes=table.n_frames,
        pixelwidth=scale.x,
        pixelheight=scale.y,
        voxeldepth=scale.z,
        timeinterval=scale.time,
    )
    ends = _attributes(
        xstart=0,
        xend=width - 1,
        ystart=0,
        yend=height - 1,
        zstart=0,
        zend=depth - 1,
        tstart=0,
        tend=table.n_frames - 1,
    )
    file.write(f"  <Settings>\n    <ImageData{image} />\n    <BasicSettings{ends} />\n")
    file.write('    <InitialSpotFilter feature="QUALITY" value="0.0" isabove="true" />\n')
    file.write("    <SpotFilterCollection />\n    <TrackFilterCollection />\n")
    file.write("    <AnalyzerCollection>\n      <SpotAnalyzers />\n      <EdgeAnalyzers />\n")
    file.write("      <TrackAnalyzers />\n    </AnalyzerCollection>\n  </Settings>\n")


def losses(movie: TrackedMovie) -> list[str]:
    """Return what a TrackMate file cannot hold of a movie."""
    if movie.labels is None:
        return []
    if movie.ndim == 4:
        return ["masks become balls of the same volume: TrackMate's XML has no masks in 3D"]
    return ["masks become outlines: holes in them and all but the largest part are lost"]
