"""Annotations of a movie by a person, as one value: undo restores an earlier one."""

from __future__ import annotations

from dataclasses import dataclass, field, replace

from napari_sam2track.prompts import Prompt, PromptSet
from napari_sam2track.workspace.frame_sets import FrameSets


@dataclass(frozen=True)
class Annotations:
    """Prompts, and the frames of objects that runs must not change.

    Attributes
    ----------
    prompts
        Clicks, boxes, masks.
    kept
        Frames of objects that were painted, edited or approved: runs do not change them.
    approved
        Those of them that a person checked and accepted.
    """

    prompts: PromptSet = field(default_factory=PromptSet)
    kept: FrameSets = field(default_factory=FrameSets)
    approved: FrameSets = field(default_factory=FrameSets)

    def prompted(self, prompts: PromptSet) -> Annotations:
        """Return the annotations with other prompts.

        A new or changed prompt frees the kept frames of its object from there up to its next prompt
        (from its begin if it is the first); approved ones stay kept, but for the prompt's own.
        """
        kept, approved = self.kept, self.approved
        for object_id, frame in changed_keys(self.prompts, prompts):
            if (object_id, frame) not in prompts:
                continue
            approved = approved.minus(object_id, [frame])
            later = [t for t in prompts.of_object(object_id) if t > frame]
            end = min(later, default=None)
            first = frame == prompts.first_frame(object_id)
            open_again = {
                t
                for t in kept.of(object_id) - approved.of(object_id)
                if (t >= frame or first) and (end is None or t < end)
            }
            kept = kept.minus(object_id, open_again)
        return replace(self, prompts=prompts, kept=kept, approved=approved)

    def painted(self, object_id: int, frame: int, prompt: Prompt | None) -> Annotations:
        """Return the annotations after painting an object on a frame; None removes its prompt."""
        prompts = self.prompts
        if prompt is not None:
            prompts = prompts.put(object_id, frame, prompt)
        elif (object_id, frame) in prompts:
            prompts = prompts.remove(object_id, frame)
        annotations = self.prompted(prompts)
        return replace(annotations, kept=annotations.kept.plus(object_id, [frame]))

    def accepted(self, object_id: int, frames: list[int]) -> Annotations:
        """Return the annotations with approved frames of an object."""
        return replace(
            self,
            kept=self.kept.plus(object_id, frames),
            approved=self.approved.plus(object_id, frames),
        )

    def reopened(self, object_id: int, frames: list[int]) -> Annotations:
        """Return the annotations with frames of an object that are not approved any more."""
        return replace(
            self,
            kept=self.kept.minus(object_id, self.approved.of(object_id) & set(frames)),
            approved=self.approved.minus(object_id, frames),
        )

    def without(self, object_id: int, frames: set[int] | None = None) -> Annotations:
        """Return the annotations without an object, or (``frames``) without some of its frames."""
        gone = {
            (i, t) for i, t in self.prompts if i == object_id and (frames is None or t in frames)
        }
        left = PromptSet({k: p for k, p in self.prompts.items() if k not in gone})
        return Annotations(
            left, self.kept.minus(object_id, frames), self.approved.minus(object_id, frames)
        )

    def moved(self, old: int, new: int, frames: set[int] | None = None) -> Annotations:
        """Return the annotations with one object's given to another, on some frames (None: all).

        Where both have a prompt, that of the other stays.
        """
        prompts: dict[tuple[int, int], Prompt] = {}
        taken: dict[tuple[int, int], Prompt] = {}
        for (i, t), prompt in self.prompts.items():
            if i == old and (frames is None or t in frames):
                taken[new, t] = prompt
            else:
                prompts[i, t] = prompt
        kept, approved = self.kept, self.approved
        out = []
        for pairs in (kept, approved):
            mine = pairs.of(old) if frames is None else pairs.of(old) & frames
            out.append(pairs.minus(old, mine).plus(new, mine))
        return Annotations(PromptSet({**taken, **prompts}), out[0], out[1])


def changed_keys(before: PromptSet, after: PromptSet) -> list[tuple[int, int]]:
    """Return (object, frame) of all prompts that differ from before, or are gone."""
    keys = {*before, *after}
    return sorted(
        k for k in keys if (k in before) != (k in after) or (k in before and before[k] != after[k])
    )
