"""Batches: how many at once, and what to say when that was too many."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Literal, TypeVar

import torch

from napari_sam2track.engine.network import Network
from napari_sam2track.errors import DeviceError

T = TypeVar("T")
Mode = Literal["frame", "window"]


def fitting_batch(batch: int, network: Network, mode: Mode) -> int:
    """At most ``batch`` windows, fewer for large ones: 32 of 256 px need what 2 of 1024 px do."""
    if mode == "frame":
        return batch
    return max(1, min(batch, round(batch * (256 / network.image_size) ** 2)))


@contextmanager
def memory_guard(network: Network, batch: int) -> Iterator[None]:
    """Running out of memory as an error that says what to do."""
    try:
        yield
    except RuntimeError as error:
        if not _out_of_memory(error):
            raise
        raise DeviceError(
            f"{network.device} has not enough memory for {batch} objects at once; use a smaller "
            "batch, a smaller model, or the CPU"
        ) from error


def _out_of_memory(error: RuntimeError) -> bool:
    """CUDA has an exception of its own for it; the CPU and Apple's GPU only have words."""
    words = str(error)
    return isinstance(error, torch.OutOfMemoryError) or (
        "DefaultCPUAllocator" in words or "MPS backend out of memory" in words
    )


def chunks(items: list[T], size: int) -> Iterator[list[T]]:
    """Runs of at most ``size`` items."""
    for k in range(0, len(items), size):
        yield items[k : k + size]
