"""Makes the README's pictures from results folders that `sam2track video` wrote.

    python docs/make/make_images.py MOVIE RESULTS OUT.png --frames 0 10 20 29 [--crop y0 y1 x0 x1]

One row: the chosen frames with their labels in colour and the prompts on them.
"""

from __future__ import annotations

import argparse
from pathlib import Path

import numpy as np
from PIL import Image

from napari_sam2track.formats.labels.open_labels import open_labels
from napari_sam2track.formats.overlay import draw_overlay
from napari_sam2track.frames import open_frames
from napari_sam2track.session.session_file import read_session


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("movie", type=Path)
    parser.add_argument("results", type=Path)
    parser.add_argument("out", type=Path)
    parser.add_argument("--frames", type=int, nargs="+", required=True)
    parser.add_argument("--crop", type=int, nargs=4)
    parser.add_argument("--width", type=int, default=1200, help="of the picture, in pixels")
    args = parser.parse_args()
    session = read_session(args.results / "session.json")
    prompts = session.prompt_set()
    options = session.frames.model_dump()
    pictures = []
    with (
        open_frames(args.movie, **options) as movie,
        open_labels(args.results / "labels.tif") as labels,
    ):
        for t in args.frames:
            picture = draw_overlay(movie.read(t), labels.read(t), prompts.at_frame(t))
            if args.crop:
                y0, y1, x0, x1 = args.crop
                picture = picture[y0:y1, x0:x1]
            pictures.append(np.pad(picture, ((0, 0), (0, 4), (0, 0)), constant_values=255))
    row = Image.fromarray(np.concatenate(pictures, 1)[:, :-4])
    height = round(row.height * args.width / row.width)
    row.resize((args.width, height), Image.Resampling.LANCZOS).save(args.out, optimize=True)


if __name__ == "__main__":
    main()
