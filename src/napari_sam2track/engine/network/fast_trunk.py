"""SAM2's image encoder with fewer copies, for inference.

The same weights and the same sums as `sam2.modeling.backbones`, in another order:

- Pixels stay in the order of the attention's windows from block to block, and are put back only
  where a stage ends; sam2 cuts and joins the windows in every block.
- Channels come last throughout, so that nothing is transposed.
- Where the pyramid adds nothing to a fine level, its projection and the mask decoder's are one.
"""

from __future__ import annotations

from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn


class FastTrunk:
    """Embeds images.

    Parameters
    ----------
    model
        A `sam2.modeling.sam2_base.SAM2Base`; its weights must not change any more.
    """

    def __init__(self, model: Any) -> None:
        self.trunk, self.neck = model.image_encoder.trunk, model.image_encoder.neck
        self.scalp: int = model.image_encoder.scalp
        side = model.image_size // 4
        self._position = self.trunk._get_pos_embed((side, side)).contiguous()
        decoder = model.sam_mask_decoder
        self._fine = [
            self._fine_weights(i, c) for i, c in enumerate((decoder.conv_s0, decoder.conv_s1))
        ]

    @staticmethod
    def knows(model: Any) -> bool:
        """Return whether the encoder is one of those that this is written for."""
        from sam2.modeling.backbones.hieradet import Hiera
        from sam2.modeling.backbones.image_encoder import FpnNeck

        trunk, neck = model.image_encoder.trunk, model.image_encoder.neck
        if type(trunk) is not Hiera or type(neck) is not FpnNeck or not trunk.return_interm_layers:
            return False
        pools = [b.pool for b in trunk.blocks if b.pool is not None]
        return (
            all(tuple(p.kernel_size) == tuple(p.stride) == (2, 2) for p in pools)
            and all(c.conv.kernel_size == (1, 1) and len(c) == 1 for c in neck.convs)
            and neck.fuse_type == "sum"
            and neck.fpn_interp_model == "nearest"
            and model.use_high_res_features_in_sam
            and len(neck.convs) - model.image_encoder.scalp >= 3
        )

    def _fine_weights(self, level: int, conv: Any) -> tuple[Tensor, Tensor] | None:
        """Return both projections of a fine level as one; None with the pyramid in between."""
        level += len(self.neck.convs) - self.scalp - 3
        if level in self.neck.fpn_top_down_levels and level < len(self.neck.convs) - 1:
            return None
        inner = self.neck.convs[len(self.neck.convs) - 1 - level].conv
        outer = conv.weight.flatten(1).double()
        weight = outer @ inner.weight.flatten(1).double()
        bias = outer @ inner.bias.double() + conv.bias.double()
        return weight.to(conv.weight.dtype), bias.to(conv.bias.dtype)

    def __call__(self, x_ncyx: Tensor, decoder: Any) -> tuple[Tensor, tuple[Tensor, Tensor]]:
        """Return the top level (N, C, S/16, S/16) and two fine ones, channels last in memory."""
        levels = self._stages(x_ncyx)
        neck, last = self.neck, len(levels) - 1
        top_at = last - self.scalp
        previous: Tensor | None = None
        pyramid: dict[int, Tensor] = {}
        lowest = min(
            i
            for i in range(top_at - 2, top_at + 1)
            if i == top_at or self._fine[i - top_at + 2] is None
        )
        for i in range(last, lowest - 1, -1):
            lateral = _pointwise(neck.convs[last - i].conv, levels[i])
            if i in neck.fpn_top_down_levels and previous is not None:
                n, h, w, c = previous.shape
                grown = previous[:, :, None, :, None].expand(n, h, 2, w, 2, c)
                lateral = (lateral.view(n, h, 2, w, 2, c) + grown).view(n, 2 * h, 2 * w, c)
            previous = pyramid[i] = lateral
        fine = []
        for k, conv in enumerate((decoder.conv_s0, decoder.conv_s1)):
            i, both = top_at - 2 + k, self._fine[k]
            fine.append(
                _pointwise(conv, pyramid[i]) if both is None else F.linear(levels[i], *both)
            )
        return _channels_first(pyramid[top_at]), (
            _channels_first(fine[0]),
            _channels_first(fine[1]),
        )

    def _stages(self, x_ncyx: Tensor) -> list[Tensor]:
        """Return the last features of every stage, (N, h, w, C)."""
        trunk = self.trunk
        x = trunk.patch_embed.proj(x_ncyx.contiguous(memory_format=torch.channels_last))
        x = x.permute(0, 2, 3, 1) + self._position
        n, side, _, _ = x.shape
        tile = side  # x is (n * tiles, tile, tile, C)
        out = []
        for i, block in enumerate(trunk.blocks):
            window = min(block.window_size, side) if block.window_size else 0
            if block.window_size and side % block.window_size:
                x = block(_retile(x, n, side, tile, side))  # sam2 pads here
                side = tile = x.shape[1]
            else:
                if window and window != tile:
                    x, tile = _retile(x, n, side, tile, window), window
                if tile % 2 and block.pool is not None:
                    x, tile = _retile(x, n, side, tile, side), side
                x = _block(block, x, n if not window else len(x))
                if block.pool is not None:
                    side, tile = side // 2, tile // 2
            if i in trunk.stage_ends:
                out.append(_retile(x, n, side, tile, side))
        return out


