"""Follows objects through a movie, one frame a step.

A pass goes in one direction. On each frame it shows every object to the network (the whole frame,
or a window of its own), decodes in batches, remembers, and paints all logits by the overlap rule.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import astuple, dataclass
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from napari_sam2track.engine.batches import Mode, chunks, fitting_batch, memory_guard
from napari_sam2track.engine.looking import containing, first_look, window_of
from napari_sam2track.engine.memory import Entry, MemoryBank, tokens
from napari_sam2track.engine.network import Decoded, Features, Network
from napari_sam2track.engine.painting import Brush, Seen, paint_frame
from napari_sam2track.engine.prompting import Clicks, encode_views, point_tensors
from napari_sam2track.engine.results import FrameResult
from napari_sam2track.engine.views import FrameView, Movie, View, WindowView
from napari_sam2track.engine.windows import Motion, Window
from napari_sam2track.params import EngineParams
from napari_sam2track.prompts import Prompt, PromptSet


@dataclass(eq=False)
class Follower:
    """One object of a pass: its prompts, what it remembers, where it was."""

    object_id: int
    prompts: dict[int, Prompt]
    bank: MemoryBank
    motion: Motion | None = None


class Pass:
    """Follows objects in one direction.

    Parameters
    ----------
    network
        The model.
    movie
        Its frames are read when their turn comes, each once.
    prompts
        Objects start at their first prompt; forward, later prompts correct them. A backward pass
        uses the first prompts only, and remembers nothing of a forward pass.
    params
        See `EngineParams`; ``start`` and ``stop`` are not looked at here.
    mode
        What the network is shown.
    order
        Frames in the order of the pass: a range with step 1 or -1.
    """

    def __init__(
        self,
        network: Network,
        movie: Movie,
        prompts: PromptSet,
        params: EngineParams,
        mode: Mode,
        order: range,
    ) -> None:
        self.network, self.movie, self.params = network, movie, params
        self.mode, self.order, self.step = mode, order, order.step
        self.position = 0
        self.followers: list[Follower] = []
        self._ready: dict[tuple[int, int], Seen] = {}
        self._whole = FrameView(movie.height, movie.width)
        # SAM2 scales the age of pointers by the length of short movies; the bundled model, made
        # for windows, was trained with one scale
        longest = movie.n_frames if mode == "frame" else network.max_pointers
        self._span = min(longest, network.max_pointers)
        self._exact = params.equality == "exact"
        self._chunk = 1 if self._exact else fitting_batch(params.batch, network, mode)
        as_torch = self._exact and mode == "frame"
        self._brush = Brush(params.fill_holes, params.min_part, as_torch)
        self.add(prompts)

    def add(self, prompts: PromptSet) -> None:
        """Follow more objects, from the frames of the order that are still to come."""
        for object_id in prompts.objects:
            first = prompts.first_frame(object_id)
            given = prompts.of_object(object_id)
            if self.step < 0:
                given = {first: given[first]}
            given = {t: p for t, p in given.items() if t in self.order}
            if first in given:
                bank = MemoryBank.for_network(self.network, self.params.max_conditioning)
                self.followers.append(Follower(object_id, given, bank))
        self.followers.sort(key=lambda f: f.object_id)

    @torch.inference_mode()
    def join(self, prompts: PromptSet) -> FrameResult:
        """Begin with more objects on the frame that was finished last, where they are prompted."""
        t = self.order[self.position - 1]
        known = {f.object_id for f in self.followers}
        self.add(prompts)
        new = [f for f in self.followers if f.object_id not in known]
        with memory_guard(self.network, self._chunk):
            return self._paint(t, self._start(t, new))

    @torch.inference_mode()
    def proposals(
        self, t: int
    ) -> Iterator[tuple[int, View, NDArray[np.float32], NDArray[np.float32]]]:
        """All masks that are proposed for objects which are prompted on frame ``t``.

        Yields
        ------
        object id, view, logits (M, h, w), predicted IoUs (M,)
        """
        group = [f for f in self.followers if t in f.prompts]
        for members, views in self._first_views(t, group):
            with memory_guard(self.network, self._chunk):
                features = self._features(t, views, None)
                decoded = self._decode_prompts(features, [f.prompts[t] for f in members], views)
            for n, (f, view) in enumerate(zip(members, views, strict=True)):
                yield (
                    f.object_id,
                    view,
                    decoded.candidates[n].cpu().numpy(),
                    decoded.ious[n].cpu().numpy(),
                )

    def __iter__(self) -> Iterator[FrameResult]:
        with memory_guard(self.network, self._chunk):
            self._look_ahead()
        while self.position < len(self.order):
            with memory_guard(self.network, self._chunk):
                result = self._frame(self.order[self.position])
            self.position += 1
            yield result

    def state(self) -> dict[str, Any]:
        """What a run needs to go on from here with the same result, for `torch.save`."""
        return {
            "position": self.position,
            "followers": [
                {
                    "id": f.object_id,
                    "bank": f.bank.state(),
                    "motion": None if f.motion is None else astuple(f.motion),
                }
                for f in self.followers
            ],
        }

    def restore(self, state: dict[str, Any]) -> None:
        """Go on from what `state` gave; the prompts must be the same."""
        self.position = state["position"]
        known = {f.object_id: f for f in self.followers}
        for saved in state["followers"]:
            follower = known[saved["id"]]
            follower.bank.restore(saved["bank"], self.network.device)
            if saved["motion"] is not None:
                follower.motion = Motion(*saved["motion"])

    # -- one frame -----------------------------------------------------------------------------

    @torch.inference_mode()
    def _look_ahead(self) -> None:
        """In ``fresh`` mode, later prompts are memories from the start, as in SAM2."""
        if self.params.later_prompts != "fresh":
            return
        prompted = {t for f in self.followers for t in f.prompts}
        for t in self.order[self.position :]:  # a bank that was restored holds the others
            if t not in prompted:
                continue
            group = [f for f in self.followers if t in f.prompts]
            whole = None
            if self.mode == "frame":
                whole = encode_views(self.network, self.movie, t, [self._whole])
            for seen in self._start(t, group, whole):
                self._ready[seen.object_id, t] = seen

    @torch.inference_mode()
    def _frame(self, t: int) -> FrameResult:
        """See every active object on frame ``t`` and paint what was seen."""
        seen: list[Seen] = []
        starting, following = [], []
        for f in self.followers:
            ready = self._ready.pop((f.object_id, t), None)
            if ready is not None:
                seen.append(ready)
            elif t in f.prompts and not f.bank.conditioning:
                starting.append(f)
            elif f.bank.conditioning and self._begun(f, t):
                following.append(f)
                f.bank.forget(t, self.step)
        whole = None
        if self.mode == "frame" and (starting or following):
            whole = encode_views(self.network, self.movie, t, [self._whole])
        seen += self._start(t, starting, whole)
        seen += self._follow(t, following, whole)
        return self._paint(t, seen)

    def _begun(self, f: Follower, t: int) -> bool:
        return any((t - u) * self.step >= 0 for u in f.prompts)

    def _start(self, t: int, group: list[Follower], whole: Features | None = None) -> list[Seen]:
        """Objects that are prompted on frame ``t`` without knowing anything of them yet."""
        out: list[Seen] = []
        for members, views in self._first_views(t, group):
            features = self._features(t, views, whole)
            prompts = [f.prompts[t] for f in members]
            decoded = self._decode_prompts(features, prompts, views)
            out += self._remember(t, members, views, features, decoded, prompted=True)
        return out

    def _first_views(
        self, t: int, group: list[Follower]
    ) -> Iterator[tuple[list[Follower], list[View]]]:
        """Batches of objects with prompts of one kind, and their views."""
        kinds: dict[tuple[bool, int], list[Follower]] = {}
        for f in group:
            prompt = f.prompts[t]
            kinds.setdefault((prompt.mask is not None, len(Clicks.of(prompt).labels)), []).append(f)
        for members in kinds.values():
            for part in chunks(members, self._chunk):
                if self.mode == "frame":
                    yield part, [self._whole] * len(part)
                else:
                    yield part, [WindowView(w) for w in self._first_windows(t, part)]

    def _first_windows(self, t: int, group: Sequence[Follower]) -> list[Window]:
        windows = {f.object_id: window_of(f.prompts[t]) for f in group}
        unknown = [f for f in group if windows[f.object_id] is None]
        found = first_look(
            self.network,
            self.movie,
            t,
            [Clicks.of(f.prompts[t]) for f in unknown],
            self._chunk,
        )
        windows |= {f.object_id: w for f, w in zip(unknown, found, strict=True)}
        return [w for f in group if (w := windows[f.object_id]) is not None]

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

    def _follow(self, t: int, group: list[Follower], whole: Features | None) -> list[Seen]:
        """Objects that are known from other frames, some with a correction on this one."""
        banks = [f.bank for f in group]
        out: list[Seen] = []
        for members, memory in tokens(banks, t, self.step, self._span).values():
            for part in chunks(list(range(len(members))), self._chunk):
                followers = [group[members[i]] for i in part]
                views = [self._view(f, t) for f in followers]
                features = self._features(t, views, whole)
                conditioned = self.network.condition(features, memory.take(part))
                decoded = self.network.decode(conditioned, features)
                plain = [i for i, f in enumerate(followers) if t not in f.prompts]
                out += self._remember(
                    t,
                    [followers[i] for i in plain],
                    [views[i] for i in plain],
                    features.take(plain),
                    decoded.take(plain),
                    prompted=False,
                )
                for i, f in enumerate(followers):
                    if t in f.prompts:
                        out += self._correct(
                            t, f, views[i], features.take([i]), conditioned[[i]], decoded.take([i])
                        )
        return out

    def _correct(
        self,
        t: int,
        f: Follower,
        view: View,
        features: Features,
        conditioned: Tensor,
        tracked: Decoded,
    ) -> list[Seen]:
        """A prompt on a frame that was followed: it corrects, and is remembered for good."""
        prompt = f.prompts[t]
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
        return self._remember(t, [f], [view], features, decoded, prompted=True)

    def _view(self, f: Follower, t: int) -> View:
        """What a known object is shown through on frame ``t``."""
        if self.mode == "frame" or f.motion is None:
            return self._whole
        window = f.motion.expected(self.movie.height, self.movie.width)
        prompt = f.prompts.get(t)
        if prompt is None:
            return WindowView(window)
        return WindowView(window_of(prompt) or containing(window, Clicks.of(prompt)))

    def _features(self, t: int, views: list[View], whole: Features | None) -> Features:
        if self.mode == "frame":
            if whole is None:
                whole = encode_views(self.network, self.movie, t, [self._whole])
            return whole.expand(len(views))
        return encode_views(self.network, self.movie, t, views)

    def _remember(
        self,
        t: int,
        followers: list[Follower],
        views: list[View],
        features: Features,
        decoded: Decoded,
        prompted: bool,
    ) -> list[Seen]:
        """Encode what was seen into the banks."""
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
            f.bank.remember(Entry(t, maps[n], decoded.pointer[n]), conditioning=prompted)
            if f.motion is None and isinstance(view, WindowView):
                f.motion = Motion.at(view.window)
            given = f.prompts[t].mask if prompted and self.params.keep_masks else None
            score, iou = float(scores[n]), float(ious[n])
            out.append(Seen(f.object_id, view, logits[n], score, iou, prompted, given))
        return out

    def _paint(self, t: int, seen: list[Seen]) -> FrameResult:
        """All logits of a frame into one label image, and the windows moved along."""
        result, shapes = paint_frame(t, seen, self.movie.height, self.movie.width, self._brush)
        known = {f.object_id: f for f in self.followers}
        for s in seen:
            f, shape = known[s.object_id], shapes[s.object_id]
            if f.motion is not None:
                asked = window_of(f.prompts[t]) if s.prompted else None
                f.motion = f.motion.told(shape, asked) if s.prompted else f.motion.seen(shape)
        return result
