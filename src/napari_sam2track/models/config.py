"""Architectures: SAM2's configs, from YAML files and checkpoints, read and checked."""

from __future__ import annotations

import re
from importlib.util import find_spec
from pathlib import Path
from typing import Any, Literal

from napari_sam2track.errors import ModelError
from napari_sam2track.models.plain import plain_values
from napari_sam2track.models.registry import ModelInfo, UnknownModelError, expanded, find_model

Target = Literal["base", "predictor"]

_BASE = "sam2.modeling.sam2_base.SAM2Base"
_PREDICTOR = "sam2.sam2_video_predictor.SAM2VideoPredictor"

#: The key that names a class.
TARGET = "_target_"
#: The classes that a config may name; no others are built from one.
_CLASSES = frozenset(
    {
        _BASE,
        _PREDICTOR,
        "sam2.modeling.backbones.hieradet.Hiera",
        "sam2.modeling.backbones.image_encoder.FpnNeck",
        "sam2.modeling.backbones.image_encoder.ImageEncoder",
        "sam2.modeling.memory_attention.MemoryAttention",
        "sam2.modeling.memory_attention.MemoryAttentionLayer",
        "sam2.modeling.memory_encoder.CXBlock",
        "sam2.modeling.memory_encoder.Fuser",
        "sam2.modeling.memory_encoder.MaskDownSampler",
        "sam2.modeling.memory_encoder.MemoryEncoder",
        "sam2.modeling.position_encoding.PositionEmbeddingSine",
        "sam2.modeling.sam.transformer.Attention",
        "sam2.modeling.sam.transformer.RoPEAttention",
    }
)

#: More than any SAM2 has: a config must not take all memory before an error.
MAX_SIZE, MAX_LAYERS = 8192, 256
_EXTRA = "sam_mask_decoder_extra_args"
#: Settings that build_sam.py of sam2 adds to the YAML (l. 76-80 and 121-129 of sam2 1.1.0).
_DECODER = {
    "dynamic_multimask_via_stability": True,
    "dynamic_multimask_stability_delta": 0.05,
    "dynamic_multimask_stability_thresh": 0.98,
}


def read_config(path: Path) -> dict[str, Any]:
    """Read a YAML config and check it.

    Parameters
    ----------
    path
        A file with the key ``model`` on top, as Meta's have.

    Returns
    -------
    dict
        Content of ``model``, in plain values.

    Raises
    ------
    ModelError
        If there is no such file, it is not YAML, or not a config that `check_config` accepts.
    """
    if not path.is_file():
        raise ModelError(f"there is no config {path}; give a YAML file with the key 'model'")
    return check_config(_read_yaml(path), str(path))


def _read_yaml(path: Path) -> Any:
    """Return the content of a YAML file, in values that YAML itself knows."""
    import yaml

    class Loader(yaml.SafeLoader):
        """YAML loader that reads 1e-6 as a number, as YAML 1.2 does, and not as a text."""

    Loader.add_implicit_resolver(
        "tag:yaml.org,2002:float",
        re.compile(r"[-+]?[0-9]+(\.[0-9]*)?[eE][-+]?[0-9]+$"),
        [*"-+0123456789"],
    )
    try:
        with path.open("rb") as file:
            return yaml.load(file, Loader)  # derived from SafeLoader
    except Exception as error:  # PyYAML raises many kinds for values that their tags do not fit
        reason = " ".join(str(error).split())
        raise ModelError(f"the config {path} cannot be read: {reason}") from error


def find_config(name: str) -> dict[str, Any]:
    """Return a config by the path of a YAML file, a model's name, or a name in the package sam2.

    Raises
    ------
    ModelError
        If it is none of these, or not a usable config.
    """
    path = expanded(name)
    if path.is_file():
        return read_config(path)
    in_package = _sam2_folder() / name.removeprefix("//")
    for candidate in (in_package, in_package.with_name(in_package.name + ".yaml")):
        if candidate.is_file():
            return read_config(candidate)
    try:
        model = find_model(name)
    except UnknownModelError:
        raise ModelError(
            f"{name!r} is not a config; give a YAML file, the name of a model (sam2track models "
            "list), or a config of the package sam2 such as configs/sam2.1/sam2.1_hiera_t.yaml"
        ) from None
    if model.config is None or model.kind == "local":
        raise ModelError(f"{name!r} is a file of weights, not a config; give a YAML file")
    return named_config(model)


def named_config(info: ModelInfo) -> dict[str, Any]:
    """Return the config of a model that has a name.

    Raises
    ------
    ModelError
        If the package that holds it is incomplete.
    """
    assert info.config is not None and info.kind != "local"
    root = _sam2_folder() if info.kind == "meta" else Path(__file__).parents[1]
    return read_config(root / info.config)


