import json
import os
import re
import subprocess
import sys

import pytest

from napari_sam2track.errors import OutputError
from napari_sam2track.storage.writer_lock import HOLDER, only_writer

HOLD = """
import sys, time
from pathlib import Path
from napari_sam2track.storage.writer_lock import only_writer
with only_writer(Path(sys.argv[1])):
    print("held", flush=True)
    time.sleep(60)
"""


@pytest.fixture
def other(tmp_path):
    """A process that holds the lock of a folder."""
    (tmp_path / ".run").mkdir()
    with subprocess.Popen(
        [sys.executable, "-c", HOLD, tmp_path / ".run"], stdout=subprocess.PIPE, text=True
    ) as process:
        assert process.stdout.readline() == "held\n"
        yield process
        process.kill()


def test_two_processes(other, tmp_path):
    told = re.escape(f"{tmp_path} (process {other.pid} on ") + r".*, since 20\d\d-.*wait until"
    with pytest.raises(OutputError, match=told), only_writer(tmp_path / ".run"):
        raise AssertionError
    other.kill()  # the system lets go of the lock, whatever is left of it
    other.wait()
    assert (tmp_path / ".run" / HOLDER).exists()
    with only_writer(tmp_path / ".run"):
        who = json.loads((tmp_path / ".run" / HOLDER).read_text())
        assert who["process"] == os.getpid()
    assert not (tmp_path / ".run" / HOLDER).exists()


@pytest.mark.parametrize("content", [b"", b"{", b"[]", b"\xff", b'{"process": 1}'])
def test_a_note_that_says_nothing(other, tmp_path, content):
    (tmp_path / ".run" / HOLDER).write_bytes(content)
    with pytest.raises(OutputError, match="which has just begun"), only_writer(tmp_path / ".run"):
        raise AssertionError


def test_a_file_system_without_locks(tmp_path, monkeypatch):
    import filelock

    def cannot(self, timeout):
        raise OSError(95, "Operation not supported")

    monkeypatch.setattr(filelock.FileLock, "acquire", cannot)
    with pytest.raises(OutputError, match=r"not supported.*choose another"), only_writer(tmp_path):
        raise AssertionError
