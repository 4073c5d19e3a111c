"""Place that a viewer shows, in frames and pixels of a layer."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from napari_sam2track._napari.geometry import Geometry


class ViewerPosition:
    """The frame that is shown, and how to show another one.

    Parameters
    ----------
    viewer
        The viewer.
    layer
        The layer whose pixels are meant.
    geometry
        Its axes.
    """

    def __init__(self, viewer: Any, layer: Any, geometry: Geometry) -> None:
        self._viewer, self._layer, self._geometry = viewer, layer, geometry

    @property
    def data(self) -> tuple[float, ...]:
        """Point that is shown, in the axes of the layer."""
        point = np.asarray(self._viewer.dims.point)[-self._geometry.ndim :]
        return tuple(float(v) for v in self._layer.world_to_data(point))

    @property
    def frame(self) -> int:
        """Frame that is shown."""
        axis = self._geometry.frame_axis
        if axis is None:
            return 0
        return int(np.clip(round(self.data[axis]), 0, self._geometry.n_frames - 1))

    @property
    def plane(self) -> int | None:
        """Plane that is shown; None if there is only one."""
        axis = self._geometry.plane_axis
        if axis is None:
            return None
        return int(np.clip(round(self.data[axis]), 0, self._geometry.shape[axis] - 1))

    def go_to(self, frame: int, centre_yx: tuple[float, ...] | None = None) -> None:
        """Show a frame, and a place in its middle if that is out of sight."""
        geometry, dims = self._geometry, self._viewer.dims
        centre = centre_yx or tuple(self.data[axis] for axis in geometry._yx)
        data = geometry.to_layer(np.array([[frame, *centre]], float))[0]
        world = np.asarray(self._layer.data_to_world(data))
        offset = dims.ndim - geometry.ndim
        axes = [a for a in (geometry.frame_axis, geometry.plane_axis) if a is not None]
        for axis in axes:
            if offset + axis in dims.not_displayed:
                dims.set_point(offset + axis, float(world[axis]))
        if centre_yx is not None:
            shown = [a - offset for a in dims.displayed if a >= offset]
            middle = np.array([world[a] for a in shown], float)
            if not self._in_sight(middle):
                self._viewer.scene.camera.center = tuple(middle.tolist())

    def _in_sight(self, world: NDArray[np.float64]) -> bool:
        """Return whether a place is on the canvas, and not at its very edge; in 2D only."""
        camera, size = self._viewer.scene.camera, np.array(self._viewer.canvas.size)
        if len(world) != 2:
            return False
        away = np.abs(world - np.array(camera.center)[-2:])
        return bool((away <= 0.45 * size / max(camera.zoom, 1e-9)).all())
