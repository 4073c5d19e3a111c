"""Anything with a shape, a dtype and slices as a movie: numpy, dask, zarr, memory maps."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, Protocol, runtime_checkable

import numpy as np
from numpy.typing import NDArray

from napari_sam2track.errors import FramesError, Sam2TrackError
from napari_sam2track.frames.axes import Layout, resolve_layout
from napari_sam2track.parsing.bounds import require_memory
from napari_sam2track.parsing.guard import reason_of


@runtime_checkable
class ArrayLike(Protocol):
    """Interface that is needed of an array: it is indexed with integers and slices only."""

    @property
    def shape(self) -> tuple[int, ...]:
        """Length of each axis."""
        ...

    @property
    def dtype(self) -> Any:
        """Type of the elements, as numpy understands it."""
        ...

    def __getitem__(self, index: Any, /) -> Any: ...


class ArraySource:
    """A movie in an array-like; every file kind ends here, with an array that reads lazily."""

    rgb: bool

    def __init__(
        self,
        array: ArrayLike,
        layout: Layout,
        name: str,
        close: Callable[[], object] | None = None,
        notes: tuple[str, ...] = (),
    ) -> None:
        self._array: ArrayLike | None = array
        self._close = close
        self.notes = (*notes, *layout.notes)
        self.layout = layout
        self.name = name
        self.dtype: np.dtype[Any] = np.dtype(array.dtype)
        self.n_frames = layout.n_frames
        self.height = layout.height
        self.width = layout.width
        self.n_channels = layout.n_channels
        self.rgb = layout.rgb

    def read_raw(
        self,
        t: int,
        y0: int,
        y1: int,
        x0: int,
        x1: int,
        channels: Sequence[int] | None = None,
    ) -> NDArray[Any]:
        """Read pixels of one window of one frame; see `Source.read_raw`."""
        if self._array is None:
            raise FramesError(f"{self.name} is closed; open it again to read from it")
        layout = self.layout
        try:
            if channels is not None and layout.planar and len(channels) < self.n_channels:
                # One read a channel, so that channels that are not shown stay on the disk.
                parts = [
                    layout.arrange(
                        np.asarray(self._array[layout.index(t, y0, y1, x0, x1, channel)])
                    )
                    for channel in channels
                ]
                return parts[0] if len(parts) == 1 else np.concatenate(parts, axis=2)
            block_yxc = layout.arrange(np.asarray(self._array[layout.index(t, y0, y1, x0, x1)]))
        except Sam2TrackError:
            raise
        except Exception as error:  # decoders raise anything on damaged data
            raise FramesError(
                f"frame {t} of {self.name} cannot be read ({reason_of(error)}); the data may be "
                "damaged: copy or export it again"
            ) from error
        if channels is None or list(channels) == list(range(self.n_channels)):
            return block_yxc
        if list(channels) == list(range(len(channels))):
            return block_yxc[..., : len(channels)]  # RGB of RGBA: a view
        return block_yxc[..., list(channels)]

    def close(self) -> None:
        """Release the array and the file behind it."""
        self._array = None
        if self._close is not None:
            self._close()
            self._close = None


def from_array(
    array: ArrayLike,
    *,
    axes: str | None = None,
    known: str | None = None,
    z: int | None = None,
    name: str = "array",
    close: Callable[[], object] | None = None,
    notes: tuple[str, ...] = (),
) -> ArraySource:
    """Make a source of an array-like without reading from it.

    Parameters
    ----------
    array
        Anything with `shape`, `dtype` and indexing by integers and slices.
    axes, known, z
        See `resolve_layout`; an array with single-letter `dims` (xarray) needs neither.
    name
        For messages.
    close
        Called once when the source is closed.
    notes
        See `Source.notes`.

    Raises
    ------
    FramesError
        If the axes do not fit, or the pixels are not numbers.
    """
    try:
        dtype = np.dtype(array.dtype)
    except TypeError as error:
        raise FramesError(
            f"{name} has pixels of type {array.dtype}, which numpy does not know; convert it to a "
            "numpy array"
        ) from error
    if dtype.kind not in "uifb":
        raise FramesError(
            f"{name} has pixels of type {dtype}, which are no intensities; "
            "convert them to an integer or real floating type"
        )
    if known is None:
        known = _dims(array)
    layout = resolve_layout(
        tuple(int(size) for size in array.shape), dtype, name, axes=axes, known=known, z=z
    )
    n_bytes = layout.height * layout.width * layout.n_channels * dtype.itemsize
    size = f"a frame of {name} ({layout.width} x {layout.height} pixels)"
    require_memory(n_bytes, size, FramesError)
    return ArraySource(array, layout, name, close, notes)


def _dims(array: ArrayLike) -> str | None:
    dims = getattr(array, "dims", None)
    if not isinstance(dims, tuple) or not all(isinstance(d, str) and len(d) == 1 for d in dims):
        return None
    letters = "".join(dims).upper()
    return letters if "Y" in letters and "X" in letters else None
