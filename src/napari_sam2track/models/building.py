"""Builds a network with fresh weights from a config.

sam2 builds its networks with ``hydra.utils.instantiate``, which calls whatever ``_target_`` names.
Here a name can only choose among the classes of a table, so a config cannot run code, wherever it
came from.
"""

from __future__ import annotations

import importlib
import inspect
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from napari_sam2track.errors import ModelError
from napari_sam2track.models.config import TARGET, Target, adapt_config, check_config

if TYPE_CHECKING:
    import torch


def build_network(
    config: Mapping[str, Any], target: Target | None = "base", image_size: int | None = None
) -> torch.nn.Module:
    """Build a network with fresh weights, in training mode, on the cpu.

    Parameters
    ----------
    config
        As `load_config` returns it, or with the key ``model`` on top, as YAML files have it.
    target, image_size
        As in `load_network`.

    Raises
    ------
    ModelError
        If the config is not one of SAM2's, or its numbers do not go together.
    """
    adapted = adapt_config(check_config(dict(config), "given"), target, image_size)
    importlib.import_module("sam2")  # missing: its own error, instead of one about a class
    network: torch.nn.Module = _build(adapted)
    return network


def _build(value: Any) -> Any:
    """Build a value of a config; each dict that names a class becomes an object of that class."""
    if isinstance(value, list):
        return [_build(item) for item in value]
    if not isinstance(value, dict):
        return value
    arguments = {key: _build(item) for key, item in value.items() if key != TARGET}
    if TARGET not in value:
        return arguments
    module, _, name = value[TARGET].rpartition(".")  # one of the table: check_config has seen it
    made: type = getattr(importlib.import_module(module), name)
    _check_arguments(made, arguments)
    try:
        return made(**arguments)
    except Exception as error:  # whatever torch and sam2 raise for bad numbers
        raise ModelError(
            f"the config does not give a network: {name}: {type(error).__name__}: {error}"
        ) from error


def _check_arguments(made: type, given: Mapping[str, Any]) -> None:
    """Refuse arguments that a class does not have, and name those that it lacks."""
    known = _parameters(made)
    for key in given:
        if key not in known:
            raise ModelError(
                f"the config gives {made.__name__} the argument {key!r}, which it does not have; "
                "configs may use sam2's own modules with their own arguments only"
            )
    empty = inspect.Parameter.empty
    missing = [k for k, p in known.items() if p.default is empty and k not in given]
    if missing:
        raise ModelError(f"the config does not give {made.__name__} its {', '.join(missing)}")


def _parameters(made: type) -> dict[str, inspect.Parameter]:
    """Return the parameters of a class by name, with those of bases that get its keywords."""
    known: dict[str, inspect.Parameter] = {}
    for cls in made.__mro__:
        if "__init__" not in vars(cls):
            continue
        parameters = list(inspect.signature(cls).parameters.values())
        named = (
            p for p in parameters if p.kind is p.POSITIONAL_OR_KEYWORD or p.kind is p.KEYWORD_ONLY
        )
        for parameter in named:
            known.setdefault(parameter.name, parameter)
        if not any(p.kind is p.VAR_KEYWORD for p in parameters):
            break
    return known
