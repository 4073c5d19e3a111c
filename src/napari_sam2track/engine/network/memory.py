"""Memory bank of one object: bounded, whatever the length of the movie.

SAM2 reads the conditioning frames, the last six spatial memories and the last fifteen object
pointers; older ones are never read again, so that dropping them changes nothing.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import torch
from torch import Tensor

from napari_sam2track.engine.network.network import MemoryTokens, Network


@dataclass(frozen=True, eq=False, slots=True)
class Entry:
    """One remembered frame.

    Attributes
    ----------
    frame
        Its index.
    maps
        (Cm, h, w) spatial memory, bfloat16 as in SAM2's own predictor (on any device: the
        rounding is part of the result).
    pointer
        (C,) object pointer.
    """

    frame: int
    maps: Tensor
    pointer: Tensor


@dataclass(eq=False)
class MemoryBank:
    """Memories of one object in one pass.

    Attributes
    ----------
    n_recent
        Spatial memories of frames that were followed (6 in SAM2).
    n_pointers
        Pointers of frames that were followed (15 in SAM2).
    max_conditioning
        Most conditioning frames that are read at once; the closest ones are.
    """

    n_recent: int
    n_pointers: int
    max_conditioning: int = 8
    conditioning: dict[int, Entry] = field(default_factory=dict)
    recent: deque[Entry] = field(init=False)
    pointers: deque[tuple[int, Tensor]] = field(init=False)

    def __post_init__(self) -> None:
        self.recent = deque(maxlen=self.n_recent)
        self.pointers = deque(maxlen=self.n_pointers)

    @classmethod
    def for_network(cls, network: Network, max_conditioning: int) -> MemoryBank:
        """Make an empty bank with the sizes of a network."""
        return cls(network.n_memories - 1, network.max_pointers - 1, max_conditioning)

    def remember(self, entry: Entry, conditioning: bool) -> None:
        """Add the memory of a frame."""
        if conditioning:
            self.conditioning[entry.frame] = entry
        else:
            self.recent.append(entry)
            self.pointers.append((entry.frame, entry.pointer))

    def read(self, t: int, step: int) -> tuple[list[tuple[int, Entry]], list[tuple[float, Tensor]]]:
        """Return the memories that are read on frame ``t`` of a pass, ``step`` is 1 or -1.

        Returns
        -------
        maps
            (slot, entry): slot 0 for conditioning frames, else counted as in `MemoryTokens`.
        pointers
            (distance in frames, pointer (C,)).
        """
        chosen = closest(t, list(self.conditioning), self.max_conditioning)
        followed = {e.frame: e for e in self.recent}
        followed |= {f: e for f, e in self.conditioning.items() if f not in chosen}
        maps = [(0, self.conditioning[f]) for f in chosen]
        for back in range(self.n_recent, 0, -1):
            entry = followed.get(t - step * back)
            if entry is not None:
                maps.append((self.n_recent + 1 - back, entry))
        pointers = [
            (float((t - f) * step), self.conditioning[f].pointer)
            for f in chosen
            if (t - f) * step >= 0
        ]
        known = dict(self.pointers)
        known |= {f: e.pointer for f, e in self.conditioning.items() if f not in chosen}
        for back in range(1, self.n_pointers + 1):
            pointer = known.get(t - step * back)
            if pointer is not None:
                pointers.append((float(back), pointer))
        return maps, pointers

    def forget(self, t: int, step: int) -> None:
        """Drop conditioning frames that are not read on frame ``t`` nor later in the pass.

        Of those behind the pass the ``max_conditioning`` last ones can be chosen, and others
        are read as long as they are near. One more is kept: SAM2 orders them differently
        once there are too many, and the order is part of the rounding.
        """
        if len(self.conditioning) <= self.max_conditioning + 1:
            return
        away = sorted((t - f) * step for f in self.conditioning if (t - f) * step > 0)
        for distance in away[self.max_conditioning + 1 :]:
            if distance > max(self.n_recent, self.n_pointers):
                del self.conditioning[t - step * distance]

    def state(self) -> dict[str, Any]:
        """Return the bank as plain values and tensors, for `torch.save`.

        Copies, since a view would be saved with the whole batch that it is a part of.
        """

        def pack(entries: Sequence[Entry]) -> list[tuple[int, Tensor, Tensor]]:
            return [(e.frame, e.maps.cpu().clone(), e.pointer.cpu().clone()) for e in entries]

        return {
            "conditioning": pack(list(self.conditioning.values())),
            "recent": pack(list(self.recent)),
            "pointers": [(f, p.cpu().clone()) for f, p in self.pointers],
        }

    def restore(self, state: dict[str, Any], device: torch.device) -> None:
        """Restore what `state` returned."""

        def unpack(rows: list[tuple[int, Tensor, Tensor]]) -> list[Entry]:
            return [Entry(f, m.to(device), p.to(device)) for f, m, p in rows]

        self.conditioning = {e.frame: e for e in unpack(state["conditioning"])}
        self.recent.clear()
        self.recent.extend(unpack(state["recent"]))
        self.pointers.clear()
        self.pointers.extend((f, p.to(device)) for f, p in state["pointers"])


def closest(t: int, frames: list[int], most: int) -> list[int]:
    """Return the conditioning frames that SAM2 would read on frame ``t``, at most ``most``.

    As `sam2.modeling.sam2_utils.select_closest_cond_frames`: the last one before, the first one
    from ``t`` on, then the nearest others. All of them, in the given order, if they are few.
    """
    if len(frames) <= most:
        return frames
    chosen: list[int] = []
    before = [f for f in frames if f < t]
    after = [f for f in frames if f >= t]
    if before:
        chosen.append(max(before))
    if after:
        chosen.append(min(after))
    rest = sorted((f for f in frames if f not in chosen), key=lambda f: abs(f - t))
    return chosen + rest[: most - len(chosen)]


def tokens(
    banks: Sequence[MemoryBank], t: int, step: int, pointer_span: int
) -> dict[tuple[int, int], tuple[list[int], MemoryTokens]]:
    """Return the memories of objects on frame ``t``, in groups that can be one batch.

    Attention has no mask for padding here, so that a batch needs equal numbers of tokens.

    Returns
    -------
    dict
        (number of maps, number of pointers) to (indices into ``banks``, their tokens).
    """
    groups: dict[tuple[int, int], list[int]] = {}
    reads = [bank.read(t, step) for bank in banks]
    for n, (entries, known) in enumerate(reads):
        groups.setdefault((len(entries), len(known)), []).append(n)
    out = {}
    for key, members in groups.items():
        maps_of, pointers_of = zip(*(reads[n] for n in members), strict=True)
        maps = torch.stack([torch.stack([e.maps for _, e in rows]) for rows in maps_of])
        device = maps.device
        slots = torch.tensor([[slot for slot, _ in rows] for rows in maps_of], device=device)
        if key[1]:
            pointers = torch.stack([torch.stack([p for _, p in rows]) for rows in pointers_of])
        else:
            pointers = maps.new_zeros(len(members), 0, 1, dtype=torch.float32)
        away = torch.tensor([[d for d, _ in rows] for rows in pointers_of], device=device)
        out[key] = (members, MemoryTokens(maps, slots, pointers, away, pointer_span))
    return out
