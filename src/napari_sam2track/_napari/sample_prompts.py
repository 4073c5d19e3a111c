"""A movie to try the plugin on, and the clicks that a person would make."""

from __future__ import annotations

from typing import Any

from napari_sam2track._napari.movie_project import MovieProject
from napari_sam2track._napari.sample_data import moving_cells_layers
from napari_sam2track.prompts import Point, Prompt, PromptSet
from napari_sam2track.samples import centre_pixels, moving_cells

#: Cells that are clicked on.
_CLICKS = 5


def load_sample(viewer: Any) -> Any:
    """Add the sample movie to a viewer; return its layer."""
    (data, attributes, _), *_rest = moving_cells_layers()
    return viewer.add_image(data, **attributes)


def prompt_sample(project: MovieProject) -> None:
    """Click once on some cells of the first frame."""
    centres = centre_pixels(moving_cells().labels_tyx[0])
    chosen = sorted(centres.items())[:_CLICKS]
    prompts = PromptSet({(i, 0): Prompt(points=(Point(y, x),)) for i, (y, x) in chosen})
    project.say_prompts(prompts)
