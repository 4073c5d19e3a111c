"""Progress of a run, in numbers and in words."""

from __future__ import annotations

import time
from dataclasses import dataclass, replace

from napari_sam2track.engine.results import State
from napari_sam2track.session.runner import RunStep

#: Weight of the newest step in the mean of the speed.
_NEW = 0.1


@dataclass(frozen=True)
class RunStatus:
    """Status of a run, as far as is known.

    Attributes
    ----------
    active, stopped
        Whether it is active, and whether it was stopped before its end.
    done, total
        (object, frame) pairs.
    frames_per_second
        Steps in a second; None before there were two.
    seconds_left
        Estimate of the remaining time; None if unknown.
    waiting
        Whether nothing was computed yet: the model is loaded.
    """

    active: bool = False
    stopped: bool = False
    done: int = 0
    total: int = 0
    frames_per_second: float | None = None
    seconds_left: float | None = None
    waiting: bool = False
    _last: float = 0.0
    _begin: float = 0.0
    _first: int = 0

    @classmethod
    def begun(cls) -> RunStatus:
        """Return the status of a run that begins now."""
        return cls(active=True, waiting=True)

    def after(self, done: int, total: int) -> RunStatus:
        """Return the status one step later."""
        now = time.monotonic()
        if self.waiting:
            begun = replace(self, waiting=False, _begin=now, _last=now, _first=done)
            return replace(begun, done=done, total=total)
        speed = 1 / max(now - self._last, 1e-6)
        if self.frames_per_second is not None:  # mean of times, not of speeds
            speed = 1 / ((1 - _NEW) / self.frames_per_second + _NEW / speed)
        took = (now - self._begin) / max(done - self._first, 1)
        left = took * (total - done)
        return replace(
            self, done=done, total=total, frames_per_second=speed, seconds_left=left, _last=now
        )

    def stopping(self) -> RunStatus:
        """Return the status after a stop was requested."""
        return replace(self, stopped=True)

    def ended(self, stopped: bool) -> RunStatus:
        """Return the status after the end."""
        return replace(self, active=False, stopped=stopped, waiting=False, seconds_left=None)

    @property
    def text(self) -> str:
        """Status for a person."""
        if self.active and self.stopped:
            return "Stopping after this frame…"
        if self.waiting:
            return "Loading the model…"
        share = f"{self.done} of {self.total} object-frames"
        if not self.active:
            if not self.total:
                return "Nothing was stale" if not self.stopped else "Stopped"
            return f"Stopped: {share}" if self.stopped else f"Finished: {share}"
        parts = [share]
        if self.frames_per_second is not None:
            parts.append(f"{self.frames_per_second:.1f} frames/s")
        if self.seconds_left is not None:
            parts.append(f"{_duration(self.seconds_left)} left")
        return " · ".join(parts)


def _duration(seconds: float) -> str:
    whole = round(seconds)
    if whole < 60:
        return f"{whole} s"
    if whole < 3600:
        return f"{whole // 60} min {whole % 60:02d} s"
    return f"{whole // 3600} h {whole % 3600 // 60:02d} min"


class RunLost:
    """Watches whether all objects of a run are lost."""

    def __init__(self) -> None:
        self._seen: dict[int, bool] = {}

    def all_lost(self, progress: RunStep) -> bool:
        """Return whether all are lost after one more frame."""
        for o in progress.result.objects:
            self._seen[o.object_id] = o.state in (State.PROMPTED, State.PROPAGATED)
        return bool(self._seen) and not any(self._seen.values())
