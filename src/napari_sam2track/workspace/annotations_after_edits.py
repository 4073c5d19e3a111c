"""Annotations follow the ids: what an edit of tracks changes in prompts and kept frames.

Without that, the next run would bring the old identity back. Frames that an edit touched are kept
from then on; where a track continues under another id, that one gets its mask there as a
prompt, so that runs continue from it.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace

import numpy as np

from napari_sam2track.masks import Mask
from napari_sam2track.prompts import Prompt
from napari_sam2track.tracks.editing.changes import Change
from napari_sam2track.tracks.editing.edits import Delete, Divide, Merge, Relabel, Split, Swap
from napari_sam2track.tracks.editing.part_in_two import PartInTwo
from napari_sam2track.tracks.editing.track_state import Edit, TrackState
from napari_sam2track.workspace.annotations import Annotations


def follow(
    annotations: Annotations, edits: Iterable[Edit], changes: Iterable[Change], state: TrackState
) -> Annotations:
    """Return the annotations after edits.

    Parameters
    ----------
    annotations
        Annotations before the edits.
    edits, changes
        The edits, and what each of them changed.
    state
        The tracks after the edits.
    """
    n = state.labels.n_frames
    for edit, change in zip(edits, changes, strict=True):
        ours = set(annotations.prompts.objects)
        pins: list[tuple[int, int]] = []
        begun: list[tuple[int, int]] = []
        match edit:
            case Relabel(old=old, new=new):
                annotations = annotations.moved(old, new)
            case Merge(a=a, b=b):
                pins = [(a, min(_frames_of(change, b), default=n))] if {a, b} & ours else []
                annotations = annotations.moved(b, a)
            case Split(track=track, frame=frame) | Divide(track=track, frame=frame):
                new = _new_id(change)
                annotations = _keep(
                    annotations.moved(track, new, set(range(frame, n))), track, range(frame, n)
                )
                annotations = _keep(annotations, new, range(frame))  # the track is not there before
                pins = [(new, frame)] if track in ours else []
            case PartInTwo(track=track, frame=frame, prompted=prompted):
                new = _new_id(change)
                tail = range(frame, n)
                annotations = _keep(annotations.without(track, set(tail)), track, tail)
                begun = [(new - 1, frame), (new, frame)] if prompted or track in ours else []
            case Swap(a=a, b=b, frame=frame):
                annotations = _exchanged(annotations, a, b, set(range(frame, n)))
                pins = [(i, frame) for i in (a, b)] if {a, b} & ours else []
            case Delete(track=track, start=None, stop=None):
                annotations = annotations.without(track)
            case Delete(track=track, start=start, stop=stop):
                gone = range(start or 0, n if stop is None else stop + 1)
                annotations = _keep(annotations.without(track, set(gone)), track, gone)
        for patch in change.patches:
            for ids in (patch.old, patch.new):
                for i in set(np.unique(ids).tolist()) - {0}:
                    if i in state.places or i in annotations.prompts.objects:
                        annotations = _keep(annotations, i, [patch.frame])
        for track, frame in pins:
            annotations = _pinned(annotations, state, track, frame)
        for track, frame in begun:  # runs follow them from there, over drawn pixels
            annotations = annotations.prompted(
                annotations.prompts.put(track, frame, mask_prompt(state, track, frame))
            )
            annotations = _keep(annotations, track, range(frame))  # the track is not there before
    return annotations


def mask_prompt(state: TrackState, track: int, frame: int) -> Prompt:
    """Return the mask of a track on a frame, as a prompt."""
    box, mask = state.mask(track, frame)
    return Prompt(mask=Mask(mask, int(box[-2].start), int(box[-1].start)))


def _keep(annotations: Annotations, track: int, frames: Iterable[int]) -> Annotations:
    return replace(annotations, kept=annotations.kept.plus(track, frames))


def _pinned(annotations: Annotations, state: TrackState, track: int, frame: int) -> Annotations:
    """Return annotations with a track's mask as a prompt on its first frame from ``frame`` on."""
    later = [t for t in state.places.frames(track) if t >= frame]
    if not later or (track, later[0]) in annotations.prompts:
        return annotations
    prompt = mask_prompt(state, track, later[0])
    return replace(annotations, prompts=annotations.prompts.put(track, later[0], prompt))


def _exchanged(annotations: Annotations, a: int, b: int, frames: set[int]) -> Annotations:
    aside = 0xFFFFFFFF
    for old, new in ((a, aside), (b, a), (aside, b)):
        annotations = annotations.moved(old, new, frames)
    return annotations


def _new_id(change: Change) -> int:
    return int(max(np.max(patch.new) for patch in change.patches))


def _frames_of(change: Change, track: int) -> list[int]:
    return [p.frame for p in change.patches if (np.asarray(p.old) == track).any()]
