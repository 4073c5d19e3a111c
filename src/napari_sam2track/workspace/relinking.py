"""Linking of labels in the workspace: the ids that the tracks get, and annotations that follow."""

from __future__ import annotations

from collections.abc import Collection, Generator, Mapping
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from napari_sam2track.errors import EditError
from napari_sam2track.labels import LabelFrames
from napari_sam2track.linking import Linker, connected_parts, locked_links, separate
from napari_sam2track.params import LinkParams
from napari_sam2track.prompts import Prompt, PromptSet
from napari_sam2track.prompts.values import Key
from napari_sam2track.tracks.table import TrackTable
from napari_sam2track.tracks.tracked_movie import map_labels
from napari_sam2track.workspace.annotations import Annotations
from napari_sam2track.workspace.frame_sets import FrameSets


@dataclass(frozen=True, eq=False)
class Linked:
    """Result of linking; nothing is written yet.

    Attributes
    ----------
    split
        Whether the connected parts of the labels were linked, not the labels.
    table
        Tracks with their final ids and parents; ``label`` is that of the linked object.
    ids
        (label of the layer, frame) to the id that it has now; of several parts the largest.
    """

    split: bool
    table: TrackTable
    ids: Mapping[Key, int]

    def changes(self, t: int) -> bool:
        """Return whether frame ``t`` may get other ids than it has."""
        labels, tracks = self.table.frame_map(t)
        return self.split or not np.array_equal(labels, tracks)

    def renamed(self, t: int, old: NDArray[np.uint32]) -> NDArray[np.uint32]:
        """Return frame ``t`` with the ids of the tracks, made of its present labels."""
        masks = connected_parts(old) if self.split else old
        return map_labels(masks, *self.table.frame_map(t))


def link_steps(
    labels: LabelFrames,
    params: LinkParams,
    before: TrackTable,
    locked: Collection[int],
    first_new: int,
    prompted: bool,
) -> Generator[tuple[int, int] | Linked, None, None]:
    """Link labels frame by frame, for another thread; they are read only.

    Parameters
    ----------
    labels
        Their values need not agree between frames.
    params
        See there.
    before
        The tracks as they are now.
    locked
        Tracks that keep their links.
    first_new
        Tracks that cannot keep an id get this one, and those after it.
    prompted
        Whether there are prompts: one prompted object looks like a binary mask, and is
        none.

    Yields
    ------
    (done, total) frames, and in the end the result.

    Raises
    ------
    UsageError
        If the locked links cannot all hold.
    """
    binary = "no" if prompted and params.binary == "auto" else params.binary
    frames, split = separate(labels, binary)
    there = set(before.ids.tolist())
    links = [] if split else locked_links(before, set(locked) & there)
    linker = Linker(params, links)
    for t in range(frames.n_frames):
        linker.step(t, frames.read(t))
        yield t + 1, frames.n_frames
    table = linker.table(frames.n_frames, frames.frame_shape)
    value = next(iter(sorted(there)), 1)  # of binary masks, which have no other
    rows = table.detections
    old = np.full(len(rows), value, np.uint32) if split else rows["label"]
    ids = keep_ids(rows["track"], old, rows["frame"], first_new)
    yield Linked(split, _renamed(table, ids), _by_label(rows, old, ids))


def keep_ids(
    tracks: NDArray[np.uint32], old: NDArray[np.uint32], frames: NDArray[np.int64], first_new: int
) -> dict[int, int]:
    """Return the id of each track: the one that most of its detections had before.

    Where several tracks want one id, it goes to the one with most detections of that id, then to
    the earlier one, and the others get new ids.

    Parameters
    ----------
    tracks, old, frames
        Of each detection: its track, its id before, its frame; shape (n,).
    first_new
        The first new id.
    """
    counts: dict[int, dict[int, int]] = {}
    begins: dict[int, int] = {}
    order = np.lexsort((frames, tracks))
    for track, i, t in zip(*(a[order].tolist() for a in (tracks, old, frames)), strict=True):
        mine = counts.setdefault(track, {})
        mine[i] = mine.get(i, 0) + 1
        begins.setdefault(track, t)
    # Of equal counts the id that comes first in time: dicts keep the order of entry.
    wanted = {track: max(mine, key=lambda i: mine[i]) for track, mine in counts.items()}
    ids: dict[int, int] = {}
    taken: set[int] = set()
    for track in sorted(wanted, key=lambda k: (-counts[k][wanted[k]], begins[k], k)):
        if wanted[track] not in taken:
            ids[track] = wanted[track]
            taken.add(wanted[track])
    new = first_new
    for track in sorted(wanted):
        if track not in ids:
            ids[track], new = new, new + 1
    return ids


def check_ids(table: TrackTable, max_id: int) -> None:
    """Refuse tracks whose ids do not fit the labels.

    Raises
    ------
    EditError
        If one does not.
    """
    if table.max_id > max_id:
        raise EditError(
            f"linking needs ids up to {table.max_id}, and these labels hold ids up to {max_id}; "
            "convert the layer to 32 bits, or number the tracks anew"
        )


def annotations_after(annotations: Annotations, ids: Mapping[Key, int]) -> Annotations:
    """Return the annotations with the ids after linking.

    Annotations of a label on a frame go to the id that this label has there now; where it is
    not drawn, to the id that it has on the frame nearest in time. Wherever an id differs from
    before, both are kept as they are now: runs know the old ids only.

    Parameters
    ----------
    annotations
        Annotations before linking.
    ids
        (label, frame) to its id now, for all that is drawn.
    """
    frames: dict[int, list[int]] = {}
    for i, t in ids:
        frames.setdefault(i, []).append(t)

    def now(i: int, t: int) -> int:
        if (i, t) in ids or i not in frames:
            return ids.get((i, t), i)
        return ids[i, min(frames[i], key=lambda u: (abs(u - t), u))]

    prompts: dict[Key, Prompt] = {}
    for (i, t), prompt in annotations.prompts.items():
        key = now(i, t), t
        prompts[key] = prompts[key].merged(prompt) if key in prompts else prompt
    both: list[dict[int, set[int]]] = []
    for pairs in (annotations.kept, annotations.approved):
        moved: dict[int, set[int]] = {}
        for i, each in pairs.items():
            for t in each:
                moved.setdefault(now(i, t), set()).add(t)
        both.append(moved)
    kept, approved = both
    for (i, t), new in ids.items():
        if new != i:
            kept.setdefault(new, set()).add(t)
            kept.setdefault(i, set()).add(t)
    return Annotations(PromptSet(prompts), FrameSets(kept), FrameSets(approved))


def _renamed(table: TrackTable, ids: Mapping[int, int]) -> TrackTable:
    rows = table.detections.copy()
    rows["track"] = [ids[i] for i in rows["track"].tolist()]
    return replace(
        table, detections=rows, parents={ids[c]: ids[p] for c, p in table.parents.items()}
    )


def _by_label(
    rows: NDArray[np.void], old: NDArray[np.uint32], ids: Mapping[int, int]
) -> dict[Key, int]:
    by_area = np.argsort(rows["area"], kind="stable")  # the largest is entered last
    keys = zip(old[by_area].tolist(), rows["frame"][by_area].tolist(), strict=True)
    tracks = rows["track"][by_area].tolist()
    return {key: ids[track] for key, track in zip(keys, tracks, strict=True)}
