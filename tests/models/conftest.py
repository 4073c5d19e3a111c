from pathlib import Path

import pytest


@pytest.fixture
def cache(tmp_path, monkeypatch) -> Path:
    """An empty folder for downloads."""
    monkeypatch.setenv("SAM2TRACK_CACHE", str(tmp_path / "cache"))
    return tmp_path / "cache"


@pytest.fixture(scope="session")
def checkpoint(tmp_path_factory) -> Path:
    """Random weights of the small network, stored in 16 bits with their config."""
    import torch

    from napari_sam2track.models import build_network, bundled_model, load_config

    torch.manual_seed(0)
    config = load_config(bundled_model())
    weights = {k: v.half() for k, v in build_network(config).state_dict().items()}
    path = tmp_path_factory.mktemp("weights") / "own.pt"
    torch.save({"model": weights, "config": config, "card": {"epochs": 0}}, path)
    return path
