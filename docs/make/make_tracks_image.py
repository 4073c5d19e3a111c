"""Makes the README's picture of linking: labels without identity above, tracks below.

python docs/make/make_tracks_image.py docs/images/tracks.png
"""

from __future__ import annotations

import colorsys
import sys

import numpy as np
from PIL import Image

from napari_sam2track.labels import ArrayLabels
from napari_sam2track.linking import link_all
from napari_sam2track.params import LinkParams
from napari_sam2track.samples import growing_colony, shake
from napari_sam2track.tracks.lineage import lineage_ids
from napari_sam2track.tracks.tracked_movie import map_labels, relabelled_frames

FRAMES = (12, 19, 20, 33)


def main() -> None:
    sample = shake(growing_colony(34, 340, width=13, length=62, seed=4), jumps={20: (50, -45)})
    rng = np.random.default_rng(0)
    masks = np.zeros_like(sample.labels_tyx)
    for t, frame in enumerate(sample.labels_tyx):
        ids = np.unique(frame[frame > 0])
        masks[t] = map_labels(frame, ids, rng.permutation(len(ids)).astype(np.uint32) + 1)
    table = link_all(ArrayLabels(masks), LinkParams())
    tracked = relabelled_frames(ArrayLabels(masks), table)

    grey = np.linspace(90, 240, int(masks.max()))
    before = np.concatenate([np.zeros((1, 3)), np.repeat(grey[:, None], 3, 1)]).astype(np.uint8)
    after = np.zeros((table.max_id + 1, 3), np.uint8)
    family = lineage_ids(table.ids.tolist(), table.parents)
    founders = sorted(set(family.values()))
    for track in table.ids.tolist():
        hue = founders.index(family[track]) / len(founders) + 0.35 * rng.random() / len(founders)
        rgb = colorsys.hls_to_rgb(hue, rng.uniform(0.4, 0.75), 0.8)
        after[track] = [round(255 * v) for v in rgb]
    rows = [
        np.concatenate(
            [
                np.pad(colours[read(t)], ((0, 4), (0, 4), (0, 0)), constant_values=255)
                for t in FRAMES
            ],
            1,
        )
        for colours, read in ((before, masks.__getitem__), (after, tracked.read))
    ]
    picture = Image.fromarray(np.concatenate(rows)[:-4, :-4])
    height = round(picture.height * 1200 / picture.width)
    picture.resize((1200, height), Image.Resampling.LANCZOS).save(sys.argv[1], optimize=True)
    print(f"{table.n_tracks} tracks, {len(table.parents) // 2} divisions")


if __name__ == "__main__":
    main()
