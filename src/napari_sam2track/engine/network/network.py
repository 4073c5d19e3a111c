"""SAM2's parts as typed calls.

`sam2.modeling.sam2_base.SAM2Base` mixes computation with memory; here every
call takes its inputs and returns values, so that the caller owns all state. The arithmetic is
that of SAM2 at commit 2b90b9f (PyPI 1.1.0); tests compare with its own video predictor.

Coordinates in this module are SAM's: (x, y) in pixels of the model's square, edges at integers.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, fields, replace
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor

#: Value of every logit of an object that is absent (sam2_base.NO_OBJ_SCORE).
ABSENT_LOGIT = -1024.0


@dataclass(frozen=True, eq=False, slots=True)
class Features:
    """Embedding of images.

    Attributes
    ----------
    top
        (N, C, S/16, S/16), what memories and prompts are applied to.
    fine
        ((N, C/8, S/4, S/4), (N, C/4, S/8, S/8)), for sharp outlines.
    """

    top: Tensor
    fine: tuple[Tensor, Tensor]

    def __len__(self) -> int:
        return len(self.top)

    def expand(self, n: int) -> Features:
        """Return the embedding of one image, as seen by ``n`` objects (no copy)."""
        grow = (n, -1, -1, -1)
        return Features(
            self.top.expand(grow), (self.fine[0].expand(grow), self.fine[1].expand(grow))
        )

    def shared(self) -> Features:
        """Return one row for all, where all are the same image (`expand`); itself otherwise."""
        same = all(level.stride(0) == 0 for level in (self.top, *self.fine))
        return self.take(slice(0, 1)) if same and len(self) > 1 else self

    def take(self, index: Tensor | slice | list[int]) -> Features:
        """Return rows of the batch."""
        if isinstance(index, list) and len(self) > 1 and self.top.stride(0) == 0:
            return self.take(slice(0, 1)).expand(len(index))  # all are the same image: no copy
        return Features(self.top[index], (self.fine[0][index], self.fine[1][index]))


@dataclass(frozen=True, eq=False, slots=True)
class Decoded:
    """Masks for a batch of objects.

    Attributes
    ----------
    candidates
        (N, M, S/4, S/4) logits, M = 3 where SAM2 proposes several masks, else 1.
    ious
        (N, M) predicted IoU of the candidates.
    logits
        (N, 1, S/4, S/4), the best candidate.
    iou
        (N,) its predicted IoU.
    pointer
        (N, C) object pointer.
    score
        (N, 1) object score logit; 0 or less means that the object is absent.
    """

    candidates: Tensor
    ious: Tensor
    logits: Tensor
    iou: Tensor
    pointer: Tensor
    score: Tensor

    def take(self, index: list[int]) -> Decoded:
        """Return rows of the batch."""
        return Decoded(*(getattr(self, f.name)[index] for f in fields(self)))

    @classmethod
    def cat(cls, parts: Sequence[Decoded]) -> Decoded:
        """Join batches with as many candidates each."""
        return cls(*(torch.cat([getattr(p, f.name) for p in parts]) for f in fields(cls)))


@dataclass(frozen=True, eq=False, slots=True)
class MemoryTokens:
    """Memories of a batch of objects, all with the same number of entries.

    Attributes
    ----------
    maps
        (N, M, Cm, S/16, S/16) spatial memories.
    slots
        (N, M) int64: 0 for conditioning frames, else 1 (oldest) to num_maskmem - 1 (last frame).
    pointers
        (N, P, C) object pointers.
    distances
        (N, P) float: how many frames ago.
    pointer_span
        min(number of frames of the movie, most pointers), which scales the distances.
    """

    maps: Tensor
    slots: Tensor
    pointers: Tensor
    distances: Tensor
    pointer_span: int

    def take(self, index: list[int]) -> MemoryTokens:
        """Return rows of the batch."""
        return MemoryTokens(
            self.maps[index],
            self.slots[index],
            self.pointers[index],
            self.distances[index],
            self.pointer_span,
        )


class Network:
    """A SAM2 model as a set of calls. Holds weights and constants, no state.

    Parameters
    ----------
    model
        A `sam2.modeling.sam2_base.SAM2Base` (or a predictor, which is one).
    """

    def __init__(self, model: Any) -> None:
        self.model = model
        self.image_size: int = model.image_size
        self.width: int = model.hidden_dim
        self.memory_width: int = model.mem_dim
        self.n_memories: int = model.num_maskmem
        self.max_pointers: int = model.max_obj_ptrs_in_encoder
        self.first_width: int = model.image_encoder.trunk.patch_embed.proj.out_channels
        grid = self.image_size // 16
        self.grid = grid
        encoder = model.image_encoder.neck.position_encoding
        memory = model.memory_encoder.position_encoding
        blank = torch.zeros(1, 1, grid, grid, device=self.device)
        # only the top level's encoding is ever read, and it is the same for every image
        self._image_position = encoder(blank).flatten(2).permute(2, 0, 1)
        self._memory_position = memory(blank).flatten(2).permute(2, 0, 1)

    @property
    def device(self) -> torch.device:
        """Device of the weights."""
        device: torch.device = next(self.model.parameters()).device
        return device

    # -- image ---------------------------------------------------------------------------------

    def normalise(self, images_nyxc: Tensor) -> Tensor:
        """Turn uint8 RGB (N, S, S, 3) into the network's input (N, 3, S, S), float32."""
        x = images_nyxc.to(self.device).permute(0, 3, 1, 2).float() / 255.0
        mean = x.new_tensor((0.485, 0.456, 0.406)).view(1, 3, 1, 1)
        std = x.new_tensor((0.229, 0.224, 0.225)).view(1, 3, 1, 1)
        return (x - mean) / std

    def encode_images(self, x_ncyx: Tensor) -> Features:
        """Embed images (N, 3, S, S)."""
        encoder, decoder = self.model.image_encoder, self.model.sam_mask_decoder
        # the neck would also build two large position encodings that are never read
        levels = _neck_features(encoder.neck, encoder.trunk(x_ncyx))
        levels = levels[: len(levels) - encoder.scalp]
        fine, middle, top = levels[-3:]
        return Features(top, (decoder.conv_s0(fine), decoder.conv_s1(middle)))

    # -- memory --------------------------------------------------------------------------------

    def without_memory(self, features: Features) -> Tensor:
        """Return top features as the first frame of an object sees them, (N, C, h, w)."""
        top = features.top.flatten(2).permute(2, 0, 1) + self.model.no_mem_embed
        return top.permute(1, 2, 0).reshape(features.top.shape)

    def condition(self, features: Features, memory: MemoryTokens) -> Tensor:
        """Return top features fused with the memories of the objects, (N, C, h, w)."""
        model = self.model
        n, m = memory.slots.shape
        maps = memory.maps.flatten(3).permute(1, 3, 0, 2)  # (M, hw, N, Cm)
        times = model.maskmem_tpos_enc[self.n_memories - 1 - memory.slots]  # (N, M, 1, 1, Cm)
        times = times.reshape(n, m, -1).permute(1, 0, 2)[:, None]  # (M, 1, N, Cm)
        tokens = [maps.flatten(0, 1)]
        positions = [(self._memory_position[None] + times).flatten(0, 1)]
        split = self.width // self.memory_width
        n_pointers = memory.pointers.shape[1]
        if n_pointers:
            pointers = memory.pointers.permute(1, 0, 2)  # (P, N, C)
            pointers = pointers.reshape(n_pointers, n, split, self.memory_width)
            tokens.append(pointers.permute(0, 2, 1, 3).flatten(0, 1))
            place = self._pointer_positions(memory.distances, memory.pointer_span)
            positions.append(place.permute(1, 0, 2).repeat_interleave(split, dim=0))
        dtype = self._image_position.dtype
        fused = model.memory_attention(
            curr=[features.top.flatten(2).permute(2, 0, 1)],
            curr_pos=[self._image_position.expand(-1, n, -1)],
            memory=torch.cat([t.to(dtype) for t in tokens]),
            memory_pos=torch.cat([p.to(dtype) for p in positions]),
            num_obj_ptr_tokens=n_pointers * split,
        )
        return fused.permute(1, 2, 0).reshape(features.top.shape)

    def _pointer_positions(self, distances_np: Tensor, span: int) -> Tensor:
        """Return the temporal encoding of pointers, (N, P, Cm)."""
        from sam2.modeling.sam2_utils import get_1d_sine_pe

        model = self.model
        if not model.add_tpos_enc_to_obj_ptrs:
            return distances_np.new_zeros(*distances_np.shape, self.memory_width)
        width = self.width if model.proj_tpos_enc_in_obj_ptrs else self.memory_width
        flat = get_1d_sine_pe(distances_np.flatten() / (span - 1), dim=width)
        out: Tensor = model.obj_ptr_tpos_proj(flat)
        return out.view(*distances_np.shape, self.memory_width)

    def encode_memory(
        self, features: Features, logits_n1yx: Tensor, score: Tensor, from_prompt: bool
    ) -> Tensor:
        """Make a memory of frames and the masks found on them, (N, Cm, h, w).

        Parameters
        ----------
        features
            The frames' own (unconditioned) features.
        logits_n1yx
            (N, 1, S/4, S/4) or already (N, 1, S, S).
        score
            (N, 1) object score logits.
        from_prompt
            Whether a person prompted these frames: SAM2 then remembers a binary mask.
        """
        model = self.model
        tokens = features.top.flatten(2).permute(2, 0, 1)
        maps, _ = model._encode_new_memory(
            current_vision_feats=[tokens],
            feat_sizes=[(self.grid, self.grid)],
            pred_masks_high_res=self.full_size(logits_n1yx),
            object_score_logits=score,
            is_mask_from_pts=from_prompt,
        )
        out: Tensor = maps
        return out

    # -- masks ---------------------------------------------------------------------------------

    def full_size(self, logits_nmyx: Tensor) -> Tensor:
        """Return logits at the model's own size, (N, M, S, S)."""
        if logits_nmyx.shape[-1] == self.image_size:
            return logits_nmyx
        size = (self.image_size, self.image_size)
        return F.interpolate(logits_nmyx, size=size, mode="bilinear", align_corners=False)

    def several_masks(self, n_points: int) -> bool:
        """Return whether SAM2 proposes three masks for so many points (a box counts as two)."""
        m = self.model
        return bool(
            m.multimask_output_in_sam
            and m.multimask_min_pt_num <= n_points <= m.multimask_max_pt_num
        )

    def decode(
        self,
        conditioned: Tensor,
        features: Features,
        points_npxy: Tensor | None = None,
        labels_np: Tensor | None = None,
        previous_n1yx: Tensor | None = None,
        multimask: bool | None = None,
        trust: bool = False,
    ) -> Decoded:
        """Decode masks from conditioned features and prompts.

        Parameters
        ----------
        conditioned
            (N, C, h, w) from `condition` or `without_memory`.
        features
            The same frames' features, for their fine levels.
        points_npxy, labels_np
            (N, P, 2) float and (N, P) int32: 1 positive, 0 negative, 2 and 3 corners of a box,
            which come first. None without a prompt.
        previous_n1yx
            (N, 1, S/4, S/4) logits that the points correct.
        multimask
            Three candidates or one; None decides as SAM2 does.
        trust
            The object is known to be there: it counts as present whatever the score.
        """
        model, n = self.model, len(conditioned)
        if multimask is None:
            multimask = self.several_masks(0 if points_npxy is None else points_npxy.shape[1])
        prompts = self._prompts(n, points_npxy, labels_np, previous_n1yx)
        masks, ious, sam_tokens, score = self._masks(conditioned, prompts, features, multimask)
        if trust:
            score = score.clamp(min=1.0)
        if model.pred_obj_scores and not model.training:  # in training all masks are supervised
            masks = torch.where(score[:, None, None] > 0, masks, ABSENT_LOGIT)
        masks = masks.float()
        rows = torch.arange(n, device=masks.device)
        best = ious.argmax(dim=-1) if multimask else torch.zeros_like(rows)
        token = sam_tokens[rows, best] if sam_tokens.shape[1] > 1 else sam_tokens[:, 0]
        return Decoded(
            candidates=masks,
            ious=ious,
            logits=masks[rows, best].unsqueeze(1),
            iou=ious[rows, best],
            pointer=self._pointer(token, score > 0),
            score=score,
        )

    def without(self, decoded: Decoded, gone: Tensor) -> Decoded:
        """Return the masks, with the objects of ``gone`` (N,) bool absent."""
        absent = gone[:, None]
        none = torch.zeros_like(decoded.pointer)
        none = self._unless_absent(none, torch.zeros_like(absent))
        masks = absent[..., None, None]
        return replace(
            decoded,
            candidates=torch.where(masks, ABSENT_LOGIT, decoded.candidates),
            logits=torch.where(masks, ABSENT_LOGIT, decoded.logits),
            pointer=torch.where(absent, none, decoded.pointer),
            score=torch.where(absent, decoded.score.clamp(max=-1.0), decoded.score),
        )

    def _prompts(
        self, n: int, points: Tensor | None, labels: Tensor | None, previous: Tensor | None
    ) -> tuple[Tensor, Tensor]:
        """Return the embeddings of prompts: tokens (N, P, C) and an image (N, C, h, w)."""
        if points is None or labels is None:
            points = torch.zeros(n, 1, 2, device=self.device)
            labels = torch.full((n, 1), -1, dtype=torch.int32, device=self.device)
        sparse, dense = self.model.sam_prompt_encoder(
            points=(points, labels), boxes=None, masks=previous
        )
        return sparse, dense

    def _masks(
        self,
        conditioned: Tensor,
        prompts: tuple[Tensor, Tensor],
        features: Features,
        multimask: bool,
    ) -> tuple[Tensor, Tensor, Tensor, Tensor]:
        """Return masks (N, M, S/4, S/4), IoUs (N, M), tokens (N, 1 or M, C) and scores (N, 1)."""
        masks, ious, tokens, score = self.model.sam_mask_decoder(
            image_embeddings=conditioned,
            image_pe=self.model.sam_prompt_encoder.get_dense_pe(),
            sparse_prompt_embeddings=prompts[0],
            dense_prompt_embeddings=prompts[1],
            multimask_output=multimask,
            repeat_image=False,
            high_res_features=list(features.fine),
        )
        return masks, ious, tokens, score

    def _pointer(self, token: Tensor, present: Tensor) -> Tensor:
        return self._unless_absent(self.model.obj_ptr_proj(token), present)

    def _unless_absent(self, pointer: Tensor, present: Tensor) -> Tensor:
        """Return the pointer (N, C), or that of absence where ``present`` (N, 1) is False."""
        model = self.model
        if model.pred_obj_scores:
            there = present.to(pointer.dtype)
            if model.fixed_no_obj_ptr:
                pointer = there * pointer
            pointer = pointer + (1 - there) * model.no_obj_ptr
        return pointer

    def adopt(self, features: Features, masks_n1yx: Tensor) -> Decoded:
        """Take given masks (N, 1, S, S), in {0, 1}, as the result; only the pointer is computed."""
        model = self.model
        masks = masks_n1yx.float()
        low = F.interpolate(
            masks * 20.0 - 10.0,
            size=(self.image_size // 4, self.image_size // 4),
            mode="bilinear",
            align_corners=False,
            antialias=True,
        )
        hint = model.mask_downsample(masks)
        if hint.shape[-2:] != model.sam_prompt_encoder.mask_input_size:
            hint = F.interpolate(
                hint.float(),
                size=model.sam_prompt_encoder.mask_input_size,
                mode="bilinear",
                align_corners=False,
                antialias=True,
            )
        # as SAM2 does, the pixel features go in without any memory embedding here
        decoded = self.decode(features.top, features, previous_n1yx=hint, multimask=False)
        present = masks.flatten(1).any(dim=1, keepdim=True)
        pointer = self._unless_absent(decoded.pointer, present)
        score = 20.0 * present.to(pointer.dtype) - 10.0
        ious = torch.ones(len(masks), 1, device=masks.device)
        return Decoded(low, ious, low, ious[:, 0], pointer, score)


def _neck_features(neck: Any, levels: list[Tensor]) -> list[Tensor]:
    """Return the feature pyramid of `sam2...image_encoder.FpnNeck`, without position encodings."""
    out: list[Tensor | None] = [None] * len(neck.convs)
    previous: Tensor | None = None
    last = len(neck.convs) - 1
    for i in range(last, -1, -1):
        lateral = neck.convs[last - i](levels[i])
        if i in neck.fpn_top_down_levels and previous is not None:
            grown = F.interpolate(
                previous.to(dtype=torch.float32),
                scale_factor=2.0,
                mode=neck.fpn_interp_model,
                align_corners=None if neck.fpn_interp_model == "nearest" else False,
            )
            previous = lateral + grown
            if neck.fuse_type == "avg":
                previous = previous / 2
        else:
            previous = lateral
        out[i] = previous
    return [level for level in out if level is not None]
