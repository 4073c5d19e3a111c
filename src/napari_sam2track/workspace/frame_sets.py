"""Sets of (object, frame) pairs, as values."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Mapping

Ranges = dict[str, list[tuple[int, int]]]


class FrameSets(Mapping[int, frozenset[int]]):
    """An immutable mapping from objects to frames; an object without frames is not in it."""

    __slots__ = ("_frames",)

    def __init__(self, frames: Mapping[int, Collection[int]] | None = None) -> None:
        self._frames = {i: frozenset(f) for i, f in sorted((frames or {}).items()) if f}

    def __getitem__(self, object_id: int) -> frozenset[int]:
        return self._frames[object_id]

    def __iter__(self) -> Iterator[int]:
        return iter(self._frames)

    def __len__(self) -> int:
        return len(self._frames)

    def __eq__(self, other: object) -> bool:
        return isinstance(other, FrameSets) and self._frames == other._frames

    def __hash__(self) -> int:
        return hash(tuple(self._frames.items()))

    def of(self, object_id: int) -> frozenset[int]:
        """Return the frames of an object; empty if there are none."""
        return self._frames.get(object_id, frozenset())

    def at(self, frame: int) -> set[int]:
        """Return the objects on a frame."""
        return {i for i, frames in self._frames.items() if frame in frames}

    def plus(self, object_id: int, frames: Iterable[int]) -> FrameSets:
        """Return the sets with more frames of an object."""
        return FrameSets({**self._frames, object_id: self.of(object_id) | set(frames)})

    def minus(self, object_id: int, frames: Iterable[int] | None = None) -> FrameSets:
        """Return the sets without frames of an object; None: without the object."""
        left = frozenset() if frames is None else self.of(object_id) - set(frames)
        return FrameSets({**self._frames, object_id: left})

    def to_ranges(self) -> Ranges:
        """Return the frames of each object as (first, last) ranges, both included, for JSON."""
        return {str(i): _ranges(sorted(frames)) for i, frames in self._frames.items()}

    @classmethod
    def from_ranges(cls, ranges: Mapping[str, Iterable[tuple[int, int]]]) -> FrameSets:
        """Read what `to_ranges` returned."""
        return cls(
            {int(i): {t for a, b in each for t in range(a, b + 1)} for i, each in ranges.items()}
        )


def _ranges(frames: list[int]) -> list[tuple[int, int]]:
    out: list[tuple[int, int]] = []
    for t in frames:
        if out and out[-1][1] == t - 1:
            out[-1] = out[-1][0], t
        else:
            out.append((t, t))
    return out
