import subprocess
import sys

import pytest
import torch

from napari_sam2track.errors import ModelError
from napari_sam2track.models import build_network, bundled_model, find_model, load_config
from napari_sam2track.models.loading import load_network, read_checkpoint


def test_weights_with_their_own_config(checkpoint):
    network = load_network(find_model(checkpoint))
    assert not network.training
    stored = torch.load(checkpoint, weights_only=True)["model"]
    for name, value in network.state_dict().items():
        assert value.dtype == torch.float32
        assert torch.equal(value, stored[name].float())
    assert not any(p.requires_grad for p in network.parameters())


def test_another_type_target_and_size(checkpoint):
    info = find_model(checkpoint)
    assert next(load_network(info, dtype=torch.float16).parameters()).dtype == torch.float16
    predictor = load_network(info, target="predictor", image_size=192)
    assert type(predictor).__name__ == "SAM2VideoPredictor"
    assert predictor.image_size == 192


def test_the_config_of_a_file_can_be_named(checkpoint, tmp_path):
    bare = tmp_path / "bare.pt"
    torch.save({"model": torch.load(checkpoint, weights_only=True)["model"]}, bare)
    with pytest.raises(ModelError, match=r"bare.pt do not say what network they are for; give a c"):
        load_network(find_model(bare))
    assert load_network(find_model(bare, config="bundled")).image_size == 128
    assert load_config(find_model(checkpoint)) == load_config(bundled_model())


def test_another_architecture_is_named(checkpoint, tmp_path):
    weights = torch.load(checkpoint, weights_only=True)["model"]
    weights["extra"] = weights.pop("no_mem_embed")
    weights["maskmem_tpos_enc"] = torch.zeros(7, 1, 1, 64)
    torch.save({"model": weights}, tmp_path / "a.pt")
    with pytest.raises(
        ModelError,
        match=r"of another architecture than their config \(missing: no_mem_embed; unexpected: "
        r"extra; of other shapes: maskmem_tpos_enc is \(7, 1, 1, 64\) instead of \(7, 1, 1, 32\)",
    ):
        load_network(find_model(tmp_path / "a.pt", config="bundled"))
    with pytest.raises(ModelError, match=r"and \d+ more; "):
        load_network(find_model(tmp_path / "a.pt", config="tiny"))


def fails(path, message):
    with pytest.raises(ModelError, match=message):
        read_checkpoint(path)


def test_files_that_are_no_checkpoints(checkpoint, tmp_path):
    fails(tmp_path / "none.pt", r"there is no file of weights .*none.pt")
    path = tmp_path / "a.pt"
    path.write_bytes(checkpoint.read_bytes()[:-5000])
    fails(path, r"a.pt are cut off; download or copy the file again")
    path.write_bytes(b"<html>not found</html>")
    fails(path, r"a.pt is not a checkpoint of torch, or is damaged")
    path.write_bytes(b"")
    fails(path, r"a.pt is not a checkpoint")
    torch.save([1, 2], path)
    fails(path, "have no 'model' with a state dict")


@pytest.mark.parametrize(
    "weights",
    [
        {1: torch.zeros(1)},
        {"a": 3},
        {"a": torch.zeros(2, 2).to_sparse()},
        {"a": torch.zeros(2, device="meta")},
        {"a": torch.zeros(2, dtype=torch.complex64)},
        {"a": torch.zeros(2).to(torch.float8_e4m3fn)},
    ],
    ids=["key", "number", "sparse", "meta", "complex", "float8"],
)
def test_weights_that_are_no_ordinary_tensors(tmp_path, weights):
    torch.save({"model": weights}, tmp_path / "a.pt")
    fails(tmp_path / "a.pt", "have no 'model' with a state dict|is not a checkpoint of torch")


def test_weights_that_are_not_finite(checkpoint, tmp_path):
    content = torch.load(checkpoint, weights_only=True)
    content["model"]["no_mem_embed"][:] = float("nan")
    torch.save(content, tmp_path / "a.pt")
    with pytest.raises(ModelError, match=r"not finite \(no_mem_embed\), as a training that"):
        load_network(find_model(tmp_path / "a.pt"))


class Evil:
    def __reduce__(self):
        return print, ("I run",)


@pytest.mark.parametrize("new_format", [True, False])
def test_pickled_objects_are_refused(tmp_path, capfd, new_format):
    path = tmp_path / "a.pt"
    torch.save({"model": Evil()}, path, _use_new_zipfile_serialization=new_format)
    fails(path, "hold Python objects beside tensors, which could run code")
    assert "I run" not in capfd.readouterr().out


def test_a_config_in_a_checkpoint_cannot_run_code(checkpoint, tmp_path):
    content = torch.load(checkpoint, weights_only=True)
    content["config"]["_target_"] = "os.system"
    torch.save(content, tmp_path / "a.pt")
    with pytest.raises(ModelError, match=r"names the class 'os.system', which is not a part"):
        load_network(find_model(tmp_path / "a.pt"))


@pytest.mark.slow
def test_metas_config_builds():
    network = build_network(load_config(find_model("tiny")))
    assert sum(p.numel() for p in network.parameters()) == find_model("tiny").parameters


HYDRA = """
from hydra import compose, initialize_config_dir
from hydra.core.global_hydra import GlobalHydra
from napari_sam2track.models import build_network, bundled_model, load_config

def ours():
    build_network(load_config(bundled_model()))

def application():
    with open({folder!r} + "/app.yaml", "w") as file:
        file.write("answer: 42")
    initialize_config_dir({folder!r}, version_base="1.3")

def app_composes():
    assert compose("app").answer == 42

def sam2_composes():
    from sam2.build_sam import build_sam2
    assert build_sam2("configs/sam2.1/sam2.1_hiera_t.yaml", device="meta").image_size == 1024

{order}
"""


@pytest.mark.parametrize(
    "order",
    [
        # Hydra is free: it is left as sam2 leaves it, for whoever builds a network after us.
        "ours(); sam2_composes(); ours()",
        # An application's Hydra stays the application's, as sam2 itself has it.
        "application(); ours(); ours(); app_composes()",
        # One that takes Hydra over clears it first, as Hydra's message says.
        "ours(); GlobalHydra.instance().clear(); application(); ours(); app_composes()",
    ],
)
def test_hydra_is_left_as_sam2_leaves_it(tmp_path, order):
    code = HYDRA.format(folder=str(tmp_path), order=order)
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
