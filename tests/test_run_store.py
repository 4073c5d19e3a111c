import numpy as np
import pytest

from napari_sam2track.engine.results import FrameResult, ObjectResult, State
from napari_sam2track.errors import FormatError, OutputError
from napari_sam2track.params import EngineParams, FramesParams
from napari_sam2track.prompts import Point, Prompt, PromptSet
from napari_sam2track.run_store import RunStore
from napari_sam2track.session_file import ModelRef, session_of

SHAPE = (4, 6, 8)


def result(t, *objects):
    """Objects as (id, box, logit); painted in the order given."""
    labels = np.zeros(SHAPE[1:], np.uint32)
    logits = np.zeros(SHAPE[1:], np.float32)
    for object_id, box, logit in objects:
        labels[box], logits[box] = object_id, logit
    rows = tuple(ObjectResult(i, State.PROPAGATED, 0.9, 0.8) for i, _, _ in objects)
    return FrameResult(t, labels, logits, rows)


def session(**changes):
    values = {
        "source": "movie.tif",
        "frames": FramesParams(),
        "engine": EngineParams(),
        "auto": None,
        "model": ModelRef(name="bundled", sha256="ab"),
        "prompts": PromptSet({(1, 0): Prompt(points=(Point(1, 2),))}),
        "fingerprint": "f" * 32,
    }
    return session_of(**(values | changes))


def test_frames_come_back_and_missing_ones_are_empty(tmp_path):
    store = RunStore(tmp_path, SHAPE)
    store.merge(result(2, (7, np.s_[0:3, 0:3], 2.5)))
    assert store.finished() == [2]
    frame = store.read(2)
    assert (frame.labels_yx == 7).sum() == 9
    assert frame.rows["id"].tolist() == [7]
    assert frame.rows["score"][0] == pytest.approx(0.9)
    assert store.read(0) is None
    assert [int(labels.max()) for labels in store.labels()] == [0, 0, 7, 0]


@pytest.mark.parametrize("order", [(0, 1), (1, 0)])
def test_passes_merge_by_the_overlap_rule_whatever_their_order(tmp_path, order):
    store = RunStore(tmp_path, SHAPE)
    parts = [result(0, (3, np.s_[0:4, 0:4], 2.0)), result(0, (5, np.s_[2:6, 2:6], 3.0))]
    for k in order:
        store.merge(parts[k])
    labels = store.read(0).labels_yx
    assert (labels[2:4, 2:4] == 5).all()
    assert (labels == 3).sum() == 12
    assert store.read(0).rows["id"].tolist() == [3, 5]


def test_ties_between_passes_go_to_the_lower_id(tmp_path):
    store = RunStore(tmp_path, SHAPE)
    store.merge(result(0, (5, np.s_[0:4, 0:4], 2.0)))
    store.merge(result(0, (3, np.s_[0:2, 0:4], 2.0)))
    assert (store.read(0).labels_yx[0:2, 0:4] == 3).all()


def test_merging_a_frame_again_changes_nothing(tmp_path):
    store = RunStore(tmp_path, SHAPE)
    store.merge(result(0, (3, np.s_[0:4, 0:4], 2.0)))
    second = result(0, (5, np.s_[2:6, 2:6], 3.0))
    store.merge(second)
    before = store.read(0)
    store.merge(second)
    after = store.read(0)
    np.testing.assert_array_equal(before.labels_yx, after.labels_yx)
    np.testing.assert_array_equal(before.rows, after.rows)


def test_the_same_run_may_go_on_and_another_may_not(tmp_path):
    store = RunStore(tmp_path / ".run", SHAPE)
    store.begin(session())
    store.begin(session())
    with pytest.raises(FormatError, match="other settings: engine differ"):
        store.begin(session(engine=EngineParams(min_part=3)))
    with pytest.raises(FormatError, match="model, prompts differ"):
        store.begin(
            session(model=ModelRef(name="x"), prompts=PromptSet({(2, 0): Prompt(box=(0, 0, 3, 3))}))
        )


def test_a_full_disk_is_one_sentence_and_keeps_what_was_there(tmp_path, monkeypatch):
    store = RunStore(tmp_path, SHAPE)
    store.merge(result(0, (3, np.s_[0:4, 0:4], 2.0)))

    def full(*args, **kwargs):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(np, "savez_compressed", full)
    with pytest.raises(OutputError, match=r"No space left.*go on with --resume"):
        store.merge(result(1, (3, np.s_[0:4, 0:4], 2.0)))
    assert store.finished() == [0]
    assert not list(tmp_path.rglob("*.part"))


def test_a_damaged_frame_is_named(tmp_path):
    store = RunStore(tmp_path, SHAPE)
    store.merge(result(0, (3, np.s_[0:4, 0:4], 2.0)))
    path = tmp_path / "frames" / "000000.npz"
    path.write_bytes(path.read_bytes()[:40])
    with pytest.raises(FormatError, match=r"000000\.npz is damaged"):
        store.read(0)
