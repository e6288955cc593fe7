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
    parts = [model.forward_head(tokens, pre_logits=True)]
    if _reads_one_token(model):
        parts.append(tokens[:, model.num_prefix_tokens:].mean(dim=1))
    features = torch.cat([F.normalize(part.float(), dim=-1) for part in parts], dim=-1)
    return model.forward_head(tokens), features


def num_features(model: nn.Module) -> int:
    """Return D."""
    return model.num_features * (2 if _reads_one_token(model) else 1)


def _reads_one_token(model: nn.Module) -> bool:
    return model.global_pool == 'token'
