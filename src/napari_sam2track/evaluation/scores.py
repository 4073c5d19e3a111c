"""All scores of a result against the truth."""

from __future__ import annotations

import shutil
from dataclasses import dataclass, replace
from importlib.metadata import version
from pathlib import Path

import numpy as np

from napari_sam2track.errors import FormatError
from napari_sam2track.evaluation.mean_j import mean_j
from napari_sam2track.evaluation.packages import (
    CTC_METRICS,
    check_installed,
    ctc_scores,
    division_scores,
)
from napari_sam2track.formats.tracks_files import write_tracks
from napari_sam2track.params import WriteParams
from napari_sam2track.progress import ProgressHook, no_progress
from napari_sam2track.storage.scratch import scratch_folder
from napari_sam2track.tracks.table import TrackTable
from napari_sam2track.tracks.tracked_movie import TrackedMovie


@dataclass(frozen=True, slots=True)
class Score:
    """A score, its meaning and its package.

    Attributes
    ----------
    name
        Name for people: TRA, division F1, J.
    value
        0 (bad) to 1 (good); NaN if there is nothing to score.
    package
        Name and version of the package that computed it.
    meaning
        Its meaning, in a few words.
    """

    name: str
    value: float
    package: str
    meaning: str


_MEANINGS = {
    "DET": "objects",
    "SEG": "masks",
    "TRA": "objects and links",
    "LNK": "links",
    "CHOTA": "objects, links, lineages",
    "division precision": "right ones of those found",
    "division recall": "found ones of those true",
    "division F1": "both, in the same frame",
    "division F1 ±1": "both, a frame off or less",
    "J": "masks of each track",
}


def evaluate(
    found: TrackedMovie,
    truth: TrackedMovie,
    seg: Path | None = None,
    progress: ProgressHook = no_progress,
) -> list[Score]:
    """Score a result.

    Both are written as folders of the Cell Tracking Challenge into a temporary place, since that
    is what the packages read; they hold the whole movie in memory.

    Parameters
    ----------
    found, truth
        Tracks with labels.
    seg
        A folder with ``man_seg*.tif`` for SEG; the truth's own masks if None.
    progress
        Shows progress.

    Raises
    ------
    UsageError
        If the packages are not installed.
    FormatError
        If the two are not of one size, one has no masks, or one has no tracks.
    """
    check_installed()
    sizes = [(m.table.n_frames, *m.table.frame_shape) for m in (found, truth)]
    if sizes[0] != sizes[1]:
        raise FormatError(
            f"the result has {sizes[0][0]} frames of {sizes[0][1:]} pixels and the truth "
            f"{sizes[1][0]} of {sizes[1][1:]}: compare results of the same movie"
        )
    for name, movie in (("result", found), ("truth", truth)):
        if movie.labels is None or movie.table.n_tracks == 0:
            what = "no masks" if movie.labels is None else "no tracks"
            raise FormatError(
                f"the {name} has {what}, so it cannot be scored; give tracked labels (a Cell "
                "Tracking Challenge folder, TIFF, OME-Zarr or GEFF with labels)"
            )
    assert found.labels is not None  # as just seen
    assert truth.labels is not None
    scores = []
    with scratch_folder("sam2track-evaluate") as folder:
        result, true = folder / "01_RES", folder / "01_GT"
        options = WriteParams(renumber=True)
        for path, movie in ((result, found), (true / "TRA", truth)):
            plain = replace(movie, provenance={})
            write_tracks(path, plain, format="ctc", options=options, progress=progress)
        _put_seg(true, seg)
        for package, figures in (
            ("py-ctcmetrics", ctc_scores(result, true, _possible(truth.table))),
            ("traccuracy", division_scores(result, true)),
        ):
            source = f"{package} {version(package)}"
            scores += [Score(k, v, source, _MEANINGS[k]) for k, v in figures.items()]
    j, _ = mean_j(found.labels, truth.labels, progress)
    ours = f"napari-sam2track {version('napari-sam2track')}"
    return [*scores, Score("J", j, ours, _MEANINGS["J"])]


def _possible(truth: TrackTable) -> tuple[str, ...]:
    """Return the metrics at which py-ctcmetrics does not fail without links or a second frame.

    CHOTA fails where a frame of the truth is empty.
    """
    if truth.n_links or truth.parents:
        empty = len(np.unique(truth.detections["frame"])) < truth.n_frames
        return tuple(name for name in CTC_METRICS if not empty or name != "CHOTA")
    return ("DET", "SEG") if truth.n_frames > 1 else ("SEG",)


def _put_seg(true: Path, seg: Path | None) -> None:
    """Put the masks for SEG beside those for TRA, under the names of the challenge."""
    folder = true / "SEG"
    folder.mkdir()
    if seg is not None:
        files = sorted(seg.glob("man_seg*.tif"))
        if not files:
            raise FormatError(f"{seg} holds no man_seg*.tif; give the SEG folder of a ground truth")
        for path in files:
            shutil.copy(path, folder / path.name)
        return
    for path in sorted((true / "TRA").glob("man_track*.tif")):
        shutil.copy(path, folder / path.name.replace("man_track", "man_seg"))
