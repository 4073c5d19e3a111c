"""Follows objects through a movie, one frame a step.

A pass goes in one direction. On each frame it shows every object to the network (the whole frame,
or a window of its own), decodes in batches, and remembers. Objects do not depend on one another.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Any, Self

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from napari_sam2track.engine.batches import Batcher, Mode
from napari_sam2track.engine.features import Encoder
from napari_sam2track.engine.following import Follower
from napari_sam2track.engine.looking import containing, first_look, window_of
from napari_sam2track.engine.memory import Entry, MemoryBank, tokens
from napari_sam2track.engine.network import Decoded, Features, Network
from napari_sam2track.engine.painting import Brush
from napari_sam2track.engine.plan import Task, whole_tasks
from napari_sam2track.engine.prompting import Clicks, point_tensors
from napari_sam2track.engine.results import FrameResult, ObjectResult
from napari_sam2track.engine.views import FrameView, Movie, View, WindowView
from napari_sam2track.engine.windows import Motion, Shape
from napari_sam2track.masks import Patch
from napari_sam2track.params import EngineParams
from napari_sam2track.prompts import Prompt, PromptSet

#: Frames between two memories that are kept: what has to be followed again before a correction.
MEMORY_EVERY = 16


@dataclass(frozen=True, eq=False, slots=True)
class Seen:
    """One object on one frame, and what it will remember of it."""

    view: View
    patch: Patch
    score: float
    iou: float
    prompted: bool
    entry: Entry


class Pass:
    """Follows objects in one direction.

    Parameters
    ----------
    network
        The model.
    movie
        Its frames are read when their turn comes, each once; those on which nobody is followed,
        never.
    tasks
        Objects and their frames. Forward, later prompts correct an object; a backward pass uses
        one prompt, and remembers nothing of a forward pass.
    params
        See `EngineParams`; ``start`` and ``stop`` are not looked at here.
    mode
        What the network is shown.
    step
        1 for forward, -1 for backward.
    encoder
        Embeds what views show, and may remember it from earlier passes; None for one that does
        not.
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
    ) -> None:
        network = network if params.equality == "exact" else network.fast
        self.network, self.movie, self.params = network, movie, params
        self.encoder = Encoder(network) if encoder is None else encoder
        self.mode, self.step = mode, step
        self.followers: list[Follower] = []
        self._at: int | None = None
        self._ready: dict[tuple[int, int], Seen] = {}
        self._whole = FrameView(movie.height, movie.width)
        # SAM2 scales the age of pointers by the length of short movies; the bundled model, made
        # for windows, was trained with one scale
        longest = movie.n_frames if mode == "frame" else network.max_pointers
        self._span = min(longest, network.max_pointers)
        self._exact = params.equality == "exact"
        self._batcher = Batcher(network, mode, 1 if self._exact else params.batch)
        self._brush = Brush(
            movie.height,
            movie.width,
            params.fill_holes,
            params.min_part,
            as_torch=self._exact and mode == "frame",
        )
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
        """All objects from their first prompts through a range of frames, in its direction."""
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
        """All masks that are proposed for objects which are prompted on frame ``t``.

        Yields
        ------
        object id, view, logits (M, h, w), predicted IoUs (M,)
        """
        group = [(f, view) for f, view in self._first_views(t, self._visiting(t))]

        def propose(part: list[tuple[Follower, View]]) -> list[tuple[Tensor, Tensor]]:
            prompts, views = [f.task.prompts[t] for f, _ in part], [view for _, view in part]
            decoded = self._decode_prompts(self._features(t, views, None), prompts, views)
            return list(zip(decoded.candidates, decoded.ious, strict=True))

        found = self._batcher.map(propose, group, key=lambda item: _kind(item[0].task.prompts[t]))
        for (f, view), (candidates, ious) in zip(group, found, strict=True):
            yield f.object_id, view, candidates.cpu().numpy(), ious.cpu().numpy()

    def __iter__(self) -> Iterator[FrameResult]:
        return self.until(None)

    def until(self, last: int | None) -> Iterator[FrameResult]:
        """The frames up to ``last``, included; all of them if it is None.

        A frame on which nothing was wanted does not come out.
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
            self.network, self.movie, tasks, self.params, self.mode, self.step, self.encoder
        )
        if self._at is not None:
            yield from other.until(self._at)
        self.followers = sorted([*self.followers, *other.followers], key=lambda f: f.object_id)
        self._ready |= other._ready

    def drop(self, object_id: int) -> list[Task]:
        """Follow an object no further; the tasks that end."""
        gone = [f.task for f in self.followers if f.object_id == object_id]
        self.followers = [f for f in self.followers if f.object_id != object_id]
        return gone

    def keys(self, t: int) -> dict[int, int]:
        """What the objects that were wanted on frame ``t`` follow from, see `plan.Segment`."""
        return {f.object_id: f.task.key_of(t) for f in self._visiting(t) if t in f.task.stale}

    def memories(self, every: bool = False) -> Iterator[tuple[Task, int, dict[str, Any]]]:
        """What is worth keeping of the frame that was finished last, to go on from it later.

        Parameters
        ----------
        every
            Of all objects, as before a stop; else of some frames.

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
        """The next frame on which somebody is followed."""
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
        """In ``fresh`` mode, later prompts are memories from the start, as in SAM2."""
        if self.params.later_prompts != "fresh":
            return
        for t in sorted({t for f in followers for t in f.task.prompts}):
            group = [f for f in followers if t in f.task.prompts and f.visits(t)]
            for f, seen in self._start(t, group, None):
                self._keep(t, f, seen)
                self._ready[f.object_id, t] = seen

    @torch.inference_mode()
    def _frame(self, t: int) -> FrameResult:
        """See every object that is followed on frame ``t``."""
        ready: list[tuple[Follower, Seen]] = []
        starting, following, resting = [], [], []
        for f in self._visiting(t):
            known = self._ready.pop((f.object_id, t), None)
            if known is not None:
                ready.append((f, known))
            elif t in f.task.prompts and not f.begun:
                starting.append(f)
            elif f.stopped and t not in f.task.prompts:
                resting.append(f)
            else:
                following.append(f)
                f.bank.forget(t, self.step)
        whole = None
        if self.mode == "frame" and (starting or following):
            whole = self.encoder.encode(self.movie, t, [self._whole])
        seen = self._start(t, starting, whole) + self._follow(t, following, whole)
        for f, s in seen:
            self._keep(t, f, s)
        objects = [self._result(t, f, s) for f, s in ready + seen]
        for f in resting:
            state = f.note(present=False, prompted=False)
            objects.append(ObjectResult(f.object_id, state, 0.0, 0.0, NOTHING))
        wanted = {f.object_id for f in self._visiting(t) if t in f.task.stale}
        objects = [o for o in objects if o.object_id in wanted]
        objects.sort(key=lambda o: o.object_id)
        return FrameResult(t, self.movie.height, self.movie.width, tuple(objects))

    def _keep(self, t: int, f: Follower, seen: Seen) -> None:
        """Remember what was seen."""
        f.bank.remember(seen.entry, conditioning=seen.prompted)
        if f.motion is None and isinstance(seen.view, WindowView):
            f.motion = Motion.at(seen.view.window)

    def _result(self, t: int, f: Follower, seen: Seen) -> ObjectResult:
        """What comes out of what was seen, and the window moved along."""
        shape = _shape(seen.patch)
        if f.motion is not None:
            if seen.prompted:
                f.motion = f.motion.told(shape, window_of(f.task.prompts[t]))
            else:
                f.motion = f.motion.seen(shape)
        state = f.note(shape is not None, seen.prompted)
        return ObjectResult(f.object_id, state, seen.score, seen.iou, seen.patch)

    # -- objects that begin --------------------------------------------------------------------

    def _start(
        self, t: int, group: list[Follower], whole: Features | None
    ) -> list[tuple[Follower, Seen]]:
        """Objects that are prompted on frame ``t`` without knowing anything of them yet."""

        def begin(part: list[tuple[Follower, View]]) -> list[tuple[Follower, Seen]]:
            followers, views = [f for f, _ in part], [view for _, view in part]
            prompts = [f.task.prompts[t] for f in followers]
            features = self._features(t, views, whole)
            decoded = self._decode_prompts(features, prompts, views)
            seen = self._see(t, followers, views, features, decoded, prompted=True)
            return list(zip(followers, seen, strict=True))

        if self.mode == "frame" and whole is None and group:
            whole = self.encoder.encode(self.movie, t, [self._whole])
        views = self._first_views(t, group)
        return self._batcher.map(begin, views, key=lambda item: _kind(item[0].task.prompts[t]))

    def _first_views(self, t: int, group: list[Follower]) -> list[tuple[Follower, View]]:
        """What objects are shown through on the frame where they begin."""
        if self.mode == "frame":
            return [(f, self._whole) for f in group]
        windows = {f.object_id: window_of(f.task.prompts[t]) for f in group}
        unknown = [f for f in group if windows[f.object_id] is None]
        clicks = [Clicks.of(f.task.prompts[t]) for f in unknown]
        found = first_look(self.network, self.movie, t, clicks, self._batcher.most)
        windows |= {f.object_id: w for f, w in zip(unknown, found, strict=True)}
        return [(f, WindowView(w)) for f in group if (w := windows[f.object_id]) is not None]

    def _decode_prompts(
        self, features: Features, prompts: list[Prompt], views: list[View]
    ) -> Decoded:
        """Masks of objects from prompts of one kind, without memory."""
        network = self.network
        masks = [p.mask for p in prompts]
        if masks[0] is not None:
            given = [
                v.mask(m, network.image_size)
                for m, v in zip(masks, views, strict=True)
                if m is not None
            ]
            return network.adopt(features, torch.stack(given)[:, None].to(network.device))
        points, labels = point_tensors([Clicks.of(p) for p in prompts], views, network)
        conditioned = network.without_memory(features)
        return network.decode(conditioned, features, points, labels, trust=self.mode == "window")

    # -- objects that go on --------------------------------------------------------------------

    def _follow(
        self, t: int, group: list[Follower], whole: Features | None
    ) -> list[tuple[Follower, Seen]]:
        """Objects that are known from other frames, some with a correction on this one."""

        def follow(followers: list[Follower]) -> list[tuple[Follower, Seen]]:
            ((_, memory),) = tokens([f.bank for f in followers], t, self.step, self._span).values()
            views = [self._view(f, t) for f in followers]
            features = self._features(t, views, whole)
            conditioned = self.network.condition(features, memory)
            decoded = self.network.decode(conditioned, features)
            plain = [i for i, f in enumerate(followers) if t not in f.task.prompts]
            seen = dict(
                zip(
                    plain,
                    self._see(
                        t,
                        [followers[i] for i in plain],
                        [views[i] for i in plain],
                        features.take(plain),
                        decoded.take(plain),
                        prompted=False,
                    ),
                    strict=True,
                )
            )
            for i, f in enumerate(followers):
                if t in f.task.prompts:
                    seen[i] = self._correct(
                        t, f, views[i], features.take([i]), conditioned[[i]], decoded.take([i])
                    )
            return [(f, seen[i]) for i, f in enumerate(followers)]

        def size(f: Follower) -> tuple[int, int]:
            maps, pointers = f.bank.read(t, self.step)
            return len(maps), len(pointers)

        return self._batcher.map(follow, group, key=size)

    def _correct(
        self,
        t: int,
        f: Follower,
        view: View,
        features: Features,
        conditioned: Tensor,
        tracked: Decoded,
    ) -> Seen:
        """A prompt on a frame that was followed: it corrects, and is remembered for good."""
        prompt = f.task.prompts[t]
        if prompt.mask is not None:
            decoded = self._decode_prompts(features, [prompt], [view])
        else:
            points, labels = point_tensors([Clicks.of(prompt)], [view], self.network)
            decoded = self.network.decode(
                conditioned,
                features,
                points,
                labels,
                tracked.logits.clamp(-32, 32),
                trust=self.mode == "window",
            )
        (seen,) = self._see(t, [f], [view], features, decoded, prompted=True)
        return seen

    def _view(self, f: Follower, t: int) -> View:
        """What a known object is shown through on frame ``t``."""
        if self.mode == "frame" or f.motion is None:
            return self._whole
        window = f.motion.expected(self.movie.height, self.movie.width)
        prompt = f.task.prompts.get(t)
        if prompt is None:
            return WindowView(window)
        return WindowView(window_of(prompt) or containing(window, Clicks.of(prompt)))

    def _features(self, t: int, views: list[View], whole: Features | None) -> Features:
        if self.mode == "frame":
            if whole is None:
                whole = self.encoder.encode(self.movie, t, [self._whole])
            return whole.expand(len(views))
        return self.encoder.encode(self.movie, t, views)

    def _see(
        self,
        t: int,
        followers: list[Follower],
        views: list[View],
        features: Features,
        decoded: Decoded,
        prompted: bool,
    ) -> list[Seen]:
        """What there is to remember and to show of decoded masks."""
        if not followers:
            return []
        shown = decoded.logits
        if self._exact and not prompted:
            # SAM2 enlarges all candidates and then chooses, which rounds in another way
            shown = self.network.full_size(decoded.candidates)[:, [int(decoded.ious.argmax())]]
        maps = self.network.encode_memory(features, shown, decoded.score, prompted)
        maps = maps.to(torch.bfloat16)
        logits = decoded.logits[:, 0].float().cpu().numpy()
        scores = decoded.score[:, 0].float().sigmoid().cpu().numpy()
        ious = decoded.iou.float().clamp(0, 1).cpu().numpy()
        out = []
        for n, (f, view) in enumerate(zip(followers, views, strict=True)):
            given = f.task.prompts[t].mask if prompted and self.params.keep_masks else None
            patch = (
                self._brush.patch(logits[n], view) if given is None else self._brush.given(given)
            )
            entry = Entry(t, maps[n], decoded.pointer[n])
            out.append(Seen(view, patch, float(scores[n]), float(ious[n]), prompted, entry))
        return out


#: The patch of an object that is not there.
NOTHING = Patch(np.zeros((0, 0), np.float32), 0, 0)


def _kind(prompt: Prompt) -> tuple[bool, int]:
    """What prompts must have in common to be one batch."""
    return prompt.mask is not None, len(Clicks.of(prompt).labels)


def _shape(patch: Patch) -> Shape | None:
    return Shape.of(patch.logits_yx > 0, patch.y0, patch.x0) if patch else None
