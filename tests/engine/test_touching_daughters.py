"""Objects that became two and stay in touch."""

from __future__ import annotations

import numpy as np
import pytest

from napari_sam2track.engine import touching_daughters
from napari_sam2track.engine.divisions import LOOK_BACK, TwoParts, two_parts
from napari_sam2track.engine.network.batches import Batcher
from napari_sam2track.engine.network.fast import fast_version
from napari_sam2track.engine.network.network import Network
from napari_sam2track.engine.touching_daughters import TwoInTouch, as_two, halves
from napari_sam2track.frames import open_frames
from napari_sam2track.masks import Mask, Patch
from napari_sam2track.models.loading import load_network
from napari_sam2track.models.registry import find_model
from napari_sam2track.training.synthetic.scene import polyline_depth

SIZE = 96
ROD = (((40, 20), (52, 74)),)
PAIR = (((40, 20), (44.9, 41)), ((47.4, 53), (52, 74)))  # the same, cut in its middle


def depth(axes, half=6.0):
    """How deep pixels lie in rods given by the ends (y, x) of their axes."""
    ys, xs = np.mgrid[:SIZE, :SIZE].astype(np.float32)
    return np.max([polyline_depth(ys, xs, np.array(a, float), half) for a in axes], axis=0)


def mask_of(axes):
    return Mask.from_frame(depth(axes) > 0)


def patch_of(axes, logit=3.0):
    return Patch.of(np.where(depth(axes) > 0, np.float32(logit), np.float32(-1)), 0, 0)


@pytest.fixture(scope="module")
def bundled():
    return Network(load_network(find_model("bundled")))


@pytest.fixture(scope="module")
def movie():
    """One rod, and then two in touch, dark on grey."""
    frames = [190 - 90 * np.clip(depth(axes) + 0.5, 0, 1) for axes in (ROD, PAIR)]
    noise = np.random.default_rng(0).normal(0, 3, (2, SIZE, SIZE))
    return open_frames((np.stack(frames) + noise).clip(0, 255).astype(np.uint8), axes="TYX")


def test_a_mask_is_cut_across_its_long_axis():
    left, right = sorted(halves(mask_of(ROD)), key=lambda half: half.x0)
    both = left.to_frame(SIZE, SIZE).astype(int) + right.to_frame(SIZE, SIZE)
    np.testing.assert_array_equal(both, depth(ROD) > 0)
    assert left.area == pytest.approx(right.area, rel=0.05)
    assert left.box[3] < 52
    assert right.x0 > 42


def test_what_is_round_or_tiny_has_no_halves():
    ys, xs = np.mgrid[:SIZE, :SIZE]
    assert halves(Mask.from_frame(np.hypot(ys - 40, xs - 50) < 15)) is None
    assert halves(Mask.from_frame((ys == 3) & (xs < 6))) is None
    pair = np.minimum(np.hypot(ys - 40, xs - 30), np.hypot(ys - 40, xs - 50)) < 10
    assert halves(Mask.from_frame(pair)) is not None


def test_two_that_make_up_the_mask_are_two():
    one, other = (patch_of([axis]) for axis in PAIR)
    two = as_two(mask_of(PAIR), other, one)  # in whatever order
    assert [part.area for part in two.parts] == [one.mask.area, other.mask.area]
    assert two.parts[0].y0 < two.parts[1].y0
    assert two.evidence == pytest.approx(1.25)  # they share nothing
    assert as_two(mask_of(PAIR), one, Patch(np.zeros((0, 0), np.float32), 0, 0)) is None


def test_the_same_twice_is_one():
    assert as_two(mask_of(ROD), patch_of(ROD), patch_of(ROD)) is None


def test_what_both_have_weakens_and_goes_to_the_higher_logit():
    longer = ((40, 20), (45.5, 44))
    two = as_two(mask_of(PAIR), patch_of([longer], 2.0), patch_of([PAIR[1]], 3.0))
    assert 0.25 <= two.evidence < 1.25
    left, right = two.parts
    assert right.area == patch_of([PAIR[1]]).mask.area
    assert left.area < patch_of([longer]).mask.area
    assert not (left.to_frame(SIZE, SIZE) & right.to_frame(SIZE, SIZE)).any()


