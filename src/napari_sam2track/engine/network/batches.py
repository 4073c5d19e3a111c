"""Batches: how many objects at once, what runs side by side, and errors when memory is short."""

from __future__ import annotations

import threading
from collections.abc import Callable, Hashable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from itertools import pairwise
from typing import Literal, Self, TypeVar

import torch

from napari_sam2track.engine.network.network import Network
from napari_sam2track.errors import DeviceError
from napari_sam2track.params import EngineParams

T = TypeVar("T")
R = TypeVar("R")
Mode = Literal["frame", "window"]

#: Squares up to this size are computed by several single threads side by side: their operations
#: are too small to be shared by threads (see docs/figures/speed.md). Larger ones are shared
#: well, and side by side they would need the memory several times.
SMALL_SQUARE = 512
#: With fewer objects than this for each thread, one shared batch is as fast.
LEAST_EACH = 3


class Batcher:
    """Runs work on many objects in batches that fit.

    Parameters
    ----------
    network
        Computes the results.
    mode
        Frame or window mode: windows are encoded one an object, the frame once for all.
    batch
        Most objects at once, over all threads. ``exact`` needs 1: object by object, each
        with all threads, as SAM2's own predictor.
    budget_bytes
        Most memory for one batch on all threads; None sets no limit.
    """

    def __init__(
        self, network: Network, mode: Mode, batch: int, budget_bytes: int | None = None
    ) -> None:
        self.network = network
        self.most = fitting_batch(batch, network, mode)
        if budget_bytes is not None:
            each = object_bytes(network, mode)
            self.most = max(1, min(self.most, budget_bytes // each))
        #: Most objects that one batch may hold since a larger one did not fit.
        self._fitted = self.most
        self._pool: ThreadPoolExecutor | None = None
        self._workers = 0

    @classmethod
    def of(cls, network: Network, mode: Mode, params: EngineParams) -> Self:
        """Make a batcher for parameters: ``exact`` takes one object at once."""
        batch = 1 if params.equality == "exact" else params.batch
        budget = None if params.max_memory is None else params.max_memory << 20
        return cls(network, mode, batch, budget)

    def map(
        self,
        work: Callable[[list[T]], list[R]],
        items: Sequence[T],
        key: Callable[[T], Hashable] | None = None,
    ) -> list[R]:
        """Return the results of ``work`` on items, one an item and in their order.

        The same items are cut in the same way whenever there are as many threads and it fits, so
        that the results are the same to the last bit.

        Parameters
        ----------
        work
            From some items to their results. It may run in several threads at once, on different
            items, and again on fewer if the memory did not suffice: it must change nothing but
            its own items, and them only at its end.
        items
            Objects.
        key
            Only items with equal keys come into one batch; None: all can.

        Raises
        ------
        DeviceError
            If the memory does not even suffice for one.
        """
        threads = self._threads(len(items))
        parts = self._cut(items, key, threads)
        out: list[R | None] = [None] * len(items)
        if threads == 1 or len(parts) == 1:
            for part in parts:
                _put(out, part, self._run(work, [items[i] for i in part]))
        else:
            pool = self._workshop()
            futures = [pool.submit(self._run, work, [items[i] for i in part]) for part in parts]
            again = []
            for part, future in zip(parts, futures, strict=True):
                try:
                    _put(out, part, future.result())
                except DeviceError:
                    again.append(part)  # alone, it may fit
            for part in again:
                _put(out, part, self._run(work, [items[i] for i in part]))
        return out  # type: ignore[return-value]  # every place has been filled

    def _threads(self, n: int) -> int:
        """Return how many single threads share the work on ``n`` items; 1 for none of them."""
        network = self.network
        if network.device.type != "cpu" or network.image_size > SMALL_SQUARE or self.most == 1:
            return 1
        return max(1, min(torch.get_num_threads(), self.most, n // LEAST_EACH))

    def _cut(
        self, items: Sequence[T], key: Callable[[T], Hashable] | None, threads: int
    ) -> list[list[int]]:
        """Return indices of the items of each batch; sizes within one key differ by at most one."""
        groups: dict[Hashable, list[int]] = {}
        for i, item in enumerate(items):
            groups.setdefault(None if key is None else key(item), []).append(i)
        size = max(1, min(self._fitted, self.most // threads, -(-len(items) // threads)))
        parts = []
        for group in groups.values():
            n = -(-len(group) // size)
            if len(groups) == 1:  # as many batches for each thread
                n = -(-n // threads) * threads
            edges = [k * len(group) // n for k in range(n + 1)]
            parts += [group[a:b] for a, b in pairwise(edges) if a < b]
        return parts

    def _workshop(self) -> ThreadPoolExecutor:
        """Return the threads that compute alone; made once, and gone with this object."""
        mine = torch.get_num_threads()
        if self._pool is None or self._workers != mine:
            self._pool, self._workers = ThreadPoolExecutor(mine), mine
            ready = threading.Barrier(mine)  # so that every thread has its turn

            def begin(_: int) -> None:
                torch.get_num_threads()  # a new thread takes the default once, here
                torch.set_num_threads(1)  # for this thread, and as the default of new ones
                ready.wait()

            list(self._pool.map(begin, range(mine)))
            torch.set_num_threads(mine)  # other threads are not affected
        return self._pool

    def _run(self, work: Callable[[list[T]], list[R]], items: list[T]) -> list[R]:
        """Work on one batch, or on its halves if it does not fit."""
        if len(items) > self._fitted:
            return self._halves(work, items)
        try:
            with torch.inference_mode():  # each thread has its own
                out = work(items)
            assert len(out) == len(items), "one result an item"
            return out
        except RuntimeError as error:
            if not out_of_memory(error):
                raise
            if len(items) == 1:
                raise DeviceError(_too_small(self.network, 1)) from error
        # here, when the error no longer holds what was computed
        if self.network.device.type == "cuda":
            torch.cuda.empty_cache()
        self._fitted = min(self._fitted, len(items) // 2)
        return self._halves(work, items)

    def _halves(self, work: Callable[[list[T]], list[R]], items: list[T]) -> list[R]:
        middle = (len(items) + 1) // 2
        return self._run(work, items[:middle]) + self._run(work, items[middle:])


def _put(out: list[R | None], places: list[int], results: list[R]) -> None:
    for i, result in zip(places, results, strict=True):
        out[i] = result


def fitting_batch(batch: int, network: Network, mode: Mode) -> int:
    """Limit ``batch`` windows by their size: 32 of 256 px need what 2 of 1024 px do."""
    if mode == "frame":
        return batch
    return max(1, min(batch, round(batch * (256 / network.image_size) ** 2)))


def object_bytes(network: Network, mode: Mode) -> int:
    """Return roughly how much memory one object of a batch needs while it is computed.

    The largest of three steps, in float32: reading the memories (keys and values of all layers
    are there at once), upscaling the masks, and, for windows, encoding the image (its copies on
    the way to the network, the first stage, the pyramid's finest level). The numbers of copies
    are fitted to peaks of the process (benchmarks/batch_memory.py), so they hold what the
    allocator wastes, too.
    """
    side, tokens = network.image_size, network.grid**2
    layers = len(network.model.memory_attention.layers)
    remembered = network.n_memories * tokens + 4 * network.max_pointers
    reading = remembered * (2 * network.memory_width + (2 * layers + 2) * network.width)
    finest = (side // 4) ** 2
    upscaling = finest * (network.width // 8 * 4 + 8) + 3 * side**2
    encoding = 9 * side**2 + finest * (14 * network.first_width + 3 * network.width)
    return int(4 * max(reading, upscaling, encoding if mode == "window" else 0))


@contextmanager
def memory_guard(network: Network, batch: int) -> Iterator[None]:
    """Turn running out of memory into an error with advice."""
    try:
        yield
    except RuntimeError as error:
        if not out_of_memory(error):
            raise
        raise DeviceError(_too_small(network, batch)) from error


def out_of_memory(error: RuntimeError) -> bool:
    """Return whether an error means that memory ran out; only CUDA has an exception for it."""
    words = str(error)
    return isinstance(error, torch.OutOfMemoryError) or (
        "DefaultCPUAllocator" in words or "MPS backend out of memory" in words
    )


def _too_small(network: Network, batch: int) -> str:
    if batch == 1:
        return (
            f"{network.device} has not enough memory for one object; use a smaller model, or the "
            "CPU"
        )
    return (
        f"{network.device} has not enough memory for {batch} objects at once; use a smaller "
        "batch, a smaller model, or the CPU"
    )
