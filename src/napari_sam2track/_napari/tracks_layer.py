"""Tracks layer that shows the tracks of a project, and follows their changes."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from napari_sam2track._napari.layer_tracks import can_show, tracks_layer_data
from napari_sam2track._napari.project import Project

#: Milliseconds after the last edit.
_AFTER = 300


class IdColours:
    """Colours of tracks in the form of a Tracks layer: those of the labels.

    Parameters
    ----------
    project
        Project of the labels.
    """

    def __init__(self, project: Project) -> None:
        self._of = project.colours.of

    def __deepcopy__(self, memo: Any) -> IdColours:
        return self

    def map(self, ids: NDArray[Any]) -> NDArray[np.float64]:
        """Return (N, 4) colours of (N,) track ids."""
        names, where = np.unique(np.asarray(ids).astype(np.int64), return_inverse=True)
        return self._of(names)[where]


class TracksLayer:
    """Tracks layer of a project, while it is shown.

    Parameters
    ----------
    project
        Project of the tracks.
    """

    def __init__(self, project: Project) -> None:
        self._project = project
        self.layer: Any = None

    @property
    def reason(self) -> str:
        """Reason why the tracks cannot be shown; empty if they can."""
        geometry = self._project.plane.geometry
        if geometry.frame_axis != 0:
            return "Tracks need time as the first axis"
        if not can_show(self._project.work.state.table()):
            return "There are no tracks yet"
        return ""

    def show(self) -> None:
        """Add the layer; the selection in the viewer stays."""
        project = self._project
        if self.layer is not None or self.reason:
            return
        data, attributes = self._content()
        active = project.viewer.layers.selection.active
        self.layer = project.viewer.add_tracks(
            data,
            **attributes,
            colormaps_dict={"track_id": IdColours(project)},
            **project.plane.geometry.transform,
        )
        project.viewer.layers.selection.active = active
        project.work.state.changed.connect(self._later)
        project.viewer.layers.events.removed.connect(self._on_removed)

    def hide(self) -> None:
        """Remove the layer."""
        layer = self.layer
        self.leave()
        if layer is not None and layer in self._project.viewer.layers:
            self._project.viewer.layers.remove(layer.name)

    def leave(self) -> None:
        """Stop following the tracks; the layer stays."""
        if self.layer is None:
            return
        self._project.work.state.changed.disconnect(self._later)
        self._project.viewer.layers.events.removed.disconnect(self._on_removed)
        self.layer = None

    def update(self) -> None:
        """Show the present tracks."""
        layer = self.layer
        if layer is None or self.reason:
            return
        data, attributes = self._content()
        colour = layer.color_by
        layer.color_by = "track_id"  # the only one that is there in between
        layer.data = data
        layer.features = attributes["features"]
        layer.graph = attributes["graph"]
        layer.color_by = colour

    def _later(self, changed: Any) -> None:
        self._project.pump.later("tracks layer", _AFTER, self.update)

    def _on_removed(self, event: Any) -> None:
        if self.layer is not None and event.value == self.layer:
            self.leave()

    def _content(self) -> tuple[NDArray[np.float64], dict[str, Any]]:
        project = self._project
        name = str(project.labels.name).removesuffix(" [labels]") + " [tracks]"
        table = project.work.state.table()
        data, attributes, _ = tracks_layer_data(table, name=name)
        places = project.plane.geometry.to_layer(data[:, 1:])
        kept = {key: attributes[key] for key in ("name", "graph", "features")}
        return np.column_stack([data[:, 0], places]), kept
