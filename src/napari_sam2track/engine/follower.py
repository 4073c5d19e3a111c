"""One object of a pass: its task, its memory, its last place."""

from __future__ import annotations

from dataclasses import astuple, dataclass
from typing import Any

import torch

from napari_sam2track.engine.network.memory import MemoryBank
from napari_sam2track.engine.results import State
from napari_sam2track.engine.tasks import Task
from napari_sam2track.engine.views.windows import SEARCH_FRAMES, WindowMotion


@dataclass(eq=False)
class Follower:
    """An object that is followed; it changes from frame to frame.

    Attributes
    ----------
    task
        Its frames and prompts.
    bank
        Its memory bank.
    motion
        Where it was seen last; None in frame mode and before it was seen.
    missing
        For how many frames in a row it was not seen.
    give_up
        After how many of them it is not searched any more; 0 for never.
    """

    task: Task
    bank: MemoryBank
    give_up: int
    motion: WindowMotion | None = None
    missing: int = 0

    @property
    def object_id(self) -> int:
        """Its label."""
        return self.task.object_id

    def visits(self, t: int) -> bool:
        """Return whether frame ``t`` is visited."""
        return t in self.task.frames

    def wants(self, t: int) -> bool:
        """Return whether frame ``t`` needs a new result."""
        return t in self.task.stale

    @property
    def begun(self) -> bool:
        """True once it has a memory."""
        return bool(self.bank.conditioning)

    @property
    def stopped(self) -> bool:
        """True if it was missing for too long to be searched any more."""
        return 0 < self.give_up < self.missing

    def advance(self, present: bool, prompted: bool) -> State:
        """Count a frame and return the object's state on it."""
        if present or prompted:
            self.missing = 0
            return State.PROMPTED if prompted else State.PROPAGATED
        self.missing += 1
        if self.stopped:
            return State.STOPPED
        return State.LOST if self.missing <= SEARCH_FRAMES else State.ABSENT

    def state(self) -> dict[str, Any]:
        """Return its state as `torch.save` takes it, to resume from here with the same result."""
        return {
            "bank": self.bank.state(),
            "motion": None if self.motion is None else astuple(self.motion),
            "missing": self.missing,
        }

    def restore(self, state: dict[str, Any], device: torch.device) -> None:
        """Resume from what `state` returned."""
        self.bank.restore(state["bank"], device)
        self.motion = None if state["motion"] is None else WindowMotion(*state["motion"])
        self.missing = state["missing"]
