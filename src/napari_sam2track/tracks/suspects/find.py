"""Places where tracks are likely to be wrong, the likeliest first.

Most signs are in the table (gaps, begins and ends, jumps, divisions); overlap, parts and holes
are looked up in the masks. Every sign has a score from 0 (usual) to 1; those of a track in one
frame add up as independent chances would: 1 - (1 - a)(1 - b).
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np

from napari_sam2track.labels import LabelFrames, Scale
from napari_sam2track.params import SuspectParams
from napari_sam2track.progress import ProgressHook, no_progress
from napari_sam2track.tracks.suspects import signs
from napari_sam2track.tracks.suspects.mask_signs import look
from napari_sam2track.tracks.suspects.motion_signs import measure_motion
from napari_sam2track.tracks.suspects.signs import Sign
from napari_sam2track.tracks.table import TrackTable

#: Kinds of suspects.
KINDS = (
    *("lost", "end", "begin", "short", "jump", "area", "overlap", "parts", "holes"),
    *("division", "lineage", "border"),
)


@dataclass(frozen=True, slots=True)
class Suspect:
    """A track in a frame that should be checked.

    Attributes
    ----------
    track
        The track.
    frame
        The frame to look at.
    kinds
        Some of `KINDS`, the most suspicious first.
    score
        How suspicious it is, from 0 to 1.
    text
        The reasons in words, in the order of `kinds`.
    """

    track: int
    frame: int
    kinds: tuple[str, ...]
    score: float
    text: str


def find_suspects(
    table: TrackTable,
    labels: LabelFrames | None = None,
    params: SuspectParams | None = None,
    scale: Scale | None = None,
    progress: ProgressHook = no_progress,
) -> list[Suspect]:
    """Return all suspects of a movie.

    Parameters
    ----------
    table
        The tracks; ``label`` is not used.
    labels
        Their masks, read once, frame by frame; values are track ids. Without them, signs that
        need pixels are left out.
    params
        Thresholds.
    scale
        Size of a pixel; only its proportions matter.
    progress
        Shows progress: ``progress(items, total, doing)``.

    Returns
    -------
    list
        The worst first; then by track and frame.
    """
    params = params or SuspectParams()
    if len(table) == 0:
        return []
    motion = measure_motion(table, scale or Scale())
    found: list[Sign] = [
        *signs.jumps(table, motion, params),
        *signs.area_changes(table, motion, params),
        *signs.gaps(table),
        *signs.short_tracks(table, params),
        *signs.begins_and_ends(table, motion, params),
        *signs.divisions(table, motion, params),
        *signs.lineage_signs(table),
        *signs.border_contacts(table),
    ]
    if labels is not None:
        looks = look(labels, table, motion.guesses / motion.widths, progress)
        found += signs.overlaps(table, looks, params)
        found += signs.parts_and_holes(table, looks)
    return _ranked(found, params.min_score)


def _ranked(found: Iterable[Sign], min_score: float) -> list[Suspect]:
    """Signs of a track in one frame as one suspect, the worst first."""
    together: dict[tuple[int, int], list[Sign]] = {}
    for sign in found:
        together.setdefault((sign.track, sign.frame), []).append(sign)
    suspects = []
    for (track, frame), each in together.items():
        each.sort(key=lambda sign: (-sign.score, sign.kind))
        score = 1 - float(np.prod([1 - sign.score for sign in each]))
        if score >= min_score:
            kinds = tuple(sign.kind for sign in each)
            text = "; ".join(sign.text for sign in each)
            suspects.append(Suspect(track, frame, kinds, round(score, 4), text))
    return sorted(suspects, key=lambda s: (-s.score, s.track, s.frame))
