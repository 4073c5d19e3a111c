import networkx as nx
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from napari_sam2track.tracks.lineage import (
    ancestors,
    children,
    descendants,
    generations,
    lineage_ids,
    lineage_problems,
    problems,
    spans,
)
from napari_sam2track.tracks.table import DETECTION, TrackTable

SPANS = {1: (0, 4), 2: (5, 9), 3: (5, 7), 4: (8, 9), 5: (8, 9), 9: (0, 9)}
PARENTS = {2: 1, 3: 1, 4: 3, 5: 3}
# Any parents at all: cycles, own parents, parents of which nothing else is known.
ANY_PARENTS = st.dictionaries(st.integers(1, 12), st.integers(1, 12), max_size=12)


def kinds(found):
    return [(p.track, p.kind) for p in found]


def test_a_sound_lineage_has_no_problems():
    assert lineage_problems(SPANS, PARENTS) == []


def test_all_problems_are_told_at_once():
    found = lineage_problems(
        {1: (0, 4), 2: (4, 9), 3: (5, 7), 4: (20, 21), 6: (0, 1), 7: (2, 3), 8: (0, 9)},
        {2: 1, 3: 1, 4: 1, 5: 3, 6: 7, 7: 6, 8: 8, 9: 77},
    )
    assert kinds(found) == [
        (1, "many children"),
        (2, "begins too early"),
        (3, "one child"),
        (4, "long wait"),
        (5, "unknown track"),
        (6, "begins too early"),
        (6, "cycle"),
        (6, "one child"),
        (7, "one child"),
        (8, "own parent"),
        (9, "unknown parent"),
        (9, "unknown track"),
        (77, "one child"),
    ]
    assert {p.kind for p in found if p.severity == "warning"} == {
        *("many children", "one child", "long wait")
    }
    texts = {p.kind: p.text for p in found}
    assert texts["cycle"] == "the parents go in a circle: 6 -> 7 -> 6"
    assert texts["long wait"] == (
        "track 4 begins in frame 20, 15 frames after its parent 1 was last there"
    )
    assert next(p for p in found if p.kind == "begins too early").frame == 4


@pytest.mark.parametrize(("begin", "kind"), [(4, "begins too early"), (5, None), (8, None)])
def test_when_a_child_may_begin(begin, kind):
    both = {1: (0, 4), 2: (begin, 9), 3: (5, 6)}
    found = lineage_problems(both, {2: 1, 3: 1})
    assert [p.kind for p in found] == ([] if kind is None else [kind])
    assert lineage_problems({1: (0, 4), 2: (9, 9), 3: (5, 6)}, {2: 1, 3: 1}, long_wait=4) == []


def test_a_table_is_checked_too():
    rows = np.zeros(4, DETECTION)
    rows["track"], rows["frame"] = [1, 1, 2, 2], [0, 3, 2, 5]
    table = TrackTable(rows, 6, (4, 4), {2: 1})
    assert spans(table) == {1: (0, 3), 2: (2, 5)}
    assert kinds(problems(table)) == [(1, "one child"), (2, "begins too early")]


def test_families():
    assert children(PARENTS) == {1: [2, 3], 3: [4, 5]}
    assert descendants(1, PARENTS) == [2, 3, 4, 5]
    assert ancestors(5, PARENTS) == [3, 1]
    assert lineage_ids(SPANS, PARENTS) == {1: 1, 2: 1, 3: 1, 4: 1, 5: 1, 9: 9}
    assert generations(SPANS, PARENTS) == {1: 0, 2: 1, 3: 1, 4: 2, 5: 2, 9: 0}


def test_a_long_line_is_no_recursion():
    parents = {i: i - 1 for i in range(2, 20_001)}
    assert generations([20_000, 1], parents) == {20_000: 19_999, 1: 0}
    assert len(descendants(1, parents)) == 19_999


@given(ANY_PARENTS)
def test_against_networkx(parents):
    graph = nx.DiGraph(list(parents.items()))
    rings = [c for c in nx.strongly_connected_components(graph) if len(c) > 1]
    found = lineage_problems({}, parents)
    assert sorted(p.track for p in found if p.kind == "cycle") == sorted(min(c) for c in rings)
    tracks = list(graph)
    families = {}
    for track, root in lineage_ids(tracks, parents).items():
        families.setdefault(root, set()).add(track)
    assert sorted(map(sorted, families.values())) == sorted(
        map(sorted, nx.weakly_connected_components(graph))
    )
    graph.remove_edges_from(nx.selfloop_edges(graph))
    for track in tracks:
        assert set(ancestors(track, parents)) == nx.descendants(graph, track)  # edges point up
        assert set(descendants(track, parents)) == nx.ancestors(graph, track)
