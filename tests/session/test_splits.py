"""When an object counts as two, and what is told of it."""

from __future__ import annotations

import numpy as np
import pytest

from napari_sam2track.engine.divisions import LASTING, TwoParts
from napari_sam2track.engine.results import FrameResult, ObjectResult, State
from napari_sam2track.masks import Mask, Patch
from napari_sam2track.prompts import Prompt, PromptSet
from napari_sam2track.session.decisions import Division
from napari_sam2track.session.splits import find_splits

HALF = Mask(np.ones((2, 3), bool), 0, 0)
PATCH = Patch(np.ones((2, 6), np.float32), 0, 0)


def prompts(*frames):
    return PromptSet({(1, t): Prompt(mask=HALF) for t in frames})


class Movie:
    """Object 1 with evidence on some frames; counts what is read and asked."""

    def __init__(self, *evidence):
        self.evidence = evidence
        self.read, self.asked = [], []

    def stored_at(self, t):
        self.read.append(t)
        return {1: PATCH} if t < len(self.evidence) else {}

    def ask(self, t, asked, all_known):
        self.asked.append(t)
        e = self.evidence[t]
        return {i: TwoParts((HALF, HALF), e) if e else None for i in asked if asked[i]}

    def splits(self, t, given=(0,), told=()):
        one = ObjectResult(1, State.PROPAGATED, 1.0, 1.0, PATCH)
        result = FrameResult(t, 10, 10, (one,))
        return find_splits(result, self.stored_at, prompts(*given), told, self.ask)

    def run(self, given=(0,)):
        """(frame, first frame of the two) of all that is told, one after the other."""
        told = []
        out = []
        for t in range(len(self.evidence)):
            for i, split in self.splits(t, [u for u in given if u <= t], told):
                told.append(Division(i, split.frame, split.score))
                out.append((t, split.frame))
        return out


@pytest.mark.parametrize(
    ("evidence", "told"),
    [
        ([0, 0, 1.2, 1.2, 1.2], [(2, 2)]),  # told once
        ([0, 0, 0.6, 0.6, 0], [(3, 2)]),
        ([0, 0, 0.6, 0, 0.6, 0], []),
        ([0, 1 / 3, 1 / 3, 1 / 3, 1 / 3], [(3, 1)]),
        ([0, 0, 0.25, 0.25, 0.25, 0.25, 0], [(5, 2)]),
        # it looks like one for a moment: the same event
        ([0, 0, 1.2, 0, 1.2, 0, 0, 1.2], [(2, 2)]),
        # it was one for long enough: another event
        ([0, 0, 1.2, *[0] * LASTING, 1.2], [(2, 2), (3 + LASTING, 3 + LASTING)]),
    ],
)
def test_what_is_told(evidence, told):
    assert Movie(*evidence).run() == told


def test_what_a_person_prompted_is_one():
    movie = Movie(1.2, 0, 0)
    assert movie.run() == []
    assert movie.asked == [1, 2]  # nobody asks where a person has just said it
    assert Movie(1.2, 1.2).run() == [(1, 1)]


def test_a_division_that_was_taken_back_has_to_last():
    movie = Movie(*[0, 0, *[1.2] * 8])
    assert movie.run(given=[0, 4]) == [(2, 2), (4 + LASTING, 5)]
    # once it has been one again, it may divide as any
    assert Movie(0, 0, 1.2, 1.2, 1.2, 0, 0, 0, 1.2).run(given=[0, 3]) == [(2, 2), (8, 8)]


def test_frames_are_read_once_and_only_where_needed():
    movie = Movie(0, 0, 0, 0)
    assert movie.splits(3) == []
    assert movie.read == []
    lasting = Movie(0, 0.3, 0.3, 0.3)
    assert lasting.splits(3) == []
    assert sorted(lasting.read) == [1, 2]


def test_of_an_object_without_prompts_before_nothing_is_asked():
    movie = Movie(0, 1.2, 1.2)
    assert movie.splits(1, given=[2]) == []
    assert movie.asked == []
