"""Cache of the network and its data, kept from one run to the next."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from napari_sam2track.models.registry import ModelInfo
from napari_sam2track.params import EngineParams

if TYPE_CHECKING:
    from napari_sam2track.engine.embeddings import Encoder
    from napari_sam2track.engine.network.network import Network


@dataclass
class ModelCache:
    """Cache of the network, its weights' checksum and its embeddings, of the model used last.

    Sessions that are made of one another share it.
    """

    _image_size: tuple[ModelInfo, int] | None = None
    _sha256: tuple[ModelInfo, str] | None = None
    _network: tuple[object, Network] | None = field(default=None, repr=False)
    _encoder: tuple[object, Encoder] | None = field(default=None, repr=False)

    def image_size(self, model: ModelInfo) -> int:
        """Return the side of the square that a model was made for, in pixels."""
        from napari_sam2track.models.loading import load_config

        if self._image_size is None or self._image_size[0] != model:
            self._image_size = model, int(load_config(model)["image_size"])
        return self._image_size[1]

    def sha256(self, model: ModelInfo) -> str:
        """Return the checksum of a model's weights, after comparing it with the registry's."""
        from napari_sam2track.models.download import verify

        if self._sha256 is None or self._sha256[0] != model:
            self._sha256 = model, verify(model)
        return self._sha256[1]

    def network(self, model: ModelInfo, device: str, size: int) -> Network:
        """Return the network with its weights, built for squares of a size in pixels."""
        from napari_sam2track.engine.network.network import Network
        from napari_sam2track.models.loading import load_network

        wanted = model, device, size
        if self._network is None or self._network[0] != wanted:
            self._network = wanted, Network(load_network(model, device, image_size=size))
        return self._network[1]

    def encoder(self, model: ModelInfo, device: str, size: int, engine: EngineParams) -> Encoder:
        """Return the encoder, which caches embeddings from one run to the next."""
        from napari_sam2track.engine.embeddings import Encoder

        wanted = model, device, size, engine.cache_memory, engine.equality
        if self._encoder is None or self._encoder[0] != wanted:
            network = self.computing(model, device, size, engine)
            self._encoder = wanted, Encoder(network, engine.cache_memory << 20)
        return self._encoder[1]

    def computing(self, model: ModelInfo, device: str, size: int, engine: EngineParams) -> Network:
        """Return the network as a run uses it: as SAM2 computes, or rounding differently."""
        from napari_sam2track.engine.network.fast import fast_version

        network = self.network(model, device, size)
        return network if engine.equality == "exact" else fast_version(network)
