"""From a config to a network with fresh weights.

Hydra's instantiation is used without its global state. sam2 initialises that when it is first
imported, unless the program has done so before, and it stays: other plugins that call
``sam2.build_sam`` after us need it, and find it as after any import of sam2.
"""

from __future__ import annotations

import importlib
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from napari_sam2track.errors import ModelError
from napari_sam2track.models.config import Target, adapt_config, check_config

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
    from hydra.errors import InstantiationException
    from hydra.utils import instantiate

    adapted = adapt_config(check_config(dict(config), "given"), target, image_size)
    importlib.import_module("sam2")  # missing: its own error, instead of one about a class
    try:
        network: torch.nn.Module = instantiate(adapted, _recursive_=True)
    except (InstantiationException, AssertionError, ValueError, TypeError) as error:
        reason = error.__cause__ or error
        raise ModelError(
            f"the config does not give a network: {type(reason).__name__}: {reason}"
        ) from error
    return network