@pytest.mark.parametrize(
    "other",
    [
        ((47, 52), (48, 56)),  # much of the mask is not seen
        ((47, 53), (95, 95)),  # much of it lies elsewhere
    ],
)
def test_what_does_not_make_up_the_mask_is_nothing(other):
    assert as_two(mask_of(PAIR), patch_of([PAIR[0]]), patch_of([other])) is None


def test_a_crumb_is_no_daughter():
    small = ((50, 68), (51, 71))
    nearly = ((40, 20), (49, 60))
    assert as_two(mask_of([nearly, small]), patch_of([nearly]), patch_of([small])) is None


def seen(network, movie, t, *axes_of_each, batch=8):
    """The answers about objects that are followed as these rods."""
    patches = {i: patch_of(axes) for i, axes in enumerate(axes_of_each, 1)}
    question = TwoInTouch(Batcher(network, "window", batch), movie)
    return question.ask(t, patches, lambda: patches)


def test_the_network_tells_one_from_two(bundled, movie):
    network = fast_version(bundled)
    assert seen(network, movie, 0, ROD) == {1: None}
    two = seen(network, movie, 1, ROD)[1]
    assert two.evidence >= 0.5
    for part, axis in zip(two.parts, PAIR, strict=True):
        a, b = part.to_frame(SIZE, SIZE), depth([axis]) > 0
        assert (a & b).sum() > 0.7 * (a | b).sum()
    # in batches of one, and where there is nothing
    again = seen(network, movie, 1, ROD, batch=1)[1]
    assert again.parts[0].area == two.parts[0].area
    assert seen(network, movie, 1) == {}


def test_what_is_a_neighbours_is_no_daughter(bundled, movie):
    """A mask that leaks over the next rod is not two: that rod has a track of its own."""
    question = TwoInTouch(Batcher(fast_version(bundled), "window", 8), movie)
    patches = {1: patch_of(ROD, 2.0), 2: patch_of([PAIR[1]], 3.0)}
    assert question.ask(1, patches, lambda: patches) == {1: None, 2: None}


class Stub:
    """Answers from the halves instead of the network."""

    def __init__(self, monkeypatch, answer):
        self.asked = []

        def look(batcher, movie, t, labels, masks):
            self.asked.append((t, list(masks)))
            return [answer] * len(masks)

        monkeypatch.setattr(touching_daughters, "two_in_touch", look)


def test_each_is_asked_once(bundled, movie, monkeypatch):
    stub = Stub(monkeypatch, None)
    question = TwoInTouch(Batcher(bundled, "window", 8), movie)
    apart = patch_of((((20, 20), (20, 40)), ((60, 20), (60, 40))))
    patches = {1: patch_of(ROD), 2: apart, 3: patch_of(ROD)}

    def ask(t, *ids):
        return question.ask(t, {i: patches[i] for i in ids}, lambda: patches)

    found = ask(0, 1, 2)
    assert found[1] is None
    assert found[2].evidence == two_parts(apart).evidence  # the mask itself says it
    assert ask(0, 1) == {1: None}
    assert stub.asked == [(0, [1, 2])]
    ask(0, 1, 3)
    assert stub.asked == [(0, [1, 2]), (0, [3])]
    for t in range(1, LOOK_BACK + 2):
        ask(t, 1)
    assert min(question._known) == 1  # what nobody looks back to is forgotten


@pytest.mark.parametrize("evidence", [0.3, 1.2])
def test_what_says_more_counts(bundled, movie, monkeypatch, evidence):
    apart = patch_of((((20, 20), (20, 40)), ((60, 20), (60, 40))))
    Stub(monkeypatch, TwoParts(two_parts(apart).parts, evidence))
    found = TwoInTouch(Batcher(bundled, "window", 8), movie).ask(0, {1: apart}, lambda: {1: apart})
    assert found[1].evidence == max(evidence, two_parts(apart).evidence)
