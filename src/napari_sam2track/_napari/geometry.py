"""Geometry of an image layer: which axis is time, and how layers on it are made and read."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from napari_sam2track.formats.labels.label_stack import as_labels
from napari_sam2track.frames import Frames, open_frames
from napari_sam2track.frames.axes import resolve_layout
from napari_sam2track.params import FramesParams

#: Attributes of a layer that describe its transform.
TRANSFORM = ("scale", "translate", "rotate", "shear", "affine", "units", "axis_labels")


def guessed_axes(layer: Any) -> str:
    """Return one letter per axis of an image layer's data: from its axis labels, or by number.

    Three axes are time and a plane; four are time, depth and a plane, unless they are named.
    """
    shape = level_0(layer).shape
    n = len(shape) - bool(layer.rgb)
    tail = "S" if layer.rgb else ""
    named = "".join(str(label)[:1].upper() for label in layer.axis_labels)
    if len(named) == n and set(named) <= set("TZYXC") and len(set(named)) == n and "Y" in named:
        return named + tail
    return {2: "YX", 3: "TYX", 4: "TZYX", 5: "TCZYX"}.get(n, "QQQ"[: max(n - 3, 0)] + "TYX") + tail


def level_0(layer: Any) -> Any:
    """Return the data of a layer; of a multiscale one, those of the finest level."""
    return layer.data[0] if getattr(layer, "multiscale", False) else layer.data


@dataclass(frozen=True)
class Geometry:
    """The axes of an image, and of the labels and prompts that lie on it.

    Attributes
    ----------
    axes
        One letter per axis of the labels: those of the image without colour samples.
    shape
        Of the labels; an axis of channels has length 1.
    frame_axis
        The axis that is time (or depth, followed like time); None for one image.
    fixed
        (axis, index) of the others but rows and columns.
    transform
        Attributes of a layer that lies on the image, such as its scale.
    """

    axes: str
    shape: tuple[int, ...]
    frame_axis: int | None
    fixed: tuple[tuple[int, int], ...]
    transform: dict[str, Any]

    @classmethod
    def of(cls, layer: Any, params: FramesParams) -> Geometry:
        """Return the geometry of an image layer.

        A layer on an image with channels has one channel, stretched over all of them, so that it
        shows on each.

        Raises
        ------
        FramesError
            If the axes do not fit the data, or leave two that could be time.
        """
        data = level_0(layer)
        asked = params.axes or guessed_axes(layer)
        layout = resolve_layout(
            tuple(data.shape), np.dtype(data.dtype), layer.name, axes=asked, z=params.z
        )
        n = len(layout.axes) - bool(layer.rgb)
        shape, fixed = list(layout.shape[:n]), dict(layout.fixed)
        transform = {name: getattr(layer, name) for name in TRANSFORM}
        scale, translate = np.array(layer.scale, float), np.array(layer.translate, float)
        for axis in layout.channels:
            if axis < n:
                count, shape[axis] = shape[axis], 1
                translate[axis] += scale[axis] * (count - 1) / 2
                scale[axis] *= count
                fixed[axis] = 0
        transform |= {"scale": scale, "translate": translate}
        rest = tuple(sorted((a, i) for a, i in fixed.items() if a < n))
        return cls(layout.axes[:n], tuple(shape), layout.time, rest, transform)

    @property
    def ndim(self) -> int:
        """Number of axes of a layer on the image."""
        return len(self.shape)

    @property
    def _yx(self) -> tuple[int, int]:
        return self.axes.index("Y"), self.axes.index("X")

    @property
    def n_frames(self) -> int:
        """Number of frames."""
        return 1 if self.frame_axis is None else self.shape[self.frame_axis]

    @property
    def frame_shape(self) -> tuple[int, int]:
        """(height, width), in pixels."""
        y, x = self._yx
        return self.shape[y], self.shape[x]

    @property
    def plane(self) -> int | None:
        """Index along Z of the plane in use; None if there is only one."""
        return next((i for a, i in self.fixed if self.axes[a] == "Z" and self.shape[a] > 1), None)

    @property
    def plane_axis(self) -> int | None:
        """The axis of `plane`."""
        return None if self.plane is None else self.axes.index("Z")

    def index(self, t: int, box: tuple[slice, ...]) -> tuple[int | slice, ...]:
        """Return the index of a box of frame ``t`` in the labels."""
        index: list[int | slice] = [0] * self.ndim
        for axis, position in self.fixed:
            index[axis] = position
        if self.frame_axis is not None:
            index[self.frame_axis] = t
        for axis, part in zip(self._yx, box, strict=True):
            index[axis] = part
        return tuple(index)

    def to_layer(self, points_tyx: NDArray[np.floating[Any]]) -> NDArray[np.float64]:
        """Convert (N, 3) of (frame, y, x) to coordinates (N, ndim) of a layer on the image."""
        out = np.zeros((len(points_tyx), self.ndim))
        for axis, position in self.fixed:
            out[:, axis] = position
        if self.frame_axis is not None:
            out[:, self.frame_axis] = points_tyx[:, 0]
        out[:, self._yx] = points_tyx[:, 1:]
        return out

    def from_layer(
        self, points: NDArray[np.floating[Any]]
    ) -> tuple[NDArray[np.float64], NDArray[np.bool_]]:
        """Turn coordinates of a layer into (N, 3) of (frame, y, x); say which are on our plane."""
        points = np.asarray(points, float).reshape(-1, self.ndim)
        out = np.zeros((len(points), 3))
        if self.frame_axis is not None:
            out[:, 0] = np.round(points[:, self.frame_axis])
        out[:, 1:] = points[:, self._yx]
        here = (out[:, 0] >= 0) & (out[:, 0] < self.n_frames)
        for axis, position in self.fixed:
            here &= np.round(points[:, axis]) == position
        return out, here


def open_layer(layer: Any, params: FramesParams) -> Frames:
    """Open the movie in an image layer lazily, with the contrast that is shown.

    Raises
    ------
    FramesError
        If the axes do not fit the data.
    """
    axes = params.axes or guessed_axes(layer)
    intensity: str | tuple[float, float] | None = params.intensity
    if intensity is None and not layer.rgb:
        low, high = (float(v) for v in layer.contrast_limits)
        intensity = (low, high)
    return open_frames(
        level_0(layer),
        axes=axes,
        channel=params.channel,
        intensity=intensity,
        z=params.z,
        name=layer.name,
    )


@dataclass(frozen=True, eq=False)
class PlaneLabels:
    """The labels on an image, frame by frame: see `labels.EditableLabels`.

    Attributes
    ----------
    array
        Of `Geometry.shape`, unsigned; numpy, zarr, or alike. Changed in place.
    geometry
        Of the image.
    """

    array: Any
    geometry: Geometry

    @property
    def n_frames(self) -> int:
        """Number of frames."""
        return self.geometry.n_frames

    @property
    def frame_shape(self) -> tuple[int, ...]:
        """Shape of a frame."""
        return self.geometry.frame_shape

    @property
    def max_id(self) -> int:
        """The largest id that the array can hold."""
        return min(int(np.iinfo(self.array.dtype).max), 0xFFFFFFFF)

    def read(self, t: int) -> NDArray[np.uint32]:
        """Return frame ``t``, (Y, X) uint32; a copy."""
        return self.read_box(t, (slice(None), slice(None)))

    def read_box(self, t: int, box: tuple[slice, ...]) -> NDArray[np.uint32]:
        """Return a box of frame ``t``, uint32; a copy.

        Raises
        ------
        FormatError
            If a value is no id: negative, or over 4,294,967,295.
        """
        values = np.asarray(self.array[self.geometry.index(t, box)])
        if values.dtype.kind == "i" or values.dtype.itemsize > 4:  # else none can be
            values = as_labels(values, f"frame {t} of the labels", values.ndim)
        return np.array(values, np.uint32)

    def write_box(self, t: int, box: tuple[slice, ...], values: NDArray[np.uint32]) -> None:
        """Replace the pixels of a box.

        Raises
        ------
        OverflowError
            If an id does not fit the array.
        """
        if values.size and int(values.max()) > self.max_id:
            raise OverflowError(
                f"the id {int(values.max())} does not fit labels of type {self.array.dtype}; "
                "keep them as uint32"
            )
        self.array[self.geometry.index(t, box)] = values.astype(self.array.dtype)

    def strokes(self, atoms: Any) -> list[Any]:
        """Convert napari's report of painted pixels to atoms of `History.adopt`: (t, y, x) only.

        Pixels of other planes are left out.
        """
        out = []
        axes = [*([] if self.geometry.frame_axis is None else [self.geometry.frame_axis])]
        axes += self.geometry._yx
        for where, *mask, old, new in atoms:
            if all(isinstance(part, slice) for part in where):
                size = [part.stop - part.start for part in where]
                inside = np.ones(size, bool) if not mask or mask[0] is None else mask[0]
                at = np.argwhere(inside) + [part.start for part in where]
            else:
                at = np.stack([np.ravel(part) for part in where], axis=1)
            here = np.ones(len(at), bool)
            for axis, position in self.geometry.fixed:
                here &= at[:, axis] == position
            old, new = (np.broadcast_to(np.ravel(v), len(at))[here] for v in (old, new))
            at = at[here][:, axes]
            if self.geometry.frame_axis is None:
                at = np.pad(at, ((0, 0), (1, 0)))
            if len(at):
                out.append((tuple(at.T), old, new))
        return out
