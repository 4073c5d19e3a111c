"""Random edits, undone and done again: labels, parents and places stay exact."""

import numpy as np
import pytest
import zarr
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from zarr.storage import MemoryStore

from napari_sam2track.errors import EditError
from napari_sam2track.labels import ArrayLabels
from napari_sam2track.tracks.editing.edits import (
    Delete,
    Divide,
    Merge,
    Relabel,
    SetParent,
    Split,
    Swap,
    UnsetParent,
)
from napari_sam2track.tracks.editing.history import History
from napari_sam2track.tracks.editing.paint_edits import FillGap, PaintMask
from napari_sam2track.tracks.editing.track_state import TrackState
from napari_sam2track.tracks.lineage import lineage_problems
from napari_sam2track.tracks.tracked_movie import table_of


def as_zarr(array):
    """A copy in small zarr chunks, in memory."""
    chunks = (1, *(5 for _ in array.shape[1:]))
    out = zarr.create_array(MemoryStore(), shape=array.shape, dtype=array.dtype, chunks=chunks)
    out[:] = array
    return out


N, PLANE, VOLUME = 6, (9, 11), (3, 7, 6)
TRACK, FRAME = st.integers(1, 8), st.integers(0, N - 1)
MAYBE = st.none() | FRAME
OVER = st.sampled_from(["background", "all"])


def edits(ndim):
    masks = st.builds(
        lambda seed, *sizes: np.random.default_rng(seed).random(sizes) < 0.7,
        st.integers(0, 99),
        *(st.integers(1, 4) for _ in range(ndim)),
    )
    return st.one_of(
        st.builds(Relabel, TRACK, TRACK),
        st.builds(Merge, TRACK, TRACK, st.sampled_from(["refuse", "union"])),
        st.builds(Split, TRACK, FRAME),
        st.builds(Divide, TRACK, TRACK, FRAME),
        st.builds(Swap, TRACK, TRACK, FRAME),
        st.builds(Delete, TRACK, MAYBE, MAYBE),
        st.builds(SetParent, TRACK, TRACK),
        st.builds(UnsetParent, TRACK),
        st.builds(FillGap, TRACK, MAYBE, MAYBE, OVER),
        st.builds(
            PaintMask,
            TRACK,
            FRAME,
            masks,
            st.tuples(*(st.integers(-2, 7) for _ in range(ndim))),
            st.sampled_from(["add", "erase", "replace"]),
            OVER,
        ),
    )


def start(seed, shape):
    """Blobs of six tracks that come and go, and parents that hold."""
    rng = np.random.default_rng(seed)
    array = np.zeros((N, *shape), np.uint16)
    for track in range(1, 7):
        for t in range(N):
            if rng.random() < 0.6:
                corner = [rng.integers(0, n - 1) for n in shape]
                array[(t, *(slice(c, c + rng.integers(1, 5)) for c in corner))] = track
    state = TrackState(ArrayLabels(array))
    parents = {}
    for child in state.places.ids:
        for parent in state.places.ids:
            if state.places.span(parent)[1] < state.places.span(child)[0]:
                parents[child] = parent
    return array, parents


def check(state):
    """What is known about the labels is what they say."""
    true = table_of(state.labels, state.parents)  # refuses parents that are not there
    now = state.table()
    for name in ("track", "frame", "area", "bbox", "centroid"):
        np.testing.assert_array_equal(now.detections[name], true.detections[name], err_msg=name)
    assert state.next_id > true.max_id


def picture(state):
    return np.array(state.labels.array), dict(state.parents)


def assert_same(a, b):
    np.testing.assert_array_equal(a[0], b[0])
    assert a[1] == b[1]


@pytest.mark.parametrize("kind", ["numpy", "zarr"])
@pytest.mark.parametrize("shape", [PLANE, VOLUME], ids=["plane", "volume"])
def test_edits_undo_and_redo(kind, shape):
    made = 0

    @settings(max_examples=60 if kind == "numpy" else 25, suppress_health_check=list(HealthCheck))
    @given(st.integers(0, 999), st.lists(edits(len(shape)), min_size=4, max_size=12), st.data())
    def run(seed, wanted, data):
        nonlocal made
        array, parents = start(seed, shape)
        state = TrackState(ArrayLabels(array if kind == "numpy" else as_zarr(array)), parents)
        history = History(state)
        pictures = [picture(state)]
        for edit in wanted:
            try:
                step = history.do(edit)
            except EditError:
                assert_same(picture(state), pictures[len(history.steps)])
                continue
            made += 1
            check(state)
            assert not history.can_redo
            del pictures[len(history.steps) :]
            assert step.summary().pixels == np.sum(picture(state)[0] != pictures[-1][0])
            # Only what draws can make a parent go on after its child begins.
            if not any(isinstance(e, PaintMask | FillGap) for e in wanted):
                found = lineage_problems(state.places.spans, state.parents)
                assert [p for p in found if p.severity == "error"] == []
            pictures.append(picture(state))
            while history.can_undo and data.draw(st.booleans()):
                history.undo()
                check(state)
                assert_same(picture(state), pictures[len(history.steps)])
            if history.can_redo and data.draw(st.booleans()):
                history.redo()
                check(state)
                assert_same(picture(state), pictures[len(history.steps)])
        while history.can_undo:
            history.undo()
        check(state)
        assert_same(picture(state), pictures[0])

    run()
    assert made > 10


@settings(max_examples=30)
@given(st.integers(0, 999), st.lists(edits(2), min_size=2, max_size=6))
def test_a_group_is_made_whole_or_not_at_all(seed, wanted):
    array, parents = start(seed, PLANE)
    one = TrackState(ArrayLabels(array.copy()), parents)
    group = TrackState(ArrayLabels(array), parents)
    before = picture(group)
    heard = []
    group.changed.connect(heard.append)
    history = History(group)
    try:
        for edit in wanted:
            History(one).do(edit)
    except EditError as error:
        with pytest.raises(EditError) as again:
            history.do_all(wanted)
        assert str(again.value) == str(error)
        assert_same(picture(group), before)
        check(group)
        assert heard == []
        assert not history.can_undo
    else:
        history.do_all(wanted)
        assert_same(picture(group), picture(one))
        assert len(heard) == 1
        history.undo()
        assert_same(picture(group), before)
        history.redo()
        assert_same(picture(group), picture(one))
