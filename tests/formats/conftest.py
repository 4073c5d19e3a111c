"""Movies with known tracks, small and odd."""

from __future__ import annotations

import numpy as np
import pytest

from napari_sam2track.formats.conversions import measured
from napari_sam2track.formats.provenance import provenance
from napari_sam2track.labels import ArrayLabels, Scale
from napari_sam2track.tracks.table import TrackTable
from napari_sam2track.tracks.tracked_movie import TrackedMovie

NOTE = provenance(source="Zürich", frames=range(4), parameters={"min_iou": 0.3})
SCALE = Scale(2.5, 0.7, 0.108, 0.11, "second", "micrometer")


@pytest.fixture(scope="session")
def note():
    return NOTE


@pytest.fixture(scope="session")
def scale():
    return SCALE


@pytest.fixture(scope="session")
def make_movie():
    """Random tracks: each in a cell of a grid of its own, with gaps, divisions, empty frames."""

    def make(
        seed: int, *, deep: bool = False, max_id: int = 2**32 - 1, parents: bool = True
    ) -> TrackedMovie:
        rng = np.random.default_rng(seed)
        n_frames, n_tracks = int(rng.integers(1, 8)), int(rng.integers(1, 9))
        cell = 6
        shape = (3 * cell, 3 * cell + int(rng.integers(0, 4)))
        if deep:
            shape = (int(rng.integers(2, 5)), *shape)
        labels = np.zeros((n_frames, *shape), np.uint32)
        ids = rng.choice(min(max_id, 10**6), n_tracks, replace=False) + 1
        if rng.random() < 0.7:
            ids[0] = max_id
        seen: dict[int, tuple[int, int]] = {}
        for k, track in enumerate(np.unique(ids).tolist()):
            row, column = divmod(k, 3)
            begin = int(rng.integers(0, n_frames))
            end = int(rng.integers(begin, n_frames))
            for t in range(begin, end + 1):
                if begin < t < end and rng.random() < 0.25:
                    continue  # a gap
                y, x = row * cell + rng.integers(0, 3), column * cell + rng.integers(0, 3)
                h, w = rng.integers(1, 4, 2)
                planes = slice(int(rng.integers(0, shape[0])), None) if deep else ...
                index = (planes, slice(y, y + h), slice(x, x + w))
                labels[t][index if deep else index[1:]] = track
            seen[track] = (begin, end)
        kin = {}
        if parents:
            for child, (begin, _) in seen.items():
                mothers = [m for m, (_, end) in seen.items() if end < begin]
                if mothers and rng.random() < 0.7:
                    kin[child] = int(rng.choice(mothers))
        return movie_of(labels, kin)

    return make


def movie_of(labels, parents=None, scale=SCALE, note=NOTE):
    frames = ArrayLabels(labels)
    table = TrackTable(measured(frames), len(labels), labels.shape[1:], dict(parents or {}))
    return TrackedMovie(table, frames, scale, note)


@pytest.fixture(scope="session")
def as_movie():
    """A movie of an array of labels."""
    return movie_of


@pytest.fixture
def family(as_movie):
    """A mother (1, frames 0 and 1), a gap in daughter 2, daughter 7, and a stranger (9)."""
    labels = np.zeros((6, 12, 14), np.uint32)
    labels[0:2, 1:4, 1:4] = 1
    labels[[2, 4, 5], 1:4, 1:3] = 2
    labels[2:6, 6:9, 1:5] = 7
    labels[0:6, 9:11, 9:13] = 9
    return as_movie(labels, {2: 1, 7: 1})
