"""Synthetic movies with known truth: for the demo, sample data, tests and benchmarks."""

from napari_sam2track.samples.colony import growing_colony
from napari_sam2track.samples.crowd import crowd
from napari_sam2track.samples.lineages import LabelSample, shake
from napari_sam2track.samples.moving import (
    SampleMovie,
    centre_pixels,
    mean_overlap,
    moving_cells,
    otsu_part,
)
from napari_sam2track.samples.nuclei import dividing_nuclei

__all__ = [
    "LabelSample",
    "SampleMovie",
    "centre_pixels",
    "crowd",
    "dividing_nuclei",
    "growing_colony",
    "mean_overlap",
    "moving_cells",
    "otsu_part",
    "shake",
]
