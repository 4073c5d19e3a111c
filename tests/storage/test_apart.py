import os

import pytest

from napari_sam2track.errors import UsageError
from napari_sam2track.storage.apart import check_apart

APART = [
    ("in.tif", "in.tif", "is the input"),
    ("in.tif", "hard.tif", "is the input"),
    ("in.tif", "soft.tif", "is the input"),
    ("in.tif", "sub/../in.tif", "is the input"),
    ("sub", "sub/new.json", "would lie among the files of the input"),
    ("sub", "link/new.json", "would lie among the files of the input"),
    ("sub", "link/deep/er/new.json", "would lie among the files of the input"),
    ("sub/x.tif", "sub", "is a folder with the input"),
    ("sub/x.tif", "link", "is a folder with the input"),
    ("link/x.tif", "sub", "is a folder with the input"),
    ("soft.tif", ".", "is a folder with the input"),
    ("sub", "new.json", None),
    ("in.tif", "in.tif.json", None),
    ("none.tif", "none.tif", None),  # that it is not there is said by who reads it
]


@pytest.mark.parametrize(("source", "out", "message"), APART)
def test_outputs_and_inputs(tmp_path, source, out, message):
    (tmp_path / "sub").mkdir()
    (tmp_path / "in.tif").write_text("x")
    (tmp_path / "sub" / "x.tif").write_text("x")
    (tmp_path / "link").symlink_to(tmp_path / "sub")
    (tmp_path / "soft.tif").symlink_to(tmp_path / "in.tif")
    os.link(tmp_path / "in.tif", tmp_path / "hard.tif")
    if message is None:
        check_apart([("--out", tmp_path / out)], [tmp_path / source])
        return
    with pytest.raises(UsageError, match=message):
        check_apart([("--out", tmp_path / out)], [tmp_path / source])


def test_outputs_among_themselves(tmp_path):
    (tmp_path / "a").mkdir()
    with pytest.raises(UsageError, match=r"--out and --overlay are both .*; choose two names"):
        check_apart([("--out", tmp_path / "x"), ("--overlay", tmp_path / "a" / ".." / "x")], [])
    with pytest.raises(UsageError, match=r"one of --out .* and --overlay .* lies in the other"):
        check_apart([("--out", tmp_path / "a"), ("--overlay", tmp_path / "a" / "x")], [])
