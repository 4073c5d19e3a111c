"""Values of layers, from a viewer or a writer's arguments: arrays, sizes, parents."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from napari_sam2track.errors import FormatError
from napari_sam2track.formats.labels.label_stack import as_labels
from napari_sam2track.frames.pixel_scale import unit_of
from napari_sam2track.labels import Scale

#: Key of our entry in ``layer.metadata``: a mapping, or an object with ``parents``.
KEY = "sam2track"


class LayerLike(Protocol):
    """Attributes of a layer that are read; napari's own layer, or `LayerValues`, has them."""

    @property
    def name(self) -> str:
        """Name in messages."""
        ...

    @property
    def data(self) -> Any:
        """Array of the layer's kind."""
        ...

    @property
    def scale(self) -> Any:
        """A size for each axis."""
        ...

    @property
    def units(self) -> Any:
        """A unit for each axis: pint's, or their names."""
        ...

    @property
    def metadata(self) -> Any:
        """A mapping, or None."""
        ...


@dataclass(frozen=True, eq=False)
class LayerValues:
    """A layer as napari hands it to a writer: data, and attributes by name.

    Attributes
    ----------
    name, data, scale, units, metadata, axis_labels, multiscale, graph, features
        As those of a layer; the last two are for tracks.
    """

    name: str
    data: Any
    scale: Any = ()
    units: Any = ()
    metadata: Any = None
    axis_labels: Any = ()
    multiscale: bool = False
    graph: Any = None
    features: Any = None

    @classmethod
    def of(cls, data: Any, attributes: Mapping[str, Any]) -> LayerValues:
        """Make values from the first two parts of a LayerData tuple."""
        names = (
            *("scale", "units", "metadata", "axis_labels", "multiscale"),
            *("graph", "features"),
        )
        known = {name: attributes[name] for name in names if attributes.get(name) is not None}
        return cls(str(attributes.get("name") or "layer"), data, **known)


@dataclass(frozen=True, eq=False)
class LayerLabels:
    """The data of a Labels layer as frames, see `labels.LabelFrames`.

    Attributes
    ----------
    array
        (T, Y, X), (T, Z, Y, X) or, without `frame_axis`, (Y, X); numpy, zarr, dask or alike.
    name
        Of the layer, for messages.
    frame_axis
        The axis that is time; None: all is one frame.
    dropped
        Axes of length 1, such as that of an image's channels, which frames do without.
    """

    array: Any
    name: str
    frame_axis: int | None = 0
    dropped: tuple[int, ...] = ()

    @property
    def n_frames(self) -> int:
        """Number of frames."""
        return 1 if self.frame_axis is None else int(self.array.shape[self.frame_axis])

    @property
    def frame_shape(self) -> tuple[int, ...]:
        """Shape of a frame."""
        gone = (self.frame_axis, *self.dropped)
        return tuple(int(n) for k, n in enumerate(self.array.shape) if k not in gone)

    def read(self, t: int) -> NDArray[np.uint32]:
        """Return frame `t`, uint32; a copy.

        Raises
        ------
        FormatError
            If the layer holds negative values, which are no ids.
        """
        index: list[int | slice] = [slice(None)] * len(self.array.shape)
        for axis in self.dropped:
            index[axis] = 0
        if self.frame_axis is not None:
            index[self.frame_axis] = t
        values = np.asarray(self.array[tuple(index)])
        return as_labels(values, f"frame {t} of the layer {self.name!r}", len(self.frame_shape))


def layer_labels(layer: LayerLike, frame_axis: int = 0) -> LayerLabels:
    """Return the frames of a Labels layer; of a multiscale one, the finest level, unread.

    Raises
    ------
    FormatError
        If it has fewer than two axes, or more than four, not counting those of length 1.
    """
    multiscale = getattr(layer, "multiscale", False)
    array = layer.data[0] if multiscale else layer.data
    shape = tuple(int(n) for n in array.shape)
    ndim = len(shape)
    time = None if ndim == 2 else frame_axis % max(ndim, 1)
    dropped = tuple(k for k, n in enumerate(shape[:-2]) if n == 1 and k != time)
    if not 2 <= ndim - len(dropped) <= 4:
        raise FormatError(
            f"the layer {layer.name!r} has {ndim} axes (shape {shape}); labels of "
            "(time, y, x), (time, z, y, x) or (y, x) can be taken: cut out what you need"
        )
    return LayerLabels(array, layer.name, time, dropped)


def layer_scale(layer: LayerLike, frame_axis: int | None = 0, dropped: Sequence[int] = ()) -> Scale:
    """Return the size of pixels and the time between frames of a layer.

    Where space has several units, sizes are in that of x. Axes that are `dropped` are
    left out.
    """
    sizes = [float(size) for size in layer.scale]
    units = list(layer.units) if layer.units is not None else []
    if len(units) != len(sizes):
        units = [None] * len(sizes)
    time, time_unit = 1.0, None
    if frame_axis is not None and len(sizes) > 2:
        time, time_unit = sizes[frame_axis], unit_of(units[frame_axis])
    gone = (frame_axis if len(sizes) > 2 else None, *dropped)
    kept = [k for k in range(len(sizes)) if k not in gone]
    if not kept:
        return Scale()
    last = units[kept[-1]]
    z, y, x = ([1.0] * 3 + [_in_unit(sizes[k], units[k], last) for k in kept])[-3:]
    return Scale(time, z, y, x, time_unit, unit_of(last))


def _in_unit(size: float, unit: Any, wanted: Any) -> float:
    """Return a size in another unit; unchanged where units are unknown or of another kind."""
    if unit == wanted or not hasattr(unit, "is_compatible_with"):
        return size
    if not unit.is_compatible_with(wanted):
        return size
    return float((size * unit).to(wanted).magnitude)


def scale_attributes(scale: Scale, ndim: int) -> dict[str, Any]:
    """Return ``scale``, ``units`` and ``axis_labels`` of a layer with `ndim` axes, time first."""
    space = scale.space_unit or "pixel"
    return {
        "scale": tuple(scale.of_axes(ndim)),
        "units": (scale.time_unit or "pixel", *(space,) * (ndim - 1)),
        "axis_labels": ("t", *"zyx"[-(ndim - 1) :]),
    }


def time_axis(layer: LayerLike) -> int:
    """Return the axis of a layer that is time: the one of that name, else the first."""
    names = [str(name).lower() for name in getattr(layer, "axis_labels", None) or ()]
    return next((k for k, name in enumerate(names) if name in ("t", "time", "frame")), 0)


def layer_parents(layer: LayerLike) -> dict[int, int]:
    """Return daughter to parent from the layer's metadata; empty if it has none.

    ``layer.metadata["sam2track"]`` is a mapping with the key ``parents``, as readers leave it, or
    an object with an attribute of that name.
    """
    return {int(child): int(parent) for child, parent in _ours(layer, "parents").items()}


def layer_provenance(layer: LayerLike) -> dict[str, Any]:
    """Return the origin of a layer from its metadata; empty if it has none.

    As `layer_parents`, by the name ``provenance``. Losses of reading a file were reported
    then, and are left out here.
    """
    return {key: value for key, value in _ours(layer, "provenance").items() if key != "notes"}


def _ours(layer: LayerLike, name: str) -> Mapping[Any, Any]:
    """Return a mapping that we keep with a layer."""
    ours = (layer.metadata or {}).get(KEY)
    found = ours.get(name) if isinstance(ours, Mapping) else getattr(ours, name, None)
    return found if isinstance(found, Mapping) else {}
