import tempfile
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from napari_sam2track.engine.results import ObjectResult, State
from napari_sam2track.errors import FormatError, OutputError
from napari_sam2track.masks import Patch
from napari_sam2track.params import EngineParams, FramesParams
from napari_sam2track.prompts import Point, Prompt, PromptSet, prompts_to_dict
from napari_sam2track.session.decisions import Decisions
from napari_sam2track.session.run_memories import DamagedMemoryError
from napari_sam2track.session.run_store import RunStore
from napari_sam2track.session.session_file import ModelRef, SessionFile

SHAPE = (4, 6, 8)


def put(store, t, *objects, key=1):
    """Objects as (id, box, logit)."""
    found = []
    for object_id, (ys, xs), logit in objects:
        crop = np.full((ys.stop - ys.start, xs.stop - xs.start), logit, np.float32)
        patch = Patch(crop, ys.start, xs.start)
        found.append(ObjectResult(object_id, State.PROPAGATED, 0.9, 0.8, patch))
    store.put(t, found, {o.object_id: key for o in found})


def session(**changes):
    values = {
        "source": "movie.tif",
        "frames": FramesParams(),
        "engine": EngineParams(),
        "auto": None,
        "model": ModelRef(name="bundled", sha256="ab"),
        "prompts": prompts_to_dict(PromptSet({(1, 0): Prompt(points=(Point(1, 2),))})),
        "fingerprint": "f" * 32,
    }
    return SessionFile(software="napari-sam2track", **(values | changes))


def test_frames_come_back_and_missing_ones_are_empty(tmp_path):
    store = RunStore(tmp_path, SHAPE)
    put(store, 2, (7, np.s_[0:3, 0:3], 2.5), key=2**64 - 1)
    assert store.finished() == [2]
    frame = store.read(2)
    assert (frame.labels_yx == 7).sum() == 9
    assert frame.rows["id"].tolist() == [7]
    assert frame.rows["score"][0] == pytest.approx(0.9)
    assert store.key(7, 2) == 2**64 - 1
    assert store.key(7, 1) is None
    assert RunStore(tmp_path, SHAPE).key(7, 2) == 2**64 - 1
    assert store.read(0) is None
    assert [int(labels.max()) for labels in store.labels()] == [0, 0, 7, 0]


@pytest.mark.parametrize("order", [(0, 1), (1, 0)])
def test_objects_share_a_frame_by_the_overlap_rule_whatever_their_order(tmp_path, order):
    store = RunStore(tmp_path, SHAPE)
    parts = [(3, np.s_[0:4, 0:4], 2.0), (5, np.s_[2:6, 2:6], 3.0)]
    for k in order:
        put(store, 0, parts[k])
    labels = store.read(0).labels_yx
    assert (labels[2:4, 2:4] == 5).all()
    assert (labels == 3).sum() == 12
    assert store.read(0).rows["id"].tolist() == [3, 5]


@pytest.mark.parametrize("precise", [False, True])
def test_claims_come_back(tmp_path, precise):
    """How good a claim was, and what a neighbour won of it; the mask stays whole."""
    store = RunStore(tmp_path, SHAPE, precise=precise)
    patch = Patch(np.full((3, 4), 1e-9, np.float32), 1, 2)
    ceded = np.eye(3, 4, dtype=bool)
    one = ObjectResult(3, State.PROPAGATED, 0.9, 0.8, patch, 1.25, True, ceded)
    two = ObjectResult(5, State.PROMPTED, 0.9, 0.8, patch, np.inf, True)
    store.put(0, [one, two], {3: 7, 5: 8})
    put(store, 0, (4, np.s_[0:4, 0:4], 2.0))  # the others are carried over
    (key, a), (_, b), (other, c) = store.read(0).results()
    assert (key, a.object_id, a.state) == (7, 3, State.PROPAGATED)
    assert (a.claim_strength, a.firm) == (1.25, True)
    np.testing.assert_array_equal(a.ceded, ceded)
    assert (a.patch.logits_yx > 0).all()
    assert (b.claim_strength, b.firm, b.ceded) == (0.0, False, None)
    assert (other, c.claim_strength, c.firm, c.ceded) == (8, np.inf, True, None)
    assert (store.read(0).patch_of(3).y0, store.read(0).patch_of(3).x0) == (1, 2)
    store.remove(0, [4, 5])
    assert (store.read(0).labels_yx == 3).sum() == 12


