"""Frames: a movie as the engine sees it, 8-bit RGB, one frame or one window at a time."""

from __future__ import annotations

import hashlib
import operator
import threading
from typing import Any

import numpy as np
from numpy.typing import NDArray

from napari_sam2track.errors import FramesError
from napari_sam2track.frames.channels import choose_channels
from napari_sam2track.frames.intensity import (
    Intensity,
    IntensityWindow,
    parse_intensity,
    resolve_windows,
    to_uint8,
)
from napari_sam2track.frames.source import Source
from napari_sam2track.labels import Closing

_FINGERPRINT_FRAMES = 4
_FINGERPRINT_PIXELS = 65_536


class Frames(Closing):
    """A movie with a choice of channels and one intensity window per channel.

    Parameters
    ----------
    source
        Source of the raw pixels; closed together with this.
    channel
        See `choose_channels`: None, one number (shown in grey), or up to three (red, green,
        blue).
    intensity
        None (see `resolve_windows`), an `Intensity`, a text for `parse_intensity`, or a pair of
        pixel values (a layer's contrast limits).

    Raises
    ------
    FramesError
        If there is no such channel.
    UsageError
        If channel or intensity are not valid.

    Notes
    -----
    Nothing is read before the first frame is read; then a percentile window costs up to 16
    frames once.
    """

    def __init__(
        self,
        source: Source,
        *,
        channel: int | str | tuple[int, ...] | list[int] | None = None,
        intensity: Intensity | str | tuple[float, float] | None = None,
    ) -> None:
        self._source, self._close = source, source.close
        self.channels, self._note = choose_channels(source, channel)
        if isinstance(intensity, str):
            intensity = parse_intensity(intensity)
        elif isinstance(intensity, tuple | list):
            low, high = intensity
            intensity = Intensity(float(low), float(high))
        self._asked = intensity
        self._windows: tuple[IntensityWindow, ...] | None = None
        self._not_finite: dict[int, int] = {}
        self._lock = threading.Lock()

    @property
    def source(self) -> Source:
        """Source of the raw pixels."""
        return self._source

    @property
    def n_frames(self) -> int:
        """Number of frames."""
        return self._source.n_frames

    @property
    def height(self) -> int:
        """Rows of a frame."""
        return self._source.height

    @property
    def width(self) -> int:
        """Columns of a frame."""
        return self._source.width

    @property
    def name(self) -> str:
        """Name of the movie in messages."""
        return self._source.name

    @property
    def notes(self) -> tuple[str, ...]:
        """What is not used, and what was chosen by default; reading frames may add to it."""
        chosen = (self._note,) if self._note else ()
        return (*self._source.notes, *chosen, *self._black_pixels())

    def _black_pixels(self) -> tuple[str, ...]:
        """Return a note on pixels that are NaN or infinite in the frames that were read."""
        if not self._not_finite:
            return ()
        t, count = next(iter(self._not_finite.items()))
        return (
            f"{count} pixels of frame {t} are not finite (NaN or infinite), and are taken as "
            "black, as those of all frames",
        )

    @property
    def intensity(self) -> tuple[IntensityWindow, ...]:
        """(low, high) pixel values that become 0 and 255, for each of `channels`."""
        with self._lock:  # two threads must not take the sample twice
            if self._windows is None:
                self._windows = resolve_windows(self._source, self.channels, self._asked)
            return self._windows

    def __len__(self) -> int:
        return self.n_frames

    def __repr__(self) -> str:
        return (
            f"<Frames {self.name!r}: {self.n_frames} frames of {self.height} x {self.width}, "
            f"channels {self.channels} of {self._source.n_channels}, {self._source.dtype}>"
        )

    def read(self, t: int) -> NDArray[np.uint8]:
        """Read frame `t`.

        Returns
        -------
        Shape (Y, X, 3), uint8, RGB; the caller's own copy.

        Raises
        ------
        FramesError
            If there is no frame `t`, or it cannot be read.
        """
        return self._read(t, 0, self.height, 0, self.width)

    def read_window(self, t: int, y0: int, y1: int, x0: int, x1: int) -> NDArray[np.uint8]:
        """Read rows y0:y1 and columns x0:x1 of frame `t`, as cut out of `read(t)`.

        Returns
        -------
        Shape (y1 - y0, x1 - x0, 3), uint8, RGB; the caller's own copy.

        Raises
        ------
        ValueError
            If the window is empty or not inside the frame.
        FramesError
            As `read`.
        """
        if not (0 <= y0 < y1 <= self.height and 0 <= x0 < x1 <= self.width):
            raise ValueError(
                f"window of rows {y0}:{y1}, columns {x0}:{x1} is not inside the frame of "
                f"{self.height} rows and {self.width} columns; cut it down to the frame first"
            )
        return self._read(t, y0, y1, x0, x1)

    def _read(self, t: int, y0: int, y1: int, x0: int, x1: int) -> NDArray[np.uint8]:
        t = operator.index(t)
        if not 0 <= t < self.n_frames:
            raise FramesError(
                f"frame {t} is outside {self.name}, which has {self.n_frames} frames; "
                f"choose one from 0 to {self.n_frames - 1}"
            )
        windows = self.intensity
        different = tuple(dict.fromkeys(self.channels))
        raw_yxc = self._source.read_raw(t, y0, y1, x0, x1, different)
        raw_yxc = self._finite(raw_yxc, t)

        frame_yxc = np.zeros((y1 - y0, x1 - x0, 3), np.uint8)
        if len(self.channels) == 1 or (self.channels == (0, 1, 2) and len(set(windows)) == 1):
            frame_yxc[:] = to_uint8(raw_yxc, windows[0])
        else:
            for colour, (channel, window) in enumerate(zip(self.channels, windows, strict=True)):
                raw_yx = raw_yxc[..., different.index(channel)]
                frame_yxc[..., colour] = to_uint8(raw_yx, window)
        return frame_yxc

    def _finite(self, raw_yxc: NDArray[Any], t: int) -> NDArray[Any]:
        """Return pixels of which those that are NaN or infinite are black, and count them."""
        if raw_yxc.dtype.kind != "f":
            return raw_yxc
        bad_yxc = ~np.isfinite(raw_yxc)
        count = int(bad_yxc.any(axis=2).sum())
        if not count:
            return raw_yxc
        self._not_finite[t] = max(count, self._not_finite.get(t, 0))
        return np.where(bad_yxc, -np.inf, raw_yxc)

    def describe(self) -> dict[str, Any]:
        """Return everything that decides the pixels of the model, as plain values for JSON."""
        source = self._source
        described: dict[str, Any] = {
            "name": self.name,
            "n_frames": self.n_frames,
            "height": self.height,
            "width": self.width,
            "n_channels": source.n_channels,
            "dtype": source.dtype.name,
            "channels": list(self.channels),
            "intensity": [list(window) for window in self.intensity],
            "intensity_asked": None if self._asked is None else str(self._asked),
        }
        if self._note:
            described["note"] = self._note
        return described

    def fingerprint(self) -> str:
        """Return a key of the raw content that survives renaming: 32 hexadecimal digits.

        Made of the sizes, the dtype and a sample of four frames, so it costs little and is the
        same for the same pixels in another file format of the same axes; it does not depend on
        channel or intensity. It notices another movie, not one changed pixel.
        """
        source = self._source
        digest = hashlib.sha256()
        sizes = (self.n_frames, self.height, self.width, source.n_channels)
        digest.update(repr((sizes, source.dtype.name)).encode())
        step = max(1, round((self.height * self.width / _FINGERPRINT_PIXELS) ** 0.5))
        little_endian = source.dtype.newbyteorder("<")
        times = np.linspace(0, self.n_frames - 1, _FINGERPRINT_FRAMES).round().astype(int)
        for t in dict.fromkeys(times.tolist()):
            frame_yxc = source.read_raw(t, 0, self.height, 0, self.width)
            digest.update(frame_yxc[::step, ::step].astype(little_endian).tobytes())
        return digest.hexdigest()[:32]
