"""SAM2's mask decoder with fewer and larger operations, for inference."""

from __future__ import annotations

from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor


class FastDecoder:
    """`sam2.modeling.sam.mask_decoder.MaskDecoder` and its two-way transformer.

    The image's side: keys, values and queries of the same pixels are one product, and places come
    in as a table. The tokens' side: without a prompt they are the same for all objects until they
    look at the image.

    Parameters
    ----------
    model
        A `sam2.modeling.sam2_base.SAM2Base`; its weights must not change any more.
    """

    def __init__(self, model: Any) -> None:
        decoder = self.decoder = model.sam_mask_decoder
        prompts = model.sam_prompt_encoder
        device = next(decoder.parameters()).device
        points = torch.zeros(1, 1, 2, device=device)
        labels = -torch.ones(1, 1, dtype=torch.int32, device=device)
        sparse, _ = prompts(points=(points, labels), boxes=None, masks=None)
        dense = prompts.no_mask_embed.weight[:, :, None, None]
        #: Embeddings of no prompt at all, one for any number of objects.
        self.nothing: tuple[Tensor, Tensor] = (sparse, dense)
        first = [decoder.obj_score_token.weight] if decoder.pred_obj_scores else []
        self._tokens = torch.cat([*first, decoder.iou_token.weight, decoder.mask_tokens.weight])[
            None
        ]
        place = prompts.get_dense_pe().flatten(2).transpose(1, 2)  # (1, hw, C)
        layers = decoder.transformer.layers
        self._image = [
            _Fused(
                (b.cross_attn_token_to_image.k_proj, True),
                (b.cross_attn_token_to_image.v_proj, False),
                (b.cross_attn_image_to_token.q_proj, True),
                place=place,
            )
            for b in layers
        ]
        last = decoder.transformer.final_attn_token_to_image
        self._last = _Fused((last.k_proj, True), (last.v_proj, False), place=place)
        mlps = decoder.output_hypernetworks_mlps
        self._hyper = [
            (
                torch.stack([m.layers[i].weight.t() for m in mlps]),
                torch.stack([m.layers[i].bias for m in mlps])[:, None],
            )
            for i in range(len(mlps[0].layers))
        ]
        self._grow = [_grown(decoder.output_upscaling[i]) for i in (0, 3)]
        self._begin = self._look_at_oneself(layers[0], self._tokens_with(sparse), None)

    @staticmethod
    def knows(model: Any) -> bool:
        """Return whether the decoder is one that this is written for."""
        from sam2.modeling.sam.mask_decoder import MaskDecoder
        from sam2.modeling.sam.transformer import TwoWayTransformer

        decoder = model.sam_mask_decoder
        return (
            type(decoder) is MaskDecoder
            and type(decoder.transformer) is TwoWayTransformer
            and decoder.use_high_res_features
        )

    def _tokens_with(self, sparse: Tensor) -> Tensor:
        return torch.cat([self._tokens.expand(len(sparse), -1, -1), sparse], dim=1)

    def __call__(
        self,
        conditioned: Tensor,
        prompts: tuple[Tensor, Tensor],
        fine: tuple[Tensor, Tensor],
        multimask: bool,
    ) -> tuple[Tensor, Tensor, Tensor, Tensor]:
        """Return masks, their predicted IoUs, tokens and object scores, as the decoder does."""
        decoder = self.decoder
        sparse, dense = prompts
        h, w = conditioned.shape[-2:]
        pixels = (conditioned + dense).flatten(2).transpose(1, 2)
        tokens, pixels = self._two_ways(pixels, sparse, prompts is self.nothing)
        s = int(decoder.pred_obj_scores)
        mask_tokens = tokens[:, s + 1 : s + 1 + decoder.num_mask_tokens]
        masks = self._upscaled(pixels, h, w, fine, self._hypernetworks(mask_tokens))
        ious = decoder.iou_prediction_head(tokens[:, s])
        score = (
            decoder.pred_obj_score_head(tokens[:, 0]) if s else 10.0 * ious.new_ones(len(ious), 1)
        )
        several = multimask and decoder.use_multimask_token_for_obj_ptr
        kept = mask_tokens[:, 1:] if several else mask_tokens[:, :1]
        if multimask:
            return masks[:, 1:], ious[:, 1:], kept, score
        if decoder.dynamic_multimask_via_stability:
            masks, ious = decoder._dynamic_multimask_via_stability(masks, ious)
        else:
            masks, ious = masks[:, :1], ious[:, :1]
        return masks, ious, kept, score

    def _look_at_oneself(self, block: Any, queries: Tensor, place: Tensor | None) -> Tensor:
        """Compute the tokens' attention among themselves; the first block's has no places."""
        own = block.self_attn
        if place is None:
            return block.norm1(own(q=queries, k=queries, v=queries))
        q = queries + place
        return block.norm1(queries + own(q=q, k=q, v=queries))

    def _two_ways(self, pixels: Tensor, sparse: Tensor, unprompted: bool) -> tuple[Tensor, Tensor]:
        transformer = self.decoder.transformer
        place = self._tokens_with(sparse)
        queries = place
        for i, block in enumerate(transformer.layers):
            if i == 0 and unprompted:
                queries = self._begin
            else:
                queries = self._look_at_oneself(block, queries, None if i == 0 else place)
            to_image, to_token = block.cross_attn_token_to_image, block.cross_attn_image_to_token
            k, v, q = self._image[i](pixels)
            seen = _attend(to_image.q_proj(queries + place), k, v, to_image)
            queries = block.norm2(queries + seen)
            queries = block.norm3(queries + block.mlp(queries))
            k, v = to_token.k_proj(queries + place), to_token.v_proj(queries)
            pixels = block.norm4(pixels + _attend(q, k, v, to_token))
        last = transformer.final_attn_token_to_image
        k, v = self._last(pixels)
        queries = queries + _attend(last.q_proj(queries + place), k, v, last)
        return transformer.norm_final_attn(queries), pixels

    def _hypernetworks(self, tokens: Tensor) -> Tensor:
        """Apply the network of each mask token, (N, M, C) to (N, M, C / 8)."""
        x = tokens.transpose(0, 1)
        for i, (weight, bias) in enumerate(self._hyper):
            x = torch.baddbmm(bias, x, weight)
            if i < len(self._hyper) - 1:
                x = x.relu_()
        return x.transpose(0, 1)

    def _upscaled(
        self, pixels: Tensor, h: int, w: int, fine: tuple[Tensor, Tensor], hyper: Tensor
    ) -> Tensor:
        """Enlarge pixels (N, h w, C) four times, and return their masks, (N, M, 4 h, 4 w)."""
        _, norm, act, _, last = self.decoder.output_upscaling
        n = len(pixels)
        x = _double(pixels, h, w, *self._grow[0]) + fine[1].permute(0, 2, 3, 1)
        x = act(F.layer_norm(x, x.shape[-1:], norm.weight, norm.bias, norm.eps))
        x = _double(x.view(n, 4 * h * w, -1), 2 * h, 2 * w, *self._grow[1])
        x = last(x + fine[0].permute(0, 2, 3, 1))
        masks = hyper @ x.view(n, 16 * h * w, -1).transpose(1, 2)
        return masks.view(n, -1, 4 * h, 4 * w)