def test_ties_go_to_the_lower_id(tmp_path):
    store = RunStore(tmp_path, SHAPE)
    put(store, 0, (5, np.s_[0:4, 0:4], 2.0))
    put(store, 0, (3, np.s_[0:2, 0:4], 2.0))
    assert (store.read(0).labels_yx[0:2, 0:4] == 3).all()


def test_what_another_one_hid_comes_back(tmp_path):
    """The masks are kept, not what others left of them."""
    store = RunStore(tmp_path, SHAPE)
    put(store, 0, (3, np.s_[0:4, 0:4], 2.0), (5, np.s_[2:6, 2:6], 3.0))
    put(store, 0, (5, np.s_[4:6, 4:6], 3.0), key=2)
    assert (store.read(0).labels_yx == 3).sum() == 16
    assert (store.key(3, 0), store.key(5, 0)) == (1, 2)
    store.remove(0, [3])
    assert set(np.unique(store.read(0).labels_yx)) == {0, 5}
    store.remove(0, [5, 99])
    assert store.finished() == []


def test_faint_logits_stay_above_nothing(tmp_path):
    """float16 has no numbers below 6e-8."""
    store = RunStore(tmp_path, SHAPE)
    put(store, 0, (3, np.s_[0:2, 0:2], 1e-9))
    assert (store.read(0).labels_yx == 3).sum() == 4
    precise = RunStore(tmp_path / "precise", SHAPE, precise=True)
    put(precise, 0, (3, np.s_[0:2, 0:2], 1e-9))
    assert precise.read(0).logits.max() == np.float32(1e-9)


OBJECT = st.tuples(
    st.integers(1, 4), st.integers(0, 5), st.integers(0, 7), st.integers(1, 9), st.integers(1, 3)
)


@given(st.lists(st.lists(st.tuples(st.integers(0, 3), OBJECT), max_size=6), max_size=6))
def test_undo_takes_back_the_last_run_and_only_that(runs):
    """Whatever was put and removed; and undo of undo does it again."""

    def content(store):
        return {
            t: (f.rows.tolist(), f.logits.tolist())
            for t in store.finished()
            if (f := store.read(t)) is not None
        }

    with tempfile.TemporaryDirectory() as folder:
        store = RunStore(Path(folder), SHAPE)
        states = [content(store)]
        for run in runs:
            store.open_journal()
            for t, (object_id, y, x, logit, key) in run:
                if logit == 9:
                    store.remove(t, [object_id])
                else:
                    put(store, t, (object_id, np.s_[y : y + 1, x : x + 1], logit), key=key)
            store.close_journal()
            if run and content(store) != states[-1]:
                states.append(content(store))
        if len(states) > 1 and content(store) != states[-2]:
            store.undo()
            undone = content(store)
            store.undo()
            assert content(store) == states[-1]
            store.undo()
            assert content(store) == undone


def test_the_same_run_may_go_on_and_another_may_not(tmp_path):
    store = RunStore(tmp_path / ".run", SHAPE)
    store.begin(session())
    store.begin(session())
    with pytest.raises(FormatError, match=r"other settings: engine\.\w+ differ"):
        store.begin(session(engine=EngineParams(min_part=3)))
    with pytest.raises(FormatError, match="model differ"):
        store.begin(session(model=ModelRef(name="x")))
    # what only decides which frames are computed may change
    store.begin(session(prompts=prompts_to_dict(PromptSet({(2, 0): Prompt(box=(0, 0, 3, 3))}))))
    store.begin(session(engine=EngineParams(stop=3, direction="forward", batch=2)))


def test_a_full_disk_is_one_sentence_and_keeps_what_was_there(tmp_path, monkeypatch):
    store = RunStore(tmp_path, SHAPE)
    put(store, 0, (3, np.s_[0:4, 0:4], 2.0))

    def full(*args, **kwargs):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(Path, "write_bytes", full)
    with pytest.raises(OutputError, match=r"No space left.*go on with --resume"):
        put(store, 1, (3, np.s_[0:4, 0:4], 2.0))
    assert store.finished() == [0]
    assert not list(tmp_path.rglob("*.part"))


