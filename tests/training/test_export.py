import hashlib
import json

import torch

from napari_sam2track.models import bundled_model, load_config
from napari_sam2track.models.loading import load_network
from napari_sam2track.models.registry import find_model
from napari_sam2track.training.export import export, write_card
from napari_sam2track.training.loop import BUNDLED, build_model


def test_what_is_exported_loads_and_its_card_tells_the_truth(tmp_path):
    weights = build_model(load_config(bundled_model())).state_dict()
    path = export(weights, tmp_path)
    scores = {"windows": {"box": 0.75004}}
    card = json.loads(write_card(path, 7, BUNDLED, {"clips": 3}, scores).read_text())
    assert card["sha256"] == hashlib.sha256(path.read_bytes()).hexdigest()
    assert card["n_bytes"] == path.stat().st_size < 12_000_000
    assert card["scores"] == {"windows": {"box": 0.75}}
    network = load_network(find_model(path, "bundled"))
    assert card["parameters"] == 7
    assert card["data"] == {"clips": 3}
    assert card["start"] == BUNDLED.start
    for name, value in network.state_dict().items():
        torch.testing.assert_close(value, weights[name], atol=1e-3, rtol=1e-3)


def test_the_bundled_weights_are_those_of_their_card():
    info = bundled_model()
    assert info.n_bytes < 12_000_000
    network = load_network(info)
    assert network.image_size == 128
    assert info.parameters == sum(p.numel() for p in network.parameters())
