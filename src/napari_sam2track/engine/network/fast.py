"""The network with less to do on each call, for inference; docs/figures/speed.md has the figures.

What depends on the weights alone is computed once; what objects share on a frame is computed
once a frame; projections of the same tokens are one product; channels come last. Results differ
from sam2's own modules by rounding only, and ``exact`` does not use any of it.
"""

from __future__ import annotations

from typing import Any
from weakref import WeakKeyDictionary

import torch
import torch.nn.functional as F
from torch import Tensor

from napari_sam2track.engine.network.fast_decoder import FastDecoder
from napari_sam2track.engine.network.fast_trunk import FastTrunk
from napari_sam2track.engine.network.network import Features, MemoryTokens, Network

#: Fast versions of networks that are in use: a run and the preview of a click share them.
_KNOWN: WeakKeyDictionary[Network, FastNetwork] = WeakKeyDictionary()


def fast_version(network: Network) -> Network:
    """Return the network for inference, rounding differently; its weights must not change.

    Networks that have their own way of computing are returned as they are, and so are those
    on devices other than the CPU, where this was not tested.
    """
    if network.device.type != "cpu" or type(network) is not Network:
        return network
    if network not in _KNOWN:
        _KNOWN[network] = FastNetwork(network.model)
    return _KNOWN[network]


class FastNetwork(Network):
    """A `Network` for following many objects.

    Parts of a model that are not built as in SAM2's own configs stay sam2's modules.

    Parameters
    ----------
    model
        As in `Network`; its weights must not change any more.
    """

    @torch.inference_mode()
    def __init__(self, model: Any) -> None:
        super().__init__(model)
        self._trunk = FastTrunk(model) if FastTrunk.knows(model) else None
        self._memories = FastMemories(self) if FastMemories.knows(model) else None
        self._decoder = FastDecoder(model) if FastDecoder.knows(model) else None

    def encode_images(self, x_ncyx: Tensor) -> Features:
        """Embed images, see `Network.encode_images`."""
        if self._trunk is None:
            return super().encode_images(x_ncyx)
        return Features(*self._trunk(x_ncyx, self.model.sam_mask_decoder))

    def condition(self, features: Features, memory: MemoryTokens) -> Tensor:
        """Fuse features with memories, see `Network.condition`."""
        if self._memories is None:
            return super().condition(features, memory)
        return self._memories(features, memory)

    def encode_memory(
        self, features: Features, logits_n1yx: Tensor, score: Tensor, from_prompt: bool
    ) -> Tensor:
        """Make memories of frames and masks, see `Network.encode_memory`."""
        model, encoder = self.model, self.model.memory_encoder
        shown = self.full_size(logits_n1yx)
        if model.binarize_mask_from_pts_for_mem_enc and from_prompt:
            shown = (shown > 0).float()
        else:
            shown = shown.sigmoid()
        shown = shown.mul_(model.sigmoid_scale_for_mem_enc).add_(model.sigmoid_bias_for_mem_enc)
        x = encoder.mask_downsampler(shown)
        # its blocks are faster channels first
        x += encoder.pix_feat_proj(features.shared().top.contiguous())
        maps: Tensor = encoder.out_proj(encoder.fuser(x))
        if model.no_obj_embed_spatial is not None:
            absent = (score <= 0).to(maps.dtype)[..., None, None]
            maps += absent * model.no_obj_embed_spatial[..., None, None]
        return maps

    def _prompts(
        self, n: int, points: Tensor | None, labels: Tensor | None, previous: Tensor | None
    ) -> tuple[Tensor, Tensor]:
        if points is None and previous is None and self._decoder is not None:
            return self._decoder.nothing
        return super()._prompts(n, points, labels, previous)

    def _masks(
        self,
        conditioned: Tensor,
        prompts: tuple[Tensor, Tensor],
        features: Features,
        multimask: bool,
    ) -> tuple[Tensor, Tensor, Tensor, Tensor]:
        if self._decoder is None:
            return super()._masks(conditioned, prompts, features, multimask)
        return self._decoder(conditioned, prompts, features.shared().fine, multimask)


