"""Work on a Labels layer alone: a result of Cellpose, of other programs, or of earlier work."""

from __future__ import annotations

import shutil
from collections.abc import Generator, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from napari_sam2track._napari.background import Background
from napari_sam2track._napari.geometry import TRANSFORM, Geometry, PlaneLabels
from napari_sam2track._napari.layer_colours import Colours
from napari_sam2track._napari.layer_values import KEY, layer_labels, layer_parents, time_axis
from napari_sam2track._napari.project import Project
from napari_sam2track._napari.project_setup import check_labels
from napari_sam2track._napari.ui_scheduler import UiScheduler
from napari_sam2track._napari.viewer_position import ViewerPosition
from napari_sam2track.formats.labels.label_stack import as_labels
from napari_sam2track.storage.scratch import new_scratch
from napari_sam2track.tracks.regions import measure_regions
from napari_sam2track.tracks.table import DETECTION, TrackTable
from napari_sam2track.tracks.tracked_movie import detections_of
from napari_sam2track.workspace.labels_workspace import LabelsWorkspace


@dataclass(frozen=True)
class VolumeGeometry(Geometry):
    """The axes of labels of volumes: a place in a frame is (z, y, x)."""

    @property
    def _yx(self) -> tuple[int, ...]:  # type: ignore[override]
        return tuple(self.axes.index(letter) for letter in "ZYX")

    @property
    def frame_shape(self) -> tuple[int, ...]:  # type: ignore[override]
        """(depth, height, width), in pixels."""
        return tuple(self.shape[axis] for axis in self._yx)

    @property
    def plane_axis(self) -> int:
        """The axis along which one plane at a time is shown."""
        return self.axes.index("Z")

    def to_layer(self, points_tyx: NDArray[np.floating[Any]]) -> NDArray[np.float64]:
        """Convert (N, 4) of (frame, z, y, x) to coordinates (N, ndim) of the layer."""
        return super().to_layer(points_tyx)


@dataclass(frozen=True, eq=False)
class VolumeLabels(PlaneLabels):
    """Labels of volumes, frame by frame: see `labels.EditableLabels`."""

    def read(self, t: int) -> NDArray[np.uint32]:
        """Return frame ``t``, (Z, Y, X) uint32; a copy."""
        return self.read_box(t, (slice(None),) * 3)


def labels_geometry(layer: Any) -> Geometry:
    """Return the axes of a Labels layer: time is the axis of that name, or the first.

    Raises
    ------
    FormatError
        If it has too few axes, or too many.
    """
    found = layer_labels(layer, time_axis(layer))
    letters = ["C"] * len(layer.data.shape)
    if found.frame_axis is not None:
        letters[found.frame_axis] = "T"
    gone = {found.frame_axis, *found.dropped}
    space = [axis for axis in range(len(letters)) if axis not in gone]
    for axis, letter in zip(space, "ZYX"[-len(space) :], strict=True):
        letters[axis] = letter
    kind = VolumeGeometry if len(found.frame_shape) == 3 else Geometry
    return kind(
        "".join(letters),
        tuple(int(size) for size in layer.data.shape),
        found.frame_axis,
        tuple((axis, 0) for axis in found.dropped),
        {name: getattr(layer, name) for name in TRANSFORM},
    )


