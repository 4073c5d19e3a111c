import errno
import os
import threading
import time
from contextlib import suppress

import pytest
from killing import count_changes, killed_after

from napari_sam2track.errors import OutputError
from napari_sam2track.storage import durable
from napari_sam2track.storage.output import (
    atomic_path,
    atomic_paths,
    check_output,
    recover_path,
    write_text_atomic,
)
from napari_sam2track.storage.processes import temporary_prefix


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


def test_a_link_stays_a_link(tmp_path):
    (tmp_path / "elsewhere").mkdir()
    (tmp_path / "elsewhere" / "a.txt").write_text("old")
    (tmp_path / "link.txt").symlink_to(tmp_path / "elsewhere" / "a.txt")
    with pytest.raises(OutputError, match="exists already"):
        write_text_atomic(tmp_path / "link.txt", "new")
    write_text_atomic(tmp_path / "link.txt", "new", overwrite=True)
    assert (tmp_path / "link.txt").is_symlink()
    assert (tmp_path / "elsewhere" / "a.txt").read_text() == "new"
    (tmp_path / "to.zarr").symlink_to(tmp_path / "elsewhere" / "b.zarr")  # leads to nothing yet
    with atomic_path(tmp_path / "to.zarr", overwrite=True) as temporary:
        temporary.mkdir()
    assert (tmp_path / "elsewhere" / "b.zarr").is_dir()
    with atomic_path(tmp_path / "to.zarr", overwrite=True) as temporary:  # leads to a folder
        temporary.mkdir()
        (temporary / "zarr.json").write_text("x")
    assert (tmp_path / "to.zarr").is_symlink()
    assert (tmp_path / "elsewhere" / "b.zarr" / "zarr.json").read_text() == "x"


@pytest.mark.skipif(os.name == "nt", reason="no such permissions")
def test_permissions_and_owner_are_inherited(tmp_path):
    def mode(path):
        return oct(path.stat().st_mode & 0o7777)

    path = tmp_path / "a.txt"
    write_text_atomic(path, "old")
    usual = mode(path)
    path.chmod(0o640)
    if os.geteuid() == 0:
        os.chown(path, 12345, 54321)
    write_text_atomic(path, "new", overwrite=True)
    assert mode(path) == "0o640"
    if os.geteuid() == 0:
        assert (path.stat().st_uid, path.stat().st_gid) == (12345, 54321)

    folder = tmp_path / "labels"

    def write(names):
        with atomic_path(folder, overwrite=True) as temporary:
            temporary.mkdir()
            for name in names:
                (temporary / name).write_text("napari-sam2track")

    write(["provenance.json", "labels_0000.tif"])
    assert mode(folder / "labels_0000.tif") == usual
    folder.chmod(0o750)
    (folder / "labels_0000.tif").chmod(0o600)
    (folder / "provenance.json").chmod(0o600)
    write(["provenance.json", "labels_0000.tif", "labels_0001.tif"])
    assert mode(folder) == "0o750"
    for name in ("labels_0000.tif", "labels_0001.tif"):  # one that is new is not open to others
        assert mode(folder / name) == "0o600"


def test_images_that_are_called_like_ours(tmp_path):
    for n in range(3):
        (tmp_path / f"labels_{n:04d}.tif").write_text("mine")
    with pytest.raises(OutputError, match="which this program did not write"):
        check_output(tmp_path, overwrite=True)


def zarr(path, text):
    with atomic_path(path, overwrite=True) as temporary:
        temporary.mkdir()
        (temporary / "zarr.json").write_text(f"napari_sam2track {text}")


def pair(path, text):
    with atomic_paths(path, path.with_suffix(".json"), overwrite=True) as (table, note):
        table.write_text(text)
        note.write_text(text)


def alone(path, text):
    write_text_atomic(path, text, overwrite=True)


