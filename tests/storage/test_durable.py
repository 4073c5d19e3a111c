import errno
import os

import pytest

from napari_sam2track.storage import durable
from napari_sam2track.storage.durable import exchange, sync, sync_all, write_whole


def test_a_file_is_written_whole_and_kept_where_that_fails(tmp_path, monkeypatch):
    path = tmp_path / "a"
    write_whole(path, b"old")

    def full(number):
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(OSError, match="No space left"):
        write_whole(path, b"new")
    assert path.read_bytes() == b"old"
    assert [p.name for p in tmp_path.iterdir()] == ["a"]


def test_what_is_on_the_disk_before_what(tmp_path, monkeypatch):
    """The content before the name, the name before we go on."""
    done = []
    monkeypatch.setattr(durable, "sync", lambda path: done.append(path.name))
    replace = os.replace
    monkeypatch.setattr(os, "replace", lambda *a: (done.append("rename"), replace(*a)))
    write_whole(tmp_path / "a", b"x")
    assert done == ["a.part", "rename", tmp_path.name]


def test_file_systems_without_fsync(tmp_path, monkeypatch):
    def cannot(number):
        raise OSError(errno.EINVAL, "Invalid argument")

    monkeypatch.setattr(os, "fsync", cannot)
    sync(tmp_path)


def test_all_of_a_folder(tmp_path, monkeypatch):
    (tmp_path / "a").mkdir()
    (tmp_path / "a" / "b").write_text("x")
    (tmp_path / "gone").symlink_to(tmp_path / "nowhere")
    done = []
    monkeypatch.setattr(durable, "sync", lambda path: done.append(path.name))
    sync_all(tmp_path)
    assert sorted(done) == sorted(["a", "b", tmp_path.name])
    assert done.index("b") < done.index("a") < done.index(tmp_path.name)


@pytest.mark.skipif(durable._exchange_call() is None, reason="this system cannot")
def test_two_names_change_places(tmp_path):
    one, other = tmp_path / "one", tmp_path / "other"
    one.mkdir()
    (one / "x").write_text("1")
    other.write_text("2")
    assert exchange(one, other)
    assert one.read_text() == "2"
    assert (other / "x").read_text() == "1"
    with pytest.raises(FileNotFoundError):
        exchange(one, tmp_path / "none")


def test_where_the_system_cannot(tmp_path, monkeypatch):
    import ctypes

    monkeypatch.setattr(durable, "_exchange_call", lambda: None)
    assert not exchange(tmp_path / "a", tmp_path / "b")
    monkeypatch.setattr(durable, "_exchange_call", lambda: lambda a, b: -1)
    monkeypatch.setattr(ctypes, "get_errno", lambda: errno.EINVAL)  # as file systems say it
    assert not exchange(tmp_path / "a", tmp_path / "b")
