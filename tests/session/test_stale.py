"""From which frame objects go on together, and what is wanted of them."""

from napari_sam2track.params import EngineParams
from napari_sam2track.prompts import Point, Prompt, PromptSet
from napari_sam2track.session.decisions import Decisions
from napari_sam2track.session.stale import Plan, _common


def test_what_was_found_begins_there_however_it_is_corrected():
    """A daughter that a person corrects is not followed back into its parent."""
    click = Prompt(points=(Point(3.0, 4.0),))
    decided = Decisions("window", "", 256, found=PromptSet({(2, 5): click}))

    def wanted(given):
        segments = Plan(PromptSet(given), decided, EngineParams(), 9, b"").segments(2)
        return sorted(t for s in segments for t in s.frames)

    assert wanted({}) == [5, 6, 7, 8, 9]
    assert wanted({(2, 7): click}) == [5, 6, 7, 8, 9]
    assert wanted({(2, 5): click}) == [5, 6, 7, 8, 9]
    assert wanted({(2, 4): click}) == list(range(10))  # a person says that it was there before


def test_the_last_memory_that_all_have():
    assert _common([{0, 16, 32}, {0, 16}], [0, 0], 1) == 16
    assert _common([{0, 16, 32}], [0], 1) == 32
    assert _common([{0, 16}, set()], [0, 0], 1) is None


def test_who_begins_later_needs_none():
    """What was not followed yet on that frame begins anew, as it did before."""
    assert _common([{0, 16, 32}, {20, 32}, set()], [0, 20, 25], 1) == 16
    assert _common([{0, 16}, {0}], [0, 0], 1) == 0


def test_backward():
    assert _common([{40, 32, 16}, {40, 32}], [40, 40], -1) == 32
    assert _common([{40, 32}, set()], [40, 20], -1) == 32
