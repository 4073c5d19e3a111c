"""A session holds the pieces together; both front ends drive it.

Frames, prompts and parameters go in; `Session.propagate` is a generator that finishes one frame
a step and writes it to a `RunStore`, so that a run can be watched, stopped and gone on with.
"""

from __future__ import annotations

from collections.abc import Generator
from dataclasses import dataclass, field
from functools import cached_property
from typing import TYPE_CHECKING, Any, Literal

from psygnal import Signal

from napari_sam2track.errors import PromptError, UsageError
from napari_sam2track.frames import Frames
from napari_sam2track.params import AutoParams, EngineParams
from napari_sam2track.prompts import PromptSet, prompts_from_json, prompts_to_dict

if TYPE_CHECKING:
    from napari_sam2track.engine.network import Network
    from napari_sam2track.engine.propagation import Pass
    from napari_sam2track.engine.results import FrameResult
    from napari_sam2track.models.registry import ModelInfo
    from napari_sam2track.run_store import RunStore

#: Frames between two saved states; what a crash makes a run compute again is bounded by it.
STATE_EVERY = 16


@dataclass(frozen=True)
class Progress:
    """One step of a run.

    Attributes
    ----------
    done, total
        Frames finished, and to be finished, over all passes.
    frame
        The frame of this step.
    result
        What was found on it.
    """

    done: int
    total: int
    frame: int
    result: FrameResult


@dataclass(frozen=True)
class _Leg:
    """One pass of a run: its objects and its frames."""

    prompts: PromptSet
    order: range


