"""SAM2's own video predictor is the truth: same weights, same frames, same prompts."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import pairwise

import numpy as np
import pytest
import torch

from napari_sam2track.engine import official_predictor
from napari_sam2track.engine.network.network import Network
from napari_sam2track.engine.official_predictor import PLAIN, compare
from napari_sam2track.engine.propagation import Pass
from napari_sam2track.prompts import Point, PromptSet


@dataclass(frozen=True)
class Case:
    """What is followed; ``prompts`` takes a `Discs`."""

    prompts: object
    n_frames: int = 8
    later: str = "refine"
    step: int = 1
    most: int = 1000


def _many(n, later):
    return Case(
        lambda d: PromptSet({(1, t): d.click(t, 0) for t in range(0, 2 * n, 2)}),
        n_frames=2 * n + 4,
        later=later,
        most=3,
    )


CASES = {
    "a click": Case(lambda d: PromptSet({(1, 0): d.click(0, 0)})),
    "clicks": Case(lambda d: PromptSet({(1, 0): d.click(0, 0, (80.0, 30.0), (10.5, 70.25))})),
    "a box": Case(lambda d: PromptSet({(1, 0): d.box(0, 1)})),
    "a box and clicks": Case(
        lambda d: PromptSet({(1, 0): d.box(0, 1, Point(47, 64), Point(52.5, 80.0, False))})
    ),
    "a mask": Case(lambda d: PromptSet({(1, 0): d.mask(0, 2)})),
    "several objects": Case(
        lambda d: PromptSet(
            {
                (1, 0): d.click(0, 0),
                (2, 0): d.mask(0, 1),
                (5, 0): d.box(0, 2),
                (9, 0): d.click(0, 1),
            }
        )
    ),
    "several begin later": Case(
        lambda d: PromptSet(
            {
                (1, 0): d.click(0, 0),
                (2, 3): d.box(3, 1),
                (3, 3): d.click(3, 2),
                (4, 5): d.mask(5, 2),
            }
        )
    ),
    "fresh later prompts": Case(
        lambda d: PromptSet(
            {
                (1, 0): d.click(0, 0),
                (1, 5): d.click(5, 0),
                (2, 1): d.box(1, 1),
                (2, 4): d.mask(4, 1),
            }
        ),
        later="fresh",
    ),
    "a correction": Case(
        lambda d: PromptSet(
            {(1, 0): d.click(0, 0), (1, 4): d.click(4, 0, (70, 90)), (2, 0): d.box(0, 1)}
        )
    ),
    "a correction by a click": Case(
        lambda d: PromptSet({(1, 1): d.mask(1, 0), (1, 4): d.click(4, 0), (1, 6): d.click(6, 0)})
    ),
    "a correction by a box": Case(
        lambda d: PromptSet({(1, 0): d.click(0, 0), (1, 4): d.box(4, 0)})
    ),
    "a correction by a mask": Case(
        lambda d: PromptSet({(1, 0): d.click(0, 0), (1, 4): d.mask(4, 0), (2, 0): d.click(0, 1)})
    ),
    "backward": Case(
        lambda d: PromptSet({(1, 7): d.click(7, 0), (2, 5): d.box(5, 1), (3, 7): d.mask(7, 2)}),
        step=-1,
    ),
    "long": Case(lambda d: PromptSet({(1, 0): d.click(0, 0), (2, 2): d.mask(2, 1)}), n_frames=24),
    "long backward": Case(lambda d: PromptSet({(1, 22): d.box(22, 0)}), n_frames=23, step=-1),
    "long with a correction": Case(
        lambda d: PromptSet({(1, 0): d.click(0, 0), (1, 14): d.click(14, 0)}), n_frames=22
    ),
    "many prompts": _many(7, "refine"),
    "many fresh prompts": _many(6, "fresh"),
}
TINY = {  # a frame takes a third of a second
    "several objects and a correction": Case(
        lambda d: PromptSet(
            {(1, 0): d.click(0, 0), (2, 1): d.box(1, 1), (1, 2): d.click(2, 0, (70, 90))}
        ),
        n_frames=4,
    ),
    "backward": Case(
        lambda d: PromptSet({(1, 3): d.mask(3, 0), (2, 2): d.click(2, 1)}), 4, step=-1
    ),
}


@pytest.fixture
def official(monkeypatch):
    """What SAM2's predictor gave, recorded; the same question is not asked twice."""
    seen = {}
    real = official_predictor.official_labels

    def recorded(predictor, movie, prompts, later, step):
        if "labels" not in seen:
            seen["labels"] = real(predictor, movie, prompts, later, step)
        return seen["labels"]

    monkeypatch.setattr(official_predictor, "official_labels", recorded)
    return seen


