"""Converts prompts to layers and back: points and boxes with the id of their object."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from napari_sam2track.errors import FormatError
from napari_sam2track.labels import checked_id
from napari_sam2track.prompts import Point, Prompt, PromptSet
from napari_sam2track.prompts.prompt_words import parse_label
from napari_sam2track.prompts.values import Key

if TYPE_CHECKING:
    import pandas as pd
    from napari.types import LayerData

GREEN, RED = (0.2, 0.85, 0.3, 1.0), (0.95, 0.2, 0.2, 1.0)
LABELS = ("positive", "negative")
ToLayer = Callable[[NDArray[Any]], NDArray[Any]]


def point_rows(prompts: PromptSet) -> tuple[NDArray[np.float64], list[int], list[str]]:
    """Return all clicks: (N, 3) of (frame, y, x), the objects, and the labels."""
    rows, ids, labels = [], [], []
    for (i, t), prompt in prompts.items():
        for p in prompt.points:
            rows.append((t, p.y, p.x))
            ids.append(i)
            labels.append(LABELS[0] if p.positive else LABELS[1])
    return np.array(rows, float).reshape(-1, 3), ids, labels


def box_rows(prompts: PromptSet) -> tuple[list[NDArray[np.float64]], list[int]]:
    """Return all boxes: (4, 3) corners of (frame, y, x) each, and the objects."""
    corners, ids = [], []
    for (i, t), prompt in prompts.items():
        if prompt.box is not None:
            y0, x0, y1, x1 = prompt.box
            corners.append(np.array([(t, y0, x0), (t, y0, x1), (t, y1, x1), (t, y1, x0)], float))
            ids.append(i)
    return corners, ids


def points_layer(
    prompts: PromptSet,
    name: str,
    like: Mapping[str, Any],
    to_layer: ToLayer = np.asarray,
    size: float = 8.0,
) -> LayerData:
    """Return a Points layer with the clicks of all objects.

    Parameters
    ----------
    prompts
        Boxes and masks are ignored.
    name
        Of the layer.
    like
        Attributes of the image that it lies on, such as its scale.
    to_layer
        From (N, 3) of (frame, y, x) to the axes of the layer.
    size
        Of a point, in pixels.
    """
    rows, ids, labels = point_rows(prompts)
    data = to_layer(rows)
    features = {"object_id": np.array(ids, np.int64), "label": np.array(labels, object)}
    attributes = {
        **like,
        "name": name,
        "ndim": data.shape[1],
        "features": features,
        "size": size,
        "symbol": "disc",
        "border_width": 0.25,
        "border_color": border_colours(labels) if labels else "white",
        "out_of_slice_display": False,
    }
    return data, attributes, "points"


def boxes_layer(
    prompts: PromptSet, name: str, like: Mapping[str, Any], to_layer: ToLayer = np.asarray
) -> LayerData:
    """Return a Shapes layer with the boxes of all objects; see `points_layer`."""
    corners, ids = box_rows(prompts)
    data = [to_layer(part) for part in corners]
    ndim = to_layer(np.zeros((1, 3))).shape[1]
    attributes = {
        **like,
        "name": name,
        "ndim": ndim,
        "shape_type": "rectangle",
        "features": {"object_id": np.array(ids, np.int64)},
        "face_color": "transparent",
        "edge_color": "white",
        "edge_width": 1.5,
    }
    return data, attributes, "shapes"


def border_colours(labels: Sequence[str]) -> NDArray[np.float64]:
    """Return (N, 4) green for positive, red for negative clicks."""
    return np.array([GREEN if is_positive(label) else RED for label in labels]).reshape(-1, 4)


def is_positive(label: Any) -> bool:
    """Return whether a label is positive, as an unknown one is."""
    annotations = parse_label(str(label))
    return True if annotations is None else annotations


def ids_of(features: pd.DataFrame, default: int) -> list[int]:
    """Return the object of each row; `default` where there is none.

    Files hold numbers as text, and new rows may hold nothing.
    """
    if "object_id" not in features:
        return [default] * len(features)
    ids = []
    for value in features["object_id"].tolist():
        try:
            ids.append(checked_id(float(value), "an object_id"))
        except (TypeError, ValueError, FormatError):
            ids.append(default)
    return ids


def labels_of(features: pd.DataFrame) -> list[str]:
    """Return ``positive`` or ``negative`` for each row."""
    if "label" not in features:
        return [LABELS[0]] * len(features)
    return [LABELS[0] if is_positive(v) else LABELS[1] for v in features["label"].tolist()]


def clicks(
    points_tyx: NDArray[np.floating[Any]], ids: Sequence[int], labels: Sequence[str]
) -> dict[Key, tuple[Point, ...]]:
    """Return the clicks of a layer by object and frame, in their order."""
    out: dict[Key, list[Point]] = {}
    for (t, y, x), i, label in zip(points_tyx.tolist(), ids, labels, strict=True):
        out.setdefault((i, int(t)), []).append(Point(y, x, is_positive(label)))
    return {key: tuple(points) for key, points in out.items()}


def with_layers(
    prompts: PromptSet,
    points: Mapping[Key, tuple[Point, ...]],
    boxes: Mapping[Key, tuple[float, float, float, float]],
) -> PromptSet:
    """Return prompts with the clicks and boxes of the layers in place of theirs.

    The latest prompt wins: where clicks or a box are new, a mask
    of that object on that frame gives way; where a mask was drawn later it stays.
    """
    out: dict[Key, Prompt] = {}
    for key in {*prompts, *points, *boxes}:
        old = prompts.get(key) or Prompt()
        new = Prompt(points.get(key, ()), boxes.get(key))
        out[key] = new if new or old.mask is None else old
    return PromptSet(out)
