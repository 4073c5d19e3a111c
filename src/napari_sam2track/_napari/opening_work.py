"""What is read, in another thread, before work on an image can begin."""

from __future__ import annotations

from collections.abc import Generator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from napari_sam2track._napari.geometry import Geometry, PlaneLabels, open_layer
from napari_sam2track._napari.lazy import LazyFrames
from napari_sam2track._napari.work_folder import (
    folder_for,
    forget_work,
    lies_in,
    open_labels,
    put_aside,
    take,
)
from napari_sam2track.errors import UsageError
from napari_sam2track.frames import Frames
from napari_sam2track.params import FramesParams
from napari_sam2track.tracks.movie import detections_of
from napari_sam2track.tracks.regions import measure_regions
from napari_sam2track.tracks.table import DETECTION, TrackTable
from napari_sam2track.work.work_file import WorkFile, read_work


@dataclass(frozen=True, eq=False)
class Found:
    """An image, and the work on it that was put aside earlier.

    Attributes
    ----------
    frames, geometry, params
        The movie, and how it lies in its layer.
    fingerprint
        Of its content.
    folder
        Where the work is, or would be.
    earlier
        What was saved there; None for nothing.
    """

    frames: Frames
    geometry: Geometry
    params: FramesParams
    fingerprint: str
    folder: Path
    earlier: WorkFile | None


def find_work(layer: Any, params: FramesParams) -> Found:
    """Look at an image layer, in the window's thread, without reading a pixel.

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
    """All that a project needs.

    Attributes
    ----------
    found
        The image.
    labels
        The array of the labels; None: the layer of the person's that was asked for.
    table
        What is drawn in it.
    going_on
        Whether earlier work is gone on with.
    """

    found: Found
    labels: Any
    table: TrackTable
    going_on: bool


def make_ready(found: Found, go_on: bool, labels: Any = None) -> Generator[tuple[int, int] | Ready]:
    """Open the labels and measure what is drawn in them.

    Parameters
    ----------
    found
        See there.
    go_on
        Go on with earlier work; else it is put aside.
    labels
        The array of a Labels layer to work on; None: our own, on disk.

    Yields
    ------
    (done, total) frames, and in the end what is ready.
    """
    geometry = found.geometry
    going_on = go_on and found.earlier is not None
    if not going_on and labels is not None and lies_in(labels, found.folder):
        forget_work(found.folder)  # the labels are to be worked on, so they stay in their place
    elif not going_on:
        put_aside(found.folder)
    take(found.folder)
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
    yield Ready(found, labels, table, going_on)


def check_labels(layer: Any, geometry: Geometry) -> None:
    """Refuse a Labels layer that does not lie on the image, or cannot be written to.

    Raises
    ------
    UsageError
        With what is wrong, and what would do.
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
