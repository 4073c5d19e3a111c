"""The training set: clips with truth, made from a seed and kept on disk.

Made before the training, since a generator beside it would halve its speed.
"""

from __future__ import annotations

import json
import multiprocessing
from collections import defaultdict
from dataclasses import asdict, dataclass
from functools import partial
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from napari_sam2track.training.synthetic.rendering import LOOKS, UNSEEN_LOOKS, render
from napari_sam2track.training.synthetic.scene import Scene, outlined
from napari_sam2track.training.synthetic.shapes import family, make_scene

#: Bumped whenever the generator changes, so that a cached set is not taken for a new one.
RECIPE = 4


@dataclass(frozen=True)
class ClipSet:
    """Number of clips, their size and length, and the seed that they come from.

    ``unseen`` paints them in the looks that training does not show.
    """

    n_clips: int
    n_frames: int = 12
    size: int = 256
    seed: int = 0
    unseen: bool = False


@dataclass(frozen=True, eq=False)
class Clips:
    """Clips of a set, memory-mapped.

    Attributes
    ----------
    images
        Shape (N, T, S, S, 3), uint8.
    labels
        Shape (N, T, S, S), uint8.
    ended
        Shape (N, 256), int16: per id the frame from which its identity is undefined.
    """

    images: NDArray[np.uint8]
    labels: NDArray[np.uint8]
    ended: NDArray[np.int16]

    def __len__(self) -> int:
        return len(self.images)


def make_clip(
    index: int, spec: ClipSet
) -> tuple[NDArray[np.uint8], NDArray[np.uint8], NDArray[np.int16], str]:
    """Make clip ``index``: images (T, S, S, 3), labels (T, S, S), ended (256,), its kind."""
    rng = np.random.default_rng([spec.seed, index])
    scene: Scene = make_scene(rng, spec.n_frames, spec.size)
    ended = np.full(256, spec.n_frames, np.int16)
    ended[: len(scene.ended_n)] = scene.ended_n[:256]
    return render(rng, scene, spec.unseen), outlined(rng, scene), ended, scene.kind


def describe(clips: Clips, spec: ClipSet) -> dict[str, object]:
    """Describe a set as plain values: its card.

    Counts visible objects: one that is hidden by others on a frame counts as gone from it.
    """
    families: dict[str, int] = defaultdict(int)
    totals: dict[str, int] = defaultdict(int)
    areas: list[NDArray[np.int64]] = []
    for k in range(len(clips)):
        families[family(np.random.default_rng([spec.seed, k]))] += 1
        labels = np.asarray(clips.labels[k])
        area = np.stack([np.bincount(frame.ravel(), minlength=256) for frame in labels])[:, 1:]
        seen, ended = area > 0, clips.ended[k][1:]
        divided = (ended < len(labels)) & seen.any(0)
        after = np.arange(len(labels))[:, None] >= ended
        gone = ~seen & ~after & (np.cumsum(seen, 0) > 0)
        totals["objects"] += int(seen.any(0).sum())
        totals["masks"] += int(seen.sum())
        totals["that divide"] += int(divided.sum())
        totals["that are gone from a later frame"] += int(gone.any(0).sum())
        totals["that come back"] += int((gone[:-1] & seen[1:]).any(0).sum())
        areas.append(area[seen])
    quarters = np.percentile(np.concatenate(areas), (5, 25, 50, 75, 95)).astype(int).tolist()
    looks = list(UNSEEN_LOOKS) if spec.unseen else [*LOOKS, "colour"]
    return {
        "clips": len(clips),
        "frames": int(clips.labels.shape[1]),
        "side": int(clips.labels.shape[2]),
        "seed": spec.seed,
        "families": dict(sorted(families.items())),
        "looks": looks,
        **totals,
        "areas in pixels, 5 25 50 75 95 %": quarters,
        "real images": 0,
    }


def open_clips(folder: Path, spec: ClipSet, workers: int = 1) -> Clips:
    """Return the clips of a set, made first if the folder does not hold them yet."""
    card = json.dumps({"recipe": RECIPE, **asdict(spec)})
    done = folder / "set.json"
    if not (done.exists() and done.read_text() == card):
        _make(folder, spec, workers)
        done.write_text(card)
    return Clips(
        *(np.load(folder / f"{n}.npy", mmap_mode="r") for n in ("images", "labels", "ended"))
    )


def _make(folder: Path, spec: ClipSet, workers: int) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    shape = (spec.n_clips, spec.n_frames, spec.size, spec.size)
    create = partial(np.lib.format.open_memmap, mode="w+")
    images = create(folder / "images.npy", dtype=np.uint8, shape=(*shape, 3))
    labels = create(folder / "labels.npy", dtype=np.uint8, shape=shape)
    ended = create(folder / "ended.npy", dtype=np.int16, shape=(spec.n_clips, 256))
    # spawn: the caller may have started threads of torch, which a fork would not survive
    with multiprocessing.get_context("spawn").Pool(workers) as pool:
        clips = pool.imap(partial(make_clip, spec=spec), range(spec.n_clips), chunksize=4)
        for k, (im, lab, end, _) in enumerate(clips):
            images[k], labels[k], ended[k] = im, lab, end
    for array in (images, labels, ended):
        array.flush()
