"""Tracks as one array: a row for each object in each frame."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from napari_sam2track.parsing.bounds import MAX_FRAMES, MAX_SIDE

#: One object in one frame. Pixels are counted from 0, the centre of a pixel is at the integer,
#: a centroid is (z, y, x), a bounding box (z0, y0, x0, z1, y1, x1) excludes its ends, z is 0 in a
#: movie of planes, and an IoU that does not exist is NaN.
DETECTION = np.dtype(
    [
        ("track", np.uint32),
        ("frame", np.int64),
        ("label", np.uint32),
        ("area", np.int64),
        ("centroid", np.float64, (3,)),
        ("bbox", np.int64, (6,)),
        ("iou", np.float64),
    ]
)


@dataclass(frozen=True, eq=False)
class TrackTable:
    """Objects over time, and their lineage.

    Attributes
    ----------
    detections
        Shape (N,), dtype `DETECTION`, sorted by (track, frame) on the way in. ``frame`` is the
        position in the movie, from 0; ``label`` the value of the object in the masks that were
        read; ``iou`` the overlap with the track's detection before it, moved to where it was
        expected. An area of 0 stands for an object of which only the place is known.
    n_frames
        Number of frames.
    frame_shape
        (Y, X) or (Z, Y, X), in pixels.
    parents
        Track id of a daughter to that of its parent. Tracks without a parent are not in it.

    Raises
    ------
    ValueError
        If two rows share a track and a frame, or a row or a parent does not fit the rest.
    """

    detections: NDArray[np.void]
    n_frames: int
    frame_shape: tuple[int, ...]
    parents: Mapping[int, int] = field(default_factory=dict)

    def __post_init__(self) -> None:
        rows = self.detections
        if rows.dtype != DETECTION or rows.ndim != 1:
            raise ValueError(f"detections are {rows.dtype} of shape {rows.shape}, not DETECTION")
        if self.n_frames > MAX_FRAMES or max(self.frame_shape, default=0) > MAX_SIDE:
            raise ValueError(
                f"a movie of {self.n_frames} frames of {self.frame_shape} pixels is larger than any"
            )
        rows = rows[np.lexsort((rows["frame"], rows["track"]))]
        object.__setattr__(self, "detections", rows)
        if len(rows) == 0:
            if self.parents:
                raise ValueError(f"there are no tracks, but parents {dict(self.parents)}")
            return
        if not rows["track"].all():
            raise ValueError("track 0 is the background and cannot have detections")
        if rows["frame"].min() < 0 or rows["frame"].max() >= self.n_frames:
            raise ValueError(
                f"frames {rows['frame'].min()} to {rows['frame'].max()} do not fit a movie of "
                f"{self.n_frames} frames"
            )
        same = (np.diff(rows["track"]) == 0) & (np.diff(rows["frame"]) == 0)
        if same.any():
            row = rows[np.flatnonzero(same)[0]]
            raise ValueError(f"track {row['track']} is twice in frame {row['frame']}")
        unknown = (self.parents.keys() | set(self.parents.values())) - set(self.ids.tolist())
        if unknown:
            raise ValueError(f"parents name tracks that do not exist: {sorted(unknown)}")

    def __len__(self) -> int:
        return len(self.detections)

    @property
    def ids(self) -> NDArray[np.uint32]:
        """Track ids, ascending; shape (n_tracks,), uint32."""
        ids: NDArray[np.uint32] = self.detections["track"][self._starts()]
        return ids

    @property
    def n_tracks(self) -> int:
        """Number of tracks."""
        return len(self._starts())

    @property
    def n_links(self) -> int:
        """Number of pairs of successive detections within tracks."""
        return len(self) - self.n_tracks

    @property
    def max_id(self) -> int:
        """The largest track id; 0 if there are no tracks."""
        return int(self.detections["track"][-1]) if len(self) else 0

    def tracks(self) -> list[NDArray[np.void]]:
        """The rows of each track, in the order of `ids`; dtype `DETECTION`."""
        return np.split(self.detections, self._starts()[1:]) if len(self) else []

    def frame_map(self, frame: int) -> tuple[NDArray[np.uint32], NDArray[np.uint32]]:
        """Return the labels of a frame and the tracks that they belong to, sorted by label.

        Returns
        -------
        tuple
            Two arrays of shape (n,), uint32: labels in the masks that were read, and track ids.
        """
        order, bounds = self._by_frame
        rows = self.detections[order[bounds[frame] : bounds[frame + 1]]]
        rows = rows[np.argsort(rows["label"], kind="stable")]
        return rows["label"], rows["track"]

    @cached_property
    def _by_frame(self) -> tuple[NDArray[np.intp], NDArray[np.intp]]:
        """Rows sorted by frame, and where each frame begins."""
        frames = self.detections["frame"]
        order = np.argsort(frames, kind="stable")
        return order, np.searchsorted(frames[order], np.arange(self.n_frames + 1))

    def _starts(self) -> NDArray[np.intp]:
        """The first row of each track."""
        tracks = self.detections["track"]
        return np.flatnonzero(np.diff(tracks, prepend=np.uint32(0)))
