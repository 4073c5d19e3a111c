"""Movies of every kind, read lazily as 8-bit RGB: ``open_frames(path).read(t)``."""

from napari_sam2track.frames.channels import parse_channel
from napari_sam2track.frames.intensity import Intensity, parse_intensity
from napari_sam2track.frames.movie import Frames
from napari_sam2track.frames.opening import open_frames, open_movie
from napari_sam2track.frames.source import Source

__all__ = [
    "Frames",
    "Intensity",
    "Source",
    "open_frames",
    "open_movie",
    "parse_channel",
    "parse_intensity",
]
