"""Masks of single frames to tracks."""

from napari_sam2track.linking.binary import separate
from napari_sam2track.linking.linker import (
    LabelFrames,
    LinkedFrame,
    Linker,
    collect,
    link,
    link_all,
    relabel,
)

__all__ = [
    "LabelFrames",
    "LinkedFrame",
    "Linker",
    "collect",
    "link",
    "link_all",
    "relabel",
    "separate",
]
