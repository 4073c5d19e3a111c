"""One click on each cell of the first frame, the whole movie followed, tracks saved."""

from pathlib import Path
from tempfile import mkdtemp

import napari_sam2track as st
from napari_sam2track.samples import centre_pixels, mean_overlap, moving_cells

sample = moving_cells(n_frames=10, height=160, width=200, n_cells=5)
clicks = {i: [(0, y, x)] for i, (y, x) in centre_pixels(sample.labels_tyx[0]).items()}

with st.follow(sample.images_tyx, points=clicks, direction="forward") as run:
    labels = run.labels  # reads a frame when it is asked for
    print(run.table.groupby("state").size().to_string())
    print(f"overlap with the truth: {mean_overlap(sample.labels_tyx, labels[:]):.2f}")
    out = Path(mkdtemp()) / "tracks.geff"
    run.save(out)
    print(f"{len(clicks)} tracks: {out}")
