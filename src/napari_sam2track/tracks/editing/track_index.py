"""Places of every track in every frame: edits look them up instead of reading frames."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

import numpy as np
from numpy.typing import NDArray

from napari_sam2track.tracks.editing.changes import Box
from napari_sam2track.tracks.table import DETECTION, TrackTable

#: One track in one frame. ``sums`` are those of the pixels' (z, y, x), whole numbers, so that
#: adding and taking away pixels leaves no rounding behind; ``bbox`` as in `DETECTION`.
PLACE = np.dtype(
    [("frame", np.int64), ("area", np.int64), ("sums", np.int64, (3,)), ("bbox", np.int32, (6,))]
)


def place_rows(detections: NDArray[np.void]) -> NDArray[np.void]:
    """Convert rows of a `TrackTable`, dtype `DETECTION`, to places, dtype `PLACE`."""
    places = np.zeros(len(detections), PLACE)
    for name in ("frame", "area", "bbox"):
        places[name] = detections[name]
    places["sums"] = np.rint(detections["centroid"] * detections["area"][:, None])
    return places


class Places:
    """Area, centroid and bounding box of each track in each frame.

    Some 70 bytes for each object and frame; no pixels.

    Parameters
    ----------
    table
        Places at the beginning; its labels are track ids.
    """

    def __init__(self, table: TrackTable) -> None:
        self._frame_shape = table.frame_shape
        self._n_frames = table.n_frames
        self._tracks: dict[int, NDArray[np.void]] = {}
        for rows in table.tracks():
            there = rows[rows["area"] > 0]  # without pixels there is nothing to edit
            if len(there):
                self._tracks[int(rows["track"][0])] = place_rows(there)

    def __contains__(self, track: int) -> bool:
        return track in self._tracks

    def __len__(self) -> int:
        return len(self._tracks)

    @property
    def ids(self) -> list[int]:
        """Track ids, ascending."""
        return sorted(self._tracks)

    @property
    def spans(self) -> dict[int, tuple[int, int]]:
        """First and last frame of each track, both included."""
        return {track: self.span(track) for track in self.ids}

    def span(self, track: int) -> tuple[int, int]:
        """Return the first and last frame of a track, both included."""
        frames = self._tracks[track]["frame"]
        return int(frames[0]), int(frames[-1])

    def frames(self, track: int) -> list[int]:
        """Return the frames of a track, ascending; none if there is no such track."""
        places = self._tracks.get(track)
        return [] if places is None else places["frame"].tolist()

    def present(self, track: int, frames: range) -> NDArray[np.bool_]:
        """Return on which of some frames, step 1, a track is; shape (len(frames),)."""
        there = np.zeros(len(frames), bool)
        places = self._tracks.get(track)
        if places is not None:
            known = places["frame"]
            first, end = np.searchsorted(known, (frames.start, frames.stop))
            there[known[first:end] - frames.start] = True
        return there

    def n_frames(self, track: int) -> int:
        """Return the number of frames of a track."""
        return len(self._tracks.get(track, ()))

    def get(self, track: int, frame: int) -> NDArray[np.void] | None:
        """Return the place of a track in a frame, shape (1,), dtype `PLACE`; None if not there."""
        places = self._tracks.get(track)
        if places is None:
            return None
        at = int(np.searchsorted(places["frame"], frame))
        if at == len(places) or places["frame"][at] != frame:
            return None
        return places[at : at + 1]

    def within(self, frames: Iterable[int]) -> list[tuple[int, int]]:
        """Return each (track, frame) that is present in some frames."""
        asked = np.array(sorted(frames), np.int64)
        found = []
        for track, places in self._tracks.items():
            at = np.minimum(np.searchsorted(places["frame"], asked), len(places) - 1)
            found += [(track, int(t)) for t in asked[places["frame"][at] == asked]]
        return found

    def area(self, track: int, frame: int) -> int:
        """Return the number of pixels of a track in a frame."""
        place = self.get(track, frame)
        return 0 if place is None else int(place["area"][0])

    def box(self, track: int, frame: int) -> Box | None:
        """Return the bounding box of a track in a frame, as an index into it; None if not there."""
        place = self.get(track, frame)
        return None if place is None else self.box_of(place)

    def box_of(self, place: NDArray[np.void]) -> Box:
        """Return the bounding box of one place as an index into a frame."""
        ndim = len(self._frame_shape)
        ends = place["bbox"][0].tolist()
        return tuple(slice(ends[3 - k], ends[6 - k]) for k in range(ndim, 0, -1))

    def update(self, places: Mapping[tuple[int, int], NDArray[np.void] | None]) -> None:
        """Enter the new places of (track, frame); None where the track is not in the frame."""
        by_track: dict[int, dict[int, NDArray[np.void] | None]] = {}
        for (track, frame), place in places.items():
            by_track.setdefault(track, {})[frame] = place
        for track, new in by_track.items():
            old = self._tracks.get(track, np.zeros(0, PLACE))
            if len(new) == 1:  # as when a run goes from frame to frame
                self._tracks[track] = _with_one(old, *next(iter(new.items())))
                if not len(self._tracks[track]):
                    del self._tracks[track]
                continue
            kept = old[~np.isin(old["frame"], list(new))]
            rows = np.concatenate([kept, *(place for place in new.values() if place is not None)])
            if len(rows):
                self._tracks[track] = rows[np.argsort(rows["frame"], kind="stable")]
            else:
                self._tracks.pop(track, None)

    def table(self, parents: Mapping[int, int], tracks: Iterable[int] | None = None) -> TrackTable:
        """Return the places as a table; ``iou`` is NaN, ``label`` the track. No pixels are read.

        Raises
        ------
        ValueError
            If a parent names a track that is not there.
        """
        parts = [np.zeros(0, DETECTION)]
        for track in self.ids if tracks is None else sorted(tracks):
            places = self._tracks[track]
            rows = np.zeros(len(places), DETECTION)
            rows["track"], rows["label"], rows["iou"] = track, track, np.nan
            for name in ("frame", "area", "bbox"):
                rows[name] = places[name]
            rows["centroid"] = places["sums"] / places["area"][:, None]
            parts.append(rows)
        return TrackTable(np.concatenate(parts), self._n_frames, self._frame_shape, dict(parents))


def _with_one(
    old: NDArray[np.void], frame: int, place: NDArray[np.void] | None
) -> NDArray[np.void]:
    """Return the places of a track with another one on a frame, or (None) none there."""
    at = int(np.searchsorted(old["frame"], frame))
    rest = at + (at < len(old) and old["frame"][at] == frame)
    return np.concatenate([old[:at], *([] if place is None else [place]), old[rest:]])
