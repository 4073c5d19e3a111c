import pytest

from napari_sam2track.errors import ModelError, UsageError
from napari_sam2track.models.registry import UnknownModelError, all_models, find_model


@pytest.mark.parametrize(
    ("name", "found"),
    [
        ("bundled", "bundled"),
        ("default", "bundled"),
        ("sam2.1_hiera_tiny", "sam2.1_hiera_tiny"),
        ("tiny", "sam2.1_hiera_tiny"),
        ("b+", "sam2.1_hiera_base_plus"),
        ("SAM2.1-Tiny", "sam2.1_hiera_tiny"),
        ("facebook/sam2.1-hiera-base-plus", "sam2.1_hiera_base_plus"),
        ("sam2_hiera_b+", "sam2_hiera_base_plus"),
        ("facebook/sam2-hiera-large", "sam2_hiera_large"),
        ("sam2-s", "sam2_hiera_small"),
    ],
)
def test_names_and_aliases(name, found):
    assert find_model(name).name == found


def test_every_name_finds_itself():
    for model in all_models():
        assert find_model(model.name) is model


def test_all_of_meta_have_a_checksum_and_a_config_that_exists():
    from napari_sam2track.models import load_config

    models = [m for m in all_models() if m.kind == "meta"]
    assert len({m.sha256 for m in models}) == len({m.url for m in models}) == 8
    for model in models:
        assert len(model.sha256 or "") == 64
        assert load_config(model)["image_size"] == model.image_size == 1024


def test_unknown_names_are_usage_errors_with_near_misses():
    with pytest.raises(UnknownModelError, match=r"no model 'tinny'; did you mean sam2.1_hiera_ti"):
        find_model("tinny")
    with pytest.raises(UsageError, match=r"no model 'xyz'; Known are bundled, sam2.1_hiera_tiny,"):
        find_model("xyz")
    assert UnknownModelError.exit_code == 2


def test_a_file_is_a_model(tmp_path):
    path = tmp_path / "mine.pt"
    with pytest.raises(ModelError, match=r"there is no file of weights .*mine.pt"):
        find_model(path)
    path.write_bytes(b"")
    info = find_model(str(path), config="tiny")
    assert (info.name, info.kind, info.path, info.config) == ("mine", "local", path, "tiny")


def test_metas_file_in_another_folder_needs_no_config(tmp_path):
    (tmp_path / "sam2.1_hiera_tiny.pt").write_bytes(b"")
    info = find_model(tmp_path / "sam2.1_hiera_tiny.pt")
    assert (info.kind, info.config) == ("local", "configs/sam2.1/sam2.1_hiera_t.yaml")


def test_a_named_model_takes_no_config():
    with pytest.raises(UsageError, match=r"'tiny' has its own config; give x.yaml with a file"):
        find_model("tiny", config="x.yaml")
