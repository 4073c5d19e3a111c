"""Movies that napari offers under File > Open Sample."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from napari_sam2track.samples import moving_cells

if TYPE_CHECKING:
    from napari.types import LayerData

_AXES = ("t", "y", "x")


def moving_cells_layers() -> list[LayerData]:
    """Synthetic nuclei that drift and push one another, and a labels layer with their truth."""
    sample = moving_cells()
    low, high = np.percentile(sample.images_tyx, (0.1, 99.9)).tolist()
    image = {"name": "Moving cells", "contrast_limits": (low, high), "axis_labels": _AXES}
    truth = {"name": "Moving cells: truth", "opacity": 0.4, "axis_labels": _AXES}
    return [(sample.images_tyx, image, "image"), (sample.labels_tyx, truth, "labels")]