class FastMemories:
    """`sam2.modeling.memory_attention` on the memories of objects.

    Keys are k(m + p) = k(m) + k(p), and rotating them by place is linear: the positional part
    is a table. Until memories are read, all objects of one frame are the same.
    """

    def __init__(self, network: Network) -> None:
        self.network, model = network, network.model
        self.attention = model.memory_attention
        grid = network.grid
        cross = [layer.cross_attn_image for layer in self.attention.layers]
        device = network.device
        self._turn = cross[0].compute_cis(end_x=grid, end_y=grid).to(device)
        self._place = 0.1 * network._image_position.transpose(0, 1)  # (1, hw, C)
        slots = torch.arange(network.n_memories, device=device)
        times = model.maskmem_tpos_enc[network.n_memories - 1 - slots].reshape(len(slots), 1, -1)
        places = network._memory_position.transpose(0, 1) + times  # (slots, hw, Cm)
        self._tables = [self._turned(c.k_proj(places)) for c in cross]

    @staticmethod
    def knows(model: Any) -> bool:
        """Return whether the attention is one of those that this is written for."""
        from sam2.modeling.memory_attention import MemoryAttention, MemoryAttentionLayer
        from sam2.modeling.sam.transformer import RoPEAttention

        attention = model.memory_attention
        if type(attention) is not MemoryAttention or not attention.batch_first:
            return False
        return attention.pos_enc_at_input and all(
            type(layer) is MemoryAttentionLayer
            and layer.pos_enc_at_cross_attn_keys
            and not layer.pos_enc_at_attn
            and not layer.pos_enc_at_cross_attn_queries
            and layer.activation_str == "relu"
            and all(
                type(a) is RoPEAttention and a.num_heads == 1 and a.internal_dim == model.hidden_dim
                for a in (layer.self_attn, layer.cross_attn_image)
            )
            for layer in attention.layers
        )

    def __call__(self, features: Features, memory: MemoryTokens) -> Tensor:
        """Return conditioned features, see `Network.condition`."""
        n, attention = len(features.top), self.attention
        top = features.shared().top
        x = top.flatten(2).transpose(1, 2) + self._place
        remembered = self._keys_values(memory)
        for layer, (k, v) in zip(attention.layers, remembered, strict=True):
            own, y = layer.self_attn, layer.norm1(x)
            seen = _attend(self._turned(own.q_proj(y)), self._turned(own.k_proj(y)), own.v_proj(y))
            x = x + own.out_proj(seen)
            cross = layer.cross_attn_image
            q = self._turned(cross.q_proj(layer.norm2(x)))
            x = x + cross.out_proj(_attend(q.expand(n, -1, -1), k, v))
            x += layer.linear2(layer.linear1(layer.norm3(x)).relu_())
        x = attention.norm(x)
        return x.transpose(1, 2).unflatten(2, features.top.shape[-2:])

    def _keys_values(self, memory: MemoryTokens) -> list[tuple[Tensor, Tensor]]:
        """Return the keys and values of each layer, (N, tokens, C) each."""
        network = self.network
        n, m = memory.slots.shape
        cells, width = network.grid**2, network.width
        split = width // network.memory_width
        p = memory.pointers.shape[1]
        tokens = self._tables[0].new_empty(n, m * cells + p * split, network.memory_width)
        tokens[:, : m * cells].unflatten(1, (m, cells)).copy_(
            memory.maps.flatten(3).transpose(2, 3)
        )
        if p:
            pointers = memory.pointers.reshape(n, p * split, network.memory_width)
            tokens[:, m * cells :].copy_(pointers)
        same = n == 1 or bool((memory.slots == memory.slots[:1]).all())
        slots = memory.slots[:1] if same else memory.slots
        away = memory.distances
        if p:
            alike = n == 1 or bool((away == away[:1]).all())
            ages = network._pointer_positions(away[:1] if alike else away, memory.pointer_span)
        out = []
        for i, layer in enumerate(self.attention.layers):
            cross = layer.cross_attn_image
            k = F.linear(tokens, cross.k_proj.weight)  # the bias comes with the place
            maps = k[:, : m * cells].unflatten(1, (m, cells))
            self._turned(maps).add_(self._tables[i][slots])
            if p:
                k[:, m * cells :].unflatten(1, (p, split)).add_(cross.k_proj(ages)[:, :, None])
            out.append((k, cross.v_proj(tokens)))
        return out

    def _turned(self, x: Tensor) -> Tensor:
        """Rotate by place, in place: pairs of channels as complex numbers, times unit ones."""
        torch.view_as_complex(x.unflatten(-1, (-1, 2))).mul_(self._turn)
        return x


def _attend(q: Tensor, k: Tensor, v: Tensor) -> Tensor:
    """Attention with one head, all (N, tokens, C)."""
    return F.scaled_dot_product_attention(q[:, None], k[:, None], v[:, None])[:, 0]
