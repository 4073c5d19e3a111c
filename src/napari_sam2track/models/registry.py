"""Registry of models: the bundled one, Meta's eight, and files of the user's own."""

from __future__ import annotations

import difflib
import json
import os
from dataclasses import dataclass, replace
from functools import cache
from importlib import resources
from pathlib import Path
from typing import Any, Literal

from napari_sam2track.errors import ModelError, UsageError

BUNDLED = "bundled"
MODELS_VARIABLE = "SAM2TRACK_MODELS"

_META_URL = "https://dl.fbaipublicfiles.com/segment_anything_2"
_SUFFIXES = (".pt", ".pth")


class UnknownModelError(ModelError, UsageError):
    """A name that no model has; exit code 2, as for other mistakes of a user."""

    exit_code = UsageError.exit_code


@dataclass(frozen=True)
class ModelInfo:
    """Properties of a model that are known without opening it.

    Attributes
    ----------
    name
        Name on the command line, in forms and in provenance.
    kind
        In the package, downloaded from Meta, or a file of the user's.
    filename
        Name of the weights' file.
    url
        Address of the download.
    n_bytes, sha256
        Size and checksum of the file, as far as they are known beforehand.
    config
        Description of the architecture: for a bundled model a file in this package, for
        Meta's a file in the package sam2; for a local one a YAML file, or the name of another
        model, or None if the file itself holds it.
    image_size
        Side of the square that the network sees, in pixels; None if only the config knows.
    parameters
        Number of trained parameters, if known.
    licence
        SPDX identifier, if known.
    description
        One sentence.
    path
        The file of a local model.
    """

    name: str
    kind: Literal["bundled", "meta", "local"]
    filename: str
    url: str | None
    n_bytes: int | None
    sha256: str | None
    config: str | None
    image_size: int | None
    parameters: int | None
    licence: str | None
    description: str
    path: Path | None = None


def _meta(
    size: str, letter: str, generation: str, n_bytes: int | None, sha256: str, parameters: int
) -> ModelInfo:
    """Make the entry of one of Meta's models, with checksums from Hugging Face's pointers."""
    stem = f"sam{generation}_hiera_{size}"
    date = {"2.1": "092824", "2": "072824"}[generation]
    speed = {
        "tiny": "the smallest",
        "small": "hardly slower than tiny",
        "base_plus": "between small and large",
        "large": "the most accurate and by far the slowest",
    }[size]
    return ModelInfo(
        name=stem,
        kind="meta",
        filename=f"{stem}.pt",
        url=f"{_META_URL}/{date}/{stem}.pt",
        n_bytes=n_bytes,
        sha256=sha256,
        config=f"configs/sam{generation}/sam{generation}_hiera_{letter}.yaml",
        image_size=1024,
        parameters=parameters,
        licence="Apache-2.0",
        description=f"Meta's SAM {generation}, {size.replace('_', ' ')}: {speed}.",
    )


_META = tuple(
    _meta(*row)
    for row in (
        ("tiny", "t", "2.1", 156_008_466, "7402e0d864fa82708a20fbd15bc84245c2f26dff0eb43a4b5b93452deb34be69", 38_962_498),  # noqa: E501
        ("small", "s", "2.1", 184_416_285, "6d1aa6f30de5c92224f8172114de081d104bbd23dd9dc5c58996f0cad5dc4d38", 46_060_354),  # noqa: E501
        ("base_plus", "b+", "2.1", 323_606_802, "a2345aede8715ab1d5d31b4a509fb160c5a4af1970f199d9054ccfb746c004c5", 80_850_178),  # noqa: E501
        ("large", "l", "2.1", 898_083_611, "2647878d5dfa5098f2f8649825738a9345572bae2d4350a2468587ece47dd318", 224_446_642),  # noqa: E501
        ("tiny", "t", "2", None, "65b50056e05bcb13694174f51bb6da89c894b57b75ccdf0ba6352c597c5d1125", 38_945_986),  # noqa: E501
        ("small", "s", "2", None, "95949964d4e548409021d47b22712d5f1abf2564cc0c3c765ba599a24ac7dce3", 46_043_842),  # noqa: E501
        ("base_plus", "b+", "2", None, "d0bb7f236400a49669ffdd1be617959a8b1d1065081789d7bbff88eded3a8071", 80_833_666),  # noqa: E501
        ("large", "l", "2", 897_952_466, "7442e4e9b732a508f80e141e7c2913437a3610ee0c77381a66658c3a445df87b", 224_430_130),  # noqa: E501
    )
)  # fmt: skip


@cache
def bundled_card() -> dict[str, Any]:
    """Return the note beside the bundled weights: checksum, version, scores; empty if absent."""
    folder = resources.files("napari_sam2track") / "models" / "weights"
    note = folder / "sam2track_small.json"
    return dict(json.loads(note.read_text(encoding="utf-8"))) if note.is_file() else {}


