"""Cache of embeddings: no image is encoded twice.

A correction shows the network the same pixels again: whole frames always, windows until they
move. An embedding is found by its pixels, so that no change needs to be announced.
"""

from __future__ import annotations

import contextlib
import hashlib
import os
import pickle
import re
import threading
from collections import OrderedDict
from collections.abc import Sequence
from pathlib import Path

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
        Most memory for embeddings; 0 keeps none.
    model_id
        Distinguishes models with other weights, such as their checksum.
    disk, disk_bytes
        Folder that caches embeddings for later runs, and the most bytes to put there.
        None: nothing is written.

    Attributes
    ----------
    encoded, hits
        Number of images that were computed, and that were found in the cache.
    """

    def __init__(
        self,
        network: Network,
        memory_bytes: int = 0,
        model_id: str = "",
        disk: Path | None = None,
        disk_bytes: int = 1 << 30,
    ) -> None:
        self.network, self.memory_bytes = network, memory_bytes
        self.encoded = self.hits = 0
        #: Key of what an embedding depends on beside the pixels. Networks that round differently do
        #: not share embeddings.
        dtype = next(network.model.parameters()).dtype
        kind = type(network).__name__
        salt = f"1 {model_id} {kind} {network.image_size} {dtype} {network.device.type}"
        self._salt = salt.encode()
        self._rows: OrderedDict[str, Row] = OrderedDict()
        self._bytes = 0
        self._lock = threading.Lock()
        self._store = None if disk is None else _Store(disk, disk_bytes)

    def encode(self, movie: Movie, t: int, views: Sequence[View]) -> Features:
        """Embed what the views show of frame ``t``; equal images are computed once."""
        size = self.network.image_size
        shared = share_reads(movie, t, views, size)
        images = [view.image(shared, t, size) for view in views]
        if not self.memory_bytes and self._store is None:
            return self._compute(images)
        keys = [self._key(image) for image in images]
        rows = self._known(keys)
        missing = {key: image for key, image in zip(keys, images, strict=True) if key not in rows}
        if missing:
            computed = self._compute(list(missing.values()))
            for n, key in enumerate(missing):
                one = computed.take(slice(n, n + 1))
                # a copy, since a row would keep the whole batch
                row = (one.top.clone(), one.fine[0].clone(), one.fine[1].clone())
                self._remember(key, row)
                if self._store is not None:
                    self._store.write(key, row)
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

    def _key(self, image_yxc: NDArray[np.uint8]) -> str:
        digest = hashlib.blake2b(self._salt, digest_size=20)
        digest.update(np.ascontiguousarray(image_yxc).data)
        return digest.hexdigest()

    def _known(self, keys: list[str]) -> dict[str, Row]:
        out = {}
        with self._lock:
            for key in keys:
                if key in self._rows:
                    self._rows.move_to_end(key)
                    out[key] = self._rows[key]
        if self._store is not None:
            for key in keys:
                if key not in out and (row := self._store.read(key)) is not None:
                    a, b, c = (x.to(self.network.device) for x in row)
                    out[key] = a, b, c
                    self._remember(key, out[key])
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


class _Store:
    """Embeddings in a folder; the least recently used ones make room."""

    _NAME = re.compile(r"[0-9a-f]{40}\.embedding")

    def __init__(self, folder: Path, most: int) -> None:
        folder.mkdir(parents=True, exist_ok=True)
        self.folder, self.most = folder, most
        self._lock = threading.Lock()
        # other files are ignored
        known = [p for p in folder.iterdir() if self._NAME.fullmatch(p.name)]
        known.sort(key=lambda p: p.stat().st_mtime_ns)
        self._sizes = OrderedDict((p.name, p.stat().st_size) for p in known)

    def read(self, key: str) -> Row | None:
        """Return an embedding that was written; None if it is missing or damaged."""
        path = self.folder / f"{key}.embedding"
        if path.name not in self._sizes:
            return None
        try:
            row = torch.load(path, map_location="cpu", weights_only=True)
            os.utime(path)
            a, b, c = row
        except (OSError, RuntimeError, ValueError, EOFError, pickle.UnpicklingError):
            self._drop(path.name)  # computed again
            return None
        with self._lock:
            if path.name in self._sizes:
                self._sizes.move_to_end(path.name)
        return a, b, c

    def write(self, key: str, row: Row) -> None:
        """Write a row, whole or not at all. A full disk only means that it is computed again."""
        path = self.folder / f"{key}.embedding"
        partial = path.with_name(f".{key}.{os.getpid()}.{threading.get_ident()}")
        try:
            torch.save(tuple(x.cpu() for x in row), partial)
            size = partial.stat().st_size
            if size > self.most:
                partial.unlink()
                return
            partial.replace(path)
        except (OSError, RuntimeError):
            with contextlib.suppress(OSError):
                partial.unlink(missing_ok=True)
            return
        with self._lock:
            self._sizes[path.name] = size
            self._sizes.move_to_end(path.name)
            total = sum(self._sizes.values())
            old = []
            for name, taken in self._sizes.items():
                if total <= self.most:
                    break
                total -= taken
                old.append(name)
        for name in old:
            self._drop(name)

    def _drop(self, name: str) -> None:
        with self._lock:
            self._sizes.pop(name, None)
        with contextlib.suppress(OSError):
            (self.folder / name).unlink(missing_ok=True)


def _size(row: Row) -> int:
    return sum(x.numel() * x.element_size() for x in row)
