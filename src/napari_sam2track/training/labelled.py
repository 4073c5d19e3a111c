"""Movies of users with labels that they trust: what a model is fine-tuned on."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray

from napari_sam2track.errors import FormatError, FramesError, UsageError
from napari_sam2track.formats.registry import open_tracks
from napari_sam2track.frames import Frames, open_frames
from napari_sam2track.params import ReadParams
from napari_sam2track.results_folder import LABELS
from napari_sam2track.session_file import movie_of_session, read_session
from napari_sam2track.tracks.movie import TrackedMovie
from napari_sam2track.training.sampling import Drawing, Object, Sample, cut_around
from napari_sam2track.training.scene import Rng

#: Objects with fewer pixels are no examples.
MIN_AREA = 30
#: Label frames that are kept in memory.
_KEPT = 32
_IMAGES = (".tif", ".tiff", ".zarr", ".npy", ".mp4", ".avi")
_LABELS = ("_labels", ".labels", "_label", "_masks", "_mask", "_seg", "-labels", " [labels]")


@dataclass(frozen=True, eq=False)
class LabelledMovie:
    """A movie and the tracks of the objects in it.

    Attributes
    ----------
    name
        What to call it.
    frames
        The images.
    tracks
        Table and labels; the label is the track id.
    corrected
        (object, frame) that a person prompted or corrected.
    first, stop
        Range of frames that counts, as of a slice: the rest is held out.
    """

    name: str
    frames: Frames
    tracks: TrackedMovie
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
        """The frame after the last one that counts."""
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
        """(y, x) of each track by frame, within the range."""
        out: dict[int, dict[int, tuple[float, float]]] = {}
        for row in self.tracks.table.detections:
            if row["area"] and self.first <= row["frame"] < self.end:
                _, y, x = row["centroid"].tolist()
                out.setdefault(int(row["track"]), {})[int(row["frame"])] = y, x
        return out

    def part(self, first: int, stop: int, name: str) -> LabelledMovie:
        """Some frames of it; the files stay shared."""
        return LabelledMovie(name, self.frames, self.tracks, self.corrected, first, stop)

    def read(self, t: int) -> NDArray[np.int32]:
        """(Y, X) labels of a frame; those of frames read lately are not read again."""
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
        self._cache[t] = ids.astype(np.int32)
        if len(self._cache) > _KEPT:
            self._cache.popitem(last=False)
        return self._cache[t]


@dataclass(frozen=True, eq=False)
class Examples:
    """Windows are drawn from these movies.

    Attributes
    ----------
    movies
        At least one with `LabelledMovie.rows`.
    weight
        How many times as often a corrected object is drawn as another one.
    """

    movies: Sequence[LabelledMovie]
    weight: float = 4.0

    @cached_property
    def _odds(self) -> tuple[NDArray[np.int64], NDArray[np.float64]]:
        """(N, 2) movie and row of each example, and (N,) odds."""
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

    def draw(self, rng: Rng, n: int, how: Drawing) -> Sample:
        """A batch of ``n`` windows."""
        at, odds = self._odds
        drawn: list[tuple[NDArray[np.uint8], NDArray[np.bool_], NDArray[np.bool_]]] = []
        while len(drawn) < n:
            m, r = at[rng.choice(len(at), p=odds)]
            movie = self.movies[m]
            row = movie.rows[r]
            times = self._times(rng, movie, int(row["frame"]), how.n_frames)
            if times is None:
                continue
            found = cut_around(rng, _object(movie, row, times), how)
            if found is not None:
                images, masks, ids = found
                drawn.append((images, masks, _known(movie, ids, times)))
        images, masks, known = (np.concatenate([d[k] for d in drawn], 1) for k in (0, 1, 2))
        images = images.reshape(len(images), n, *drawn[0][0].shape[1:])
        return Sample(torch.from_numpy(images), torch.from_numpy(masks), torch.from_numpy(known))

    @staticmethod
    def _times(rng: Rng, movie: LabelledMovie, t: int, n: int) -> list[int] | None:
        """Frames of a sample from ``t`` on, in either direction; None if too few are left."""
        step = 1 if rng.random() < 0.5 else -1
        for s in (step, -step):
            last = t + s * (n - 1)
            if movie.first <= last < movie.end:
                return list(range(t, last + s, s))
        return None


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
    """(T, K) bool: where it is known whether the objects are there.

    Within a track: on its frames, and in its gaps. Before and after it an object may have left,
    divided, or not have been labelled.
    """
    places = (movie.places.get(i, {}) for i in ids.tolist())
    spans = [range(min(p), max(p) + 1) if p else range(0) for p in places]
    return np.array([[t in span for span in spans] for t in times])


# -- opening ---------------------------------------------------------------------------------------


def open_labelled(folder: Path) -> list[LabelledMovie]:
    """The movies with labels in a folder.

    Understood are a results folder of ``sam2track video`` (frames with prompts count as
    corrected), a Cell Tracking Challenge dataset (``01`` and ``01_ST`` or ``01_GT``), and files
    beside one another (``cells.tif`` and ``cells_labels.tif``, also ``_masks``, ``_seg``; TIFF,
    zarr, npy, and videos), or folders ``images`` and ``labels`` with files of the same names.

    Raises
    ------
    UsageError
        If there is none, or images and labels do not fit.
    Sam2TrackError
        If a file cannot be read.
    """
    if not folder.is_dir():
        raise UsageError(f"{folder} is no folder: give one with images and labels")
    if (folder / "session.json").is_file():
        return [_of_results(folder)]
    pairs = _challenge(folder) or _beside(folder)
    if not pairs:
        raise UsageError(
            f"{folder} holds no images with labels: neither a session.json of sam2track video, nor "
            "01 with 01_ST or 01_GT, nor NAME.tif with NAME_labels.tif, nor folders images and "
            "labels"
        )
    out: list[LabelledMovie] = []
    try:
        for images, labels in pairs:
            out.append(_opened(images, labels))
    except BaseException:
        for movie in out:
            movie.close()
        raise
    return out


def _opened(images: Path, labels: Path) -> LabelledMovie:
    frames = open_frames(images)
    try:
        tracks = open_tracks(labels, options=ReadParams(merges="cut"))
    except BaseException:
        frames.close()
        raise
    return _checked(LabelledMovie(images.name, frames, tracks), labels)


def _checked(movie: LabelledMovie, labels: Path) -> LabelledMovie:
    """The movie, if images and labels fit."""
    frames, table = movie.frames, movie.tracks.table
    size = (frames.n_frames, frames.height, frames.width)
    theirs = (table.n_frames, *table.frame_shape)
    reason = None
    if movie.tracks.labels is None:
        reason = f"{labels} holds places of objects but no masks"
    elif size != theirs:
        reason = f"{labels} has (T, Y, X) {theirs} and its images have {size}"
    if reason is not None:
        movie.close()
        raise UsageError(f"{reason}; a model is trained on a mask of every object that is shown")
    return movie


def _of_results(folder: Path) -> LabelledMovie:
    """What ``sam2track video`` wrote."""
    path = folder / "session.json"
    session = read_session(path)
    where = movie_of_session(session, path)
    if where is None:
        raise FramesError(
            f"the movie {session.source} of {path} is not there any more; put it beside the session"
        )
    if not any((folder / name).exists() for name in LABELS.values()):
        raise UsageError(f"{folder} holds no labels yet: let sam2track video finish first")
    asked = session.frames
    frames = open_frames(where, asked.axes, asked.channel, asked.intensity, asked.z)
    try:
        tracks = open_tracks(folder, options=ReadParams(merges="cut"))
    except BaseException:
        frames.close()
        raise
    corrected = frozenset(session.prompt_set())
    return _checked(LabelledMovie(folder.name, frames, tracks, corrected), folder)


def _challenge(folder: Path) -> list[tuple[Path, Path]]:
    """Sequences of a Cell Tracking Challenge dataset; silver truth before gold, which is sparse."""
    out = []
    for images in sorted(folder.iterdir()):
        if not (images.is_dir() and images.name.isdigit()):
            continue
        for kind in ("ST", "GT"):
            tracks = folder / f"{images.name}_{kind}" / "TRA"
            if tracks.is_dir():
                out.append((images, tracks.parent))
                break
    return out


def _beside(folder: Path) -> list[tuple[Path, Path]]:
    """Files with labels beside them, or in folders of their own."""
    inner = folder / "images", folder / "labels"
    if all(f.is_dir() for f in inner):
        theirs = {p.stem: p for p in inner[1].iterdir() if p.suffix.lower() in _IMAGES}
        known = [p for p in sorted(inner[0].iterdir()) if p.suffix.lower() in _IMAGES]
        return [(p, theirs[p.stem]) for p in known if p.stem in theirs]
    files = {p.stem: p for p in sorted(folder.iterdir()) if p.suffix.lower() in _IMAGES}
    out = []
    for stem, path in files.items():
        labels = next((files[stem + end] for end in _LABELS if stem + end in files), None)
        if labels is not None:
            out.append((path, labels))
    return out


def split(
    movies: Sequence[LabelledMovie], part: float
) -> tuple[list[LabelledMovie], list[LabelledMovie]]:
    """Movies to train on, and to see how good the model is: whole ones, the last by name.

    Of a single movie the last frames are held out.

    Parameters
    ----------
    part
        About how much is held out, 0 to 1.
    """
    if len(movies) > 1:
        n = max(1, round(part * len(movies)))
        return list(movies[:-n]), list(movies[-n:])
    (movie,) = movies
    at = movie.end - max(1, round(part * (movie.end - movie.first)))
    return (
        [movie.part(movie.first, at, f"{movie.name}, frames {movie.first} to {at - 1}")],
        [movie.part(at, movie.end, f"{movie.name}, frames {at} to {movie.end - 1}")],
    )