class _Fused:
    """Projections of the same pixels as one product; some add the positional encoding."""

    def __init__(self, *parts: tuple[Any, bool], place: Tensor) -> None:
        self.weight = torch.cat([p.weight for p, _ in parts])
        self.widths = [p.out_features for p, _ in parts]
        self.table = torch.cat(
            [p(place) if placed else p.bias.expand(*place.shape[:2], -1) for p, placed in parts],
            dim=-1,
        )

    def __call__(self, pixels: Tensor) -> tuple[Tensor, ...]:
        return F.linear(pixels, self.weight).add_(self.table).split(self.widths, dim=-1)


def _attend(q: Tensor, k: Tensor, v: Tensor, attention: Any) -> Tensor:
    heads = attention.num_heads

    def split(t: Tensor) -> Tensor:
        return t.unflatten(-1, (heads, -1)).transpose(1, 2)

    q, k, v = split(q).expand(len(k), -1, -1, -1), split(k), split(v)
    out = F.scaled_dot_product_attention(q, k, v).transpose(1, 2).flatten(2)
    projected: Tensor = attention.out_proj(out)
    return projected


def _grown(conv: Any) -> tuple[Tensor, Tensor]:
    """Return a transposed convolution (stride and kernel 2) as a product: (4 C', C), (4 C',)."""
    return conv.weight.permute(2, 3, 1, 0).flatten(0, 2).contiguous(), conv.bias.repeat(4)


def _double(pixels: Tensor, h: int, w: int, weight: Tensor, bias: Tensor) -> Tensor:
    """(N, h w, C) to (N, 2 h, 2 w, C')."""
    n, c = len(pixels), len(bias) // 4
    x = F.linear(pixels, weight, bias).view(n, h, w, 2, 2, c)
    return x.transpose(2, 3).reshape(n, 2 * h, 2 * w, c)
