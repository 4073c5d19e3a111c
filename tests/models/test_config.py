import copy

import pytest

from napari_sam2track.errors import ModelError
from napari_sam2track.models import build_network, bundled_model, find_model, load_config
from napari_sam2track.models.config import adapt_config, check_config, find_config, read_config


@pytest.fixture
def config():
    return copy.deepcopy(load_config(bundled_model()))


def test_the_bundled_network_is_what_its_comment_says(config):
    network = build_network(config)
    assert sum(p.numel() for p in network.parameters()) == 2_663_986
    assert bundled_model().image_size == config["image_size"] == network.image_size == 128


def test_base_and_predictor(config):
    base, predictor = build_network(config, "base"), build_network({"model": config}, "predictor")
    assert type(base).__name__ == "SAM2Base"
    assert type(predictor).__name__ == "SAM2VideoPredictor"
    assert predictor.fill_hole_area == 0
    assert predictor.add_all_frames_to_correct_as_cond
    for network in (base, predictor):
        assert network.binarize_mask_from_pts_for_mem_enc
        assert network.sam_mask_decoder.dynamic_multimask_via_stability
        assert network.sam_mask_decoder.dynamic_multimask_stability_delta == 0.05
        assert network.sam_mask_decoder.dynamic_multimask_stability_thresh == 0.98


def test_another_image_size_changes_the_tables_of_positions(config):
    network = build_network(config, image_size=256)
    layer = network.memory_attention.layers[0]
    assert network.image_size == 256
    assert layer.self_attn.freqs_cis.shape[0] == layer.cross_attn_image.freqs_cis.shape[0] == 16**2
    assert config["image_size"] == 128  # the config itself is as it was


@pytest.mark.parametrize("size", [0, -32, 100])
def test_sizes_that_do_not_fit(config, size):
    with pytest.raises(ModelError, match=f"image size of {size} pixels does not fit SAM2"):
        adapt_config(config, image_size=size)


@pytest.mark.parametrize("target", ["os.system", "sam2.build_sam.os.system", "torch.nn.Linear", 3])
def test_a_config_cannot_run_code(config, target):
    config["image_encoder"]["trunk"]["_target_"] = target
    with pytest.raises(ModelError, match=r"names the class .* which is not a part of SAM2"):
        build_network(config)


def test_a_config_cannot_load_other_files(config):
    config["image_encoder"]["trunk"]["weights_path"] = "/tmp/evil.pkl"
    with pytest.raises(ModelError, match=r"loads other weights \('/tmp/evil.pkl'\)"):
        build_network(config)


@pytest.mark.parametrize("content", [None, [], {}, {"model": 3}, {"model": {"_target_": "x"}}])
def test_what_is_no_config(content):
    with pytest.raises(ModelError, match="config mine does not describe a SAM2 network"):
        check_config(content, "mine")


def test_numbers_that_do_not_go_together(config):
    config["image_encoder"]["neck"]["backbone_channel_list"] = [1, 2, 3, 4]
    with pytest.raises(ModelError, match="the config does not give a network: AssertionError"):
        build_network(config)


def test_files(tmp_path):
    with pytest.raises(ModelError, match=r"there is no config .*a.yaml"):
        read_config(tmp_path / "a.yaml")
    (tmp_path / "a.yaml").write_text("model: [")
    with pytest.raises(ModelError, match=r"config .*a.yaml cannot be read"):
        read_config(tmp_path / "a.yaml")


def test_configs_by_name():
    tiny = load_config(find_model("tiny"))
    for name in ("tiny", "configs/sam2.1/sam2.1_hiera_t.yaml", "configs/sam2.1/sam2.1_hiera_t"):
        assert find_config(name) == tiny
    with pytest.raises(ModelError, match="'hiera_xxl' is not a config; give a YAML file"):
        find_config("hiera_xxl")
