import os
import subprocess
import sys
import time

from napari_sam2track.storage import processes
from napari_sam2track.storage.processes import began, dead_leftovers, is_alive, temporary_prefix


def gone():
    """The number of a process that has ended."""
    with subprocess.Popen([sys.executable, "-c", ""]) as process:
        process.wait()
    return process.pid


def test_who_lives():
    me = os.getpid()
    assert is_alive(me, began(me))
    assert not is_alive(me, began(me) - 100)  # another one had this number then
    assert not is_alive(gone(), time.time())
    assert not is_alive(-1, time.time())
    assert not is_alive(10**12, time.time())


def test_leftovers_of_the_dead_alone(tmp_path):
    mine = temporary_prefix(".partial")
    host = mine.split("-")[1]
    names = {
        f"{mine}a": False,
        f".partial-{host}-{gone()}-a": True,
        f".partial-{host}-{gone()}-with\nline": True,
        f".partial-00000000-{gone()}-a": False,  # of another machine
        f".partial-{host}-1x-a": False,
        f".other-{host}-{gone()}-a": False,
        "partial-mine": False,
    }
    for name in names:
        (tmp_path / name).mkdir()
    found = {path.name for path in dead_leftovers(tmp_path, ".partial")}
    assert found == {name for name, dead in names.items() if dead}


def test_a_number_that_is_used_again(tmp_path):
    """What is older than the process of that number was not made by it."""
    path = tmp_path / f"{temporary_prefix('.partial')}a"
    path.write_text("")
    before = began(os.getpid()) - 1000
    os.utime(path, (before, before))
    assert dead_leftovers(tmp_path, ".partial") == [path]


def test_another_machine(tmp_path, monkeypatch):
    (tmp_path / f"{temporary_prefix('.partial')}a").write_text("")
    processes._host_code.cache_clear()
    processes.host_name.cache_clear()
    monkeypatch.setattr("socket.gethostname", lambda: "elsewhere")
    try:
        assert dead_leftovers(tmp_path, ".partial") == []
    finally:
        monkeypatch.undo()
        processes._host_code.cache_clear()
        processes.host_name.cache_clear()
