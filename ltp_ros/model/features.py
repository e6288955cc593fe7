# Copyright 2026 The ltp_ros Authors
# SPDX-License-Identifier: Apache-2.0
"""What a model sees in a picture beside its own classes: features, for classes that are taught."""
from contextlib import contextmanager
from typing import Iterator, List, Tuple

import torch
from timm.models.vision_transformer import VisionTransformer
from torch import nn
from torch.nn import functional as F

from ltp_ros.model.last_block import is_plain, num_read


def logits_and_features(model: nn.Module, pixels: torch.Tensor
                        ) -> Tuple[torch.Tensor, torch.Tensor]:
    """Return the logits (B, C) of a Vision Transformer, and features (B, D) float32.

    The features are what its head reads; where that is one token, the mean of the patches that
    are left stands beside it, each of unit length: with 50 photos a class, a point of accuracy
    more than the token alone (docs/teaching.md). It is taken of what the attention of the last
    block reads, for its output is not computed where nobody else reads it (`last_block.attach`).

    Args:
        model: of timm, with a `TokenReducer` in `patch_drop`. Whether a `LastBlock` is attached
            makes no difference but of rounding.
        pixels: its input (B, 3, H, W).
    """
    if not isinstance(model, VisionTransformer):
        return _of_network(model, pixels)
    with _last_attended(model) as attended:
        tokens = model.forward_features(pixels)
    patches = (attended or [tokens])[0]
    if torch.onnx.is_in_onnx_export() and model.global_pool in ('token', 'avg'):
        parts = _pooled_at_once(model, tokens, patches)
    else:
        parts = model.forward_head(tokens, pre_logits=True).unsqueeze(1)
        if _reads_one_token(model):
            patches = patches[:, model.num_prefix_tokens:]
            parts = torch.cat([parts, patches.mean(dim=1, keepdim=True)], dim=1)
    return model.forward_head(tokens), F.normalize(parts.float(), dim=-1).flatten(1)


def num_features(model: nn.Module) -> int:
    """Return D."""
    if not isinstance(model, VisionTransformer):
        return getattr(model, 'head_hidden_size', model.num_features)
    return model.num_features * (2 if _reads_one_token(model) else 1)


def _of_network(model: nn.Module, pixels: torch.Tensor) -> Tuple[torch.Tensor, torch.Tensor]:
    """Return logits and features of another network, which has no tokens to drop."""
    model.patch_drop(pixels)  # notes, for who asks, that all is kept
    maps = model.forward_features(pixels)
    features = model.forward_head(maps, pre_logits=True).flatten(1)
    return model.forward_head(maps), F.normalize(features.float(), dim=-1)


def _reads_one_token(model: nn.Module) -> bool:
    return model.global_pool == 'token'


@contextmanager
def _last_attended(model: nn.Module) -> Iterator[List[torch.Tensor]]:
    """Collect what the last attention reads, (B, P + N, D); nothing of other kinds of blocks.

    By a hook, which CUDA graphs and exports follow while it is there.
    """
    found: List[torch.Tensor] = []
    if not (num_read(model) and is_plain(model.blocks[-1])):
        yield found
        return
    hook = model.blocks[-1].norm1.register_forward_hook(
        lambda norm, inputs, output: found.append(output))
    try:
        yield found
    finally:
        hook.remove()


def _pooled_at_once(model: nn.Module, tokens: torch.Tensor, patches: torch.Tensor
                    ) -> torch.Tensor:
    """Return (B, 1 or 2, D) that point where those above do.

    As products: whatever lies between an output and the last product OpenVINO computes in
    float32, and a mean has it do so with the residuals of all blocks, a tenth of the time.
    """
    prefix = model.num_prefix_tokens
    if not _reads_one_token(model):
        shares = _shares(tokens, prefix, getattr(model, 'pool_include_prefix', False), 1.0)
        return model.fc_norm(shares @ tokens)
    read = tokens[:, :num_read(model) or 1]
    return torch.cat([model.fc_norm(torch.ones_like(read[..., :1]).transpose(1, 2) @ read),
                      _shares(patches, prefix, 0.0, 1.0) @ patches], dim=1)


def _shares(tokens: torch.Tensor, prefix: int, of_prefix: float, of_patch: float) -> torch.Tensor:
    """Return as (B, 1, T) how much the first `prefix` of the tokens and the others count."""
    like = tokens[..., :1]
    return torch.cat([torch.full_like(like[:, :prefix], of_prefix),
                      torch.full_like(like[:, prefix:], of_patch)], dim=1).transpose(1, 2)
