"""Mapping of frames to pixels of the screen: numbers only, no Qt."""

from __future__ import annotations

import math
from dataclasses import dataclass, replace

#: Zooming in ends where so few frames fill the view.
FEWEST = 8.0


@dataclass(frozen=True, slots=True)
class TimeAxis:
    """A range of frames over a length of pixels.

    Frame ``t`` covers the pixels from ``position(t)`` to ``position(t + 1)``.

    Attributes
    ----------
    n_frames
        Frames of the movie.
    start, stop
        The shown range, in frames: ``0 <= start < stop <= n_frames``. All of an empty movie is one
        frame.
    origin, length
        Place of the range, in pixels.
    """

    n_frames: int = 0
    start: float = 0.0
    stop: float = 1.0
    origin: float = 0.0
    length: float = 1.0

    @property
    def scale(self) -> float:
        """Pixels a frame."""
        return self.length / (self.stop - self.start)

    @property
    def span(self) -> float:
        """Number of frames that are shown."""
        return self.stop - self.start

    def position(self, frame: float) -> float:
        """Return the pixel at which a frame begins."""
        return self.origin + (frame - self.start) * self.scale

    def frame(self, position: float) -> float:
        """Return the frame at a pixel; its integer part is the frame's number."""
        return self.start + (position - self.origin) / self.scale

    def frames(self, position: float) -> range:
        """Return the frames that one pixel shows, at least one; empty beside the axis."""
        first = math.floor(self.frame(math.floor(position)) + 1e-9)
        last = max(first + 1, math.floor(self.frame(math.floor(position) + 1) + 1e-9))
        return range(max(first, 0), min(last, self.n_frames))

    def shown(self, start: float, stop: float) -> TimeAxis:
        """Return the range between two frames, or the nearest one that can be shown."""
        most = float(max(self.n_frames, 1))
        span = min(max(stop - start, min(FEWEST, most)), most)
        start = min(max(start, 0.0), most - span)
        return replace(self, start=start, stop=start + span)

    def zoomed(self, factor: float, at: float) -> TimeAxis:
        """Zoom by a factor, with the frame ``at`` fixed."""
        span = self.span / factor
        least, most = min(FEWEST, max(self.n_frames, 1)), max(self.n_frames, 1)
        span = min(max(span, least), most)
        start = at - (at - self.start) * span / self.span
        return self.shown(start, start + span)

    def moved(self, frames: float) -> TimeAxis:
        """Move the range later by so many frames."""
        return self.shown(self.start + frames, self.stop + frames)

    def including(self, frame: int) -> TimeAxis:
        """Move the range as little as needed to show all of a frame."""
        if frame < self.start:
            return self.moved(frame - self.start)
        if frame + 1 > self.stop:
            return self.moved(frame + 1 - self.stop)
        return self

    def placed(self, origin: float, length: float) -> TimeAxis:
        """Return the same frames over other pixels."""
        return replace(self, origin=origin, length=max(length, 1.0))

    def ticks(self, spacing: float) -> range:
        """Return frames with numbers, at least so many pixels apart: 1, 2 or 5 times 10^k."""
        step = 1
        for step in (m * 10**k for k in range(10) for m in (1, 2, 5)):
            if step * self.scale >= spacing:
                break
        first = math.ceil(self.start / step) * step
        return range(first, min(math.ceil(self.stop), self.n_frames), step)
