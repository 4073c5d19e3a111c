import numpy as np
import pytest

from napari_sam2track.linking.hypotheses import Growth, dividing, going_on, nearby
from napari_sam2track.linking.objects import describe
from napari_sam2track.linking.overlap import overlap_table


def frame(*boxes: tuple[int, int, int, int], size: int = 80):
    """Objects 1, 2, ... as boxes (y0, x0, y1, x1)."""
    labels = np.zeros((size, size), np.uint32)
    for k, (y0, x0, y1, x1) in enumerate(boxes, start=1):
        labels[y0:y1, x0:x1] = k
    return describe(labels)


def test_growth_is_learned_from_what_is_seen():
    growth = Growth()
    for _ in range(6):
        growth = growth.after(np.log(1.1) + np.random.default_rng(0).normal(0, 0.02, 20))
    assert growth.mean == pytest.approx(np.log(1.1), abs=0.02)
    assert growth.spread < 0.06
    assert growth.after(np.zeros(0)) == growth
    changed = growth
    for _ in range(12):
        changed = changed.after(np.full(20, -0.05))
    assert changed.mean == pytest.approx(-0.05, abs=0.02)


def test_one_outlier_does_not_make_areas_meaningless():
    ratios = np.zeros(20)
    ratios[0] = 2.0
    assert Growth(count=60, spread=0.05).after(ratios).spread <= 0.05


STEADY = Growth(0.0, 0.05)


def gain_of(first, second, growth=STEADY):
    table = overlap_table(first, second)
    return going_on(first.objects, second.objects, table, growth).gain[0]


def test_what_keeps_its_area_and_place_gains_most():
    here = frame((20, 20, 40, 40))
    same, shifted = gain_of(here, here), gain_of(here, frame((26, 20, 46, 40)))
    smaller = gain_of(here, frame((20, 20, 40, 30)))
    assert same > shifted > smaller
    assert same > 0


def test_area_says_nothing_of_what_the_border_cuts_off():
    here, there = frame((20, 0, 40, 20)), frame((20, 0, 40, 10))
    inside, smaller = frame((20, 20, 40, 40)), frame((20, 20, 40, 30))
    areas = [
        gain_of(a, b, Growth(0, 0.05)) - gain_of(a, b, Growth(0, 0.7))
        for a, b in ((here, there), (inside, smaller))
    ]
    assert areas[0] == 0
    assert areas[1] != 0


def test_a_division_into_halves_gains_more_than_one_into_unlike_parts():
    mother = frame((20, 20, 40, 60))
    gains = []
    for cut in (40, 30):
        daughters = frame((20, 20, 40, cut - 1), (20, cut + 1, 40, 60))
        table = overlap_table(mother, daughters)
        h = dividing(mother.objects, daughters.objects, table, Growth(0.0, 0.05))
        assert (len(h), h.parent[0], {int(h.child[0]), int(h.sibling[0])}) == (1, 0, {0, 1})
        gains.append(h.gain[0])
        assert gains[-1] > going_on(mother.objects, daughters.objects, table, Growth()).gain.max()
    assert gains[0] > gains[1]


def test_each_pair_of_objects_in_a_mother_is_looked_at_once():
    mother = frame((10, 10, 50, 70))
    parts = frame((10, 10, 50, 28), (10, 30, 50, 48), (10, 50, 50, 70))
    h = dividing(mother.objects, parts.objects, overlap_table(mother, parts), Growth())
    pairs = sorted(tuple(sorted(p)) for p in zip(h.child.tolist(), h.sibling.tolist(), strict=True))
    assert pairs == [(0, 1), (0, 2), (1, 2)]


@pytest.mark.parametrize(
    ("distance", "limit", "found"),
    [(25, None, 1), (40, None, 0), (40, 50, 1), (25, 20, 0), (5, 0, 0)],
)
def test_what_touches_nothing_is_looked_for_close_by(distance, limit, found):
    here, there = frame((20, 20, 36, 36)), frame((20, 20 + distance, 36, 36 + distance))
    free = np.ones(1, bool)
    h = nearby(here.objects, there.objects, here.objects.centres, free, free, limit, Growth())
    assert len(h) == found
    assert (h.iou == 0).all()
    taken = nearby(here.objects, there.objects, here.objects.centres, ~free, free, limit, Growth())
    assert len(taken) == 0


def test_only_the_nearest_are_considered():
    rng = np.random.default_rng(0)
    boxes = [(y, x, y + 2, x + 2) for y in range(2, 78, 6) for x in range(2, 78, 6)]
    here = frame((40, 40, 42, 42))
    there = frame(*(boxes[k] for k in rng.permutation(len(boxes))))
    free = np.ones(len(there.objects), bool)
    h = nearby(here.objects, there.objects, here.objects.centres, free[:1], free, 1e3, Growth())
    distance = np.linalg.norm(there.objects.centres - here.objects.centres, axis=1)
    assert len(h) == 8
    assert distance[h.child].max() <= np.sort(distance)[7]


def test_the_nearer_one_gains_more():
    here, there = frame((20, 20, 36, 36)), frame((20, 44, 36, 60), (42, 20, 58, 36))
    free = np.ones(2, bool)
    h = nearby(here.objects, there.objects, here.objects.centres, free[:1], free, None, Growth())
    assert h.gain[h.child == 1][0] > h.gain[h.child == 0][0]
