"""Tracks that are being edited: labels, parents, and the place of each track.

The labels are the truth: a label's value is its track's id. The only other data is the
parent of some tracks; where each track begins and ends follows from the labels, and is kept up to
date so that an edit reads the boxes it touches and no frame.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import fields, is_dataclass
from types import MappingProxyType
from typing import Any, Protocol, cast

import numpy as np
from numpy.typing import NDArray
from psygnal import Signal

from napari_sam2track.errors import EditError
from napari_sam2track.labels import EditableLabels
from napari_sam2track.tracks.editing.changes import Box, Change, Changed, Ids, PixelEdit, extent
from napari_sam2track.tracks.editing.track_index import PLACE, Places, place_rows
from napari_sam2track.tracks.regions import measure_regions
from napari_sam2track.tracks.table import TrackTable
from napari_sam2track.tracks.tracked_movie import detections_of, table_of

#: (track, frame) and its place afterwards, None where it is not in the frame any more.
_Moves = dict[tuple[int, int], NDArray[np.void] | None]


class Edit(Protocol):
    """An edit of tracks."""

    def plan(self, state: TrackState) -> Change:
        """Return the change that it would make; reads, and writes nothing. Raises EditError."""
        ...


class TrackState:
    """Labels and lineage, changed by edits only.

    Parameters
    ----------
    labels
        The masks; the value of a label is its track. They are changed in place.
    parents
        Parent of each daughter. Tracks without pixels are left out.
    table
        Places of each track, if they are known already; else all frames are read, once.

    Attributes
    ----------
    changed
        Emits a `Changed` after every change that was made, undone or redone; once for a group.
    """

    changed = Signal(Changed)

    def __init__(
        self,
        labels: EditableLabels,
        parents: Mapping[int, int] | None = None,
        table: TrackTable | None = None,
    ) -> None:
        self.labels = labels
        self.places = Places(table_of(labels) if table is None else table)
        known = self.places
        self._parents = {c: p for c, p in (parents or {}).items() if c in known and p in known}
        self._top = max(known.ids, default=0)

    @property
    def parents(self) -> Mapping[int, int]:
        """Parent of each daughter; a view that cannot be written to."""
        return MappingProxyType(self._parents)

    @property
    def next_id(self) -> int:
        """Id that no track has, or had: an undo makes no id free again."""
        return self._top + 1

    def table(self) -> TrackTable:
        """Return the tracks at present, without reading the labels."""
        return self.places.table(self._parents)

    def mask(self, track: int, frame: int) -> tuple[Box, NDArray[np.bool_]]:
        """Return bounding box and mask of a track in a frame where it is; reads the box.

        Raises
        ------
        EditError
            If the labels do not agree with the known places.
        """
        box = self.places.box(track, frame)
        if box is None:
            raise EditError(f"track {track} is not in frame {frame}")
        mask = self.labels.read_box(frame, box) == track
        if int(mask.sum()) != self.places.area(track, frame):
            raise _changed_elsewhere(frame)
        return box, mask

    def reread(self, frames: Iterable[int]) -> None:
        """Measure frames again after something else than an edit wrote to them.

        Changes that were made to them before cannot be undone any more unless the pixels are
        unchanged; tracks that are gone lose their parents and children.
        """
        self._measure({t: self.labels.read(t) for t in sorted(set(frames))})

    def write_frame(self, t: int, values: NDArray[np.uint32], old: NDArray[np.uint32]) -> None:
        """Replace a whole frame; as with `reread`, earlier changes of it cannot be undone any more.

        It costs the same for one object as for hundreds.

        Parameters
        ----------
        values, old
            Of `frame_shape`, uint32: the new labels, and the present ones.
        """
        box = extent(old != values)
        if box[0].stop:
            self.labels.write_box(t, box, values[box])
            self._measure({t: values})

    def _measure(self, frames: Mapping[int, NDArray[np.uint32]]) -> None:
        """Measure all tracks of some frames."""
        places: _Moves = dict.fromkeys(self.places.within(frames))
        for t, values in frames.items():
            regions = measure_regions(values)
            rows = place_rows(detections_of(t, regions, regions.labels))
            places.update(
                ((int(track), t), rows[k : k + 1]) for k, track in enumerate(regions.labels)
            )
        self.places.update(places)
        known = self.places
        kept = {c: p for c, p in self._parents.items() if c in known and p in known}
        lineage, self._parents = kept != self._parents, kept
        self._top = max(self._top, *known.ids, 0)
        touched = frozenset(track for track, _ in places)
        self.changed.emit(Changed(frozenset(frames), touched, 0, lineage))

    def assume(self, table: TrackTable) -> None:
        """Take over the places and parents of labels that were written elsewhere.

        Parameters
        ----------
        table
            All tracks of the labels.
        """
        frames = frozenset(range(self.labels.n_frames))
        touched = frozenset({*self.places.ids, *table.ids.tolist()})
        self.places = Places(table)
        self._parents = dict(table.parents)
        self._top = max(self._top, *self.places.ids, 0)
        self.changed.emit(Changed(frames, touched, 0, True))

    def run(self, edits: Iterable[Edit]) -> tuple[Change, ...]:
        """Make edits one after the other: all, or none if one of them cannot be made.

        Raises
        ------
        EditError
            If one cannot be made; labels and parents are then as they were.
        """
        # each is planned after the one before is made
        return self.apply(_checked(edit).plan(self) for edit in edits)

    def apply(self, changes: Iterable[Change]) -> tuple[Change, ...]:
        """Make known changes, in their order: all or none.

        Raises
        ------
        EditError
            If the labels are not what the first change expects; nothing is changed then.
        """
        made: list[Change] = []
        try:
            for change in changes:
                self._write(change)
                made.append(change)
        except BaseException:
            for change in reversed(made):
                self._write(change.inverse())
            raise
        self.changed.emit(Changed.by(made))
        return tuple(made)

    def adopt(self, change: Change) -> None:
        """Make a change whose pixels may be written already, by the caller.

        napari reports a stroke after it was painted, and a fill just before.

        Raises
        ------
        EditError
            If a pixel has neither its value before nor that afterwards; nothing is
            changed then.
        """
        by_frame: dict[int, list[PixelEdit]] = {}
        boxes: list[NDArray[np.uint32]] = []
        for patch in change.patches:
            values, mask = self.labels.read_box(patch.frame, patch.box), patch.mask
            now = values[mask]
            if not ((now == patch.ids(patch.new)) | (now == patch.ids(patch.old))).all():
                raise _changed_elsewhere(patch.frame)
            values[mask] = patch.new
            boxes.append(values)
            by_frame.setdefault(patch.frame, []).append(patch)
        for patch, values in zip(change.patches, boxes, strict=True):
            self.labels.write_box(patch.frame, patch.box, values)
        places: _Moves = {}
        for frame, patches in by_frame.items():
            places.update(self._follow(frame, patches))
        self._accept(change, places)
        self.changed.emit(Changed.by([change]))

    def _write(self, change: Change) -> None:
        """Write a change to labels, places and parents: all of it, or nothing."""
        largest = max((_largest(patch.new) for patch in change.patches), default=0)
        if largest > self.labels.max_id:
            raise EditError(
                f"the id {largest} does not fit these labels, which hold ids up to "
                f"{self.labels.max_id}; convert them to 32 bits, or number the tracks anew"
            )
        by_frame: dict[int, list[PixelEdit]] = {}
        for patch in change.patches:
            by_frame.setdefault(patch.frame, []).append(patch)
        places: _Moves = {}
        tried: list[PixelEdit] = []
        try:
            for frame, patches in by_frame.items():
                for patch in patches:
                    values = self.labels.read_box(frame, patch.box)
                    mask = patch.mask
                    if not np.array_equal(values[mask], patch.ids(patch.old)):
                        raise _changed_elsewhere(frame)
                    tried.append(patch)
                    values[mask] = patch.new
                    self.labels.write_box(frame, patch.box, values)
                places.update(self._follow(frame, patches))
        except BaseException:
            for patch in reversed(tried):  # the last one may be written in part
                values = self.labels.read_box(patch.frame, patch.box)
                values[patch.mask] = patch.old
                self.labels.write_box(patch.frame, patch.box, values)
            raise
        self._accept(change, places)

    def _accept(self, change: Change, places: _Moves) -> None:
        """Enter the places after a change whose pixels are written."""
        self.places.update(places)
        for track, (_, parent) in change.parents.items():
            if parent is None:
                self._parents.pop(track, None)
            else:
                self._parents[track] = parent
        self._top = max(self._top, *(_largest(patch.new) for patch in change.patches), 0)

    def _follow(self, frame: int, patches: Iterable[PixelEdit]) -> _Moves:
        """Return the new places of the tracks of a frame's patches, which are written already."""
        ndim = len(self.labels.frame_shape)
        lost: dict[int, list[NDArray[np.int64]]] = {}
        gained: dict[int, list[NDArray[np.int64]]] = {}
        for patch in patches:
            at = np.zeros((patch.count(), 3), np.int64)
            at[:, 3 - ndim :] = np.argwhere(patch.mask) + [s.start for s in patch.box]
            for ids, pixels in ((patch.old, lost), (patch.new, gained)):
                each = patch.ids(ids)
                for track in set(np.unique(ids).tolist()) - {0}:
                    pixels.setdefault(track, []).append(at[each == track])
        none = [np.zeros((0, 3), np.int64)]
        return {
            (track, frame): self._place(
                track,
                frame,
                np.concatenate(lost.get(track, none)),
                np.concatenate(gained.get(track, none)),
            )
            for track in lost.keys() | gained.keys()
        }

    def _place(
        self, track: int, frame: int, lost: NDArray[np.int64], gained: NDArray[np.int64]
    ) -> NDArray[np.void] | None:
        """Return a track's place after lost and gained pixels, (n, 3) of (z, y, x), or None."""
        before = self.places.get(track, frame)
        place = np.zeros(1, PLACE) if before is None else before.copy()
        rest = int(place["area"][0]) - len(lost)
        place["frame"] = frame
        place["area"] += len(gained) - len(lost)
        place["sums"] += gained.sum(axis=0) - lost.sum(axis=0)
        if place["area"][0] == 0:
            return None
        ends = [place["bbox"][0]] if rest else []
        if len(gained):
            ends.append(np.concatenate([gained.min(axis=0), gained.max(axis=0) + 1]))
        place["bbox"] = [
            *np.min([end[:3] for end in ends], axis=0),
            *np.max([end[3:] for end in ends], axis=0),
        ]
        if rest and len(lost):  # it may have shrunk
            box = self.places.box_of(place)
            inner = extent(self.labels.read_box(frame, box) == track)
            ndim = len(box)
            for k, (outer, s) in enumerate(zip(box, inner, strict=True)):
                place["bbox"][0, 3 - ndim + k] = outer.start + s.start
                place["bbox"][0, 6 - ndim + k] = outer.start + s.stop
        return place


def _checked(edit: Any) -> Edit:
    """Return an edit; raise EditError if it is none, or one of its tracks and frames no number."""
    if not (is_dataclass(edit) and callable(getattr(edit, "plan", None))):
        raise EditError(f"{edit!r:.60} is no edit; give one such as Merge(3, 7)")
    for field in fields(edit):
        value = getattr(edit, field.name)
        if str(field.type).startswith("int") and not isinstance(value, int | np.integer | None):
            raise EditError(
                f"{field.name} of {type(edit).__name__} is {value!r}; give a whole number"
            )
    return cast(Edit, edit)


def _largest(ids: Ids) -> int:
    return int(np.max(ids))


def _changed_elsewhere(frame: int) -> EditError:
    return EditError(
        f"the labels of frame {frame} were changed elsewhere since they were read; read them again"
    )
