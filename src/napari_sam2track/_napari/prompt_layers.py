"""Converts prompts to layers and back: points and boxes with the id of their object."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from napari_sam2track.errors import PromptError
from napari_sam2track.labels import checked_id
from napari_sam2track.prompts import Point, Prompt, PromptSet
from napari_sam2track.prompts.prompt_words import (
    LABEL_COLUMNS,
    OBJECT_COLUMNS,
    columns_of,
    has_value,
    parse_label,
    unknown_label,
)
from napari_sam2track.prompts.values import Key

if TYPE_CHECKING:
    import pandas as pd
    from napari.types import LayerData

GREEN, RED, GREY = (0.2, 0.85, 0.3, 1.0), (0.95, 0.2, 0.2, 1.0), (0.5, 0.5, 0.5, 1.0)
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
    """Return (N, 4) green for positive, red for negative clicks, grey for what is neither."""
    colours = {LABELS[0]: GREEN, LABELS[1]: RED}
    return np.array([colours.get(label, GREY) for label in labels]).reshape(-1, 4)


@dataclass(frozen=True, eq=False)
class PromptFeatures:
    """What the features of a layer, maybe of another program, say of its points or shapes.

    Attributes
    ----------
    ids
        The object of each row.
    labels
        ``positive`` or ``negative`` for each row; another text as it is.
    wrong
        What is wrong with the rows that cannot be used, by row.
    names
        Features that were read.
    """

    ids: list[int]
    labels: list[str]
    wrong: dict[int, str] = field(default_factory=dict)
    names: tuple[str, ...] = ()


def read_features(features: pd.DataFrame, default: int | Sequence[int]) -> PromptFeatures:
    """Return what features say, by the names that are known of many programs.

    Parameters
    ----------
    features
        A row for each point or shape; files hold numbers as text, and new rows may hold nothing.
    default
        The object of all rows, or of each one, that says none.
    """
    n = len(features)
    ids = [default] * n if isinstance(default, int) else list(default)
    labels, wrong = [LABELS[0]] * n, {}
    objects = columns_of(features.columns, OBJECT_COLUMNS)[:1]
    signs = columns_of(features.columns, LABEL_COLUMNS)[:1]
    for name in objects:
        for k, value in enumerate(features[name].tolist()):
            if has_value(value):
                try:
                    ids[k] = checked_id(_as_number(value), name, PromptError)
                except PromptError as error:
                    wrong[k] = str(error)
    for name in signs:
        for k, value in enumerate(features[name].tolist()):
            positive = parse_label(value) if has_value(value) else True
            if positive is None:
                labels[k], wrong[k] = str(value), unknown_label(value, name)
            elif not positive:
                labels[k] = LABELS[1]
    return PromptFeatures(ids, labels, wrong, (*objects, *signs))


def ids_of(features: pd.DataFrame, default: int | Sequence[int]) -> list[int]:
    """Return the object of each row; `default` where there is none.

    Raises
    ------
    PromptError
        If an id or a label is none; with its row.
    """
    return _all_right(read_features(features, default)).ids


def labels_of(features: pd.DataFrame) -> list[str]:
    """Return ``positive`` or ``negative`` for each row; raises as `ids_of`."""
    return _all_right(read_features(features, 1)).labels


def _all_right(found: PromptFeatures) -> PromptFeatures:
    if found.wrong:
        row, text = next(iter(sorted(found.wrong.items())))
        more = f" (and {len(found.wrong) - 1} more)" if len(found.wrong) > 1 else ""
        raise PromptError(f"row {row}: {text}{more}")
    return found


def _as_number(value: Any) -> Any:
    try:
        return float(value)
    except (TypeError, ValueError):
        return value


def clicks(
    points_tyx: NDArray[np.floating[Any]], ids: Sequence[int], labels: Sequence[str]
) -> dict[Key, tuple[Point, ...]]:
    """Return the clicks of a layer by object and frame, in their order."""
    out: dict[Key, list[Point]] = {}
    for (t, y, x), i, label in zip(points_tyx.tolist(), ids, labels, strict=True):
        out.setdefault((i, int(t)), []).append(Point(y, x, label == LABELS[0]))
    return {key: tuple(points) for key, points in out.items()}


def with_layers(
    prompts: PromptSet, points: Mapping[Key, tuple[Point, ...]], drawn: Mapping[Key, Prompt]
) -> PromptSet:
    """Return prompts with the clicks, boxes and drawn masks of the layers in place of theirs.

    The latest prompt wins: where clicks or a box are new, a mask
    of that object on that frame gives way; where a mask was drawn later it stays.
    """
    out: dict[Key, Prompt] = {}
    for key in {*prompts, *points, *drawn}:
        old, shape = prompts.get(key) or Prompt(), drawn.get(key) or Prompt()
        clicked = points.get(key, ())
        if shape.mask is None:
            new = Prompt(clicked, shape.box)
        elif clicked and old == shape:  # it was there before the clicks
            new = Prompt(clicked)
        else:
            new = shape
        out[key] = new if new or old.mask is None else old
    return PromptSet(out)
