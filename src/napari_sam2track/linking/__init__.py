"""Masks of single frames to tracks."""

from napari_sam2track.linking.binary import separate
from napari_sam2track.linking.linker import (
    LinkedFrame,
    Linker,
    collect,
    link,
    link_all,
)

__all__ = [
    "LinkedFrame",
    "Linker",
    "collect",
    "link",
    "link_all",
    "separate",
]