def _block(block: Any, x: Tensor, batch: int) -> Tensor:
    """Apply a `hieradet.MultiScaleBlock` to tiles (T, s, s, C), whose tokens attend in ``batch``
    groups.
    """
    attention = block.attn
    heads, width = attention.num_heads, attention.dim_out
    y = _norm(block.norm1, x)
    shortcut = x
    if block.dim != block.dim_out:
        shortcut = F.linear(y, block.proj.weight, block.proj.bias)
        shortcut = shortcut if block.pool is None else _pool(shortcut)
    qkv = F.linear(y, attention.qkv.weight, attention.qkv.bias)
    q, k, v = qkv[..., :width], qkv[..., width : 2 * width], qkv[..., 2 * width :]
    if block.pool is not None:
        q = _pool(q)

    def split(t: Tensor) -> Tensor:
        return t.reshape(batch, -1, heads, width // heads).transpose(1, 2)

    seen = F.scaled_dot_product_attention(split(q), split(k), split(v))
    seen = seen.transpose(1, 2).reshape(*shortcut.shape)
    x = shortcut + F.linear(seen, attention.proj.weight, attention.proj.bias)
    inner, outer = block.mlp.layers
    y = block.mlp.act(F.linear(_norm(block.norm2, x), inner.weight, inner.bias))
    return x.add_(F.linear(y, outer.weight, outer.bias))


def _retile(x: Tensor, n: int, side: int, old: int, new: int) -> Tensor:
    """Cut maps of ``side`` into tiles of ``new`` instead of ``old``, (n * tiles, old, old, C)."""
    if old == new:
        return x
    c = x.shape[-1]
    if old != side:
        k = side // old
        x = x.view(n, k, k, old, old, c).transpose(2, 3).reshape(n, side, side, c)
    if new != side:
        k = side // new
        x = x.view(n, k, new, k, new, c).transpose(2, 3).reshape(-1, new, new, c)
    return x


def _pool(x: Tensor) -> Tensor:
    """Return the largest of two by two, (N, h, w, C)."""
    x = torch.maximum(x[:, 0::2], x[:, 1::2])
    return torch.maximum(x[:, :, 0::2], x[:, :, 1::2])


def _norm(norm: nn.LayerNorm, x: Tensor) -> Tensor:
    return F.layer_norm(x, norm.normalized_shape, norm.weight, norm.bias, norm.eps)


def _pointwise(conv: Any, x_nyxc: Tensor) -> Tensor:
    """Apply a convolution with a 1 x 1 kernel to channels last."""
    return F.linear(x_nyxc, conv.weight.flatten(1), conv.bias)


def _channels_first(x_nyxc: Tensor) -> Tensor:
    return x_nyxc.permute(0, 3, 1, 2)
