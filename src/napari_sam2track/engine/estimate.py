"""Cost of a run, before it begins: time from a real batch, the rest from sizes."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass

import torch

from napari_sam2track.engine.network.batches import Batcher, Mode, memory_guard, object_bytes
from napari_sam2track.engine.network.fast import fast_version
from napari_sam2track.engine.network.network import Features, MemoryTokens, Network
from napari_sam2track.engine.propagation import MEMORY_EVERY
from napari_sam2track.params import EngineParams

#: Seconds that a batch may take to be timed as a whole; else one object is timed for all.
LONGEST = 1.0
#: Time of a run over that of its network alone (reading, painting, writing); a guess.
AROUND = 1.25
#: Cost of the check whether an object is two in touch, beside following it (12.5 and 9.6 ms);
#: objects that are not longer than wide are not checked, but they are not known before.
ASKING = 1.3
#: Pixels in the box of a mask, if not known better, and bytes stored beside them.
PATCH_PIXELS, ROW_BYTES = 40 * 40, 64
#: Bytes in the file of a memory beside its tensors: some 400 for each of 30.
MEMORY_FILE = 10_000


@dataclass(frozen=True, slots=True)
class Estimate:
    """Cost of a run.

    Attributes
    ----------
    pairs
        Objects times frames to compute.
    seconds
        On this device, as busy as it is now.
    memory_bytes
        Of memory, beside what Python and its libraries take.
    disk_bytes
        Of the working files, without the results that are written at the end.
    """

    pairs: int
    seconds: float
    memory_bytes: int
    disk_bytes: int

    @property
    def text(self) -> str:
        """One line for people."""
        return (
            f"{self.pairs} object-frames, about {_duration(self.seconds)}, "
            f"{_size(self.memory_bytes)} of memory, {_size(self.disk_bytes)} on disk"
        )


def estimate(
    network: Network,
    mode: Mode,
    pairs: int,
    n_active: int,
    n_frames: int,
    params: EngineParams,
    patch_pixels: int = PATCH_PIXELS,
) -> Estimate:
    """Return the cost of following objects.

    Some batches are computed, which takes a second or two, or as long as one object takes.

    Parameters
    ----------
    network
        The model.
    mode
        Frame or window mode.
    pairs
        Objects times frames that are to be computed.
    n_active
        Most objects that are followed at once.
    n_frames
        Frames on which something is to be computed: in frame mode each is encoded once.
    params
        See `EngineParams`.
    patch_pixels
        Pixels in the box around a typical mask.

    Raises
    ------
    DeviceError
        If the memory does not suffice for one object.
    """
    if not pairs or not n_active:
        return Estimate(0, 0.0, 0, 0)
    exact = params.equality == "exact"
    used = network if exact else fast_version(network)
    batcher = Batcher.of(used, mode, params)
    with memory_guard(used, 1):
        image, each = _seconds(used, mode, batcher, n_active)
    if mode == "window" and params.touching == "on" and params.divisions != "off":
        each *= 1 + ASKING
    images = pairs if mode == "window" else n_frames
    seconds = AROUND * (pairs * each + (0.0 if mode == "window" else n_frames * image))
    bank = bank_bytes(used)
    memory = (
        sum(p.numel() * p.element_size() for p in used.model.parameters())
        + min(n_active, batcher.most) * object_bytes(used, mode)
        + n_active * (bank + _seen_bytes(used))
        + min(params.cache_memory << 20, images * _embedding_bytes(used))
    )
    kept = n_active + pairs // MEMORY_EVERY
    disk = pairs * (ROW_BYTES + (4 if exact else 2) * patch_pixels) + kept * (bank + MEMORY_FILE)
    return Estimate(pairs, seconds, memory, disk)


def bank_bytes(network: Network) -> int:
    """Return the size of an object's full memory bank: maps in bfloat16, pointers in float32."""
    maps = network.n_memories * network.memory_width * network.grid**2
    return 2 * maps + 4 * network.max_pointers * network.width


def _seen_bytes(network: Network) -> int:
    """Return the size of what is held of an object until claims are resolved: embedding, masks."""
    return 4 * (network.width * network.grid**2 + 4 * (network.image_size // 4) ** 2)


def _embedding_bytes(network: Network) -> int:
    """Return the size of the embedding of one image, see `embeddings.Encoder`."""
    cells = network.grid**2  # C on the grid, C/4 at twice and C/8 at four times its side
    return 4 * (cells + 4 * cells // 4 + 16 * cells // 8) * network.width


@torch.inference_mode()
def _seconds(network: Network, mode: Mode, batcher: Batcher, n_active: int) -> tuple[float, float]:
    """Time the encoding of an image, and an object on a frame; in window mode with its image."""
    size, device = network.image_size, network.device
    picture = torch.randn(1, 3, size, size, device=device)
    whole = network.encode_images(picture)
    image = _timed(lambda: network.encode_images(picture), device) if mode == "frame" else 0.0

    def work(part: list[int]) -> list[int]:
        n = len(part)
        images = picture.expand(n, -1, -1, -1).contiguous()
        seen = network.encode_images(images) if mode == "window" else whole.expand(n)
        _follow(network, seen)
        return part

    one = _timed(lambda: batcher.map(work, [0]), device)
    if one > LONGEST / 10:
        return image, one
    n = min(n_active, batcher.most)
    if n > 1 and one * n < LONGEST:
        batcher.map(work, list(range(n)))  # threads and memory are there from now on
        one = min(one, _timed(lambda: batcher.map(work, list(range(n))), device) / n)
    return image, one


def _follow(network: Network, features: Features) -> None:
    """Compute objects on a frame, with full memory banks."""
    n, m, p = len(features), network.n_memories, network.max_pointers
    grid, device = network.grid, network.device
    maps = torch.randn(1, m, network.memory_width, grid, grid, device=device)
    pointers = torch.randn(1, p, network.width, device=device)
    distances = torch.arange(1.0, p + 1, device=device)
    memory = MemoryTokens(
        maps.to(torch.bfloat16).expand(n, -1, -1, -1, -1),
        torch.arange(m, device=device).expand(n, -1),
        pointers.expand(n, -1, -1),
        distances.expand(n, -1),
        p,
    )
    decoded = network.decode(network.condition(features, memory), features)
    network.encode_memory(features, decoded.logits, decoded.score, False)


def _timed(work: Callable[[], object], device: torch.device) -> float:
    """Return the seconds of a call; of a second one if the first was short, as it also warms up."""
    seconds = 0.0
    for _ in range(2):
        begin = time.perf_counter()
        work()
        if device.type == "cuda":
            torch.cuda.synchronize(device)
        seconds = time.perf_counter() - begin
        if seconds > LONGEST / 2:
            break
    return seconds


def _duration(seconds: float) -> str:
    if seconds < 1:
        return "a second"
    if seconds < 100:
        return f"{seconds:.0f} s"
    if seconds < 100 * 60:
        return f"{seconds / 60:.0f} min"
    return f"{seconds / 3600:.0f} h"


def _size(n_bytes: int) -> str:
    megabytes = n_bytes / 1e6
    if megabytes >= 1000:
        return f"{megabytes / 1000:.2g} GB" if megabytes < 10_000 else f"{megabytes / 1000:.0f} GB"
    return f"{max(megabytes, 1):.0f} MB" if megabytes < 100 else f"{round(megabytes, -1):.0f} MB"
