"""Binds a project's prompts to their layers: both always agree."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import numpy as np
from numpy.typing import NDArray
from psygnal import Signal

from napari_sam2track._napari.geometry import Geometry
from napari_sam2track._napari.prompt_layers import (
    LABELS,
    border_colours,
    box_rows,
    boxes_layer,
    clicks,
    ids_of,
    labels_of,
    point_rows,
    points_layer,
    with_layers,
)
from napari_sam2track.prompts import PromptSet

Colours = Callable[[NDArray[np.int64]], NDArray[np.float64]]


def _table(columns: dict[str, Any]) -> Any:
    """Features, as napari takes them; of no rows too, where a list would become floats."""
    import pandas as pd

    kinds: dict[str, Any] = {"object_id": np.int64, "label": object}
    return pd.DataFrame({name: np.array(column, kinds[name]) for name, column in columns.items()})


class PromptBinding:
    """A Points and a Shapes layer, and the prompts in them.

    Parameters
    ----------
    viewer
        Viewer that shows them.
    geometry
        Of the image.
    name
        Of the image.
    colours
        (N,) object ids to (N, 4) colours.
    points, boxes
        A Points and a Shapes layer of the person's to take; None for new ones.

    Attributes
    ----------
    clicked
        Emitted when a person has just put a point into its layer and waits for its mask.
    edited
        Emitted when a person changed a prompt in one of the layers, maybe not for the last time.
    """

    clicked = Signal()
    edited = Signal()

    def __init__(
        self,
        viewer: Any,
        geometry: Geometry,
        name: str,
        colours: Colours,
        prompts: PromptSet,
        points: Any = None,
        boxes: Any = None,
    ) -> None:
        self.viewer, self.geometry, self._colours = viewer, geometry, colours
        self._quiet = 0
        self._shown: tuple[list[int], list[str]] | None = None
        self.current, self.label = 1, LABELS[0]
        size = float(np.clip(min(geometry.frame_shape) / 45, 3, 40))
        like = geometry.transform
        if boxes is None:
            drawn = boxes_layer(prompts, f"{name} [boxes]", like, geometry.to_layer)
            boxes = viewer.add_shapes(drawn[0] or None, **drawn[1])
        self.boxes = boxes
        if points is None:
            made = points_layer(prompts, f"{name} [prompts]", like, geometry.to_layer, size)
            points = viewer.add_points(made[0], **made[1])
        else:
            self._adopt(points, prompts)
        self.points = points
        self._connected = [
            (self.points.events.data, self._on_data),
            (self.points.events.features, self._on_features),
            (self.boxes.events.data, self._on_data),
            (self.boxes.events.features, self._on_features),
        ]
        for emitter, call in self._connected:
            emitter.connect(call)
        self.recolour()
        self.set_current(self.current, self.label)

    def close(self) -> None:
        """Disconnect from the layers; they stay."""
        for emitter, call in self._connected:
            emitter.disconnect(call)
        self._connected = []

    def set_current(self, object_id: int, label: str) -> None:
        """Set the object of the next point, and whether it is a positive or a negative click."""
        self.current, self.label = object_id, label
        with self._silence():
            self.points.feature_defaults = _table({"object_id": [object_id], "label": [label]})
            self.boxes.feature_defaults = _table({"object_id": [object_id]})
            if not self.points.selected_data:  # else napari repaints the selected ones
                self.points.current_border_color = border_colours([label])[0]
                self.points.current_face_color = self._colours(np.array([object_id]))[0]
            if not self.boxes.selected_data:
                self.boxes.current_edge_color = self._colours(np.array([object_id]))[0]

    def relabel(self, rows: list[int], label: str) -> None:
        """Make some points positive or negative clicks."""
        features = self.points.features.copy()
        features.loc[rows, "label"] = label
        with self._silence():
            self.points.features = features
        self.recolour()
        self.edited.emit()

    def read(self, prompts: PromptSet) -> PromptSet:
        """Return the prompts with clicks and boxes of the layers in place of theirs."""
        tyx, here = self.geometry.from_layer(self.points.data)
        ids = np.array(ids_of(self.points.features, self.current), np.int64)
        labels = np.array(labels_of(self.points.features), object)
        height, width = self.geometry.frame_shape
        inside = (tyx[:, 1:] >= -0.5).all(axis=1)
        inside &= (tyx[:, 1] < height - 0.5) & (tyx[:, 2] < width - 0.5)
        here &= inside  # a click beside the image does not count
        points = clicks(tyx[here], ids[here].tolist(), labels[here].tolist())
        return with_layers(prompts, points, self._boxes())

    def _boxes(self) -> dict[tuple[int, int], tuple[float, float, float, float]]:
        out = {}
        ids = ids_of(self.boxes.features, self.current)
        for shape, i in zip(self.boxes.data, ids, strict=True):
            tyx, here = self.geometry.from_layer(shape)
            if here.all():
                most = np.array(self.geometry.frame_shape) - 1.0
                corners = np.clip(tyx[:, 1:], 0, most)
                (y0, x0), (y1, x1) = corners.min(axis=0), corners.max(axis=0)
                if y1 > y0 and x1 > x0:
                    out[i, int(tyx[0, 0])] = (float(y0), float(x0), float(y1), float(x1))
        return out

    def show(self, prompts: PromptSet) -> None:
        """Show the prompts in the layers; points of other planes stay."""
        if self.read(prompts) == prompts:
            return
        rows, ids, labels = point_rows(prompts)
        layer = self.points
        _, here = self.geometry.from_layer(layer.data)
        data = np.concatenate([np.asarray(layer.data)[~here], self.geometry.to_layer(rows)])
        others = layer.features[~here]
        features = _table(
            {
                "object_id": [*ids_of(others, self.current), *ids],
                "label": [*labels_of(others), *labels],
            }
        )
        with self._silence():
            layer.selected_data = set()
            layer.data = data
            layer.features = features
            corners, owners = box_rows(prompts)
            kept = [k for k, c in enumerate(self.boxes.data) if not self._is_here(c)]
            old_ids = ids_of(self.boxes.features, self.current)
            old = [np.asarray(self.boxes.data[k]) for k in kept]
            self.boxes.selected_data = set()
            self.boxes.data = [*old, *(self.geometry.to_layer(c) for c in corners)]
            self.boxes.features = _table({"object_id": [*(old_ids[k] for k in kept), *owners]})
        self.recolour()
        self.set_current(self.current, self.label)

    def _is_here(self, corners: Any) -> bool:
        return bool(self.geometry.from_layer(corners)[1].all())

    def recolour(self) -> None:
        """Set the colours of all points and boxes from their objects and labels."""
        with self._silence():
            if len(self.points.data):
                owners, labels = self._shown = self._annotations()
                self.points.border_color = border_colours(labels)
                self.points.face_color = self._colours(np.array(owners, np.int64))
            if len(self.boxes.data):
                ids = np.array(ids_of(self.boxes.features, self.current), np.int64)
                self.boxes.edge_color = self._colours(ids)

    def _annotations(self) -> tuple[list[int], list[str]]:
        """Return ids and labels of all points."""
        features = self.points.features
        return list(ids_of(features, self.current)), list(labels_of(features))

    def _adopt(self, points: Any, prompts: PromptSet) -> None:
        """Give a Points layer of others the features of ours; it must have the axes of the image.

        Its points stay where they are in the world, and are counted in pixels of the image.
        """
        self._lay_on_image(points)
        points.features = _table(
            {
                "object_id": np.array(ids_of(points.features, self.current), np.int64),
                "label": labels_of(points.features),
            }
        )

    def _lay_on_image(self, points: Any) -> None:
        from napari.layers import Points

        like = self.geometry.transform
        image = Points(ndim=self.geometry.ndim, **like)
        corners = np.concatenate([np.zeros((1, image.ndim)), np.eye(image.ndim)])
        moved = [image.world_to_data(points.data_to_world(corner)) for corner in corners]
        if np.allclose(moved, corners):
            return
        data = [image.world_to_data(points.data_to_world(point)) for point in points.data]
        y, x = self.geometry._yx
        steps = np.array(moved[1:]) - moved[0]
        size = np.linalg.norm(steps[[y, x]], axis=1).mean() * np.asarray(points.size)
        points.data = np.array(data).reshape(-1, image.ndim)
        for name, value in like.items():
            setattr(points, name, value)
        points.size = size

    @contextmanager
    def _silence(self) -> Iterator[None]:
        self._quiet += 1
        try:
            yield
        finally:
            self._quiet -= 1

    def _on_data(self, event: Any) -> None:
        # napari reports twice: before ("adding") and after ("added")
        action = str(getattr(event.action, "value", event.action))
        if self._quiet or not action.endswith("ed"):
            return
        if action == "added" and event.source == self.points:
            self.clicked.emit()  # first, so that its mask is computed while colours are set here
        else:
            self.edited.emit()
        self.recolour()

    def _on_features(self, event: Any) -> None:
        if self._quiet:
            return
        if event.source != self.points or self._annotations() != self._shown:
            self.recolour()  # not twice: napari reports the features of a new point after it
        self.edited.emit()
