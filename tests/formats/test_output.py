import errno
import os
import threading
import time
from contextlib import suppress

import pytest

from napari_sam2track.errors import OutputError
from napari_sam2track.formats.output import atomic_path, check_output, write_text_atomic


def test_text_is_written_with_missing_folders(tmp_path):
    write_text_atomic(tmp_path / "new" / "a.txt", "µ\n")
    assert (tmp_path / "new" / "a.txt").read_bytes() == "µ\n".encode()


def test_what_exists_is_refused(tmp_path):
    (tmp_path / "a.txt").write_text("mine")
    with pytest.raises(OutputError, match=r"a.txt exists already; choose another name, or say --o"):
        write_text_atomic(tmp_path / "a.txt", "new")
    assert (tmp_path / "a.txt").read_text() == "mine"
    write_text_atomic(tmp_path / "a.txt", "new", overwrite=True)
    assert (tmp_path / "a.txt").read_text() == "new"


def test_a_folder_of_others_is_never_replaced(tmp_path):
    (tmp_path / "thesis.doc").write_text("years of work")
    with pytest.raises(OutputError, match="holds files which this program did not write"):
        check_output(tmp_path, overwrite=True)


def test_a_file_cannot_be_a_folder(tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(OutputError, match="file is a file, not a folder"):
        check_output(tmp_path / "file" / "a.txt")


@pytest.mark.skipif(not hasattr(os, "geteuid") or os.geteuid() == 0, reason="root may write")
def test_a_folder_that_is_not_ours(tmp_path):
    tmp_path.chmod(0o500)
    with pytest.raises(OutputError, match="not writable for you"):
        check_output(tmp_path / "a.txt")


@pytest.mark.parametrize(
    ("number", "message"),
    [(errno.ENOSPC, "disk is full"), (errno.EROFS, "read-only"), (errno.EACCES, "may not write")],
)
def test_errors_of_the_disk_are_explained(tmp_path, number, message):
    with pytest.raises(OutputError, match=message), atomic_path(tmp_path / "a.txt") as temporary:
        temporary.write_text("half")
        raise OSError(number, os.strerror(number))
    assert list(tmp_path.iterdir()) == []


def test_a_full_disk_on_the_way_to_the_file(tmp_path, monkeypatch):
    def full(self, *args, **kwargs):
        raise OSError(errno.ENOSPC, "No space left on device", str(self))

    monkeypatch.setattr("pathlib.Path.open", full)
    with pytest.raises(OutputError, match="disk is full"):
        write_text_atomic(tmp_path / "a.txt", "text")
    assert list(tmp_path.iterdir()) == []


def test_errors_of_what_is_read_are_not_the_outputs(tmp_path):
    with pytest.raises(PermissionError), atomic_path(tmp_path / "a.txt"):
        raise PermissionError(errno.EACCES, "denied", "/somewhere/else.tif")


@pytest.mark.parametrize("error", [KeyboardInterrupt, ValueError])
def test_nothing_is_left_whatever_happens(tmp_path, error):
    with pytest.raises(error), atomic_path(tmp_path / "a") as temporary:
        temporary.mkdir()
        (temporary / "half").write_text("")
        raise error
    assert list(tmp_path.iterdir()) == []


def test_an_output_that_appears_meanwhile_is_not_replaced(tmp_path):
    with (
        pytest.raises(OutputError, match="exists already"),
        atomic_path(tmp_path / "a") as temporary,
    ):
        temporary.write_text("ours")
        (tmp_path / "a").write_text("theirs")
    assert (tmp_path / "a").read_text() == "theirs"


@pytest.mark.parametrize("name", ["image.zarr", "graph.geff"])
def test_zarr_of_others_is_not_replaced(tmp_path, name):
    import zarr

    zarr.create_group(str(tmp_path / name), attributes={"made by": "somebody"})
    with pytest.raises(OutputError, match="did not write, so it is not replaced"):
        check_output(tmp_path / name, overwrite=True)
    zarr.open_group(str(tmp_path / name)).attrs["napari_sam2track"] = {}
    check_output(tmp_path / name, overwrite=True)


def test_a_name_as_long_as_the_system_allows(tmp_path):
    name = "a" * 251 + ".txt"
    write_text_atomic(tmp_path / name, "text")
    assert [p.name for p in tmp_path.iterdir()] == [name]
    with pytest.raises(OutputError, match="the name is too long; choose a shorter one"):
        check_output(tmp_path / ("a" + name))


def test_a_folder_into_which_a_thread_still_writes_is_removed(tmp_path):
    def keep_writing(folder):
        end = time.monotonic() + 0.3
        while time.monotonic() < end:
            # The folder may vanish between any two calls: that is what is tested.
            with suppress(OSError):
                folder.mkdir(parents=True, exist_ok=True)
                (folder / f"{time.monotonic()}").write_text("")

    with pytest.raises(KeyboardInterrupt), atomic_path(tmp_path / "a.geff") as temporary:
        temporary.mkdir()
        thread = threading.Thread(target=keep_writing, args=(temporary / "nodes",))
        thread.start()
        raise KeyboardInterrupt
    thread.join()
    assert list(tmp_path.iterdir()) == []


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="no pipes in this file system")
def test_what_is_no_file_is_never_replaced(tmp_path):
    os.mkfifo(tmp_path / "pipe")
    with pytest.raises(OutputError, match="pipe is a device or a pipe, which would be lost"):
        write_text_atomic(tmp_path / "pipe", "text", overwrite=True)
    assert (tmp_path / "pipe").is_fifo()
