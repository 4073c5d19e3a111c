"""Edits are values: made, undone, done again, and saved to any format."""

from pathlib import Path
from tempfile import mkdtemp

import napari_sam2track as st
from napari_sam2track.samples import growing_colony

with st.link(growing_colony().labels_tyx) as tracks:
    first, second = tracks.table["track_id"].unique()[:2].tolist()
    tracks.history.do(st.Split(first, 3))  # from frame 3 on it is another track
    new = max(tracks.table["track_id"])
    tracks.history.do(st.SetParent(new, second))
    print(f"parents of {new}: {tracks.parents[new]}")
    tracks.history.undo()
    tracks.history.redo()
    out = Path(mkdtemp()) / "edited.json"
    tracks.save(out)

with st.open_tracks(out) as again:
    print(f"saved and opened: parent of {new} is {again.parents[new]}")