def check_config(config: Any, name: str) -> dict[str, Any]:
    """Check that a config describes a SAM2 and nothing else.

    Parameters
    ----------
    config
        The config as it was read; with or without the key ``model`` on top.
    name
        Name of the config in a message.

    Returns
    -------
    dict
        The part that describes the network.

    Raises
    ------
    ModelError
        If it is no config, holds other than plain values (`plain_values`), names a class that is
        not one of SAM2's, or asks for other files.
    """
    plain = plain_values(config, name)
    model = plain.get("model", plain) if isinstance(plain, dict) else None
    if not isinstance(model, dict) or TARGET not in model or "image_size" not in model:
        raise ModelError(
            f"the config {name} does not describe a SAM2 network (no 'model' with '_target_' and "
            "'image_size'); give one like those in the package sam2"
        )
    for key, value in _walk(model):
        if key == TARGET and (not isinstance(value, str) or value not in _CLASSES):
            raise ModelError(
                f"the config {name} names the class {value!r}, which is not a part of SAM2; "
                "configs may use sam2's own modules only"
            )
        if key == "compile_image_encoder" and value is not False:
            raise ModelError(
                f"the config {name} wants the image encoder to be compiled ({value!r}), which "
                "runs a compiler and writes files; set compile_image_encoder to false"
            )
        layers = value if key == "num_layers" else sum(_counts(value)) if key == "stages" else 0
        if isinstance(layers, int) and layers > MAX_LAYERS:
            raise ModelError(
                f"the config {name} gives {key} as {value}, which is more than {MAX_LAYERS} layers"
            )
        if key == "weights_path" and value is not None:
            raise ModelError(
                f"the config {name} loads other weights ({value!r}); remove weights_path, the "
                "checkpoint holds all of them"
            )
    if model[TARGET] not in (_BASE, _PREDICTOR):
        raise ModelError(
            f"the config {name} describes the part {model[TARGET]!r} alone, not a network; give "
            "one like those in the package sam2"
        )
    size, extra = model["image_size"], model.get(_EXTRA)
    if type(size) is not int or not isinstance(extra, dict | None):
        raise ModelError(
            f"the config {name} gives image_size as {size!r} and {_EXTRA} as {extra!r}; the first "
            "is a whole number, the second a dict"
        )
    if not 32 <= size <= MAX_SIZE:
        raise ModelError(
            f"the config {name} gives image_size as {size}; it lies between 32 and {MAX_SIZE}"
        )
    return model


def adapt_config(
    config: dict[str, Any], target: Target | None = None, image_size: int | None = None
) -> dict[str, Any]:
    """Change a config as build_sam.py does, and the size of the square if one is given.

    Parameters
    ----------
    config
        As `check_config` returns it.
    target
        ``base`` for the network alone, which our engine drives; ``predictor`` for sam2's own
        video predictor, set so that corrections count (sam2 drops clicks on frames that were
        tracked) and without its hole filling, which needs a compiled extension; None leaves
        the class as it is.
    image_size
        Side of the square in pixels instead of the config's. The tables of positions in memory
        attention follow; the weights do not depend on it.

    Returns
    -------
    dict
        A new config.

    Raises
    ------
    ModelError
        If the size is not a positive multiple of 32.
    """
    new = {**config}
    new[_EXTRA] = {**_DECODER, **(config.get(_EXTRA) or {})}
    if target is not None:
        new[TARGET] = {"base": _BASE, "predictor": _PREDICTOR}[target]
    if target == "predictor":
        new["fill_hole_area"] = 0
        new["add_all_frames_to_correct_as_cond"] = True
    new["binarize_mask_from_pts_for_mem_enc"] = True
    if image_size is not None:
        if image_size < 32 or image_size % 32:
            raise ModelError(
                f"an image size of {image_size} pixels does not fit SAM2; give a multiple of 32"
            )
        new["image_size"] = image_size
        side = image_size // 16
        new = _with_feat_sizes(new, side)
    return new


def _with_feat_sizes(value: Any, side: int) -> Any:
    """Return a copy with every table of rotary positions made for `side` by `side` tokens."""
    if isinstance(value, dict):
        return {
            key: [side, side] if key == "feat_sizes" else _with_feat_sizes(item, side)
            for key, item in value.items()
        }
    if isinstance(value, list):
        return [_with_feat_sizes(item, side) for item in value]
    return value


def _counts(value: Any) -> list[int]:
    """Return the whole numbers of a list; others are refused when the network is built."""
    return [item for item in value if isinstance(item, int)] if isinstance(value, list) else []


def _walk(value: Any) -> list[tuple[str, Any]]:
    """Return all keys with their values, at any depth."""
    if isinstance(value, dict):
        return [pair for k, v in value.items() for pair in ((k, v), *_walk(v))]
    if isinstance(value, list):
        return [pair for item in value for pair in _walk(item)]
    return []


def _sam2_folder() -> Path:
    """Return the folder of the installed package sam2, found without importing it."""
    spec = find_spec("sam2")
    if spec is None or not spec.submodule_search_locations:
        raise ModelError("the package sam2 is not installed; run: pip install sam2==1.1.0")
    return Path(spec.submodule_search_locations[0])
