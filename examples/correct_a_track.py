"""A correction computes what it touches and nothing else; undo takes it back."""

import numpy as np

import napari_sam2track as st
from napari_sam2track.samples import centre_pixels, moving_cells

sample = moving_cells(n_frames=8, height=128, width=160, n_cells=4)
clicks = {i: [(0, y, x)] for i, (y, x) in centre_pixels(sample.labels_tyx[0]).items()}

with st.follow(sample.images_tyx, points=clicks) as run:
    before = np.asarray(run.labels)
    run.correct(2, 4, mask=sample.labels_tyx[4] == 2)  # what a person painted on frame 4
    after = np.asarray(run.labels)
    changed = np.flatnonzero((before != after).any(axis=(1, 2)))
    print(f"frames that changed: {changed.tolist()} (4 and later, of object 2)")
    others = (before != 2) & (after != 2)
    print(f"other objects changed: {bool((before != after)[others].any())}")
    run.undo()
    print(f"undone: {np.array_equal(before, run.labels)}")
