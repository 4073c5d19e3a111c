"""Frames that have truth: key frames are scored against the same frames of a result."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from napari_sam2track.errors import FormatError
from napari_sam2track.labels import LabelFrames, MappedFrames
from napari_sam2track.tracks.table import TrackTable
from napari_sam2track.tracks.tracked_movie import TrackedMovie


@dataclass(frozen=True, eq=False)
class _Chosen:
    """Some frames of labels, as a movie of their own."""

    source: LabelFrames
    positions: Sequence[int]

    @property
    def n_frames(self) -> int:
        return len(self.positions)

    @property
    def frame_shape(self) -> tuple[int, ...]:
        return self.source.frame_shape

    def read(self, t: int) -> NDArray[np.uint32]:
        return self.source.read(self.positions[t])


def on_truth_frames(
    found: TrackedMovie, truth: TrackedMovie
) -> tuple[TrackedMovie, TrackedMovie, tuple[int, ...]]:
    """Cut a result and a truth down to the frames that have truth, where some have none.

    Returns
    -------
    The result, the truth, and the numbers of the frames that are left; empty if all frames have
    truth, and nothing was cut.

    Raises
    ------
    FormatError
        If the result has none of these frames.
    """
    numbers, theirs = _frame_numbers(truth), _frame_numbers(found)
    if len(numbers) == numbers[-1] - numbers[0] + 1:
        return found, truth, ()
    where = {number: t for t, number in enumerate(theirs)}
    common = [number for number in numbers if number in where]
    if not common:
        raise FormatError(
            f"the truth has the frames {', '.join(map(str, numbers[:10]))}, and the result none of "
            "them; give the result of the same movie"
        )
    at = {number: t for t, number in enumerate(numbers)}
    return (
        _cut(found, [where[number] for number in common]),
        _cut(truth, [at[number] for number in common]),
        tuple(common),
    )


def _frame_numbers(movie: TrackedMovie) -> Sequence[int]:
    """Return the numbers of frames in the names of files; counted from 0 elsewhere."""
    labels = movie.labels
    while isinstance(labels, MappedFrames):
        labels = labels.source
    found: Sequence[int] = getattr(labels, "frame_numbers", range(movie.table.n_frames))
    return found


def _cut(movie: TrackedMovie, positions: list[int]) -> TrackedMovie:
    """Return a movie of some frames; parents stay where both tracks are seen, one after another."""
    new = np.full(movie.table.n_frames, -1)
    new[positions] = np.arange(len(positions))
    rows = movie.table.detections[new[movie.table.detections["frame"]] >= 0].copy()
    rows["frame"] = new[rows["frame"]]
    begins = {int(row["track"]): int(row["frame"]) for row in np.sort(rows, order="frame")[::-1]}
    parents = {
        child: parent
        for child, parent in movie.table.parents.items()
        if child in begins and parent in begins and begins[parent] < begins[child]
    }
    table = TrackTable(rows, len(positions), movie.table.frame_shape, parents)
    labels = None if movie.labels is None else _Chosen(movie.labels, positions)
    return replace(movie, table=table, labels=labels)
