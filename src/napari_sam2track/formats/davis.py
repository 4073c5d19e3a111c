"""DAVIS folders: ``00000.png`` and so on, with a palette; the index is the object, 255 is void."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from napari_sam2track.formats.conversions import measured, table_from, with_notes
from napari_sam2track.formats.labels.label_notes import PROVENANCE, make_note, note_in_text
from napari_sam2track.formats.labels.label_writers import checked_frames
from napari_sam2track.formats.labels.open_labels import open_labels
from napari_sam2track.labels import MappedFrames, Scale
from napari_sam2track.params import ReadParams, WriteParams
from napari_sam2track.progress import ProgressHook
from napari_sam2track.storage.output import atomic_path
from napari_sam2track.tracks.tracked_movie import TrackedMovie

VOID = 255


def _without_void(_: int, labels: NDArray[np.uint32]) -> NDArray[np.uint32]:
    labels[labels == VOID] = 0
    return labels


def read(path: Path, options: ReadParams, progress: ProgressHook) -> TrackedMovie:
    """Read a folder of palette images; void becomes background.

    Raises
    ------
    FormatError
        If there are none, frames are missing, or an image cannot be read.
    """
    from PIL import Image

    stack = open_labels(path, gaps=options.gaps, one_a_frame=True)
    labels = MappedFrames(stack, _without_void)
    rows = measured(labels, progress)
    table = table_from(rows, labels.n_frames, labels.frame_shape, {}, str(path))
    with Image.open(stack.frame_name(0)) as image:
        text = image.info.get(PROVENANCE, "")
    note = note_in_text(text if isinstance(text, str) else "")
    provenance = with_notes(note.provenance, path, stack.notes)
    return TrackedMovie(table, labels, Scale(), provenance)


def write(
    path: Path, movie: TrackedMovie, options: WriteParams, overwrite: bool, progress: ProgressHook
) -> None:
    """Write a palette image a frame; the provenance is in the first one's text.

    Raises
    ------
    OutputError
        If the folder exists or cannot be written, or an id is over 254.
    """
    from PIL import Image
    from PIL.PngImagePlugin import PngInfo

    assert movie.labels is not None  # the registry has made sure
    n = movie.table.n_frames
    frames = progress(map(movie.labels.read, range(n)), n, "Writing")
    digits, palette = max(5, len(str(n - 1))), _palette()
    text = PngInfo()
    note = make_note(movie.provenance, {}, Scale(), ())
    text.add_text(PROVENANCE, json.dumps(note))
    with atomic_path(path, overwrite) as temporary:
        temporary.mkdir()
        for t, frame in enumerate(checked_frames(frames, n, np.dtype(np.uint8), path)):
            image: Any = Image.fromarray(frame)  # 8 bit grey, to which a palette is put
            image.putpalette(palette)
            image.save(temporary / f"{t:0{digits}d}.png", pnginfo=text if t == 0 else None)


def _palette() -> list[int]:
    """DAVIS's colours, which are those of PASCAL VOC: bits of the index, dealt out to RGB."""
    colours = []
    for index in range(256):
        rgb = [0, 0, 0]
        for bit in range(8):
            for channel in range(3):
                rgb[channel] |= (index >> channel & 1) << (7 - bit)
            index >>= 3
        colours += rgb
    return colours
