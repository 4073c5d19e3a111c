"""Movies as arrays that read on access: layers of large files, results of runs."""

from __future__ import annotations

import math
import threading
import weakref
from collections.abc import Callable
from typing import Any

import numpy as np
from numpy.lib.mixins import NDArrayOperatorsMixin
from numpy.typing import NDArray

from napari_sam2track.frames.source import Source
from napari_sam2track.labels import LabelFrames

#: Frames that an array keeps, since napari reads the shown one again and again.
_REMEMBERED = 2


class LazyFrames(NDArrayOperatorsMixin):
    """Frames as an array whose first axis is time; it has what napari needs of a layer's data.

    It is read-only. Any thread may read it.

    Parameters
    ----------
    read
        Returns a frame of `frame_shape`.
    n_frames, frame_shape
        Shape of the movie.
    dtype
        Of the frames.
    close
        Called once, when the array is not used any more.
    """

    def __init__(
        self,
        read: Callable[[int], NDArray[Any]],
        n_frames: int,
        frame_shape: tuple[int, ...],
        dtype: Any,
        close: Callable[[], object] | None = None,
    ) -> None:
        self._read = read
        self.shape: tuple[int, ...] = (n_frames, *frame_shape)
        self.dtype = np.dtype(dtype)
        self._lock = threading.Lock()
        self._recent: dict[int, NDArray[Any]] = {}
        if close is not None:
            weakref.finalize(self, close)

    @property
    def ndim(self) -> int:
        """Number of axes."""
        return len(self.shape)

    @property
    def size(self) -> int:
        """Number of elements."""
        return math.prod(self.shape)

    @property
    def nbytes(self) -> int:
        """Bytes that the whole would take in memory."""
        return self.size * int(self.dtype.itemsize)

    def __repr__(self) -> str:
        return f"<LazyFrames of shape {self.shape}, {self.dtype}, read when they are indexed>"

    def __array_ufunc__(self, ufunc: np.ufunc, method: str, *inputs: Any, **options: Any) -> Any:
        """Compute with all frames in memory, as ``labels == 3`` does."""
        arrays = [np.asarray(each) if isinstance(each, LazyFrames) else each for each in inputs]
        return getattr(ufunc, method)(*arrays, **options)

    def __len__(self) -> int:
        return self.shape[0]

    def __getitem__(self, key: Any) -> NDArray[Any]:
        """Index as numpy does; only the frames that are needed are read."""
        keys = key if isinstance(key, tuple) else (key,)
        if any(part is None for part in keys):
            raise IndexError("movies on disk take no new axes; use np.asarray(array[frames]) first")
        if keys and keys[0] is Ellipsis:
            rest = [part for part in keys if part is not Ellipsis]
            keys = (*(slice(None),) * (self.ndim - len(rest)), *rest)
        first, rest_keys = (keys[0], keys[1:]) if keys else (slice(None), ())
        if isinstance(first, int | np.integer) and not isinstance(first, bool):
            frame = self._frame(int(first))
            if any(_is_fancy(part) for part in rest_keys):  # then a number counts as an array
                return np.asarray(frame[None][(0, *rest_keys)])
            return frame[rest_keys]
        if _is_fancy(first):
            return self._picked(np.asarray(np.arange(self.shape[0])[first]), rest_keys)
        times = np.arange(self.shape[0])[first].tolist()
        if not times:
            return np.zeros((0, *self.shape[1:]), self.dtype)[(slice(None), *rest_keys)]
        if any(_is_fancy(part) for part in rest_keys):  # numpy has rules for what these mean
            whole = np.stack([self._frame(t) for t in times])
            return np.asarray(whole[(slice(None), *rest_keys)])
        return np.stack([self._frame(t)[rest_keys] for t in times])

    def __setitem__(self, key: Any, value: Any) -> None:
        raise TypeError(
            "this layer is read from its file, which is too large to be in memory, and cannot be "
            "painted; cut out what you want to edit, or give it memory: "
            "layer.data = np.asarray(layer.data)"
        )

    def reshaped(self, frame_shape: tuple[int, ...]) -> LazyFrames:
        """Return the frames in another shape, as one with an axis of length 1."""
        return LazyFrames(
            lambda t: self[t].reshape(frame_shape), self.shape[0], frame_shape, self.dtype
        )

    def __array__(self, dtype: Any = None, copy: bool | None = None) -> NDArray[Any]:
        whole = self[:]
        return whole if dtype is None else whole.astype(dtype)

    def _picked(self, times: NDArray[np.int64], rest: tuple[Any, ...]) -> NDArray[Any]:
        """Return single pixels, or boxes of chosen frames, as numpy picks them with arrays."""
        needed, where = np.unique(times, return_inverse=True)
        frames = np.stack([self._frame(t) for t in needed.tolist()])
        picked: NDArray[Any] = frames[(where.reshape(times.shape), *rest)]
        return picked

    def _frame(self, t: int) -> NDArray[Any]:
        n = self.shape[0]
        if not -n <= t < n:
            raise IndexError(f"frame {t} is outside a movie of {n} frames")
        t %= n
        with self._lock:  # files are read by one thread at a time
            if t not in self._recent:
                while len(self._recent) >= _REMEMBERED:
                    self._recent.pop(next(iter(self._recent)))
                frame = np.asarray(self._read(t), self.dtype)
                frame.setflags(write=False)
                self._recent[t] = frame
            return self._recent[t]


def _is_fancy(key: Any) -> bool:
    """Return whether numpy would index with arrays."""
    return isinstance(key, bool) or not (
        isinstance(key, slice | int | np.integer) or key is Ellipsis
    )


def lazy_labels(labels: LabelFrames, close: Callable[[], object] | None = None) -> LazyFrames:
    """Return labels (T, [Z,] Y, X) that read frame by frame, uint32."""
    return LazyFrames(labels.read, labels.n_frames, labels.frame_shape, np.uint32, close)


def lazy_image(source: Source) -> LazyFrames:
    """Return raw pixels of a movie that read frame by frame; closed with the array.

    (T, Y, X), or with channels (T, C, Y, X); a picture in colour is (T, Y, X, 3 or 4).
    """
    height, width, n = source.height, source.width, source.n_channels

    def read(t: int) -> NDArray[Any]:
        pixels_yxc = source.read_raw(t, 0, height, 0, width)
        if n == 1:
            return np.array(pixels_yxc[..., 0])
        return np.array(pixels_yxc if source.rgb else np.moveaxis(pixels_yxc, -1, 0))

    if n == 1:
        shape: tuple[int, ...] = (height, width)
    else:
        shape = (height, width, n) if source.rgb else (n, height, width)
    return LazyFrames(read, source.n_frames, shape, source.dtype, source.close)
