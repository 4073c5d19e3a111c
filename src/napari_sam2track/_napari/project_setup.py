"""Reads, in another thread, the data that work on an image needs to begin."""

from __future__ import annotations

from collections.abc import Generator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np

from napari_sam2track._napari.geometry import Geometry, PlaneLabels, open_layer
from napari_sam2track._napari.layer_values import KEY
from napari_sam2track._napari.work_folder import (
    folder_for,
    forget_work,
    give_back,
    lies_in,
    open_labels,
    put_aside,
    take,
)
from napari_sam2track.errors import UsageError
from napari_sam2track.frames import Frames
from napari_sam2track.frames.lazy_array import LazyFrames
from napari_sam2track.params import FramesParams
from napari_sam2track.tracks.regions import measure_regions
from napari_sam2track.tracks.table import DETECTION, TrackTable
from napari_sam2track.tracks.tracked_movie import detections_of
from napari_sam2track.workspace.workspace_file import WorkFile, read_work


@dataclass(frozen=True, eq=False)
class Found:
    """An image, and the work on it that was put aside earlier.

    Attributes
    ----------
    frames, geometry, params
        The movie, and its axes in the layer.
    fingerprint
        Of its content.
    folder
        Folder of the work, whether it exists or not.
    earlier
        Saved work in it; None for nothing.
    """

    frames: Frames
    geometry: Geometry
    params: FramesParams
    fingerprint: str
    folder: Path
    earlier: WorkFile | None


def find_work(layer: Any, params: FramesParams) -> Found:
    """Inspect an image layer, in the window's thread, without reading a pixel.

    Raises
    ------
    FramesError
        If its axes do not fit.
    """
    geometry = Geometry.of(layer, params)
    return Found(open_layer(layer, params), geometry, params, "", Path(), None)


def look_up(found: Found) -> Generator[Found, None, None]:
    """Find earlier work on a movie; reads four frames."""
    key = found.frames.fingerprint()
    folder = folder_for(key, found.geometry.plane)
    earlier = read_work(folder)
    yield Found(found.frames, found.geometry, found.params, key, folder, earlier)


@dataclass(frozen=True, eq=False)
class Ready:
    """Data that a project needs.

    Attributes
    ----------
    found
        The image.
    labels
        The array of the labels; None: that of the person's layer.
    table
        Tracks of the labels.
    going_on
        Whether earlier work is resumed.
    aside
        Folder to which earlier work was put aside that is not resumed.
    """

    found: Found
    labels: Any
    table: TrackTable
    going_on: bool
    aside: Path | None = None


def make_ready(found: Found, go_on: bool, labels: Any = None) -> Generator[tuple[int, int] | Ready]:
    """Open the labels and measure their tracks.

    Parameters
    ----------
    found
        Result of `look_up`.
    go_on
        Resume earlier work; else it is put aside.
    labels
        The array of a Labels layer to work on; None: our own, on disk.

    Yields
    ------
    (done, total) frames, and in the end the data: its folder is in use from then on.

    Raises
    ------
    UsageError
        If the earlier work was opened elsewhere since it was found.
    """
    geometry = found.geometry
    going_on = go_on and found.earlier is not None
    folder = folder_for(found.fingerprint, geometry.plane)
    if folder != found.folder:  # another process took it since
        if going_on:
            raise UsageError(
                "the saved work on this image is open in another dock or window by now; close it "
                "there, or start anew"
            )
        found = replace(found, folder=folder, earlier=None)
    aside = None
    if not going_on and labels is not None and lies_in(labels, found.folder):
        forget_work(found.folder)  # the labels are edited, so they stay in their place
    elif not going_on:
        aside = put_aside(found.folder)
    take(found.folder)
    ready = False
    try:
        old = True
        if labels is None:
            labels, old = open_labels(found.folder, geometry.shape)
        rows = [np.zeros(0, DETECTION)]
        plane = PlaneLabels(labels, geometry)
        for t in range(geometry.n_frames if old else 0):
            regions = measure_regions(plane.read(t))
            rows.append(detections_of(t, regions, regions.labels))
            yield t + 1, geometry.n_frames
        table = TrackTable(np.concatenate(rows), geometry.n_frames, geometry.frame_shape)
        ready = True
        yield Ready(found, labels, table, going_on, aside)
    finally:
        if not ready:  # it failed, or was stopped
            give_back(found.folder)


def check_labels(layer: Any, geometry: Geometry) -> None:
    """Refuse a Labels layer that does not lie on the image, or cannot be written to.

    Raises
    ------
    UsageError
        With the reason, and what would do.
    """
    if layer.multiscale:
        raise UsageError(
            f"the layer {layer.name!r} has several scales; labels to work on have one: choose "
            "another layer, or new labels"
        )
    shape = tuple(int(n) for n in layer.data.shape)
    if shape != geometry.shape:
        raise UsageError(
            f"the labels in {layer.name!r} have shape {shape}, but on this image they have to be "
            f"{geometry.shape}; choose another layer, or new labels"
        )
    dtype = np.dtype(layer.data.dtype)
    if dtype.kind not in "ui":
        raise UsageError(f"the labels in {layer.name!r} are {dtype}; convert them to uint32")
    writable = not isinstance(layer.data, np.ndarray) or layer.data.flags.writeable
    if isinstance(layer.data, LazyFrames) or not (writable and hasattr(layer.data, "__setitem__")):
        raise UsageError(
            f"the labels in {layer.name!r} cannot be written to (they are read from a file as "
            "they are shown); save them and open them again as TIFF, or choose new labels"
        )


def check_free(layer: Any) -> None:
    """Refuse a Labels layer that another project has: two would write over one another.

    Raises
    ------
    UsageError
        With its other project.
    """
    known = layer.metadata.get(KEY)
    project = getattr(known, "project", None)
    if project is not None and project.is_open:
        raise UsageError(
            f"the labels in {layer.name!r} are worked on already, on the image "
            f"{project.image.name!r}; close that work first, or choose other labels"
        )
