"""Cache of embeddings: no image is encoded twice.

A correction shows the network the same pixels again: whole frames always, windows until they
move. An embedding is found by its pixels, so that no change needs to be announced.
"""

from __future__ import annotations

import hashlib
import threading
from collections import OrderedDict
from collections.abc import Sequence

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from napari_sam2track.engine.network.network import Features, Network
from napari_sam2track.engine.views.shared_reads import share_reads
from napari_sam2track.engine.views.views import Movie, View

#: Of one image: top, fine, finer; each (1, C, h, w).
Row = tuple[Tensor, Tensor, Tensor]


class Encoder:
    """Embeds what views show, and caches it within a budget. Safe to use in several threads.

    Parameters
    ----------
    network
        Computes the embeddings.
    memory_bytes
        Most memory for embeddings; 0 remembers none.

    Attributes
    ----------
    encoded, hits
        Number of images that were computed, and that were found in the cache.
    """

    def __init__(self, network: Network, memory_bytes: int = 0) -> None:
        self.network, self.memory_bytes = network, memory_bytes
        self.encoded = self.hits = 0
        self._rows: OrderedDict[str, Row] = OrderedDict()
        self._bytes = 0
        self._lock = threading.Lock()

    def encode(self, movie: Movie, t: int, views: Sequence[View]) -> Features:
        """Embed what the views show of frame ``t``; equal images are computed once."""
        size = self.network.image_size
        shared = share_reads(movie, t, views, size)
        images = [view.image(shared, t, size) for view in views]
        if not self.memory_bytes:
            return self._compute(images)
        keys = [_key(image) for image in images]
        rows = self._known(keys)
        missing = {key: image for key, image in zip(keys, images, strict=True) if key not in rows}
        if missing:
            computed = self._compute(list(missing.values()))
            for n, key in enumerate(missing):
                one = computed.take(slice(n, n + 1))
                # a copy, since a row would keep the whole batch
                row = (one.top.clone(), one.fine[0].clone(), one.fine[1].clone())
                self._remember(key, row)
                rows[key] = row
        with self._lock:
            self.hits += len(keys) - len(missing)
        if len(keys) == len(missing):
            return computed
        top, fine, finer = (torch.cat([rows[key][i] for key in keys]) for i in range(3))
        return Features(top, (fine, finer))

    def _compute(self, images: list[NDArray[np.uint8]]) -> Features:
        with self._lock:
            self.encoded += len(images)
        network = self.network
        return network.encode_images(network.normalise(torch.from_numpy(np.stack(images))))

    def _known(self, keys: list[str]) -> dict[str, Row]:
        out = {}
        with self._lock:
            for key in keys:
                if key in self._rows:
                    self._rows.move_to_end(key)
                    out[key] = self._rows[key]
        return out

    def _remember(self, key: str, row: Row) -> None:
        with self._lock:
            if key in self._rows:
                return
            self._rows[key] = row
            self._bytes += _size(row)
            while self._bytes > self.memory_bytes:
                _, old = self._rows.popitem(last=False)
                self._bytes -= _size(old)


def _key(image_yxc: NDArray[np.uint8]) -> str:
    return hashlib.blake2b(np.ascontiguousarray(image_yxc).data, digest_size=20).hexdigest()


def _size(row: Row) -> int:
    return sum(x.numel() * x.element_size() for x in row)
