"""Movies of users with trusted labels, for fine-tuning a model."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray

from napari_sam2track.errors import FormatError, UsageError
from napari_sam2track.frames import Frames
from napari_sam2track.tracks.tracked_movie import TrackedMovie
from napari_sam2track.training.sampling import Drawing, Object, TrainingSample, cut_around
from napari_sam2track.training.synthetic.scene import Rng

#: Objects with fewer pixels are no examples.
MIN_AREA = 30
#: Label frames of a movie that are kept in memory: so many bytes, and at least so many frames.
_KEPT_BYTES, _KEPT = 128_000_000, 4
#: Draws without a window after which no more are made.
_MISSES = 2000


@dataclass(frozen=True, eq=False)
class LabelledMovie:
    """A movie and the tracks of the objects in it.

    Attributes
    ----------
    name
        Its name.
    frames
        The images.
    tracks
        Table and labels; the label is the track id.
    source
        Path of the images.
    corrected
        (object, frame) that a person prompted or corrected.
    first, stop
        Range of frames in use, as of a slice: the rest is held out.
    """

    name: str
    frames: Frames
    tracks: TrackedMovie
    source: Path
    corrected: frozenset[tuple[int, int]] = frozenset()
    first: int = 0
    stop: int | None = None
    _cache: OrderedDict[int, NDArray[np.int32]] = field(default_factory=OrderedDict, repr=False)

    def close(self) -> None:
        """Close the files."""
        self.frames.close()
        self.tracks.close()

    @property
    def end(self) -> int:
        """The frame after the last one in use."""
        return self.frames.n_frames if self.stop is None else self.stop

    @cached_property
    def rows(self) -> NDArray[np.void]:
        """Objects on frames that can be examples: rows of the table, dtype `DETECTION`."""
        rows = self.tracks.table.detections
        good = (rows["area"] >= MIN_AREA) & (rows["frame"] >= self.first)
        found: NDArray[np.void] = rows[good & (rows["frame"] < self.end)]
        return found

    @cached_property
    def places(self) -> Mapping[int, dict[int, tuple[float, float]]]:
        """Places (y, x) of each track by frame, within the range."""
        out: dict[int, dict[int, tuple[float, float]]] = {}
        for row in self.tracks.table.detections:
            if row["area"] and self.first <= row["frame"] < self.end:
                _, y, x = row["centroid"].tolist()
                out.setdefault(int(row["track"]), {})[int(row["frame"])] = y, x
        return out

    @cached_property
    def labelled(self) -> frozenset[int]:
        """Frames, within the range, with any label; the others count as unknown."""
        return frozenset(t for places in self.places.values() for t in places)

    def part(self, first: int, stop: int, name: str) -> LabelledMovie:
        """Return some frames of it; the files stay shared."""
        return replace(self, name=name, first=first, stop=stop, _cache=OrderedDict())

    def read(self, t: int) -> NDArray[np.int32]:
        """Return (Y, X) labels of a frame; those of recent frames are not read again."""
        if t in self._cache:
            self._cache.move_to_end(t)
            return self._cache[t]
        labels = self.tracks.labels
        assert labels is not None
        ids = labels.read(t)
        if ids.max(initial=0) > np.iinfo(np.int32).max:
            raise FormatError(
                f"{self.name} has ids over {np.iinfo(np.int32).max}; number the tracks anew first: "
                "sam2track edit"
            )
        kept = self._cache[t] = ids.astype(np.int32)
        if len(self._cache) > max(_KEPT, _KEPT_BYTES // kept.nbytes):
            self._cache.popitem(last=False)
        return kept


@dataclass(frozen=True, eq=False)
class Examples:
    """Movies from which windows are drawn.

    Attributes
    ----------
    movies
        At least one with `LabelledMovie.rows`.
    weight
        Weight of a corrected object, relative to another one.
    """

    movies: Sequence[LabelledMovie]
    weight: float = 4.0

    @cached_property
    def _odds(self) -> tuple[NDArray[np.int64], NDArray[np.float64]]:
        """Movie and row of each example, (N, 2), and its odds, (N,)."""
        at: list[tuple[int, int]] = []
        odds: list[float] = []
        for m, movie in enumerate(self.movies):
            rows = movie.rows
            keys = zip(rows["track"].tolist(), rows["frame"].tolist(), strict=True)
            weights = [self.weight if key in movie.corrected else 1.0 for key in keys]
            # a movie with a thousand cells teaches no more than one with a hundred
            scale = 1 / max(sum(weights), 1.0) ** 0.5
            at += [(m, r) for r in range(len(rows))]
            odds += [w * scale for w in weights]
        total = np.array(odds)
        return np.array(at, np.int64).reshape(-1, 2), total / total.sum()

    def __len__(self) -> int:
        return len(self._odds[0])

    @cached_property
    def _room(self) -> NDArray[np.int64]:
        """Number of frames for which each example can be followed, (N,), in its best direction."""
        movies = self.movies
        frames = [(movies[m], int(movies[m].rows[r]["frame"])) for m, r in self._odds[0]]
        return np.array([max(t - m.first, m.end - 1 - t) + 1 for m, t in frames], np.int64)

    @property
    def longest(self) -> int:
        """Most frames for which an example can be followed."""
        return int(self._room.max(initial=0))

    def draw(self, rng: Rng, n: int, how: Drawing) -> TrainingSample:
        """Draw a batch of ``n`` windows.

        Raises
        ------
        UsageError
            If no object is long enough in time, or none has a window that shows it.
        """
        at, odds = self._odds
        odds = np.where(self._room >= how.n_frames, odds, 0)
        drawn: list[tuple[NDArray[np.uint8], NDArray[np.bool_], NDArray[np.bool_]]] = []
        missed = 0
        while len(drawn) < n:
            if not odds.any() or missed == _MISSES:
                raise UsageError(
                    f"{', '.join(movie.name for movie in self.movies)}: no object can be shown in "
                    f"a window over {how.n_frames} frames; they are too thin, or the movie is too "
                    "short (--frames)"
                )
            m, r = at[rng.choice(len(at), p=odds / odds.sum())]
            movie = self.movies[m]
            row = movie.rows[r]
            times = self._times(rng, movie, int(row["frame"]), how.n_frames)
            found = cut_around(rng, _object(movie, row, times), how)
            if found is None:
                missed += 1
                continue
            missed = 0
            images, masks, ids = found
            drawn.append((images, masks, _known(movie, ids, times)))
        images, masks, known = (np.concatenate([d[k] for d in drawn], 1) for k in (0, 1, 2))
        images = images.reshape(len(images), n, *drawn[0][0].shape[1:])
        return TrainingSample(
            torch.from_numpy(images), torch.from_numpy(masks), torch.from_numpy(known)
        )

    @staticmethod
    def _times(rng: Rng, movie: LabelledMovie, t: int, n: int) -> list[int]:
        """Return frames of a sample from ``t`` on, in either direction where there is room."""
        step = 1 if rng.random() < 0.5 else -1
        if not movie.first <= t + step * (n - 1) < movie.end:
            step = -step
        return list(range(t, t + step * n, step))


def _object(movie: LabelledMovie, row: np.void, times: list[int]) -> Object:
    track = int(row["track"])
    places = movie.places[track]
    box = row["bbox"].tolist()
    extent = max(box[4] - box[1], box[5] - box[2])
    return Object(
        movie.frames,
        times,
        lambda n: movie.read(times[n]),
        track,
        lambda n: places.get(times[n]),
        extent,
        int(row["area"]),
    )


def _known(movie: LabelledMovie, ids: NDArray[np.int64], times: Sequence[int]) -> NDArray[np.bool_]:
    """Return (T, K) bool: where it is known whether the objects are there.

    Within a track: on its frames, and in its gaps where anything is labelled. Before and after it
    an object may have left, divided, or not have been labelled.
    """
    places = (movie.places.get(i, {}) for i in ids.tolist())
    spans = [range(min(p), max(p) + 1) if p else range(0) for p in places]
    return np.array([[t in span and t in movie.labelled for span in spans] for t in times])


def split(
    movies: Sequence[LabelledMovie], part: float
) -> tuple[list[LabelledMovie], list[LabelledMovie]]:
    """Split movies for training and for validation: whole ones, the last by name.

    Of a single movie the last frames are held out.

    Parameters
    ----------
    part
        About how much is held out, 0 to 1; at least one movie, or frame, stays on either side.

    Raises
    ------
    UsageError
        If there is a single movie of a single frame.
    """
    if len(movies) > 1:
        n = min(max(1, round(part * len(movies))), len(movies) - 1)
        return list(movies[:-n]), list(movies[-n:])
    (movie,) = movies
    if movie.end - movie.first < 2:
        raise UsageError(
            f"{movie.name} has a single frame: nothing would be left to judge the model by; give "
            "--data of another image as well"
        )
    n_frames = movie.end - movie.first
    at = movie.end - min(max(1, round(part * n_frames)), n_frames - 1)
    return (
        [movie.part(movie.first, at, f"{movie.name}, frames {movie.first} to {at - 1}")],
        [movie.part(at, movie.end, f"{movie.name}, frames {at} to {movie.end - 1}")],
    )
