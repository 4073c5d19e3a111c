"""Tracks of a movie with their labels and notes: formats read and write them."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from napari_sam2track.labels import Closing, LabelFrames, MappedFrames, Scale
from napari_sam2track.tracks.regions import Regions, measure_regions
from napari_sam2track.tracks.table import DETECTION, TrackTable


@dataclass(frozen=True, eq=False)
class TrackedMovie(Closing):
    """Tracks of a movie, with or without the masks that they are made of.

    Use it in a ``with`` block, or `close` it, if its labels come from a file.

    Attributes
    ----------
    table
        Place of each track in each frame, and its parent.
    labels
        The masks, read frame by frame; **the label value is the track id**. None where only the
        places are known.
    scale
        Size of a frame and of a pixel.
    provenance
        Origin of the tracks, ready for JSON; empty if it is not known.
    unknown_pixel
        Unit of the places, where nothing says how large a pixel is and one unit was assumed; else
        None. Masks cannot be drawn from such places.
    """

    table: TrackTable
    labels: LabelFrames | None = None
    scale: Scale = field(default_factory=Scale)
    provenance: Mapping[str, Any] = field(default_factory=dict)
    _close: Callable[[], object] | None = field(default=None, repr=False)
    unknown_pixel: str | None = None

    @property
    def ndim(self) -> int:
        """Number of axes with time: 3 for (T, Y, X), 4 for (T, Z, Y, X)."""
        return 1 + len(self.table.frame_shape)


def detections_of(frame: int, regions: Regions, tracks: NDArray[np.uint32]) -> NDArray[np.void]:
    """Rows of a `TrackTable` for the objects of a frame, dtype `DETECTION`; ``iou`` is NaN.

    ``tracks`` are the track ids of `regions`, shape (n,), uint32.
    """
    rows = np.zeros(len(regions), DETECTION)
    rows["track"], rows["frame"], rows["iou"] = tracks, frame, np.nan
    rows["label"], rows["area"] = regions.labels, regions.areas
    rows["centroid"], rows["bbox"] = regions.centroids, regions.boxes
    return rows


def table_of(labels: LabelFrames, parents: Mapping[int, int] | None = None) -> TrackTable:
    """The table of labels whose values are track ids, read one frame at a time.

    Raises
    ------
    ValueError
        If a parent names a track that is not there.
    """
    rows = [np.zeros(0, DETECTION)]
    for t in range(labels.n_frames):
        regions = measure_regions(labels.read(t))
        rows.append(detections_of(t, regions, regions.labels))
    detections = np.concatenate(rows)
    return TrackTable(detections, labels.n_frames, labels.frame_shape, dict(parents or {}))


def relabelled_frames(frames: LabelFrames, table: TrackTable) -> MappedFrames:
    """Return the masks that tracks were made from, with track ids in place of their labels.

    A label that is in no track becomes background.
    """
    return MappedFrames(frames, lambda t, labels: map_labels(labels, *table.frame_map(t)))


def relabelled(table: TrackTable) -> TrackTable:
    """The table of `relabelled_frames`: the label of every detection is its track."""
    rows = table.detections.copy()
    rows["label"] = rows["track"]
    return replace(table, detections=rows)


def map_labels(
    labels: NDArray[np.uint32], names: NDArray[np.uint32], values: NDArray[np.uint32]
) -> NDArray[np.uint32]:
    """Replace labels by values; labels that are not listed become 0.

    Parameters
    ----------
    labels
        A frame, any shape, uint32.
    names, values
        Shape (n,), uint32: labels, ascending, without 0, and what becomes of them.

    Returns
    -------
    ndarray
        The shape of `labels`, uint32.
    """
    if len(names) == 0:
        return np.zeros_like(labels)
    largest = max(int(labels.max()), int(names[-1]))
    if largest <= max(labels.size, 0xFFFF):  # ids are usually small: a table is fastest
        table = np.zeros(largest + 1, np.uint32)
        table[names] = values
        return table[labels]
    at = np.searchsorted(names, labels)
    at[at == len(names)] = 0
    return np.where(names[at] == labels, values[at], np.uint32(0))
