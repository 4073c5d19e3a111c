"""Masks of single frames to tracks."""

from napari_sam2track.linking.binary import connected_parts, separate
from napari_sam2track.linking.linker import Linker, link_all
from napari_sam2track.linking.locked_links import LockedLink, locked_links

__all__ = ["Linker", "LockedLink", "connected_parts", "link_all", "locked_links", "separate"]
