"""Shows objects to the network on one frame, decodes them, and makes memories of them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from napari_sam2track.engine.clicks import Clicks, point_tensors
from napari_sam2track.engine.embeddings import Encoder
from napari_sam2track.engine.follower import Follower
from napari_sam2track.engine.neighbours import PROMPTED, UNTOUCHED, Verdict
from napari_sam2track.engine.network.batches import Batcher, Mode
from napari_sam2track.engine.network.memory import Entry, tokens
from napari_sam2track.engine.network.network import Decoded, Features, Network
from napari_sam2track.engine.views.brush import Brush
from napari_sam2track.engine.views.views import FrameView, Movie, View, WindowView
from napari_sam2track.engine.window_search import containing, first_look, window_of
from napari_sam2track.masks import Mask, Patch
from napari_sam2track.params import EngineParams
from napari_sam2track.prompts import Prompt

#: Highest logit in the memory of an object, on pixels that a neighbour won.
CEDED_LOGIT = -2.0
#: Patch of an object that is not there.
NOTHING = Patch(np.zeros((0, 0), np.float32), 0, 0)


@dataclass(frozen=True, eq=False, slots=True)
class Seen:
    """One object on one frame, and the memory that it makes."""

    view: View
    patch: Patch
    score: float
    iou: float
    prompted: bool
    entry: Entry
    verdict: Verdict = UNTOUCHED
    claim_strength: float = 0.0
    firm: bool = False


@dataclass(frozen=True, eq=False, slots=True)
class Raw:
    """One object on one frame as the network decoded it, before claims are resolved.

    Attributes
    ----------
    view
        View in which it was decoded.
    patch
        Its mask.
    top
        (1, C, h, w) the frame's own features, for the memory.
    decoded
        Result for this object alone.
    """

    view: View
    patch: Patch
    top: Tensor
    decoded: Decoded

    @property
    def iou(self) -> float:
        """Predicted IoU of the mask, 0 to 1."""
        return float(self.decoded.iou.float().clamp(0, 1))


class Observer:
    """Runs the network for a pass, on many objects at once.

    Parameters
    ----------
    network, movie, params, mode, step, encoder
        As in `propagation.Pass`.
    """

    def __init__(
        self,
        network: Network,
        movie: Movie,
        params: EngineParams,
        mode: Mode,
        step: int,
        encoder: Encoder,
    ) -> None:
        self.network, self.movie, self.params = network, movie, params
        self.mode, self.step, self.encoder = mode, step, encoder
        self._whole = FrameView(movie.height, movie.width)
        # SAM2 scales the age of pointers by the length of short movies; the bundled model, made
        # for windows, was trained with one scale
        longest = movie.n_frames if mode == "frame" else network.max_pointers
        self._span = min(longest, network.max_pointers)
        self._exact = params.equality == "exact"
        self._batcher = Batcher.of(network, mode, params)
        self._brush = Brush(
            movie.height,
            movie.width,
            params.fill_holes,
            params.min_part,
            as_torch=self._exact and mode == "frame",
        )

    def whole(self, t: int) -> Features | None:
        """Features that all objects share on frame ``t``; None in window mode."""
        if self.mode == "window":
            return None
        return self.encoder.encode(self.movie, t, [self._whole])

    # -- objects that begin --------------------------------------------------------------------

    def start(
        self, t: int, group: list[Follower], whole: Features | None
    ) -> list[tuple[Follower, Seen]]:
        """Decode objects that are prompted on frame ``t`` and have no memory yet."""

        def begin(part: list[tuple[Follower, View]]) -> list[tuple[Follower, Seen]]:
            followers, views = [f for f, _ in part], [view for _, view in part]
            prompts = [f.task.prompts[t] for f in followers]
            features = self._features(t, views, whole)
            decoded = self._decode_prompts(features, prompts, views)
            seen = self._see(t, followers, views, features, decoded, prompted=True)
            return list(zip(followers, seen, strict=True))

        if group and whole is None:
            whole = self.whole(t)
        views = self._first_views(t, group)
        return self._batcher.map(begin, views, key=lambda item: kind(item[0].task.prompts[t]))

    def propose(
        self, t: int, group: list[Follower]
    ) -> list[tuple[Follower, View, NDArray[np.float32], NDArray[np.float32]]]:
        """Return all masks proposed for objects prompted on frame ``t``, see `Pass.proposals`."""

        def propose(part: list[tuple[Follower, View]]) -> list[tuple[Tensor, Tensor]]:
            prompts, views = [f.task.prompts[t] for f, _ in part], [view for _, view in part]
            decoded = self._decode_prompts(self._features(t, views, None), prompts, views)
            return list(zip(decoded.candidates, decoded.ious, strict=True))

        shown = self._first_views(t, group)
        found = self._batcher.map(propose, shown, key=lambda item: kind(item[0].task.prompts[t]))
        return [
            (f, view, candidates.float().cpu().numpy(), ious.float().cpu().numpy())
            for (f, view), (candidates, ious) in zip(shown, found, strict=True)
        ]

    def _first_views(self, t: int, group: list[Follower]) -> list[tuple[Follower, View]]:
        """Return the views of objects on the frame where they begin."""
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
        """Decode masks of objects from prompts of one kind, without memory."""
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

    # -- objects with a memory -----------------------------------------------------------------

    def follow(
        self, t: int, group: list[Follower], whole: Features | None
    ) -> list[tuple[Follower, Seen]]:
        """Decode objects with memories of other frames, some with a correction on this one."""

        def follow(followers: list[Follower]) -> list[tuple[Follower, Seen]]:
            views, features, conditioned, decoded = self._tracked(t, followers, whole)
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

        return self._batcher.map(follow, group, key=lambda f: self._size(f, t))

    def decode(self, t: int, group: list[Follower]) -> list[Raw]:
        """Decode objects in windows that have a memory and no correction; `remember` comes next."""

        def decode(followers: list[Follower]) -> list[Raw]:
            views, features, _, decoded = self._tracked(t, followers, None)
            logits = decoded.logits[:, 0].float().cpu().numpy()
            return [
                Raw(
                    view,
                    self._brush.patch(logits[i], view),
                    features.top[[i]],
                    decoded.take([i]),
                )
                for i, view in enumerate(views)
            ]

        return self._batcher.map(decode, group, key=lambda f: self._size(f, t))

    def remember(self, t: int, raws: Sequence[Raw], verdicts: Sequence[Verdict]) -> list[Seen]:
        """Return memories and masks of objects, once their claims were resolved."""

        def remember(part: list[tuple[Raw, Verdict]]) -> list[Seen]:
            network = self.network
            decoded = Decoded.cat([raw.decoded for raw, _ in part])
            gone = [verdict.gone for _, verdict in part]
            if any(gone):
                decoded = network.without(decoded, torch.tensor(gone, device=network.device))
            logits = decoded.logits
            if any(verdict.ceded is not None for _, verdict in part):
                theirs = torch.stack([_theirs(*one, logits.shape[-1]) for one in part])
                theirs = theirs[:, None].to(logits.device)
                logits = torch.where(theirs, logits.clamp(max=CEDED_LOGIT), logits)
            top = torch.cat([raw.top for raw, _ in part])
            features = Features(top, (top, top))  # memories do not use the fine levels
            entries = self._entries(t, features, decoded, logits, prompted=False)
            scores = decoded.score[:, 0].float().sigmoid().cpu().numpy()
            return [
                Seen(
                    raw.view,
                    NOTHING if verdict.gone else raw.patch,
                    float(score),
                    raw.iou,
                    False,
                    entry,
                    verdict,
                )
                for (raw, verdict), score, entry in zip(part, scores, entries, strict=True)
            ]

        return self._batcher.map(remember, list(zip(raws, verdicts, strict=True)))

    def _size(self, f: Follower, t: int) -> tuple[int, int]:
        """Return how many memories an object has: attention has no mask for padding."""
        maps, pointers = f.bank.read(t, self.step)
        return len(maps), len(pointers)

    def _tracked(
        self, t: int, followers: list[Follower], whole: Features | None
    ) -> tuple[list[View], Features, Tensor, Decoded]:
        """Return views, features, conditioned features and masks of objects with equal memories."""
        ((_, memory),) = tokens([f.bank for f in followers], t, self.step, self._span).values()
        views = [self._view(f, t) for f in followers]
        features = self._features(t, views, whole)
        conditioned = self.network.condition(features, memory)
        return views, features, conditioned, self.network.decode(conditioned, features)

    def _correct(
        self,
        t: int,
        f: Follower,
        view: View,
        features: Features,
        conditioned: Tensor,
        tracked: Decoded,
    ) -> Seen:
        """Decode a prompt that corrects a frame; it becomes a conditioning frame."""
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
        """Return the view of an object on frame ``t`` that was seen before."""
        if self.mode == "frame" or f.motion is None:
            return self._whole
        window = f.motion.expected(self.movie.height, self.movie.width)
        prompt = f.task.prompts.get(t)
        if prompt is None:
            return WindowView(window)
        return WindowView(window_of(prompt) or containing(window, Clicks.of(prompt)))

    # -- all of them ---------------------------------------------------------------------------

    def _features(self, t: int, views: list[View], whole: Features | None) -> Features:
        if self.mode == "frame":
            whole = self.whole(t) if whole is None else whole
            assert whole is not None
            return whole.expand(len(views))
        return self.encoder.encode(self.movie, t, views)

    def _entries(
        self, t: int, features: Features, decoded: Decoded, logits: Tensor, prompted: bool
    ) -> list[Entry]:
        maps = self.network.encode_memory(features, logits, decoded.score, prompted)
        maps = maps.to(torch.bfloat16)
        return [Entry(t, maps[n], decoded.pointer[n]) for n in range(len(maps))]

    def _see(
        self,
        t: int,
        followers: list[Follower],
        views: list[View],
        features: Features,
        decoded: Decoded,
        prompted: bool,
    ) -> list[Seen]:
        """Return memories and masks of decoded objects."""
        if not followers:
            return []
        shown = decoded.logits
        if self._exact and not prompted:
            # SAM2 enlarges all candidates and then chooses, which rounds differently
            shown = self.network.full_size(decoded.candidates)[:, [int(decoded.ious.argmax())]]
        entries = self._entries(t, features, decoded, shown, prompted)
        logits = decoded.logits[:, 0].float().cpu().numpy()
        scores = decoded.score[:, 0].float().sigmoid().cpu().numpy()
        ious = decoded.iou.float().clamp(0, 1).cpu().numpy()
        out = []
        for n, (f, view) in enumerate(zip(followers, views, strict=True)):
            given = f.task.prompts[t].mask if prompted and self.params.keep_masks else None
            patch = (
                self._brush.patch(logits[n], view) if given is None else self._brush.given(given)
            )
            seen = Seen(view, patch, float(scores[n]), float(ious[n]), prompted, entries[n])
            out.append(replace(seen, claim_strength=PROMPTED, firm=True) if prompted else seen)
        return out


def kind(prompt: Prompt) -> tuple[bool, int]:
    """Return what prompts must have in common to be one batch."""
    return prompt.mask is not None, len(Clicks.of(prompt).labels)


def _theirs(raw: Raw, verdict: Verdict, size: int) -> Tensor:
    """Return where a neighbour won, (size, size) bool on the grid of an object's logits."""
    if verdict.ceded is None:
        return torch.zeros(size, size, dtype=torch.bool)
    return raw.view.mask(Mask(verdict.ceded, raw.patch.y0, raw.patch.x0), size) > 0
