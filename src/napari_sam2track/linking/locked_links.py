"""Links that a person has decided on: they stay as they are when linking runs again."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from napari_sam2track.errors import UsageError
from napari_sam2track.linking.hypotheses import Hypotheses, join
from napari_sam2track.tracks.lineage import children
from napari_sam2track.tracks.table import TrackTable

#: Gain of a locked link: more than that of any likely one.
_CERTAIN = 1000.0


@dataclass(frozen=True, slots=True)
class LockedLink:
    """A link of an object to the same one in a later frame, or to its daughter.

    Attributes
    ----------
    frame, label
        The object, by its frame (from 0) and its value in the masks.
    next_frame, next_label
        The later one. Two links from the same object are a division.
    """

    frame: int
    label: int
    next_frame: int
    next_label: int


def locked_links(table: TrackTable, tracks: Collection[int] | None = None) -> list[LockedLink]:
    """Return the links of an earlier result that are to stay.

    Parameters
    ----------
    table
        The earlier result; its labels are those of the masks that are linked again.
    tracks
        Ids of the tracks that are locked, with the links to their daughters; None locks all.

    Raises
    ------
    UsageError
        If a track is not there.
    """
    wanted = set(table.ids.tolist()) if tracks is None else set(tracks)
    unknown = sorted(wanted - set(table.ids.tolist()))
    if unknown:
        raise UsageError(
            f"cannot lock track {unknown[0]}: the earlier result has no such track; it has "
            f"{table.n_tracks} tracks with ids up to {table.max_id}"
        )
    rows = {int(r["track"][0]): r for r in table.tracks()}
    daughters = children(table.parents)
    links = []
    for track in sorted(wanted):
        frames, labels = rows[track]["frame"].tolist(), rows[track]["label"].tolist()
        steps = zip(frames, labels, frames[1:], labels[1:], strict=False)
        links += [LockedLink(*step) for step in steps]
        for child in daughters.get(track, ()):
            begin = rows[child][0]
            link = (frames[-1], labels[-1], int(begin["frame"]), int(begin["label"]))
            links.append(LockedLink(*link))
    return links


@dataclass(frozen=True, eq=False)
class Locks:
    """Locked links, looked up by the frames that they join."""

    _from: dict[tuple[int, int], list[LockedLink]]
    _to: dict[tuple[int, int], LockedLink]
    _labels: dict[int, set[int]]  # by frame

    @classmethod
    def of(cls, links: Iterable[LockedLink]) -> Locks:
        """Check that they can all hold.

        Raises
        ------
        UsageError
            If an object has two predecessors or more than two successors, or a link does not go
            forward.
        """
        begins: dict[tuple[int, int], list[LockedLink]] = {}
        ends: dict[tuple[int, int], LockedLink] = {}
        for link in links:
            if link.next_frame <= link.frame:
                raise UsageError(
                    f"the locked link from frame {link.frame} to frame {link.next_frame} does not "
                    "go forward in time; give the earlier object first"
                )
            end = (link.next_frame, link.next_label)
            if end in ends:
                raise UsageError(
                    f"label {link.next_label} of frame {link.next_frame} is locked to two objects "
                    "before it; unlock one of them"
                )
            ends[end] = link
            begins.setdefault((link.frame, link.label), []).append(link)
        for (frame, label), out in begins.items():
            if len(out) > 2:
                raise UsageError(
                    f"label {label} of frame {frame} is locked to {len(out)} objects after it; "
                    "an object can divide into two at most"
                )
            if len({link.next_frame for link in out}) > 1:
                raise UsageError(
                    f"label {label} of frame {frame} is locked to daughters that begin in "
                    "different frames; unlock one of them"
                )
        labels: dict[int, set[int]] = {}
        for frame, label in (*begins, *ends):
            labels.setdefault(frame, set()).add(label)
        return cls(begins, ends, labels)

    def __bool__(self) -> bool:
        return bool(self._from)

    def without(
        self,
        hypotheses: Hypotheses,
        frames: NDArray[np.int64],
        labels: NDArray[np.uint32],
        next_frame: int,
        next_labels: NDArray[np.uint32],
    ) -> Hypotheses:
        """Return the hypotheses without those of objects whose links are locked.

        Parameters
        ----------
        hypotheses
            Between objects that were last seen in `frames` under `labels`, shape (n,), and the
            objects of `next_frame`, with `next_labels`.
        """
        if not self:
            return hypotheses
        held = np.array(
            [(int(f), int(v)) in self._from for f, v in zip(frames, labels, strict=True)], bool
        )
        taken = np.array([(next_frame, int(v)) in self._to for v in next_labels], bool)
        sibling = hypotheses.sibling
        free = ~held[hypotheses.parent] & ~taken[hypotheses.child]
        return hypotheses.take(free & ((sibling < 0) | ~taken[sibling]))

    def applied(
        self,
        hypotheses: Hypotheses,
        frames: NDArray[np.int64],
        labels: NDArray[np.uint32],
        next_frame: int,
        next_labels: NDArray[np.uint32],
    ) -> Hypotheses:
        """Return the hypotheses of `without`, and those of the locked links."""
        if not self:
            return hypotheses
        free = self.without(hypotheses, frames, labels, next_frame, next_labels)
        where = {int(label): j for j, label in enumerate(next_labels)}
        rows = []
        for i, key in enumerate(zip(frames.tolist(), labels.tolist(), strict=True)):
            out = [k for k in self._from.get(key, ()) if k.next_frame == next_frame]
            ends = [where[k.next_label] for k in out if k.next_label in where]
            if ends:
                rows.append((i, ends[0], ends[1] if len(ends) == 2 else -1))
        return join((free, certain(rows)))

    def check(self, t: int, labels: NDArray[np.uint32]) -> None:
        """Check that the locked objects of frame `t` exist.

        Raises
        ------
        UsageError
            If a label is not.
        """
        missing = sorted(self._labels.get(t, set()) - set(labels.tolist()))
        if missing:
            raise UsageError(
                f"label {missing[0]} is locked in frame {t}, but it is not in the masks; lock "
                "links of the masks that are linked now"
            )

    def check_frames(self, n_frames: int) -> None:
        """Check that no locked link lies outside a movie of `n_frames`.

        Raises
        ------
        UsageError
            If one does.
        """
        outside = [t for t in self._labels if not 0 <= t < n_frames]
        if outside:
            raise UsageError(
                f"a link is locked in frame {outside[0]}, but the movie has frames 0 to "
                f"{n_frames - 1}; lock links of the masks that are linked now"
            )

    def across_gaps(self) -> list[list[LockedLink]]:
        """Return links over frames between, those of the same object together."""
        groups = self._from.values()
        return [out for out in groups if out[0].next_frame > out[0].frame + 1]


def certain(rows: Sequence[tuple[int, int, int]]) -> Hypotheses:
    """Return certain hypotheses from (parent, child, sibling or -1)."""
    parent, child, sibling = np.array(rows, np.int64).reshape(-1, 3).T
    n = len(rows)
    return Hypotheses(parent, child, sibling, np.full(n, _CERTAIN), np.full(n, np.nan))
