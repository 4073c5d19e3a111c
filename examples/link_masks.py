"""Masks of single frames, whose ids mean nothing, become tracks with parents."""

from pathlib import Path
from tempfile import mkdtemp

import numpy as np

import napari_sam2track as st
from napari_sam2track.samples import dividing_nuclei

truth = dividing_nuclei()
rng = np.random.default_rng(0)
masks = np.stack([np.append(0, rng.permutation(200) + 1)[frame] for frame in truth.labels_tyx])

with st.link(masks.astype(np.uint32), max_gap=2) as tracks:
    print(f"{tracks.table['track_id'].nunique()} tracks, {len(tracks.parents)} daughters")
    print(f"in the truth: {len(np.unique(truth.labels_tyx)) - 1} tracks")
    folder = Path(mkdtemp()) / "01_RES"
    tracks.save(folder)  # a Cell Tracking Challenge folder
    print(f"{len(list(folder.glob('*.tif')))} frames: {folder}")
