"""A movie that is read lazily, stopped on the way, and gone on with from its folder."""

from pathlib import Path
from tempfile import mkdtemp

import numpy as np
import zarr

import napari_sam2track as st
from napari_sam2track.samples import centre_pixels, moving_cells

sample = moving_cells(n_frames=10, height=128, width=160, n_cells=3)
folder = Path(mkdtemp())
movie = zarr.create_array(str(folder / "movie.zarr"), data=sample.images_tyx, chunks=(1, 128, 160))
clicks = {i: [(0, y, x)] for i, (y, x) in centre_pixels(sample.labels_tyx[0]).items()}


def stop_after_four(steps, total, doing):
    for k, step in enumerate(steps):
        if k == 4:
            raise KeyboardInterrupt  # as Ctrl-C does
        yield step


try:
    st.follow(movie, points=clicks, out=folder / "results", progress=stop_after_four)
except KeyboardInterrupt:
    print("stopped")

with st.open_run(folder / "results", movie) as run:
    missing = int((run.states == "none").to_numpy().sum())
    run.resume()
    print(f"{missing} object-frames were missing; {np.unique(run.labels).tolist()} are there now")
print(sorted(path.name for path in (folder / "results").iterdir() if path.suffix))
