"""Who gives way, and which pixels are remembered as a neighbour's."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from napari_sam2track.engine.neighbours import PROMPTED, UNTOUCHED, Claim, Verdict, before, resolve
from napari_sam2track.engine.results import ObjectResult, State
from napari_sam2track.masks import Patch, compose

H, W = 24, 40


def patch(box, logit=2.0):
    """A rectangle (y0, y1, x0, x1)."""
    y0, y1, x0, x1 = box
    return Patch(np.full((y1 - y0, x1 - x0), logit, np.float32), y0, x0).half()


def claim(object_id, box, claim_strength=1.0, firm=False, logit=2.0):
    return Claim(object_id, patch(box, logit), claim_strength, firm)


def gone(*claims):
    return {i for i, verdict in resolve(claims).items() if verdict.gone}


def test_the_same_thing_goes_to_the_better_claim():
    assert gone(claim(1, (0, 10, 0, 10), 0.5), claim(2, (0, 10, 1, 11), 0.9)) == {1}
    assert gone(claim(1, (0, 10, 0, 10), 0.9), claim(2, (0, 10, 1, 11), 0.5)) == {2}


def test_ties_go_to_the_lower_id():
    assert gone(claim(7, (0, 10, 0, 10)), claim(3, (0, 10, 0, 10))) == {7}


def test_touching_objects_share_pixels_by_the_overlap_rule():
    left, claim_strength = claim(1, (0, 10, 0, 10), logit=1.0), claim(2, (0, 10, 8, 20), logit=3.0)
    found = resolve([left, claim_strength])
    assert set(found) == {1}
    ceded = found[1].ceded
    assert ceded[:, 8:].all()
    assert not ceded[:, :8].any()


def test_no_common_pixel_is_untouched():
    assert resolve([claim(1, (0, 10, 0, 10)), claim(2, (0, 10, 10, 20))]) == {}
    diagonal = Patch(np.eye(10, dtype=np.float16), 0, 0)
    beside = Patch(np.eye(10, k=2, dtype=np.float16), 0, 0)
    assert resolve([Claim(1, diagonal, 1.0, False), Claim(2, beside, 0.5, False)]) == {}
    assert resolve([]) == {}
    assert resolve([claim(1, (3, 3, 0, 0)), claim(2, (0, 10, 0, 10))]) == {}


def test_what_gave_way_is_in_nobodys_way():
    """1 takes from 2, so 2 cannot take from 3."""
    one, two, three = (0, 10, 0, 10), (0, 10, 3, 13), (0, 10, 6, 16)
    claims = claim(1, one, 0.9), claim(2, two, 0.8), claim(3, three, 0.7)
    assert gone(*claims) == {2}
    assert gone(*claims[1:]) == {3}


def test_a_firm_claim_is_not_swallowed():
    large, small = claim(1, (0, 20, 0, 20), 1.5, firm=True), (5, 12, 5, 12)
    assert gone(large, claim(2, small, 1.2)) == {2}
    assert gone(large, claim(2, small, 1.2, firm=True)) == set()
    # but one that is the same thing gives way all the same
    assert gone(large, claim(2, (0, 20, 0, 18), 1.2, firm=True)) == {2}


def test_the_prompted_ones_win_and_stay():
    told = claim(9, (0, 10, 0, 10), PROMPTED, firm=True)
    assert gone(told, claim(1, (0, 10, 0, 10), 1.99, firm=True)) == {1}
    assert gone(told, claim(8, (0, 10, 0, 10), PROMPTED, firm=True)) == set()


BOX = st.tuples(st.integers(0, 14), st.integers(0, 10), st.integers(0, 30), st.integers(0, 10)).map(
    lambda b: (b[0], b[0] + b[1], b[2], b[2] + b[3])
)
CLAIM = st.tuples(
    BOX, st.sampled_from([0.2, 0.5, 1.3, PROMPTED]), st.booleans(), st.sampled_from([1e-9, 1, 3])
)


@given(st.lists(CLAIM, max_size=8), st.randoms(use_true_random=False))
def test_the_order_of_objects_does_not_matter(drawn, order):
    claims = [claim(i + 1, *parts) for i, parts in enumerate(drawn)]
    found = resolve(claims)
    order.shuffle(claims)
    again = resolve(claims)
    assert set(found) == set(again)
    for i, verdict in found.items():
        assert verdict.gone == again[i].gone
        np.testing.assert_array_equal(verdict.ceded, again[i].ceded)


@given(st.lists(CLAIM, max_size=8))
def test_what_is_ceded_is_what_is_painted_as_others(drawn):
    claims = [claim(i + 1, *parts) for i, parts in enumerate(drawn)]
    found = resolve(claims)
    kept = [c for c in claims if not found.get(c.object_id, UNTOUCHED).gone]
    labels, _ = compose([(c.object_id, c.patch) for c in kept], H, W)
    for c in kept:
        ceded = found.get(c.object_id, UNTOUCHED).ceded
        mask = c.patch.logits_yx > 0
        part = labels[c.patch.y0 :, c.patch.x0 :][: mask.shape[0], : mask.shape[1]]
        expected = mask & (part != c.object_id)
        np.testing.assert_array_equal(expected, np.zeros_like(mask) if ceded is None else ceded)
    for c in claims:  # nobody gives way to nobody
        if found.get(c.object_id, UNTOUCHED).gone:
            assert c.claim_strength < PROMPTED
            assert any(k.claim_strength >= c.claim_strength for k in kept)


def result(box, ceded=None):
    return ObjectResult(4, State.PROPAGATED, 0.9, 0.8, patch(box), 1.5, True, ceded)


def test_a_verdict_is_found_again_from_what_was_stored():
    now = patch((0, 4, 0, 6))
    assert before(result((0, 0, 0, 0)), now).gone
    assert before(result((0, 0, 0, 0)), patch((0, 0, 0, 0))) == UNTOUCHED  # it was not there
    assert before(result((0, 4, 0, 6)), now) == UNTOUCHED
    ceded = np.eye(4, 6, dtype=bool)
    assert before(result((0, 4, 0, 6), ceded), now).ceded is ceded
    assert before(result((0, 4, 0, 6), ceded), patch((0, 4, 0, 5))) == UNTOUCHED


def test_claims_are_what_is_stored():
    """Rounded as on disk; no pixel is lost."""
    faint = ObjectResult(
        4, State.PROPAGATED, 0.9, 0.8, Patch(np.full((2, 2), 1e-9, np.float32), 0, 0), 0.5
    )
    stored = Claim.of(faint).patch.logits_yx
    assert stored.dtype == np.float16
    assert (stored > 0).all()
    assert Claim.of(faint).claim_strength == 0.5


@pytest.mark.parametrize("n", [200, 1500])
def test_many_objects_cost_little(n):
    """All pairs of 1500 objects would take seconds."""
    import time

    side = int(np.ceil(np.sqrt(n)))
    claims = [
        claim(k + 1, (y := 30 * (k // side), y + 32, x := 30 * (k % side), x + 32), logit=k % 5 + 1)
        for k in range(n)
    ]
    start = time.perf_counter()
    found = resolve(claims)
    assert time.perf_counter() - start < 0.5 * n / 200
    assert len(found) > n / 2
    assert not any(isinstance(v, Verdict) and v.gone for v in found.values())