def damage(path, how):
    content = path.read_bytes()
    middle = len(content) // 2
    changed = content[:middle] + bytes([content[middle] ^ 1]) + content[middle + 1 :]
    path.write_bytes({"cut": content[:40], "empty": b"", "one bit": changed}[how])


@pytest.mark.parametrize("how", ["cut", "empty", "one bit"])
def test_a_damaged_frame_counts_as_missing(tmp_path, how):
    store = RunStore(tmp_path / ".run", SHAPE)
    for t in range(3):
        put(store, t, (3, np.s_[0:4, 0:4], 2.0))
    damage(tmp_path / ".run" / "frames" / "000001.frame", how)
    again = RunStore(tmp_path / ".run", SHAPE)
    assert again.damage() is None
    assert again.key(3, 0) == 1
    assert again.key(3, 1) is None
    assert again.finished() == [0, 2]
    assert again.read(1) is None
    assert again.damage() == f"1 frame of the run in {tmp_path} damaged: computed again"
    put(again, 1, (3, np.s_[0:4, 0:4], 2.0))
    assert again.finished() == [0, 1, 2]
    assert (again.read(1).labels_yx == 3).sum() == 16


def test_a_frame_that_cannot_be_read_is_not_called_damaged(tmp_path, monkeypatch):
    store = RunStore(tmp_path, SHAPE)
    put(store, 0, (3, np.s_[0:4, 0:4], 2.0))

    def forbidden(self):
        raise PermissionError(13, "Permission denied", str(self))

    monkeypatch.setattr(Path, "read_bytes", forbidden)
    with pytest.raises(
        FormatError, match=r"cannot be read \(Permission denied\), though it may be"
    ):
        store.read(0)


def test_foreign_files_among_the_frames(tmp_path):
    store = RunStore(tmp_path, SHAPE)
    (tmp_path / "frames" / "notes.frame").write_text("mine")
    assert store.finished() == []


@pytest.mark.parametrize("how", ["cut", "empty", "one bit"])
def test_a_damaged_memory_is_not_named_again(tmp_path, how):
    store = RunStore(tmp_path / ".run", SHAPE)
    for t in (0, 16):
        store.save_memories(t, 1, [((3, 7), {"bank": {}, "at": t})])
    assert store.memories(3, 7, 1) == [0, 16]
    assert store.load_memory(3, 7, 1, 16) == {"bank": {}, "at": 16}
    (path,) = (tmp_path / ".run" / "memories").rglob("000016f-*.mem")
    damage(path, how)
    with pytest.raises(DamagedMemoryError):
        store.load_memory(3, 7, 1, 16)
    assert store.memories(3, 7, 1) == [0]
    assert "1 memory of the run" in store.damage()


@pytest.mark.parametrize("how", ["cut", "empty", "one bit"])
def test_decisions_that_are_damaged(tmp_path, how):
    """The ones before are as good as any; without them it is decided anew."""
    one, two = (Decisions("window", str(k), 128).to_dict() for k in range(2))
    store = RunStore(tmp_path, SHAPE)
    assert store.load_note() is None
    store.save_note(one)
    store.save_note(two)
    assert store.load_note() == two
    damage(tmp_path / "note.json", how)
    assert store.load_note() == one
    assert "1 note of decisions" in store.damage()
    damage(tmp_path / "note.before.json", how)
    assert store.load_note() is None
    store.save_note(one)
    assert store.load_note() == one


def test_a_journal_that_is_damaged_is_not_undone(tmp_path):
    store = RunStore(tmp_path, SHAPE)
    put(store, 0, (3, np.s_[0:4, 0:4], 2.0))
    store.open_journal()
    for t in (0, 1):
        put(store, t, (3, np.s_[0:2, 0:2], 2.0), key=2)
    store.close_journal()
    damage(tmp_path / "journals" / "0000" / "000001.frame", "one bit")
    with pytest.raises(
        FormatError, match=r"000001\.frame, which holds what the run replaced, is dam"
    ):
        store.undo()
    assert store.key(3, 0) == store.key(3, 1) == 2
    assert RunStore(tmp_path, SHAPE).key(3, 0) == 2


def test_nothing_to_undo(tmp_path):
    assert RunStore(tmp_path, SHAPE).undo() is None
