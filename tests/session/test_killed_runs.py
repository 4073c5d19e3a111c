"""A run store that is killed at any change of names is in one of two states, and can go on."""

import shutil

import numpy as np
import pytest
from killing import count_changes, killed_after

from napari_sam2track.engine.results import ObjectResult, State
from napari_sam2track.masks import Patch
from napari_sam2track.params import EngineParams, FramesParams
from napari_sam2track.prompts import Point, Prompt, PromptSet, prompts_to_dict
from napari_sam2track.session.decisions import Decisions
from napari_sam2track.session.run_store import RunStore, recover_run
from napari_sam2track.session.session_file import ModelRef, SessionFile, read_session

SHAPE = (4, 6, 8)


def put(store, t, object_id, logit, key):
    patch = Patch(np.full((2, 3), logit, np.float32), 1, 1)
    store.put(t, [ObjectResult(object_id, State.PROPAGATED, 0.9, 0.8, patch)], {object_id: key})


def session(*points):
    return SessionFile(
        software="napari-sam2track",
        source="movie.tif",
        frames=FramesParams(),
        engine=EngineParams(),
        auto=None,
        model=ModelRef(name="bundled", sha256="ab"),
        prompts=prompts_to_dict(
            PromptSet({(1, 0): Prompt(points=tuple(Point(y, 2) for y in points))})
        ),
        fingerprint="f" * 32,
    )


def first_run(folder):
    store = RunStore(folder, SHAPE)
    store.begin(session(1))
    store.open_journal()
    store.save_note(Decisions("window", "first", 128).to_dict())
    for t in range(3):
        put(store, t, 1, 2.0, key=1)
        put(store, t, 2, 1.0, key=1)
    store.close_journal()


def correct(folder):
    """What --correct does with a store."""
    store = RunStore(folder, SHAPE)
    store.begin(session(1, 3))
    store.open_journal()
    store.remove(0, [2])
    store.save_note(Decisions("window", "corrected", 128).to_dict())
    for t in (1, 2, 3):
        if store.key(1, t) != 2:  # it is stale
            put(store, t, 1, 3.0, key=2)
    store.close_journal()


def undo(folder):
    store = RunStore(folder, SHAPE)
    store.undo()
    store.settle()


def state(folder):
    """All that counts: frames, session, decisions."""
    recover_run(folder)
    store = RunStore(folder, SHAPE)
    frames = {t: store.read(t) for t in store.finished()}
    masks = {t: (f.rows.tolist(), f.logits.tolist()) for t, f in frames.items()}
    said = read_session(folder / "session.json").prompts
    return masks, said, store.load_note()


@pytest.fixture(scope="module")
def runs(tmp_path_factory):
    """A folder with a run, one with the corrected run, and their states."""
    one, two = (tmp_path_factory.mktemp("runs") / name for name in ("first", "corrected"))
    first_run(one)
    shutil.copytree(one, two)
    correct(two)
    states = state(one), state(two)
    assert states[0] != states[1]
    return one, two, *states


def left(folder):
    """What nobody needs."""
    return [p for p in folder.rglob("*") if p.suffix in (".part", ".new", ".redo", ".old")]


def test_undo_killed_anywhere(runs, tmp_path):
    """It happened or it did not, and can be done and done again from there."""
    _, corrected, before, after = runs
    shutil.copytree(corrected, tmp_path / "count")
    n = count_changes(lambda: undo(tmp_path / "count"))
    assert n > 15
    seen = set()
    for k in range(n + 1):
        folder = tmp_path / f"{k}"
        shutil.copytree(corrected, folder)
        with killed_after(k):
            undo(folder)
        found = state(folder)
        assert found in (before, after), k
        assert not left(folder)
        seen.add(found == before)
        undo(folder)  # begun before the kill or not: it is the same undo
        if found == after or k < n:
            assert state(folder) == before, k
        else:
            assert state(folder) == after  # it was finished and told: this is another one
        for expected in (after, before) if state(folder) == before else (before, after):
            undo(folder)
            assert state(folder) == expected
    assert seen == {True, False}


def test_correction_killed_anywhere(runs, tmp_path):
    """Gone on with it is the corrected run, taken back it is the one before."""
    first, _, before, after = runs
    shutil.copytree(first, tmp_path / "count")
    n = count_changes(lambda: correct(tmp_path / "count"))
    assert n > 10
    for k in range(n + 1):
        on, back = tmp_path / f"{k}-on", tmp_path / f"{k}-back"
        shutil.copytree(first, on)
        with killed_after(k):
            correct(on)
        shutil.copytree(on, back)
        begun = len([p for p in (back / "journals").iterdir() if p.name.isdigit()]) > 1
        correct(on)
        assert state(on) == after, k
        undo(on)
        assert state(on) == before, k
        undo(on)
        assert state(on) == after, k
        if begun:
            undo(back)
        assert state(back) == before, k
        assert not left(back)
