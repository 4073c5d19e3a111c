import collections
import copy
import datetime
import json
from pathlib import Path

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
    with pytest.raises(ModelError, match="does not give a network: ImageEncoder: AssertionError"):
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


class Text(str):
    pass


class Dict(dict):
    pass


Pair = collections.namedtuple("Pair", "a b")
#: What hydra would call; `touch` makes a file where it is called.
CALL = {"_target_": "pathlib.Path.touch", "_args_": ["PWNED"]}


@pytest.mark.parametrize(
    ("value", "kind"),
    [
        ((CALL,), "tuple"),
        ([({"a": [CALL]},)], "tuple"),
        (Pair(CALL, 1), r"test_config\.Pair"),
        (Dict(CALL), r"test_config\.Dict"),
        (collections.OrderedDict(CALL), r"collections\.OrderedDict"),
        ({1, 2}, "set"),
        (b"x", "bytes"),
        (datetime.date(2026, 1, 1), r"datetime\.date"),
        (Text("x"), r"test_config\.Text"),
        (Path("x"), r"pathlib\..*Path"),
        (1j, "complex"),
    ],
)
def test_only_plain_values(config, tmp_path, monkeypatch, value, kind):
    monkeypatch.chdir(tmp_path)
    config["image_encoder"]["trunk"]["stages"] = value
    with pytest.raises(
        ModelError, match=rf"holds a value of type .*{kind} at image_encoder\.trunk"
    ):
        build_network(config)
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("key", [1, None, Text("a"), ("a",)])
def test_only_plain_keys(config, key):
    config["memory_encoder"][key] = 1
    with pytest.raises(ModelError, match=r"holds a key of type .* at memory_encoder; a config"):
        build_network(config)


@pytest.mark.parametrize("name", ["_args_", "_partial_", "_recursive_", "_convert_", "_mode_", "x"])
@pytest.mark.parametrize("part", ["memory_encoder", None])
def test_only_arguments_of_the_class(config, name, part):
    (config[part] if part else config)[name] = True
    with pytest.raises(ModelError, match=rf"gives (MemoryEncoder|SAM2Base) the argument '{name}'"):
        build_network(config)


def test_arguments_that_are_missing(config):
    del config["memory_attention"]["layer"], config["memory_attention"]["num_layers"]
    with pytest.raises(ModelError, match="does not give MemoryAttention its layer, num_layers"):
        build_network(config)


@pytest.mark.parametrize("text", ["${oc.env:HOME}", "${oc.create:{a:1}}", "a${image_size}", "${x}"])
def test_interpolations_are_not_resolved(config, tmp_path, text):
    config["image_encoder"]["trunk"]["embed_dim"] = text
    with pytest.raises(ModelError, match=r"interpolation .* at image_encoder\.trunk\.embed_dim"):
        build_network(config)
    path = tmp_path / "a.yaml"
    path.write_text(json.dumps({"model": config}))
    with pytest.raises(ModelError, match=r"a\.yaml holds the interpolation"):
        read_config(path)


def test_a_class_where_there_is_none(config):
    config["sam_mask_decoder_extra_args"] = {}
    for place in (config["sam_mask_decoder_extra_args"], config["image_encoder"]["trunk"]):
        place["x"] = [{"deep": CALL}]
        with pytest.raises(ModelError, match=r"names the class 'pathlib.Path.touch'"):
            build_network(config)
        del place["x"]
    for odd in ([], {}, None):
        config["image_encoder"]["trunk"]["_target_"] = odd
        with pytest.raises(ModelError, match="names the class"):
            build_network(config)


def test_values_that_contain_themselves_or_are_too_many(config):
    config["memory_encoder"]["x"] = [config["memory_encoder"]]
    with pytest.raises(ModelError, match="nested deeper than 32"):
        build_network(config)
    del config["memory_encoder"]["x"]
    many = [0]
    for _ in range(20):  # each a list of the same list twice: a million numbers in 20 lists
        many = [many, many]
    config["x"] = many
    with pytest.raises(ModelError, match="more than 10000 values"):
        build_network(config)


@pytest.mark.parametrize(
    "text",
    [
        "model: !!python/object/apply:pathlib.Path.touch [PWNED]",
        "model: !!python/object/apply:pathlib.PosixPath [PWNED]",
        "model: !!python/name:os.system ''",
        "a: &a [*a]\nmodel: *b",
        "[" * 5000,
    ],
)
def test_yaml_that_wants_more(tmp_path, monkeypatch, text):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "a.yaml").write_text(text)
    with pytest.raises(ModelError, match=r"config .*a.yaml cannot be read: [^\n]*$"):
        read_config(tmp_path / "a.yaml")
    assert [p.name for p in tmp_path.iterdir()] == ["a.yaml"]


@pytest.mark.parametrize(
    ("key", "value"),
    [("image_size", "128"), ("image_size", True), ("sam_mask_decoder_extra_args", [1])],
)
def test_kinds_that_the_rest_relies_on(config, key, value):
    config[key] = value
    with pytest.raises(ModelError, match="the first is a whole number, the second a dict"):
        build_network(config)


def test_a_part_alone(config):
    part = {**config["memory_encoder"], "image_size": 128}
    with pytest.raises(ModelError, match=r"describes the part .*MemoryEncoder' alone"):
        check_config(part, "mine")


def test_numbers_as_yaml_1_2_has_them(tmp_path):
    layer = find_config("tiny")["memory_encoder"]["fuser"]["layer"]
    assert layer["layer_scale_init_value"] == 1e-6  # Meta writes it without a dot


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"compile_image_encoder": True}, "wants the image encoder to be compiled"),
        ({"image_size": 0}, "gives image_size as 0; it lies between 32 and 8192"),
        ({"image_size": 64_000_000}, "gives image_size as 64000000; it lies between"),
        ({"num_maskmem": 10**400}, r"holds the number 1000+\.\.\.0+ at num_maskmem"),
        (
            {"memory_attention": {"num_layers": 10**9}},
            "gives num_layers as 1000000000, which is more",
        ),
        (
            {"image_encoder": {"trunk": {"stages": [1, 10**9, 1, 1]}}},
            "gives stages as .* more than 256",
        ),
    ],
)
def test_what_would_take_all_there_is(config, change, message):
    def put(into, values):
        for key, value in values.items():
            if isinstance(value, dict):
                put(into[key], value)
            else:
                into[key] = value

    put(config, change)
    with pytest.raises(ModelError, match=message):
        build_network(config)


def test_a_home_of_nobody():
    with pytest.raises(ModelError, match="is not a config; give a YAML file"):
        find_config("~nobody_of_that_name/x.yaml")
