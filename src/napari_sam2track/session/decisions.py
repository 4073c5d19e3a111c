"""Decisions of a run: its choices and findings, beside the prompts of a person."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from napari_sam2track.errors import FormatError
from napari_sam2track.labels import MAX_ID
from napari_sam2track.prompts import PromptSet, prompts_from_json, prompts_to_dict


@dataclass(frozen=True)
class Division:
    """An object that seems to have become two.

    Attributes
    ----------
    parent
        Id of the object.
    frame
        The first frame on which there are two.
    score
        From 0 to 1: how alike the two are, and how lasting.
    daughters
        Ids of the two, where the division was applied; else empty.
    """

    parent: int
    frame: int
    score: float
    daughters: tuple[int, ...] = ()


@dataclass(frozen=True)
class Decisions:
    """Decisions of a run so far.

    Attributes
    ----------
    mode, reason
        What the network is shown, and why.
    size
        Side of the square that it is shown in, in pixels.
    found
        Objects that were found, and daughters, as mask prompts on the frames where they begin.
    looked
        Frames that were searched for new objects.
    divisions
        By parent and frame.
    """

    mode: Literal["frame", "window"]
    reason: str
    size: int
    found: PromptSet = field(default_factory=PromptSet)
    looked: frozenset[int] = frozenset()
    divisions: tuple[Division, ...] = ()

    @property
    def parents(self) -> dict[int, int]:
        """Parent of each daughter."""
        return {d: event.parent for event in self.divisions for d in event.daughters}

    @property
    def ends(self) -> dict[int, int]:
        """Last frames of objects that divided."""
        return {event.parent: event.frame - 1 for event in self.divisions if event.daughters}

    def with_found(self, t: int, found: PromptSet) -> Decisions:
        """Return the decisions after a frame was searched for objects."""
        return replace(self, found=self.found.merge(found), looked=self.looked | {t})

    def with_division(self, division: Division, daughters: PromptSet) -> Decisions:
        """Return the decisions after an object divided, or seems to have divided."""
        return replace(
            self,
            found=self.found.merge(daughters),
            divisions=(*self.divisions, division),
        )

    def to_dict(self) -> dict[str, Any]:
        """Return the decisions as plain values for JSON."""
        return {
            "mode": self.mode,
            "reason": self.reason,
            "size": self.size,
            "found": prompts_to_dict(self.found),
            "looked": sorted(self.looked),
            "divisions": [[d.parent, d.frame, d.score, list(d.daughters)] for d in self.divisions],
        }

    @classmethod
    def from_dict(cls, content: dict[str, Any]) -> Decisions:
        """Read what `to_dict` returned.

        Raises
        ------
        FormatError
            If a value is missing or not valid.
        """
        try:
            stored = _Stored.model_validate(content)
            return cls(
                mode=stored.mode,
                reason=stored.reason,
                size=stored.size,
                found=prompts_from_json(stored.found, "the objects found so far"),
                looked=frozenset(stored.looked),
                divisions=tuple(Division(*row) for row in stored.divisions),
            )
        except ValidationError as error:
            first = error.errors()[0]
            place = ".".join(map(str, first["loc"]))
            raise FormatError(
                f"the decisions of the run are damaged ({place}: {first['msg']}, not "
                f"{first['input']!r:.60}); leave them out of the session file, or start the run "
                "anew with --overwrite"
            ) from error


_Id = Annotated[int, Field(ge=1, le=MAX_ID, strict=True)]
_Frame = Annotated[int, Field(ge=0, strict=True)]


class _Stored(BaseModel):
    """`Decisions` as `Decisions.to_dict` gives them."""

    model_config = ConfigDict(extra="forbid")

    mode: Literal["frame", "window"]
    reason: str
    size: Annotated[int, Field(ge=32, multiple_of=32, strict=True)]
    found: dict[str, Any]
    looked: list[_Frame]
    divisions: list[tuple[_Id, _Frame, Annotated[float, Field(ge=0, le=1)], tuple[_Id, ...]]]