@dataclass(frozen=True, eq=False)
class LayerToOpen:
    """A Labels layer that can be worked on.

    Attributes
    ----------
    layer, plane
        The layer, and its pixels.
    parents
        Parent of each daughter.
    """

    layer: Any
    plane: PlaneLabels
    parents: Mapping[int, int]

    @classmethod
    def of(cls, layer: Any, parents: Mapping[int, int] | None = None) -> LayerToOpen:
        """Check a layer; nothing is read.

        Parameters
        ----------
        layer
            The layer.
        parents
            None: those of its metadata.

        Raises
        ------
        FormatError
            If its axes cannot be those of labels.
        UsageError
            If it cannot be written to.
        """
        if not layer.multiscale:
            geometry = labels_geometry(layer)
            check_labels(layer, geometry)
            kind = VolumeLabels if isinstance(geometry, VolumeGeometry) else PlaneLabels
            known = layer_parents(layer) if parents is None else parents
            return cls(layer, kind(layer.data, geometry), dict(known))
        check_labels(layer, Geometry("", (), None, (), {}))
        raise AssertionError("several scales were not refused")

    def measure(self) -> Generator[tuple[int, int] | TrackTable, None, None]:
        """Read all frames, in another thread; yields (done, total), and in the end the tracks.

        Raises
        ------
        FormatError
            If a value cannot be an id.
        """
        plane, rows = self.plane, [np.zeros(0, DETECTION)]
        whole = tuple(slice(0, n) for n in plane.frame_shape)
        for t in range(plane.n_frames):
            values = np.asarray(plane.array[plane.geometry.index(t, whole)])
            name = f"frame {t} of the layer {self.layer.name!r}"
            regions = measure_regions(as_labels(values, name, len(whole)))
            rows.append(detections_of(t, regions, regions.labels))
            yield t + 1, plane.n_frames
        yield TrackTable(np.concatenate(rows), plane.n_frames, plane.frame_shape)


class LabelsProject(Project):
    """Work on one Labels layer.

    Its parents are kept in the layer's metadata, where writers look for them.

    Parameters
    ----------
    viewer
        The viewer.
    opened
        The layer.
    table
        Tracks of its labels.
    pump, background
        Scheduler and thread; the caller closes them.
    """

    def __init__(
        self,
        viewer: Any,
        opened: LayerToOpen,
        table: TrackTable,
        pump: UiScheduler,
        background: Background,
    ) -> None:
        self.viewer, self.labels, self.plane = viewer, opened.layer, opened.plane
        self.pump, self.background = pump, background
        self._folder = new_scratch("sam2track-labels")
        self.work = LabelsWorkspace(self.plane, self._folder, parents=opened.parents, table=table)
        self.names = {}
        self.refused = {(int(p), int(t)) for p, t in self._ours.get("refused", ())}
        self.colours = Colours(self.labels)
        self.place = ViewerPosition(viewer, self.labels, self.plane.geometry)
        self._current = max(int(self.labels.selected_label), 1)
        self.work.labels_changed.connect(self._on_labels)
        self.work.grid_changed.connect(self._on_grid)
        self.work.state.changed.connect(self._on_state)
        self._listen()
        self.touched()

    def close(self) -> None:
        """Disconnect from all events; the layer stays, and keeps its parents."""
        if not self.is_open:
            return
        self._let_go()
        self.closed.emit()
        self.colours.close()
        shutil.rmtree(self._folder, ignore_errors=True)

    @property
    def current(self) -> int:
        """The object that is selected."""
        return self._current

    def set_current(self, object_id: int) -> None:
        """Choose an object."""
        if object_id < 1:
            return
        self._current = object_id
        if int(self.labels.selected_label) != object_id:
            self.labels.selected_label = object_id
        self.current_changed.emit(object_id)

    def touched(self) -> None:
        """Store parents and refused divisions, which the layer's pixels do not hold."""
        if not isinstance(self.labels.metadata.get(KEY, {}), Mapping):
            return  # it belongs to another project by now
        content = {
            "parents": dict(self.work.state.parents),
            "refused": [list(pair) for pair in sorted(self.refused)],
        }
        self.labels.metadata[KEY] = {**self._ours, **content}

    @property
    def _ours(self) -> dict[str, Any]:
        found = self.labels.metadata.get(KEY)
        return dict(found) if isinstance(found, Mapping) else {}

    def _on_labels(self, frames: frozenset[int]) -> None:
        if self.place.frame in frames and self.is_open:
            self.pump.later("refresh", 0, self.labels.refresh)

    def _on_state(self, changed: Any) -> None:
        if changed.lineage:
            self.touched()

    def _on_colormap(self, event: Any = None) -> None:
        self.changed.emit(None)

    def _on_data(self, event: Any = None) -> None:
        if self.labels.data is not self.plane.array:
            self.close()

    def _on_removed(self, event: Any) -> None:
        if event.value == self.labels:
            self.close()
