# Copyright 2026 The ltp_ros Authors
# SPDX-License-Identifier: Apache-2.0
"""What a model sees in a picture beside its own classes: features, for classes that are taught."""
from typing import Tuple

import torch
from torch import nn
from torch.nn import functional as F


def logits_and_features(model: nn.Module, pixels: torch.Tensor
                        ) -> Tuple[torch.Tensor, torch.Tensor]:
    """Return the logits (B, C) of a Vision Transformer, and features (B, D) float32.

    The features are what its head reads; where that is one token, the mean of the patches that
    are left stands beside it, each of unit length: with 50 photos a class, two points of accuracy
    more than the token alone (docs/teaching.md).

    Args:
        model: of timm, with a `TokenReducer` in `patch_drop`.
        pixels: its input (B, 3, H, W).
    """
    tokens = model.forward_features(pixels)
    if torch.onnx.is_in_onnx_export() and model.global_pool in ('token', 'avg'):
        parts = _pooled_at_once(model, tokens)
    else:
        parts = model.forward_head(tokens, pre_logits=True).unsqueeze(1)
        if _reads_one_token(model):
            patches = tokens[:, model.num_prefix_tokens:]
            parts = torch.cat([parts, patches.mean(dim=1, keepdim=True)], dim=1)
    return model.forward_head(tokens), F.normalize(parts.float(), dim=-1).flatten(1)


def num_features(model: nn.Module) -> int:
    """Return D."""
    return model.num_features * (2 if _reads_one_token(model) else 1)


def _reads_one_token(model: nn.Module) -> bool:
    return model.global_pool == 'token'


def _pooled_at_once(model: nn.Module, tokens: torch.Tensor) -> torch.Tensor:
    """Return (B, 1 or 2, D) that point where those above do.

    As one product: whatever lies between an output and the last product OpenVINO computes in
    float32, and a mean has it do so with the residuals of all blocks, a tenth of the time.
    """
    prefix, patches = model.num_prefix_tokens, torch.ones_like(
        tokens[:, model.num_prefix_tokens:, :1])
    of_patches = torch.zeros(1, prefix, 1, dtype=tokens.dtype)
    if _reads_one_token(model):
        of_token = torch.zeros(1, prefix, 1, dtype=tokens.dtype)
        of_token[:, :2 if hasattr(model, 'head_dist') else 1] = 1.0
        of_prefix = torch.cat([of_token, of_patches], dim=2)
        patches = torch.cat([torch.zeros_like(patches), patches], dim=2)
    else:
        of_prefix = of_patches + getattr(model, 'pool_include_prefix', False)
    shares = torch.cat([of_prefix.expand(len(tokens), -1, -1), patches], dim=1)
    read, *others = (shares.transpose(1, 2) @ tokens).split(1, dim=1)
    return torch.cat([model.fc_norm(read), *others], dim=1)
