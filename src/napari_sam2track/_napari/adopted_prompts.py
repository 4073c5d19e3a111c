"""Adopts layers of prompts that a person or another program made: Points and Shapes."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from napari_sam2track._napari.adopted_layers import in_work
from napari_sam2track._napari.geometry import Geometry
from napari_sam2track._napari.prompt_layers import ids_of, labels_of, read_features
from napari_sam2track.errors import PromptError, UsageError
from napari_sam2track.prompts.drawn_shapes import drawn_prompt
from napari_sam2track.prompts.table_places import counted, odd_places

#: Features of our own layers.
_OURS = ("object_id", "label")


def feature_table(columns: dict[str, Any]) -> Any:
    """Return features, as napari takes them; of no rows too, where a list would become floats."""
    import pandas as pd

    kinds: dict[str, Any] = {"object_id": np.int64, "label": object}
    return pd.DataFrame({name: np.array(column, kinds[name]) for name, column in columns.items()})


def adoption_notes(layer: Any, geometry: Geometry) -> list[str]:
    """Check whether a layer of prompts can be taken; return what of it will not be used.

    Parameters
    ----------
    layer
        A Points or Shapes layer; it stays as it is.
    geometry
        Of the image.

    Raises
    ------
    UsageError
        If it has other axes, belongs to other work, or something in it cannot be a prompt.
    """
    if layer.ndim != geometry.ndim:
        raise UsageError(f"{layer.name!r} has {layer.ndim} axes, and the image {geometry.ndim}")
    if in_work(layer):
        raise UsageError(f"{layer.name!r} holds the prompts of other work")
    if not len(layer.data):
        return []
    drawn = _is_shapes(layer)
    try:
        ids = ids_of(layer.features, _numbered(layer) if drawn else 1)
        labels_of(layer.features)
    except PromptError as error:
        raise UsageError(f"{layer.name!r}, {error}") from error
    parts = _on_image(layer, geometry)
    middles = [np.reshape(part, (-1, geometry.ndim)).mean(axis=0) for part in parts]
    tyx, here = geometry.from_layer(np.array(middles).reshape(-1, geometry.ndim))
    if drawn:
        _check_shapes(layer, parts, geometry)
    noun = "shape" if drawn else "point"
    names = read_features(layer.features, 1).names
    rest = [str(name) for name in layer.features.columns if name not in (*names, *_OURS)]
    notes = []
    if rest or not set(names) <= set(_OURS) or (drawn and "object_id" not in names):
        by = f" ({', '.join(names)})" if names else " (one a shape)" if drawn else ""
        unused = f"; features not used: {', '.join(rest)}" if rest else ""
        objects = counted(len(set(ids)), "object")
        notes.append(f"{layer.name!r}: {counted(len(ids), noun)}, {objects}{by}{unused}")
    if not here.all():
        out = counted(int((~here).sum()), noun)
        notes.append(f"{out} of {layer.name!r} on other planes or beside the movie: left out")
    odd = odd_places(tyx[here][:, 1:], geometry.frame_shape, "set the scale of the layer")
    return notes if odd is None else [*notes, f"of the {noun}s of {layer.name!r}, {odd}"]


def adopt_points(layer: Any, geometry: Geometry, default: int) -> None:
    """Give a Points layer of others the features of ours; it must have the axes of the image.

    Its points stay where they are in the world, and are counted in pixels of the image.
    """
    moved = _on_image(layer, geometry)
    if moved is not layer.data:
        y, x = geometry.axes.index("Y"), geometry.axes.index("X")
        size = _steps(layer, geometry)[[y, x]].mean() * np.asarray(layer.size)
        layer.data = np.array(moved).reshape(-1, geometry.ndim)
        _lie_like(layer, geometry)
        layer.size = size
    found = read_features(layer.features, default)
    layer.features = feature_table({"object_id": found.ids, "label": found.labels})


def adopt_shapes(layer: Any, geometry: Geometry) -> None:
    """Give a Shapes layer of others the features of ours: see `adopt_points`.

    Where it names no objects, each shape is one, as in a file of shapes.
    """
    moved = _on_image(layer, geometry)
    ids = read_features(layer.features, _numbered(layer)).ids
    if moved is not layer.data:
        layer.data = list(zip(moved, layer.shape_type, strict=True))
        _lie_like(layer, geometry)
    layer.features = feature_table({"object_id": ids})


def _is_shapes(layer: Any) -> bool:
    return layer.__class__.__name__ == "Shapes"


def _numbered(layer: Any) -> list[int]:
    return list(range(1, len(layer.data) + 1))


def _check_shapes(layer: Any, parts: Sequence[NDArray[np.float64]], geometry: Geometry) -> None:
    """Refuse shapes that cannot be prompts."""
    for k, (part, kind) in enumerate(zip(parts, layer.shape_type, strict=True)):
        tyx, here = geometry.from_layer(part)
        if here.all():
            try:
                drawn_prompt(str(kind), tyx[:, 1:], geometry.frame_shape)
            except PromptError as error:
                raise UsageError(f"shape {k} of {layer.name!r} {error}") from error


def _image_like(geometry: Geometry) -> Any:
    from napari.layers import Points

    return Points(ndim=geometry.ndim, **geometry.transform)


def _moved_axes(layer: Any, geometry: Geometry) -> NDArray[np.float64]:
    """Return where the origin and the unit vectors of a layer are, in pixels of the image."""
    image = _image_like(geometry)
    corners = np.concatenate([np.zeros((1, image.ndim)), np.eye(image.ndim)])
    return np.array([image.world_to_data(layer.data_to_world(corner)) for corner in corners])


def _steps(layer: Any, geometry: Geometry) -> NDArray[np.float64]:
    """Return the length of a step along each axis of a layer, in pixels of the image."""
    moved = _moved_axes(layer, geometry)
    return np.linalg.norm(moved[1:] - moved[0], axis=1)


def _on_image(layer: Any, geometry: Geometry) -> Any:
    """Return the layer's points or shapes in pixels of the image; its own data if they are."""
    moved = _moved_axes(layer, geometry)
    still = np.concatenate([np.zeros((1, geometry.ndim)), np.eye(geometry.ndim)])
    if np.allclose(moved, still):
        return layer.data
    # The way from one to the other is affine, so its axes say all.
    parts = [np.asarray(part, float) for part in layer.data]
    return [part @ (moved[1:] - moved[0]) + moved[0] for part in parts]


def _lie_like(layer: Any, geometry: Geometry) -> None:
    for name, value in geometry.transform.items():
        setattr(layer, name, value)