@pytest.mark.parametrize("can_exchange", [True, False])
@pytest.mark.parametrize(
    ("name", "write"), [("a.zarr", zarr), ("a.csv", pair), ("a.txt", alone)], ids=["zarr", "2", "1"]
)
@pytest.mark.parametrize("there", [True, False])
def test_killed_anywhere(tmp_path, monkeypatch, can_exchange, name, write, there):
    """The next command finds the old output or the new one, and nothing is left of the other."""
    if not can_exchange:
        monkeypatch.setattr(durable, "_exchange_call", lambda: None)

    def content(folder):
        return {str(p.relative_to(folder)): p.read_text() for p in folder.rglob("*") if p.is_file()}

    def begin(folder):
        folder.mkdir()
        if there:
            write(folder / name, "old")

    begin(tmp_path / "count")
    before = content(tmp_path / "count")
    n = count_changes(lambda: write(tmp_path / "count" / name, "new"))
    after = content(tmp_path / "count")
    monkeypatch.setattr(  # this process is not really gone, but its leftovers are to count as such
        "napari_sam2track.storage.processes.began", lambda number: float("nan")
    )
    seen = set()
    for k in range(n + 1):
        folder = tmp_path / f"{k}"
        begin(folder)
        with killed_after(k):
            write(folder / name, "new")
        recover_path(folder / name)
        assert content(folder) in (before, after), k
        assert not list(folder.glob(".*"))
        seen.add(content(folder) == after)
        write(folder / name, "new")
        assert content(folder) == after
    assert seen == {True, False}


def test_what_another_machine_moved_aside(tmp_path):
    """It is given its name back, but not in the milliseconds in which it is meant to be away."""
    hidden = tmp_path / ".partial-00000000-17-x" / "replaced"
    hidden.mkdir(parents=True)
    (hidden / "a.zarr").mkdir()
    recover_path(tmp_path / "a.zarr")
    assert not (tmp_path / "a.zarr").exists()
    os.utime(hidden.parent, (0, 0))
    recover_path(tmp_path / "a.zarr" / "zarr.json")
    assert (tmp_path / "a.zarr").is_dir()


def test_what_others_planted_is_not_moved(tmp_path):
    """Neither through links, nor from folders that only look like ours."""
    victim = tmp_path / "victim" / "replaced"
    victim.mkdir(parents=True)
    (victim / "a.zarr").write_text("precious")
    (tmp_path / ".partial-00000000-17-x").symlink_to(victim.parent)
    (tmp_path / ".partial-mine" / "replaced").mkdir(parents=True)
    (tmp_path / ".partial-mine" / "replaced" / "a.zarr").write_text("mine")
    for path in (victim.parent, tmp_path / ".partial-mine"):
        os.utime(path, (0, 0))
    recover_path(tmp_path / "a.zarr")
    assert not (tmp_path / "a.zarr").exists()
    assert (victim / "a.zarr").read_text() == "precious"


@pytest.mark.skipif(not hasattr(os, "geteuid") or os.geteuid() != 0, reason="only root gives away")
def test_what_belongs_to_another_person_is_not_moved(tmp_path):
    hidden = tmp_path / ".partial-00000000-17-x"
    (hidden / "replaced").mkdir(parents=True)
    (hidden / "replaced" / "a.zarr").write_text("theirs")
    os.chown(hidden, 12345, 12345)
    os.utime(hidden, (0, 0))
    recover_path(tmp_path / "a.zarr")
    assert not (tmp_path / "a.zarr").exists()


def test_a_leftover_that_cannot_be_finished_does_not_stop_the_next(tmp_path, monkeypatch):
    monkeypatch.setattr("napari_sam2track.storage.processes.began", lambda number: float("nan"))
    for n in range(2):
        hidden = tmp_path / f"{temporary_prefix('.partial')}{n}"
        hidden.mkdir()
        (hidden / "complete").touch()
    (hidden / "new").mkdir()
    (hidden / "new" / "a.csv").write_text("x")
    recover_path(tmp_path / "a.csv")
    assert (tmp_path / "a.csv").read_text() == "x"


def test_what_lives_is_left_alone(tmp_path):
    mine = tmp_path / f"{temporary_prefix('.partial')}x"
    mine.mkdir()
    recover_path(tmp_path / "a.txt")
    assert mine.exists()


def test_new_folders_go_with_an_output_that_fails(tmp_path):
    with pytest.raises(ZeroDivisionError), atomic_path(tmp_path / "a" / "b" / "c.txt"):
        raise ZeroDivisionError
    assert list(tmp_path.iterdir()) == []
