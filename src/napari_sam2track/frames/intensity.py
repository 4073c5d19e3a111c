"""From any pixel type to 8 bits, through one window for the whole movie: no flicker."""

from __future__ import annotations

import math
import re
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from napari_sam2track.errors import UsageError
from napari_sam2track.frames.source import Source

SAMPLE_FRAMES = 16
SAMPLE_PIXELS = 1_000_000

IntensityWindow = tuple[float, float]

_EXAMPLE = 'give "low,high" such as "100,4000", or percentiles such as "p0.1,p99.9"'
_NUMBER = r"[+-]?(?:\d+\.?\d*|\.\d+)(?:[eE][+-]?\d+)?"


@dataclass(frozen=True, slots=True)
class Intensity:
    """Pixel values that become black and white.

    Attributes
    ----------
    low, high
        Pixel values, or percentiles (0 to 100) of a sample of the movie.
    percentile
        Whether they are percentiles.

    Raises
    ------
    UsageError
        If low is not below high, a number is not finite, or a percentile is not one.
    """

    low: float
    high: float
    percentile: bool = False

    def __post_init__(self) -> None:
        if not (math.isfinite(self.low) and math.isfinite(self.high)) or self.low >= self.high:
            raise UsageError(f"intensity {self}: the first must be below the second; {_EXAMPLE}")
        if self.percentile and (self.low < 0 or self.high > 100):
            raise UsageError(f"intensity {self}: percentiles go from 0 to 100; {_EXAMPLE}")

    def __str__(self) -> str:
        p = "p" if self.percentile else ""
        return f"{p}{self.low!r},{p}{self.high!r}"


def parse_intensity(text: str) -> Intensity:
    """Read ``"low,high"`` (pixel values) or ``"p1,p99.8"`` (percentiles).

    Raises
    ------
    UsageError
        If the text is neither.
    """
    match = re.fullmatch(rf"\s*(p?)({_NUMBER})\s*,\s*(p?)({_NUMBER})\s*", text)
    if match is None or match[1] != match[3]:
        raise UsageError(f"intensity {text!r} cannot be read; {_EXAMPLE}")
    return Intensity(float(match[2]), float(match[4]), percentile=bool(match[1]))


def resolve_windows(
    source: Source, channels: tuple[int, ...], intensity: Intensity | None
) -> tuple[IntensityWindow, ...]:
    """Fix the window of each channel for the whole movie.

    Parameters
    ----------
    channels
        The channels that are shown.
    intensity
        None for the default: 8-bit data as they are, others from percentile 0.1 to 99.9.

    Returns
    -------
    (low, high) for each channel, low < high. The colours of one picture get the same window.

    Notes
    -----
    Percentiles are taken over at most 16 frames spread over the movie and about a million
    pixels of them, always the same ones. Pixels that are not finite are left out.
    """
    if intensity is None:
        if source.dtype == np.uint8:
            return ((0.0, 255.0),) * len(channels)
        if source.dtype == np.bool_:
            return ((0.0, 1.0),) * len(channels)
        intensity = Intensity(0.1, 99.9, percentile=True)
    if not intensity.percentile:
        return ((float(intensity.low), float(intensity.high)),) * len(channels)

    different = tuple(dict.fromkeys(channels))
    sample_nc = _sample(source, different)
    if source.rgb and len(different) > 1:
        return (_percentile_window(sample_nc.ravel(), intensity),) * len(channels)
    by_channel = {
        channel: _percentile_window(sample_nc[:, k], intensity)
        for k, channel in enumerate(different)
    }
    return tuple(by_channel[channel] for channel in channels)


def _sample(source: Source, channels: tuple[int, ...]) -> NDArray[Any]:
    """Return pixels of frames spread over the movie: shape (N, channels), native dtype."""
    n_sampled = min(source.n_frames, SAMPLE_FRAMES)
    times = np.unique(np.linspace(0, source.n_frames - 1, n_sampled).round().astype(int))
    pixels = source.height * source.width * len(channels) * len(times)
    step = max(1, math.ceil(math.sqrt(pixels / SAMPLE_PIXELS)))
    parts = []
    for t in times:
        frame_yxc = source.read_raw(int(t), 0, source.height, 0, source.width, channels)
        parts.append(frame_yxc[::step, ::step].reshape(-1, len(channels)).copy())
    return np.concatenate(parts)


def _percentile_window(values: NDArray[Any], intensity: Intensity) -> IntensityWindow:
    wide = values.astype(np.float64)
    wide = wide[np.isfinite(wide)]
    if wide.size == 0:
        return 0.0, 1.0
    low, high = (float(v) for v in np.percentile(wide, (intensity.low, intensity.high)))
    if low >= high:  # mostly background: a few bright pixels would be lost
        low, high = float(wide.min()), float(wide.max())
    if low >= high:  # constant: all black, without dividing by zero
        high = low + max(1.0, abs(low) * 1e-6)
    return low, high


def to_uint8(values: NDArray[Any], window: IntensityWindow) -> NDArray[np.uint8]:
    """Map pixel values to 8 bits, the window's ends to 0 and 255, rounding to the nearest.

    Parameters
    ----------
    values
        Any shape; bool, integer or float without NaN.
    window
        (low, high) with low < high; what lies outside is cut off.

    Returns
    -------
    Same shape; `values` itself, not a copy, if it is uint8 and the window (0, 255).
    """
    if values.dtype == np.uint8 and window == (0.0, 255.0):
        return values
    if values.dtype.kind in "ui" and values.size > 2 ** (8 * values.dtype.itemsize):
        # Fewer values than pixels: mapping them once is faster than arithmetic on every pixel.
        native = values.astype(values.dtype.newbyteorder("="), copy=False)
        unsigned = np.dtype(f"u{native.itemsize}")
        all_values = np.arange(2 ** (8 * native.itemsize), dtype=unsigned).view(native.dtype)
        table = _scale(all_values.astype(np.float64), window)
        mapped: NDArray[np.uint8] = table[native.view(unsigned)]
        return mapped
    return _scale(values.astype(np.float64), window)


def _scale(values: NDArray[Any], window: IntensityWindow) -> NDArray[np.uint8]:
    low, high = window
    if not math.isfinite(high - low):  # the whole range of float64
        values, low, high = values / 2, low / 2, high / 2
    # Clip first: nothing can overflow afterwards.
    values = (np.clip(values, low, high) - low) / (high - low)
    scaled: NDArray[np.uint8] = np.rint(values * 255).astype(np.uint8)
    return scaled
