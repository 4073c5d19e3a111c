"""Binds a project's prompts to their layers: both always agree."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from psygnal import Signal

from napari_sam2track._napari.adopted_prompts import adopt_points, adopt_shapes, feature_table
from napari_sam2track._napari.geometry import Geometry
from napari_sam2track._napari.prompt_layers import (
    LABELS,
    border_colours,
    box_rows,
    boxes_layer,
    clicks,
    point_rows,
    points_layer,
    read_features,
    with_layers,
)
from napari_sam2track.errors import PromptError
from napari_sam2track.prompts import Prompt, PromptSet
from napari_sam2track.prompts.drawn_shapes import drawn_prompt
from napari_sam2track.prompts.values import Key

#: Modes of a Shapes layer in which a person draws polygons.
_POLYGON_MODES = ("add_polygon", "add_polygon_lasso")

Colours = Callable[[NDArray[np.int64]], NDArray[np.float64]]


@dataclass(frozen=True, eq=False)
class _Drawn:
    """A shape on our plane: its number, and what it is a prompt for; None for what is refused."""

    number: int
    key: Key
    prompt: Prompt | None


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
        A Points and a Shapes layer of the person's to take, which `adoption_notes` accepts; None
        for new ones.

    Attributes
    ----------
    refused
        What is wrong with points and shapes that do not count, as of the last reading.
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
        self.refused: tuple[str, ...] = ()
        size = float(np.clip(min(geometry.frame_shape) / 45, 3, 40))
        like = geometry.transform
        if boxes is None:
            drawn = boxes_layer(prompts, f"{name} [boxes]", like, geometry.to_layer)
            boxes = viewer.add_shapes(drawn[0] or None, **drawn[1])
        else:
            adopt_shapes(boxes, geometry)
        self.boxes = boxes
        if points is None:
            made = points_layer(prompts, f"{name} [prompts]", like, geometry.to_layer, size)
            points = viewer.add_points(made[0], **made[1])
        else:
            adopt_points(points, geometry, self.current)
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
            self.points.feature_defaults = feature_table(
                {"object_id": [object_id], "label": [label]}
            )
            self.boxes.feature_defaults = feature_table({"object_id": [object_id]})
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
        """Return the prompts with those of the layers in place of theirs; sets `refused`."""
        tyx, here = self.geometry.from_layer(self.points.data)
        found = read_features(self.points.features, self.current)
        refused = []
        for row, text in found.wrong.items():
            if here[row]:
                refused.append(f"point {row} of {self.points.name!r} does not count: {text}")
                here[row] = False
        ids, labels = np.array(found.ids, np.int64), np.array(found.labels, object)
        height, width = self.geometry.frame_shape
        inside = (tyx[:, 1:] >= -0.5).all(axis=1)
        inside &= (tyx[:, 1] < height - 0.5) & (tyx[:, 2] < width - 0.5)
        here &= inside  # a click beside the image does not count
        points = clicks(tyx[here], ids[here].tolist(), labels[here].tolist())
        shapes, wrong = self._drawn()
        self.refused = (*refused, *wrong)
        drawn = {one.key: one.prompt for one in shapes if one.prompt is not None}
        return with_layers(prompts, points, drawn)

    def _drawn(self) -> tuple[list[_Drawn], list[str]]:
        """Return all shapes on our plane, and what is wrong with those that do not count."""
        layer, out, refused = self.boxes, [], []
        known: set[Key] = set()
        found = read_features(layer.features, self.current)
        kinds = list(layer.shape_type)
        if str(layer.mode) in _POLYGON_MODES and kinds and str(kinds[-1]) == "path":
            kinds.pop()  # napari keeps a polygon as a path until it has a second corner
        for k, kind in enumerate(kinds):
            tyx, here = self.geometry.from_layer(layer.data[k])
            if not here.all():
                continue
            key = found.ids[k], int(tyx[0, 0])
            prompt, what = None, f"shape {k} of {layer.name!r}"
            try:
                if k in found.wrong:
                    raise PromptError(f"does not count: {found.wrong[k]}")
                if len(np.unique(tyx[:, 0])) > 1:
                    raise PromptError("lies on several frames; draw it on one")
                prompt = drawn_prompt(str(kind), tyx[:, 1:], self.geometry.frame_shape)
            except PromptError as error:
                refused.append(f"{what} {error}")
            if prompt is not None and key in known:
                refused.append(
                    f"{what} counts alone for object {key[0]} on frame {key[1]}; delete the "
                    "others, or change their object_id"
                )
            known |= set() if prompt is None else {key}
            out.append(_Drawn(k, key, prompt))
        return out, refused

    def show(self, prompts: PromptSet) -> None:
        """Show the prompts in the layers; points and shapes of other planes stay."""
        if self.read(prompts) == prompts:
            return
        rows, ids, labels = point_rows(prompts)
        layer = self.points
        _, here = self.geometry.from_layer(layer.data)
        data = np.concatenate([np.asarray(layer.data)[~here], self.geometry.to_layer(rows)])
        others = read_features(layer.features[~here], self.current)
        features = feature_table(
            {"object_id": [*others.ids, *ids], "label": [*others.labels, *labels]}
        )
        with self._silence():
            layer.selected_data = set()
            layer.data = data
            layer.features = features
            self._show_shapes(prompts)
        self.recolour()
        self.set_current(self.current, self.label)

    def _show_shapes(self, prompts: PromptSet) -> None:
        """Show the boxes; shapes of other planes, of masks that hold, and refused ones stay."""
        layer = self.boxes
        corners, owners = box_rows(prompts)
        shapes, _ = self._drawn()
        gone = {
            one.number
            for one in shapes
            if one.prompt is not None
            and (one.prompt.mask is None or prompts.get(one.key) != one.prompt)
        }
        kept = [k for k in range(len(layer.data)) if k not in gone]
        old_ids = read_features(layer.features, self.current).ids
        old = [(np.asarray(layer.data[k]), str(layer.shape_type[k])) for k in kept]
        boxes = [(self.geometry.to_layer(part), "rectangle") for part in corners]
        layer.selected_data = set()
        layer.data = [*old, *boxes]
        layer.features = feature_table({"object_id": [*(old_ids[k] for k in kept), *owners]})

    def recolour(self) -> None:
        """Set the colours of all points and boxes from their objects and labels."""
        with self._silence():
            if len(self.points.data):
                owners, labels = self._shown = self._annotations()
                self.points.border_color = border_colours(labels)
                self.points.face_color = self._colours(np.array(owners, np.int64))
            if len(self.boxes.data):
                ids = read_features(self.boxes.features, self.current).ids
                self.boxes.edge_color = self._colours(np.array(ids, np.int64))

    def _annotations(self) -> tuple[list[int], list[str]]:
        """Return ids and labels of all points."""
        found = read_features(self.points.features, self.current)
        return found.ids, found.labels

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
