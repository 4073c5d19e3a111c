"""Finds the movies and their labels in folders of users."""

from __future__ import annotations

import re
from pathlib import Path

import numpy as np

from napari_sam2track.errors import FramesError, UsageError
from napari_sam2track.formats.labels.open_labels import open_labels
from napari_sam2track.formats.tracks_files import open_tracks
from napari_sam2track.frames import open_movie
from napari_sam2track.params import FramesParams, ReadParams
from napari_sam2track.session.results_folder import LABELS
from napari_sam2track.session.session_file import movie_of_session, read_session
from napari_sam2track.training.labelled import LabelledMovie

_IMAGES = (".tif", ".tiff", ".png", ".zarr", ".npy", ".mp4", ".avi")
_LABELS = ("_labels", ".labels", "_label", "_masks", "_mask", "_seg", "-labels", " [labels]")
#: Part of the area of the masks: labels that cover less are taken for markers.
_MARKER = 0.6


def open_labelled(folder: Path, asked: FramesParams | None = None) -> list[LabelledMovie]:
    """Open the movies with labels in a folder.

    Understood are a results folder of ``sam2track video`` (frames with prompts count as
    corrected), a Cell Tracking Challenge dataset (``01`` and ``01_ST/SEG`` or ``01_GT/TRA``), and
    files beside one another (``cells.tif`` and ``cells_labels.tif``, also ``_masks``, ``_seg``;
    TIFF, PNG, zarr, npy, videos, and folders with a file for each frame), or folders ``images`` and
    ``labels`` with such of the same names.

    Parameters
    ----------
    asked
        Choice of axes and channels of the images; results of ours have it themselves.

    Raises
    ------
    UsageError
        If there is none, images and labels do not fit, or labels are markers.
    Sam2TrackError
        If a file cannot be read.
    """
    if not folder.is_dir():
        raise UsageError(f"{folder} is no folder: give one with images and labels")
    if (folder / "session.json").is_file():
        return [_of_results(folder)]
    pairs = _challenge(folder) or _in_folders(folder) or _beside(folder)
    if not pairs:
        raise UsageError(
            f"{folder} holds no images with labels: neither a session.json of sam2track video, nor "
            "01 with 01_ST/SEG or 01_GT/TRA, nor NAME.tif with NAME_labels.tif, nor folders images "
            "and labels with files of the same names"
        )
    out: list[LabelledMovie] = []
    try:
        for images, labels in pairs:
            out.append(_opened(images, labels, asked or FramesParams()))
    except BaseException:
        for movie in out:
            movie.close()
        raise
    return out


def _opened(
    images: Path,
    labels: Path,
    asked: FramesParams,
    name: str | None = None,
    corrected: frozenset[tuple[int, int]] = frozenset(),
) -> LabelledMovie:
    """Open the movie, if images and labels fit; named as its images if not otherwise."""
    frames = open_movie(images, asked)
    try:
        tracks = open_tracks(labels, options=ReadParams(merges="cut"))
    except BaseException:
        frames.close()
        raise
    movie = LabelledMovie(name or images.name, frames, tracks, images, corrected)
    table = tracks.table
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
    """Open a folder of results of ``sam2track video``."""
    path = folder / "session.json"
    session = read_session(path)
    where = movie_of_session(session, path)
    if where is None:
        raise FramesError(
            f"the movie {session.source} of {path} is not there any more; put it beside the session"
        )
    if not any((folder / name).exists() for name in LABELS.values()):
        raise UsageError(f"{folder} holds no labels yet: let sam2track video finish first")
    corrected = frozenset(session.prompt_set())
    return _opened(where, folder, session.frames, folder.name, corrected)


def _challenge(folder: Path) -> list[tuple[Path, Path]]:
    """Return sequences of a Cell Tracking Challenge dataset: silver truth, or gold if of masks."""
    out = []
    for images in sorted(folder.iterdir()):
        if not (images.is_dir() and images.name.isdigit()):
            continue
        silver, gold = (folder / f"{images.name}_{kind}" for kind in ("ST", "GT"))
        if (silver / "SEG").is_dir():
            out.append((images, silver / "SEG"))
        elif (gold / "TRA").is_dir():
            _refuse_markers(gold)
            out.append((images, gold))
    return out


def _refuse_markers(gold: Path) -> None:
    """Compare the markers of tracks with the masks of the same frames, where there are some."""
    marks = {p.stem.removeprefix("man_track"): p for p in (gold / "TRA").glob("man_track*.tif")}
    for path in sorted((gold / "SEG").glob("man_seg*.tif")):
        number = path.stem.removeprefix("man_seg")
        if number not in marks:
            continue  # man_seg_TTT_ZZZ: a plane of a volume
        masks, marked = (np.asarray(open_labels(p).read(0)) for p in (path, marks[number]))
        if masks.shape == marked.shape and masks.any():
            part = np.count_nonzero(marked) / np.count_nonzero(masks)
            if part < _MARKER:
                raise UsageError(
                    f"{gold / 'TRA'} holds markers, not masks: on frame {number} they cover "
                    f"{part:.0%} of what {path.name} outlines, and a model would learn to paint "
                    f"markers; put the silver truth beside ({gold.name[:-3]}_ST/SEG), or give "
                    "stacks with whole masks"
                )
            return


def _in_folders(folder: Path) -> list[tuple[Path, Path]]:
    """Return pairs of the same name in the folders of images and of labels."""
    inner = folder / "images", folder / "labels"
    if not all(f.is_dir() for f in inner):
        return []
    known, theirs = ({_stem(p): p for p in _files_in(f)} for f in inner)
    return [(path, theirs[stem]) for stem, path in known.items() if stem in theirs]


def _beside(folder: Path) -> list[tuple[Path, Path]]:
    """Return files with their labels beside them."""
    files = {_stem(p): p for p in _files_in(folder)}
    out = []
    for stem, path in files.items():
        labels = next((files[stem + end] for end in _LABELS if stem + end in files), None)
        if labels is not None:
            out.append((path, labels))
    return out


def _files_in(folder: Path) -> list[Path]:
    """Return movies and stacks; folders may be movies with a file for each frame."""
    return [
        p
        for p in sorted(folder.iterdir())
        if not p.name.startswith(".") and (p.suffix.lower() in _IMAGES or p.is_dir())
    ]


def _stem(path: Path) -> str:
    """Return the name without ``.tif``, ``.ome.tif``, ``.ome.zarr``."""
    return re.sub(r"\.ome$", "", path.stem)
