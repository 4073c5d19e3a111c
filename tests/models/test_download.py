import dataclasses
import errno
import hashlib
from typing import ClassVar

import pytest
import requests

from napari_sam2track.errors import ModelError
from napari_sam2track.models import find_model
from napari_sam2track.models.download import (
    Status,
    cache_dir,
    download,
    model_path,
    status,
    verify,
)

CONTENT = b"weights" * 1000


@pytest.fixture
def info(cache):
    """A model of which the file is known."""
    sha256 = hashlib.sha256(CONTENT).hexdigest()
    return dataclasses.replace(find_model("tiny"), sha256=sha256, n_bytes=len(CONTENT))


def fetch(url, path, pooch):
    with open(path, "wb") as file:  # noqa: PTH123
        file.write(CONTENT)


def test_download_once(info, cache):
    calls = []

    def counted(url, path, pooch):
        calls.append(url)
        fetch(url, path, pooch)

    assert status(info) is Status.MISSING
    path = download(info, fetch=counted)
    assert path == cache / "sam2.1_hiera_tiny.pt" == model_path(info)
    assert path.read_bytes() == CONTENT
    assert status(info, thorough=True) is Status.DOWNLOADED
    assert verify(info) == info.sha256
    assert download(info, fetch=counted) == path
    assert calls == [info.url]


def test_the_cache_can_be_moved(cache, monkeypatch):
    assert cache_dir() == cache
    monkeypatch.delenv("SAM2TRACK_CACHE")
    assert cache_dir().name == "sam2track"


def test_damage_is_found_and_repaired(info, cache):
    download(info, fetch=fetch)
    model_path(info).write_bytes(CONTENT[:-1])
    assert status(info) is Status.DAMAGED
    with pytest.raises(ModelError, match=r"damaged: it has 6,999 bytes instead of 7,000; run"):
        verify(info)
    model_path(info).write_bytes(b"W" + CONTENT[1:])
    assert status(info) is Status.DOWNLOADED  # of the right size
    assert status(info, thorough=True) is Status.DAMAGED
    with pytest.raises(ModelError, match=r"its sha256 is \w{64} instead of \w{64}"):
        verify(info)
    download(info, fetch=fetch)
    assert verify(info) == info.sha256


@pytest.mark.parametrize(
    ("error", "message"),
    [
        (requests.ConnectionError("no route"), "could not be downloaded .no route.; check the net"),
        (requests.Timeout("x" * 999), r"could not be downloaded \(Timeout: x+…\)"),
        (OSError(errno.ENOSPC, "No space left"), "could not be written to .*; free some space, ch"),
        (KeyboardInterrupt(), None),
    ],
)
def test_nothing_half_is_left(info, cache, error, message):
    def broken(url, path, pooch):
        with open(path, "wb") as file:  # noqa: PTH123
            file.write(CONTENT[:50])
        raise error

    if message is None:
        with pytest.raises(KeyboardInterrupt):
            download(info, fetch=broken)
    else:
        with pytest.raises(ModelError, match=message) as caught:
            download(info, fetch=broken)
        for part in (info.url, info.sha256, str(model_path(info))):
            assert part in str(caught.value)  # how to do it by hand
    assert not cache.exists()


def test_another_file_is_deleted(info, cache):
    other = dataclasses.replace(info, sha256="0" * 64)
    with pytest.raises(ModelError, match=r"is not what it should be .* and was deleted; try"):
        download(other, fetch=fetch)
    assert not cache.exists()


def test_progress_is_reported_by_the_downloader(info, monkeypatch):
    from napari_sam2track.cli._progress import DownloadBar

    class Response:
        headers: ClassVar = {"content-length": str(len(CONTENT))}

        def raise_for_status(self):
            pass

        def iter_content(self, chunk_size):
            return iter([CONTENT])

    monkeypatch.setattr(requests, "get", lambda *args, **kwargs: Response())
    bar = DownloadBar("tiny")
    assert download(info, bar).read_bytes() == CONTENT
    assert bar.total == len(CONTENT)


def test_missing_weights_say_what_to_do(cache):
    with pytest.raises(ModelError, match=r"not on this machine yet .*; run: sam2track models"):
        verify(find_model("tiny"))


def test_the_bundled_model_is_not_downloaded(cache, tmp_path):
    here = dataclasses.replace(
        find_model("bundled"), path=tmp_path / "b.pt", sha256=None, n_bytes=None
    )
    assert status(here) is Status.ABSENT
    with pytest.raises(ModelError, match=r"not in this installation .*; install napari-sam"):
        download(here)
    (tmp_path / "b.pt").write_bytes(CONTENT)
    assert status(here) is Status.BUNDLED
    assert download(here) == tmp_path / "b.pt"


def test_local_files(tmp_path):
    (tmp_path / "a.pt").write_bytes(CONTENT)
    info = find_model(tmp_path / "a.pt")
    assert status(info) is Status.LOCAL
    assert verify(info) == hashlib.sha256(CONTENT).hexdigest()
    (tmp_path / "a.pt").write_bytes(b"")
    with pytest.raises(ModelError, match="damaged: it is empty; copy it again"):
        verify(info)
