"""Loads a network with its weights from a model's entry in the registry.

Checkpoints are read with ``weights_only=True``, so they cannot run code.
"""

from __future__ import annotations

import pickle
import zipfile
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from napari_sam2track.errors import DeviceError, ModelError
from napari_sam2track.models.building import build_network
from napari_sam2track.models.config import Target, check_config, find_config, named_config
from napari_sam2track.models.download import model_path, verify
from napari_sam2track.models.registry import ModelInfo

if TYPE_CHECKING:
    import torch


def load_network(
    info: ModelInfo,
    device: str = "cpu",
    dtype: torch.dtype | None = None,
    target: Target = "base",
    image_size: int | None = None,
) -> torch.nn.Module:
    """Build a network, load its weights, and make it ready for inference.

    Parameters
    ----------
    info
        The model; its weights must be on this machine.
    device
        As torch takes it (`choose_device`).
    dtype
        Type of the parameters; None is float32, whatever they are stored in.
    target
        ``base`` for sam2's network (`sam2.modeling.sam2_base.SAM2Base`), ``predictor`` for its
        video predictor; see `adapt_config`.
    image_size
        Side of the square that the network sees, in pixels, if not the config's.

    Returns
    -------
    torch.nn.Module
        In eval mode, on the device, without gradients.

    Raises
    ------
    ModelError
        If the weights are missing, damaged, not a checkpoint, of another architecture, or the
        config cannot be used.
    DeviceError
        If the device does not have the memory.
    """
    import torch

    verify(info)
    checkpoint = read_checkpoint(model_path(info))
    config = _config_of(info, checkpoint)
    network = build_network(config, target, image_size)
    load_weights(network, checkpoint["model"], info.name)
    network.eval().requires_grad_(False)
    try:
        return network.to(device=device, dtype=dtype or torch.float32)
    except torch.OutOfMemoryError as error:
        raise DeviceError(
            f"{info.name} does not fit into the memory of {device}; choose a smaller model or "
            "the device cpu"
        ) from error


def load_config(info: ModelInfo) -> dict[str, Any]:
    """Return the architecture of a model, as plain dicts and lists.

    Raises
    ------
    ModelError
        If there is none, or it cannot be used.
    """
    if info.kind == "local" and info.config is None:
        return _config_of(info, read_checkpoint(model_path(info)))
    return _config_of(info, {})


def read_checkpoint(path: Path) -> dict[str, Any]:
    """Read a checkpoint in Meta's format: a dict whose ``model`` is a state dict.

    Our own training adds ``config`` and ``card``.

    Returns
    -------
    dict
        The checkpoint, tensors on the cpu in the type that they are stored in.

    Raises
    ------
    ModelError
        If it is missing, cut off, of another format, or holds anything but tensors and plain
        values.
    """
    import torch

    if not path.is_file():
        raise ModelError(f"there is no file of weights {path}; check the path")
    with path.open("rb") as file:
        magic = file.read(2)
    if magic == b"PK" and not _is_whole_zip(path):
        raise ModelError(f"the weights {path} are cut off; download or copy the file again")
    try:
        checkpoint = torch.load(path, map_location="cpu", weights_only=True)
    except pickle.UnpicklingError as error:
        if magic == b"PK" or magic[:1] == b"\x80":
            raise ModelError(
                f"the weights {path} hold Python objects beside tensors, which could run code, "
                "so they are not loaded; save {'model': network.state_dict()} alone"
            ) from error
        raise ModelError(_not_a_checkpoint(path)) from error
    except Exception as error:  # on damaged files torch raises nearly every kind of error
        raise ModelError(_not_a_checkpoint(path)) from error
    weights = checkpoint.get("model") if isinstance(checkpoint, dict) else None
    if not isinstance(weights, dict) or not all(map(_is_weight, weights, weights.values())):
        raise ModelError(
            f"the weights {path} have no 'model' with a state dict, as SAM2's checkpoints do; save "
            "them as {'model': network.state_dict()}"
        )
    return dict(checkpoint)


def _is_whole_zip(path: Path) -> bool:
    """Return whether an archive has the table of contents at its end."""
    try:
        return zipfile.is_zipfile(path)
    except zipfile.BadZipFile:  # a table that contradicts itself
        return False


def _is_weight(name: object, value: object) -> bool:
    """Return whether a pair of a state dict is a name with an ordinary tensor of numbers."""
    import torch

    return (
        isinstance(name, str)
        and isinstance(value, torch.Tensor)
        and value.layout is torch.strided
        and not (value.is_quantized or value.is_nested or value.is_meta or value.is_complex())
        and (not value.is_floating_point() or value.element_size() > 1)
    )


def load_weights(network: torch.nn.Module, weights: Mapping[str, Any], name: str) -> None:
    """Put weights into a network; each must exist, in its shape, and no other.

    Parameters
    ----------
    network
        Gets the weights, converted to its own type.
    weights
        Name to tensor.
    name
        Name of the weights in a message.

    Raises
    ------
    ModelError
        If they are of another architecture.
    """
    wanted = network.state_dict()
    missing = [key for key in wanted if key not in weights]
    unexpected = [key for key in weights if key not in wanted]
    shapes = [
        f"{key} is {tuple(weights[key].shape)} instead of {tuple(wanted[key].shape)}"
        for key in wanted
        if key in weights and weights[key].shape != wanted[key].shape
    ]
    wrong = [
        f"{what} {_some(which)}"
        for what, which in (
            ("missing:", missing),
            ("unexpected:", unexpected),
            ("of other shapes:", shapes),
        )
        if which
    ]
    if wrong:
        raise ModelError(
            f"the weights of {name} are of another architecture than their config ("
            f"{'; '.join(wrong)}); give the config that they were trained with"
        )
    broken = [k for k, w in weights.items() if w.is_floating_point() and not w.isfinite().all()]
    if broken:
        raise ModelError(
            f"the weights of {name} hold values that are not finite ({_some(broken)}), as a "
            "training that diverged leaves them; give weights of an earlier step"
        )
    network.load_state_dict(dict(weights), strict=True)


def _config_of(info: ModelInfo, checkpoint: Mapping[str, Any]) -> dict[str, Any]:
    """Return a model's config: from the packages, a name of the user, or the checkpoint."""
    if info.kind != "local":
        return named_config(info)
    if info.config is not None:
        return find_config(info.config)
    if "config" in checkpoint:
        return check_config(checkpoint["config"], f"in {info.path}")
    raise ModelError(
        f"the weights {info.path} do not say what network they are for; give a config as well: a "
        "YAML file, or the name of the model that they were fine-tuned from"
    )


def _not_a_checkpoint(path: Path) -> str:
    return f"{path} is not a checkpoint of torch, or is damaged; download or copy the file again"


def _some(names: list[str], most: int = 2) -> str:
    """Return the first few of many, as text."""
    rest = f" and {len(names) - most} more" if len(names) > most else ""
    return ", ".join(names[:most]) + rest
