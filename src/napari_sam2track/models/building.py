"""From a config to a network with fresh weights.

Hydra's instantiation is used without its global state, which belongs to whoever runs the
program.
"""

from __future__ import annotations

import importlib
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
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
    adapted = adapt_config(check_config(dict(config), "given"), target, image_size)
    with _hydra_as_it_was():
        from hydra.errors import InstantiationException
        from hydra.utils import instantiate

        importlib.import_module("sam2")
        try:
            network: torch.nn.Module = instantiate(adapted, _recursive_=True)
        except (InstantiationException, AssertionError, ValueError, TypeError) as error:
            reason = error.__cause__ or error
            raise ModelError(
                f"the config does not give a network: {type(reason).__name__}: {reason}"
            ) from error
    return network


@contextmanager
def _hydra_as_it_was() -> Iterator[None]:
    """Leave Hydra's global state as it is found.

    The first import of sam2 initialises it if it is free, and the next application that wants
    to do so would fail. One that has done so already is left alone by sam2 itself.
    """
    from hydra.core.global_hydra import GlobalHydra

    untouched = "sam2" not in sys.modules and not GlobalHydra.instance().is_initialized()
    try:
        yield
    finally:
        if untouched:
            GlobalHydra.instance().clear()
