"""Models: a registry, their files, and how they become networks.

`download.download` is not repeated here: it would hide its own module.
"""

from napari_sam2track.models.building import build_network
from napari_sam2track.models.device import DeviceChoice, choose_device, set_threads
from napari_sam2track.models.download import Status, model_path, status, verify
from napari_sam2track.models.loading import load_config, load_network
from napari_sam2track.models.registry import (
    BUNDLED,
    ModelInfo,
    UnknownModelError,
    all_models,
    bundled_model,
    find_model,
)

__all__ = [
    "BUNDLED",
    "DeviceChoice",
    "ModelInfo",
    "Status",
    "UnknownModelError",
    "all_models",
    "build_network",
    "bundled_model",
    "choose_device",
    "find_model",
    "load_config",
    "load_network",
    "model_path",
    "set_threads",
    "status",
    "verify",
]
