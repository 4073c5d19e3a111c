"""Follows objects through a movie, one frame a step.

A pass goes in one direction. On each frame it shows every object to the network (the whole frame,
or a window of its own), decodes in batches, and keeps memories. In window mode neighbours
give way to one another (see `neighbours`); otherwise objects do not depend on one another.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from dataclasses import replace
from typing import Any, Self

import numpy as np
import torch
from numpy.typing import NDArray

from napari_sam2track.engine.embeddings import Encoder
from napari_sam2track.engine.follower import Follower
from napari_sam2track.engine.neighbours import (
    FIRM,
    PROMPTED,
    UNTOUCHED,
    Claim,
    before,
    resolve,
)
from napari_sam2track.engine.network.batches import Mode
from napari_sam2track.engine.network.fast import fast_version
from napari_sam2track.engine.network.memory import MemoryBank
from napari_sam2track.engine.network.network import Network
from napari_sam2track.engine.observer import NOTHING, Observer, Raw, Seen
from napari_sam2track.engine.results import FrameResult, ObjectResult
from napari_sam2track.engine.tasks import Task, whole_tasks
from napari_sam2track.engine.views.views import Movie, View, WindowView
from napari_sam2track.engine.views.windows import MaskExtent, WindowMotion
from napari_sam2track.engine.window_search import window_of
from napari_sam2track.masks import Patch
from napari_sam2track.params import EngineParams
from napari_sam2track.prompts import PromptSet

#: Frames between two memories that are kept: so many may be followed again before a correction.
MEMORY_EVERY = 16


#: Given a frame, yields the known results on it: for each the direction in which it was followed
#: there, and the result.
Known = Callable[[int], Iterable[tuple[int, ObjectResult]]]


class Pass:
    """Follows objects in one direction.

    Parameters
    ----------
    network
        The model.
    movie
        Its frames are read when their turn comes, each once; those without an object to follow,
        never.
    tasks
        Objects and their frames. Forward, later prompts correct an object; a backward pass uses
        one prompt, and remembers nothing of a forward pass.
    params
        See `EngineParams`; ``start`` and ``stop`` are not used here.
    mode
        Frame or window mode.
    step
        1 for forward, -1 for backward.
    encoder
        Embeds what views show, and may have embeddings of earlier passes; None for one that has
        not.
    known
        Results of other passes, for neighbours; None for none.
    """

    def __init__(
        self,
        network: Network,
        movie: Movie,
        tasks: Iterable[Task],
        params: EngineParams,
        mode: Mode,
        step: int,
        encoder: Encoder | None = None,
        known: Known | None = None,
    ) -> None:
        network = network if params.equality == "exact" else fast_version(network)
        self.network, self.movie, self.params = network, movie, params
        self.encoder = Encoder(network) if encoder is None else encoder
        self.mode, self.step = mode, step
        self.followers: list[Follower] = []
        self._at: int | None = None
        self._ready: dict[tuple[Follower, int], Seen] = {}
        self.known = known
        self._observer = Observer(network, movie, params, mode, step, self.encoder)
        exact = params.equality == "exact"
        self._crowded = mode == "window" and params.neighbours == "on" and not exact
        self._add(tasks)

    @classmethod
    def over(
        cls,
        network: Network,
        movie: Movie,
        prompts: PromptSet,
        params: EngineParams,
        mode: Mode,
        order: range,
    ) -> Self:
        """Make a pass of all objects from their first prompts through a range of frames."""
        return cls(network, movie, whole_tasks(prompts, order), params, mode, order.step)

    def _add(self, tasks: Iterable[Task]) -> None:
        new = []
        for task in tasks:
            bank = MemoryBank.for_network(self.network, self.params.max_conditioning)
            follower = Follower(task, bank, self.params.give_up)
            if task.state is not None:
                follower.restore(task.state, self.network.device)
            new.append(follower)
        self.followers = sorted([*self.followers, *new], key=lambda f: f.object_id)
        self._look_ahead(new)

    @torch.inference_mode()
    def proposals(
        self, t: int
    ) -> Iterator[tuple[int, View, NDArray[np.float32], NDArray[np.float32]]]:
        """Yield all masks that are proposed for objects prompted on frame ``t``.

        Yields
        ------
        object id, view, logits (M, h, w), predicted IoUs (M,)
        """
        for f, view, logits, ious in self._observer.propose(t, self._visiting(t)):
            yield f.object_id, view, logits, ious

    def __iter__(self) -> Iterator[FrameResult]:
        return self.until(None)

    def until(self, last: int | None) -> Iterator[FrameResult]:
        """Yield the results of frames up to ``last``, included; of all frames if it is None.

        A frame on which no result was needed is not yielded.
        """
        while True:
            t = self._next()
            if t is None or (last is not None and (t - last) * self.step > 0):
                return
            result = self._frame(t)
            self._at = t
            if result.objects:
                yield result
            self.followers = [f for f in self.followers if (f.task.frames[-1] - t) * self.step > 0]

    def join(self, tasks: Iterable[Task]) -> Iterator[FrameResult]:
        """Follow more objects as well; first up to the frame that was finished last.

        Yields
        ------
        FrameResult
            Of the new objects alone, on the frames that were finished already.
        """
        other = Pass(
            self.network,
            self.movie,
            tasks,
            self.params,
            self.mode,
            self.step,
            self.encoder,
            self.known,
        )
        if self._at is not None:
            yield from other.until(self._at)
        self.followers = sorted([*self.followers, *other.followers], key=lambda f: f.object_id)
        self._ready |= other._ready

    def drop(self, object_id: int) -> list[Task]:
        """Stop following an object; return the tasks that end."""
        gone = [f.task for f in self.followers if f.object_id == object_id]
        self.followers = [f for f in self.followers if f.object_id != object_id]
        return gone

    def keys(self, t: int) -> dict[int, int]:
        """Return the segment keys of the objects that frame ``t`` was computed for."""
        return {f.object_id: f.task.key_of(t) for f in self._visiting(t) if t in f.task.stale}

    @property
    def at(self) -> int | None:
        """The frame that was finished last; None before the first."""
        return self._at

    def memories(self, every: bool = False) -> Iterator[tuple[Task, int, dict[str, Any]]]:
        """Yield the memories of the last finished frame that are worth keeping for a later resume.

        Parameters
        ----------
        every
            Of all objects, as before a stop; else where it is due.

        Yields
        ------
        task, frame, state
        """
        t = self._at
        if t is None:
            return
        for f in self.followers:
            worth = every or t % MEMORY_EVERY == 0 or t in f.task.prompts
            if worth and t in f.task.stale and f.begun:
                yield f.task, t, f.state()

    # -- one frame -----------------------------------------------------------------------------

    def _next(self) -> int | None:
        """Return the next frame on which an object is followed."""
        best: int | None = None
        for f in self.followers:
            frames = f.task.frames
            t = frames[0]
            if self._at is not None and (t - self._at) * self.step <= 0:
                t = self._at + self.step
            if t in frames and (best is None or (t - best) * self.step < 0):
                best = t
        return best

    def _visiting(self, t: int) -> list[Follower]:
        return [f for f in self.followers if f.visits(t)]

    @torch.inference_mode()
    def _look_ahead(self, followers: list[Follower]) -> None:
        """Add later prompts to the memories from the start, in ``fresh`` mode, as SAM2 does."""
        if self.params.later_prompts != "fresh":
            return
        for t in sorted({t for f in followers for t in f.task.prompts}):
            group = [f for f in followers if t in f.task.prompts and f.visits(t)]
            for f, seen in self._observer.start(t, group, None):
                self._keep(t, f, seen)
                self._ready[f, t] = seen

    @torch.inference_mode()
    def _frame(self, t: int) -> FrameResult:
        """Decode every object that is followed on frame ``t``."""
        ready: list[tuple[Follower, Seen]] = []
        starting, following, resting = [], [], []
        for f in self._visiting(t):
            known = self._ready.pop((f, t), None)
            if known is not None:
                ready.append((f, known))
            elif t in f.task.prompts and not f.begun:
                starting.append(f)
            elif f.stopped and t not in f.task.prompts:
                resting.append(f)
            else:
                following.append(f)
                f.bank.forget(t, self.step)
        whole = self._observer.whole(t) if starting or following else None
        seen = self._observer.start(t, starting, whole)
        if self._crowded:
            told = [f for f in following if t in f.task.prompts]
            seen += self._observer.follow(t, told, whole)
            plain = [f for f in following if t not in f.task.prompts]
            seen += self._among(t, plain, [*ready, *seen])
        else:
            seen += self._observer.follow(t, following, whole)
        for f, s in seen:
            self._keep(t, f, s)
        results = [(f, self._result(t, f, s)) for f, s in ready + seen]
        for f in resting:
            state = f.advance(present=False, prompted=False)
            results.append((f, ObjectResult(f.object_id, state, 0.0, 0.0, NOTHING)))
        # another task of the same object may only pass through this frame
        objects = sorted((o for f, o in results if f.wants(t)), key=lambda o: o.object_id)
        return FrameResult(t, self.movie.height, self.movie.width, tuple(objects))

    def _keep(self, t: int, f: Follower, seen: Seen) -> None:
        """Add the memory of a frame."""
        f.bank.remember(seen.entry, conditioning=seen.prompted)
        if f.motion is None and isinstance(seen.view, WindowView):
            f.motion = WindowMotion.at(seen.view.window)

    def _result(self, t: int, f: Follower, seen: Seen) -> ObjectResult:
        """Return the result on a frame, and move the window along."""
        shape = _shape(seen.patch)
        if f.motion is not None:
            if seen.prompted:
                f.motion = f.motion.told(shape, window_of(f.task.prompts[t]))
            else:
                f.motion = f.motion.seen(shape)
        state = f.advance(shape is not None, seen.prompted)
        known = (f.object_id, state, seen.score, seen.iou, seen.patch)
        return ObjectResult(*known, seen.claim_strength, seen.firm, seen.verdict.ceded)

    def _among(
        self, t: int, group: list[Follower], told: list[tuple[Follower, Seen]]
    ) -> list[tuple[Follower, Seen]]:
        """Decode objects in their windows, and resolve their claims with those of all others.

        Parameters
        ----------
        group
            Objects without a correction on this frame.
        told
            Those that a person prompted on it.
        """
        raws = self._observer.decode(t, group)
        ranks = [self._rank(f, raw) for f, raw in zip(group, raws, strict=True)]
        known = [] if self.known is None else list(self.known(t))
        # stored results of this pass count as they are: so a run that resumes, or is corrected
        # behind this frame, makes the same memories of it as the first time
        stored = {o.object_id: o for step, o in known if step == self.step}
        again = [not f.wants(t) and f.object_id in stored for f in group]
        claims = {o.object_id: Claim.of(o) for _, o in known}
        claims |= {
            f.object_id: Claim(f.object_id, seen.patch.half(), PROMPTED, firm=True)
            for f, seen in told
        }
        claims |= {
            f.object_id: Claim(f.object_id, raw.patch.half(), *rank)
            for f, raw, rank, old in zip(group, raws, ranks, again, strict=True)
            if not old
        }
        found = resolve(list(claims.values()))
        verdicts = [
            before(stored[f.object_id], raw.patch) if old else found.get(f.object_id, UNTOUCHED)
            for f, raw, old in zip(group, raws, again, strict=True)
        ]
        seen = self._observer.remember(t, raws, verdicts)
        ranked = [
            replace(s, claim_strength=r, firm=firm)
            for s, (r, firm) in zip(seen, ranks, strict=True)
        ]
        return list(zip(group, ranked, strict=True))

    def _rank(self, f: Follower, raw: Raw) -> tuple[float, bool]:
        """Return the strength of an object's claim, and whether it is firm."""
        if f.motion is None:
            return 0.0, False
        good = f.motion.agreement(_shape(raw.patch), self.movie.height, self.movie.width)
        claim_strength = float(np.float32(good * raw.iou + f.motion.on_track))  # as it is stored
        return claim_strength, f.motion.on_track and good > FIRM


def _shape(patch: Patch) -> MaskExtent | None:
    return MaskExtent.of(patch.logits_yx > 0, patch.y0, patch.x0) if patch else None