def check(predictor, discs, case, official, record_property, tolerance=1e-5):
    d = discs(case.n_frames)
    prompts = case.prompts(d)
    predictor.max_cond_frames_in_attn = case.most
    try:
        for equality in ("exact", "fast"):
            params = PLAIN.model_copy(
                update={
                    "equality": equality,
                    "later_prompts": case.later,
                    "max_conditioning": case.most,
                }
            )
            got = compare(predictor, d.movie, prompts, params, case.step)
            record_property(equality, f"{got.flipped} {got.logit_difference:.2g}")
            allowed = 0 if equality == "exact" else got.pixels / 10_000
            assert got.flipped <= allowed
            assert got.logit_difference <= (1e-6 if equality == "exact" else tolerance)
            assert got.frames >= case.n_frames - 2
    finally:
        predictor.max_cond_frames_in_attn = -1
    labels = official["labels"]
    followed = 0
    for object_id in prompts.objects:  # random weights let one object cover another
        first = prompts.first_frame(object_id)
        parts = [(labels[t][0] == object_id).mean() for t in labels if t != first]
        followed += any(0.0005 < part < 0.9 for part in parts)
    assert followed >= min(2, len(prompts.objects)), "nothing is followed in this case"
    frames = sorted(labels)
    assert any((labels[a][0] != labels[b][0]).any() for a, b in pairwise(frames))


@pytest.mark.parametrize("name", CASES)
def test_random_weights(name, small_predictor, discs, official, record_property):
    check(small_predictor, discs, CASES[name], official, record_property)


@pytest.mark.parametrize("name", CASES)
def test_bundled_weights(name, bundled_predictor, discs, official, record_property):
    check(bundled_predictor, discs, CASES[name], official, record_property, tolerance=1e-2)


@pytest.fixture(scope="module")
def tiny_predictor(make_network):
    return make_network("sam2.1_hiera_tiny", "predictor", 256, seed=1)


@pytest.mark.parametrize("name", TINY)
def test_sams_own_tiny_network(name, tiny_predictor, discs, official, record_property):
    check(tiny_predictor, discs, TINY[name], official, record_property)


def test_objects_that_are_absent(make_network, small_config, discs):
    """The case without masks: pointers and memories of absent objects."""
    predictor = make_network(small_config, bias=-3.0)
    d = discs(6)
    prompts = PromptSet({(1, 0): d.mask(0, 0), (2, 0): d.click(0, 1)})
    got = compare(predictor, d.movie, prompts, PLAIN.model_copy(update={"equality": "exact"}))
    assert (got.flipped, got.frames) == (0, 6)
    order = range(6)
    frames = list(Pass.over(Network(predictor), d.movie, prompts, PLAIN, "frame", order))
    assert (frames[0].labels_yx == 1).any()
    assert not any((r.labels_yx > 0).any() for r in frames[1:])


def test_low_resolution_memory_of_an_absent_object_is_the_oracles(
    make_network, small_config, discs
):
    """Absence leaves no pixels, but it must be remembered as in SAM2: compare the banks."""
    predictor = make_network(small_config, bias=-3.0)
    d = discs(4)
    prompt = d.mask(0, 0)
    params = PLAIN.model_copy(update={"equality": "exact"})
    run = Pass.over(
        Network(predictor), d.movie, PromptSet({(1, 0): prompt}), params, "frame", range(4)
    )
    bank = run.followers[0].bank
    list(run)
    with (
        official_predictor.official_session(predictor, d.movie) as state,
        official_predictor.quiet(),
    ):
        official_predictor.add_prompt(predictor, state, 0, 1, prompt)
        list(predictor.propagate_in_video(state, start_frame_idx=0))
    theirs = state["output_dict_per_obj"][0]
    assert torch.equal(
        bank.conditioning[0].maps, theirs["cond_frame_outputs"][0]["maskmem_features"][0]
    )
    assert [e.frame for e in bank.recent] == [1, 2, 3]
    for entry in bank.recent:
        out = theirs["non_cond_frame_outputs"][entry.frame]
        torch.testing.assert_close(entry.pointer, out["obj_ptr"][0], atol=1e-5, rtol=0)
        torch.testing.assert_close(entry.maps, out["maskmem_features"][0], atol=2e-2, rtol=1e-2)


def test_compare_finds_differences(small_predictor, discs):
    """The self-test would show what is not equal."""
    d = discs(5)
    prompts = PromptSet({(1, 0): d.mask(0, 0), (1, 3): d.click(3, 0)})
    kept = compare(small_predictor, d.movie, prompts, PLAIN.model_copy(update={"keep_masks": True}))
    assert kept.flipped > 0 or kept.logit_difference > 1
    wrong = PLAIN.model_copy(update={"later_prompts": "fresh"})
    real = official_predictor.official_labels
    try:
        official_predictor.official_labels = lambda p, m, ps, later, step: real(
            p, m, ps, "refine", step
        )
        other = compare(small_predictor, d.movie, prompts, wrong)
    finally:
        official_predictor.official_labels = real
    assert other.flipped > 0
    assert np.isfinite(other.seconds)
    assert other.pixels == 5 * d.height * d.width