@cache
def bundled_model() -> ModelInfo:
    """Return the entry of the model in the package."""
    card = bundled_card()
    return ModelInfo(
        name=BUNDLED,
        kind="bundled",
        filename="sam2track_small.pt",
        url=None,
        n_bytes=card.get("n_bytes"),
        sha256=card.get("sha256"),
        config="models/configs/sam2track_small.yaml",
        image_size=128,
        parameters=card.get("parameters", 2_663_986),
        licence="BSD-3-Clause",
        description="A small SAM2 in the package, for cells and other easy objects; nothing to "
        "download.",
    )


def models_dir() -> Path:
    """Return the folder for own models: that in SAM2TRACK_MODELS, or the system's for data."""
    chosen = os.environ.get(MODELS_VARIABLE)
    if chosen:
        return Path(chosen).expanduser()
    import platformdirs

    return platformdirs.user_data_path("sam2track", appauthor=False) / "models"


def own_models() -> tuple[ModelInfo, ...]:
    """Return the models in `models_dir`, by name."""
    folder = models_dir()
    if not folder.is_dir():
        return ()
    files = sorted(p for p in folder.iterdir() if p.suffix.lower() in _SUFFIXES and p.is_file())
    return tuple(_local_model(path, None) for path in files if _key(path.stem) not in _by_alias())


def all_models() -> tuple[ModelInfo, ...]:
    """Return the models that have a name: the bundled one, one's own, Meta's."""
    return (bundled_model(), *own_models(), *_META)


def find_model(name_or_path: str | Path, config: str | Path | None = None) -> ModelInfo:
    """Find a model by its name, or describe a file of weights.

    Parameters
    ----------
    name_or_path
        A name or alias (``bundled``, ``sam2.1_hiera_tiny``, ``tiny``, ``sam2.1-tiny``,
        ``facebook/sam2.1-hiera-tiny``; upper and lower case, ``-``, ``_`` and ``+`` do not
        matter), the name of a file in `models_dir`, or the path of a ``.pt`` file in Meta's
        format.
    config
        For a file: its architecture, as a YAML file, the name of a model here, or of a config
        of the package sam2. Not needed if the file holds it.

    Returns
    -------
    ModelInfo
        The model; whether its weights exist is checked by `download.status`.

    Raises
    ------
    UnknownModelError
        If there is no model of that name; near misses are named.
    ModelError
        If it is a path and there is no such file.
    """
    text = str(name_or_path)
    found = _by_alias().get(_key(text))
    if found is not None and not isinstance(name_or_path, Path):
        if config is not None:
            raise UsageError(
                f"model {text!r} has its own config; give {config} with a file of weights only"
            )
        return found
    mine = next((m for m in own_models() if _key(m.name) == _key(text)), None)
    if mine is not None and not isinstance(name_or_path, Path) and not Path(text).is_file():
        return mine if config is None else replace(mine, config=str(config))
    path = expanded(text)
    if path.suffix.lower() in _SUFFIXES or path.is_file():
        return _local_model(path, config)
    raise UnknownModelError(_unknown(text))


def expanded(text: str) -> Path:
    """Return a path with ``~`` as the person's folder; unchanged if there is no such person."""
    path = Path(text)
    try:
        return path.expanduser()
    except RuntimeError:
        return path


def _local_model(path: Path, config: str | Path | None) -> ModelInfo:
    """Make the entry of a file of the user's."""
    if not path.is_file():
        raise ModelError(f"there is no file of weights {path}; check the path")
    if config is None:  # Meta's file in another folder is still Meta's architecture
        config = next((model.config for model in _META if model.filename == path.name), None)
    return ModelInfo(
        name=path.stem,
        kind="local",
        filename=path.name,
        url=None,
        n_bytes=None,
        sha256=None,
        config=str(config) if config is not None else None,
        image_size=None,
        parameters=None,
        licence=None,
        description=f"Weights in {path}.",
        path=path.absolute(),
    )


def _unknown(text: str) -> str:
    """Return the message for an unknown name."""
    names = [model.name for model in all_models()]
    by_alias = _by_alias()
    near = difflib.get_close_matches(_key(text), by_alias, n=3, cutoff=0.7)
    meant = list(dict.fromkeys(by_alias[alias].name for alias in near))
    hint = f"did you mean {' or '.join(meant)}? " if meant else ""
    return (
        f"there is no model {text!r}; {hint}Known are {', '.join(names)}, "
        "and paths of .pt files"
    )  # fmt: skip


def _key(text: str) -> str:
    """Return a name in one spelling: ``facebook/SAM2.1-hiera-base-plus`` and the like."""
    key = text.strip().lower().removeprefix("facebook/")
    key = key.replace("+", "_plus").replace("-", "_").replace(" ", "_").replace("__", "_")
    return key.replace("_hiera", "")


@cache
def _by_alias() -> dict[str, ModelInfo]:
    """Return models by the `_key` of their names; a bare size is the newer generation."""
    aliases = {_key(name): bundled_model() for name in (BUNDLED, "sam2track_small", "default")}
    for model in _META:
        key = _key(model.name)
        size = key.split("_", 1)[1]
        short = {"tiny": "t", "small": "s", "base_plus": "b_plus", "large": "l"}[size]
        generation = key.split("_", 1)[0]
        aliases |= {key: model, f"{generation}_{short}": model}
        if generation == "sam2.1":
            aliases |= {size: model, short: model}
    return aliases