@dataclass
class Session:
    """What is worked on: a movie, a model, prompts, parameters.

    Parameters
    ----------
    frames
        The movie.
    model
        Entry of the registry; its weights are loaded when they are first needed.
    prompts
        May be changed at any time between runs.
    engine
        How objects are followed.
    auto
        How objects are found; None where prompts say where they are.
    device
        As torch names it.
    """

    frames: Frames
    model: ModelInfo
    prompts: PromptSet = field(default_factory=PromptSet)
    engine: EngineParams = field(default_factory=EngineParams)
    auto: AutoParams | None = None
    device: str = "cpu"
    #: What the network is shown in the run, and why; decided when it begins.
    mode: tuple[Literal["frame", "window"], str] = ("frame", "not decided yet")

    frame_done = Signal(object)
    prompts_changed = Signal(object)

    @cached_property
    def network(self) -> Network:
        """The network with its weights, loaded on first use."""
        from napari_sam2track.engine.network import Network
        from napari_sam2track.models.loading import load_network

        return Network(load_network(self.model, self.device))

    def set_prompts(self, prompts: PromptSet) -> None:
        """Replace the prompts."""
        self.prompts = prompts
        self.prompts_changed.emit(prompts)

    def choose(self) -> tuple[Literal["frame", "window"], str]:
        """What the network would be shown, and why."""
        from napari_sam2track.engine.modes import choose_mode

        return choose_mode(
            self.engine.mode,
            self.network.image_size,
            self.prompts,
            self.frames.height,
            self.frames.width,
        )

    def check(self) -> None:
        """Refuse prompts and ranges that cannot be meant, before anything is computed.

        Raises
        ------
        PromptError
            If there are no prompts and nothing is to be found, or they do not fit the movie.
        UsageError
            If the range of frames does not fit the movie.
        """
        n = self.frames.n_frames
        first, last = self.engine.start, self._last
        if first >= n or (self.engine.stop is not None and self.engine.stop >= n):
            asked = first if first >= n else self.engine.stop
            raise UsageError(
                f"frame {asked} is outside {self.frames.name}, which has {n} frames; choose a "
                f"range within 0 to {n - 1}"
            )
        if last < first:
            raise UsageError(
                f"the range of frames from {first} to {last} is empty; give a last frame that is "
                "not before the first"
            )
        if self.prompts:
            self.prompts.validate(n, self.frames.height, self.frames.width)
        if self.auto is None and not self.prompts:
            raise PromptError(
                "there are no prompts, so nothing to follow; give points, a box or masks"
            )
        for object_id in self.prompts.objects:
            frames = sorted(self.prompts.of_object(object_id))
            if not any(first <= t <= last for t in frames):
                raise PromptError(
                    f"object {object_id} has no prompt within frames {first} to {last} (it has "
                    f"some on {frames}); widen the range, prompt inside it, or leave it out"
                )

    @property
    def _last(self) -> int:
        stop = self.engine.stop
        return self.frames.n_frames - 1 if stop is None else min(stop, self.frames.n_frames - 1)

    def legs(self) -> list[_Leg]:
        """The passes of a run: each object forward and backward from its first prompt."""
        first, last = self.engine.start, self._last
        if self.auto is not None:
            return [_Leg(self.prompts, range(first, last + 1))]
        inside = PromptSet({k: p for k, p in self.prompts.items() if first <= k[1] <= last})
        starts = {i: inside.first_frame(i) for i in inside.objects}
        out = []
        if self.engine.direction in ("forward", "both"):
            out.append(_Leg(inside, range(min(starts.values()), last + 1)))
        early = (
            starts
            if self.engine.direction == "backward"
            else {i: t for i, t in starts.items() if t > first}
        )
        if self.engine.direction in ("backward", "both") and early:
            out.append(_Leg(_only(inside, set(early)), range(max(early.values()), first - 1, -1)))
        return out

    def propagate(self, store: RunStore) -> Generator[Progress, None, None]:
        """Follow all objects, from where the store left off.

        Closing the generator keeps all frames that were finished and the state; after an error
        or a kill a run goes on from the state that was saved last, with the same result.

        Parameters
        ----------
        store
            Takes the frames; a run that it holds is gone on with.

        Yields
        ------
        Progress
            After each frame.
        """
        from napari_sam2track.engine.propagation import Pass

        self.check()
        saved = store.load_state()
        if saved is not None and saved["found"] is not None:
            self.set_prompts(prompts_from_json(saved["found"], "the objects found so far"))
        # decided once: what is found later must not change what a resumed run is shown
        self.mode = (saved["mode"][0], saved["mode"][1]) if saved is not None else self.choose()
        legs = self.legs()
        total = sum(len(leg.order) for leg in legs)
        done = 0
        for k, leg in enumerate(legs):
            if saved is not None and k < saved["leg"]:
                done += len(leg.order)
                continue
            run = Pass(self.network, self.frames, leg.prompts, self.engine, self.mode[0], leg.order)
            if saved is not None and k == saved["leg"]:
                run.restore(saved["pass"])
                done += run.position
            try:
                for result in run:
                    (store.merge if k else store.put)(result)
                    found = self._discover(run, result.frame, store)
                    if found or run.position % STATE_EVERY == 0:
                        self._save(store, k, run)
                    done += 1
                    self.frame_done.emit(result)
                    yield Progress(done, total, result.frame, result)
            except GeneratorExit:  # stopped between two frames, where the state is whole
                self._save(store, k, run)
                raise
            self._save(store, k, run)

    def _save(self, store: RunStore, leg: int, run: Pass) -> None:
        found = prompts_to_dict(self.prompts) if self.auto is not None else None
        state: dict[str, Any] = {
            "leg": leg,
            "pass": run.state(),
            "found": found,
            "mode": list(self.mode),
        }
        store.save_state(state)

    def _discover(self, run: Pass, t: int, store: RunStore) -> bool:
        """On key frames, follow what no object covers yet; whether there was any."""
        from napari_sam2track.engine.automatic import discover

        auto = self.auto
        if auto is None:
            return False
        since = t - self.engine.start
        if since != 0 and (auto.every == 0 or since % auto.every):
            return False
        stored = store.read(t)
        labels = None if stored is None else stored.labels_yx
        used = max(self.prompts.objects, default=0)
        found = discover(
            self.network,
            self.frames,
            t,
            labels,
            auto,
            self.mode[0],
            self.engine.batch,
            next_id=used + 1,
            room=auto.max_objects - len(self.prompts.objects),
        )
        if found:
            self.set_prompts(self.prompts.merge(found))
            store.merge(run.join(found))
        return bool(found)


def _only(prompts: PromptSet, objects: set[int]) -> PromptSet:
    return PromptSet({key: p for key, p in prompts.items() if key[0] in objects})
