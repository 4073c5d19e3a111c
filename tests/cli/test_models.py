import re

import pytest
from typer.testing import CliRunner

from napari_sam2track.cli import app
from napari_sam2track.models import all_models


@pytest.fixture(autouse=True)
def cache(tmp_path, monkeypatch):
    monkeypatch.setenv("SAM2TRACK_CACHE", str(tmp_path / "cache"))
    return tmp_path / "cache"


def models(*args: str):
    return CliRunner().invoke(app, ["models", *args])


def test_list_names_all_models_in_full(cache):
    result = models("list")
    assert result.exit_code == 0
    for model in all_models():
        assert model.name in result.stdout
    assert "39.0 M  156 MB  Apache-2.0    not downloaded" in result.stdout
    assert str(cache) in result.stdout.replace("\n", "")
    assert "…" not in result.stdout


def test_info():
    result = models("info", "tiny")
    assert result.exit_code == 0
    for words in ("sam2.1_hiera_tiny", "1024 x 1024 pixels", "7402e0d8", "https://", "Apache-2.0"):
        assert words in result.stdout


def test_a_card_is_printed_in_lines():
    from napari_sam2track.cli.models import _plain

    card = {
        "seed": 0,
        "data": {"clips": 3, "families": {"rods": 2, "blobs": 1}, "areas": [1, 2]},
        "scores": {"windows": {"box": 0.75}, "clips": {"J": 0.8, "absence": 0.5}},
    }
    assert _plain("", card) == {
        "seed": "0",
        "data": "clips 3, areas 1, 2",
        "data: families": "rods 2, blobs 1",
        "scores: windows": "box 0.75",
        "scores: clips": "J 0.8, absence 0.5",
    }
    shown = models("info", "bundled").output
    assert re.search(r"scores: windows +box 0\.\d+", shown)


@pytest.mark.parametrize("command", ["info", "download", "verify"])
def test_unknown_models_are_usage_errors(command):
    result = models(command, "tinny")
    assert result.exit_code == 2
    assert "no model 'tinny'; did you mean sam2.1_hiera_tiny?" in result.stderr


def test_verify_without_weights(monkeypatch):
    result = models("verify", "tiny")
    assert result.exit_code == 1
    assert "run: sam2track models download sam2.1_hiera_tiny" in result.stderr


def test_verify_names_what_is_damaged(cache):
    cache.mkdir()
    (cache / "sam2.1_hiera_tiny.pt").write_bytes(b"half")
    assert "damaged" in models("list").stdout
    result = models("verify")
    assert result.exit_code == 1
    assert "sam2.1_hiera_tiny: damaged" in result.stderr
    assert "it has 4 bytes instead of 156,008,466" in result.stderr


def test_verify_a_file(tmp_path):
    (tmp_path / "a.pt").write_bytes(b"weights")
    result = models("verify", str(tmp_path / "a.pt"))
    assert result.exit_code == 0
    assert "with nothing to compare it to" in result.stdout


def test_download(cache, monkeypatch):
    def fetched(info, progress):
        cache.mkdir()
        progress.total = 7
        progress.update(7)
        return cache / info.filename

    monkeypatch.setattr("napari_sam2track.models.download.download", fetched)
    result = models("download", "tiny")
    assert result.exit_code == 0
    assert result.stdout == f"sam2.1_hiera_tiny: {cache / 'sam2.1_hiera_tiny.pt'}\n"


def test_download_without_a_network(cache, monkeypatch):
    import requests

    def unplugged(*args, **kwargs):
        raise requests.ConnectionError("no route to host")

    monkeypatch.setattr(requests, "get", unplugged)
    result = models("download", "tiny")
    assert result.exit_code == 1
    assert "could not be downloaded (no route to host); check the network" in result.stderr
    assert "sha256 7402e0d8" in result.stderr
    assert str(cache / "sam2.1_hiera_tiny.pt") in result.stderr
    assert len(result.stderr.splitlines()) == 1


def test_the_bundled_model_needs_no_download(monkeypatch):
    from napari_sam2track.models.download import Status

    monkeypatch.setattr(
        "napari_sam2track.models.download.status", lambda info, thorough=False: Status.BUNDLED
    )
    result = models("download", "bundled")
    assert result.exit_code == 0
    assert "is in the package, there is nothing to download" in result.stdout
