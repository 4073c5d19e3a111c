"""What is remembered of a run: files, and what is in which."""

from __future__ import annotations

import weakref
from pathlib import Path

import pytest
import torch

from napari_sam2track.session.run_memories import DamagedMemoryError, RunMemories
from napari_sam2track.storage.seals import sealed


def state(at):
    return {"bank": torch.full((2, 3), float(at)), "at": at}


def some(*objects, key=7, at=0):
    return [((i, key), state(at)) for i in objects]


def files(folder):
    return sorted(path.name for path in folder.iterdir())


def test_one_file_holds_a_frame_of_all_objects(tmp_path):
    for t in (0, 16):
        RunMemories(tmp_path).save(t, 1, some(*range(1, 201), at=t))
    assert files(tmp_path) == ["000000f-0000.mem", "000016f-0001.mem"]
    again = RunMemories(tmp_path)
    assert again.frames(77, 7, 1) == [0, 16]
    assert again.frames(77, 7, -1) == again.frames(77, 8, 1) == []
    loaded = again.load(77, 7, 1, 16)
    assert loaded["at"] == 16
    assert torch.equal(loaded["bank"], torch.full((2, 3), 16.0))


def test_later_memories_count_and_files_that_nobody_needs_go(tmp_path):
    memories = RunMemories(tmp_path)
    memories.save(5, 1, some(1, 2, at=1))
    memories.save(5, 1, some(1, at=2))  # a correction of one object
    assert len(files(tmp_path)) == 2
    assert [RunMemories(tmp_path).load(i, 7, 1, 5)["at"] for i in (1, 2)] == [2, 1]
    memories.save(5, 1, some(2, at=3))
    assert files(tmp_path) == ["000005f-0001.mem", "000005f-0002.mem"]
    RunMemories(tmp_path).save(5, 1, some(1, 2, at=4))
    assert files(tmp_path) == ["000005f-0003.mem"]
    assert [RunMemories(tmp_path).load(i, 7, 1, 5)["at"] for i in (1, 2)] == [4, 4]


def test_memories_of_another_key_stay_for_an_undo(tmp_path):
    memories = RunMemories(tmp_path)
    memories.save(5, 1, some(1, key=7))
    memories.save(5, 1, some(1, key=8))
    memories.save(5, -1, some(1, key=7))
    assert len(files(tmp_path)) == 3


def test_nothing_to_remember_leaves_no_file(tmp_path):
    RunMemories(tmp_path / "new").save(0, 1, [])
    assert not (tmp_path / "new").exists()


@pytest.mark.parametrize("where", ["table", "memory"])
def test_what_is_damaged_is_missing_counted_and_replaced(tmp_path, where):
    RunMemories(tmp_path).save(0, 1, some(1, 2))
    (path,) = tmp_path.iterdir()
    content = bytearray(path.read_bytes())
    content[-30 if where == "table" else len(content) // 2 + 200] ^= 1
    path.write_bytes(content)
    memories = RunMemories(tmp_path)
    if where == "table":
        assert memories.frames(1, 7, 1) == memories.frames(2, 7, 1) == []
    else:
        assert memories.load(1, 7, 1, 0)["at"] == 0
        with pytest.raises(DamagedMemoryError):
            memories.load(2, 7, 1, 0)
        assert memories.frames(2, 7, 1) == []
    assert memories.n_damaged == 1
    memories.save(0, 1, some(1, 2, at=5))  # computed again
    again = RunMemories(tmp_path)
    assert [again.load(i, 7, 1, 0)["at"] for i in (1, 2)] == [5, 5]
    assert again.n_damaged == 0
    assert files(tmp_path) == ["000000f-0001.mem"]


def test_memories_are_taken_one_by_one(tmp_path):
    """Of hundreds of objects all would be gigabytes."""
    alive = []

    def states():
        for i in range(1, 9):
            one = torch.zeros(100)
            alive.append(weakref.ref(one))
            yield (i, 7), {"bank": one}
            del one
            assert sum(ref() is not None for ref in alive) <= 1

    RunMemories(tmp_path).save(0, 1, states())
    assert len(alive) == 8


def test_a_folder_that_cannot_be_read_is_not_half_known(tmp_path, monkeypatch):
    RunMemories(tmp_path).save(0, 1, some(1))
    RunMemories(tmp_path).save(16, 1, some(1, at=16))
    memories, opened = RunMemories(tmp_path), Path.open

    def fail(self, *args, **options):
        if self.name.startswith("000016"):
            raise OSError("a fault of the disk")
        return opened(self, *args, **options)

    with monkeypatch.context() as fault:
        fault.setattr(Path, "open", fail)
        with pytest.raises(OSError, match="a fault"):
            memories.frames(1, 7, 1)
    assert memories.frames(1, 7, 1) == [0, 16]
    memories.save(32, 1, some(1))
    assert files(tmp_path)[-1] == "000032f-0002.mem"


def test_runs_of_before_are_gone_on_with(tmp_path):
    """They have a file for each memory, in a folder for each object."""
    old = tmp_path / "3" / f"{7:016x}b-000016.pt"
    old.parent.mkdir()
    torch.save(state(16), old)
    old.write_bytes(sealed(old.read_bytes()))
    memories = RunMemories(tmp_path)
    assert memories.frames(3, 7, -1) == [16]
    assert memories.load(3, 7, -1, 16)["at"] == 16
    memories.save(16, -1, some(3, at=17))
    assert not old.exists()
    assert memories.load(3, 7, -1, 16)["at"] == 17
    (tmp_path / "notes.mem").write_text("mine")
    assert RunMemories(tmp_path).n_damaged == 0
