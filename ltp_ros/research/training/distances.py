# Copyright 2026 The ltp_ros Authors
# SPDX-License-Identifier: Apache-2.0
"""How far the output of a model with fewer tokens is from that of the original."""
from typing import NamedTuple

import torch
from torch import nn
from torch.nn import functional as F

from ltp_ros.config import Sides
from ltp_ros.reduction.base import gather_tokens
from ltp_ros.reduction.mixed import QuadMerger, quads


class ModelOutput(NamedTuple):
    """The output of a model for a batch of images."""

    logits: torch.Tensor    # (B, classes)
    features: torch.Tensor  # (B, D), input of the classifier head
    tokens: torch.Tensor    # (B, P + K, D), after the last block and the norm


def answer(vit: nn.Module, pixels: torch.Tensor) -> ModelOutput:
    """Return the output of `vit` for images (B, 3, H, W)."""
    tokens = vit.forward_features(pixels)
    features = vit.forward_head(tokens, pre_logits=True)
    return ModelOutput(vit.head(features), features, tokens)


def distance(got: ModelOutput, wanted: ModelOutput, feature_weight: float) -> torch.Tensor:
    """Return the distance of logits and features from those wanted; a scalar, 0 if equal."""
    divergence = F.kl_div(got.logits.float().log_softmax(-1),
                          wanted.logits.float().log_softmax(-1), log_target=True,
                          reduction='batchmean')
    return divergence + feature_weight * turn(got.features, wanted.features)


def turn(got: torch.Tensor, wanted: torch.Tensor) -> torch.Tensor:
    """Return 1 - the mean cosine between the vectors (..., D) of two tensors; a scalar."""
    return 1.0 - F.cosine_similarity(got.float(), wanted.float(), dim=-1).mean()


def beside(patches: torch.Tensor, grid_size: Sides, reducer: nn.Module, own_grid: Sides
           ) -> torch.Tensor:
    """Return what the original has at the place of each token that a reducer has left.

    Of a grid of another size the values are resampled, and for a quad that became one token they
    are the mean of the four.

    Args:
        patches: the original's patch tokens (B, N, D), row by row.
        grid_size: their rows and columns.
        reducer: one that neither merges tokens between the blocks nor lacks `trace`; it has just
            reduced the same images.
        own_grid: rows and columns of the patches that it was given.

    Returns:
        (B, K, D), in the order of its tokens.
    """
    if grid_size != own_grid:
        image = patches.float().transpose(1, 2).unflatten(2, grid_size)
        image = F.interpolate(image, own_grid, mode='bilinear', antialias=True)
        patches = image.flatten(2).transpose(1, 2)
    found = gather_tokens(patches, reducer.last_keep_indices)
    if isinstance(reducer, QuadMerger) and reducer.num_keep < reducer.num_patches:
        means = quads(patches, own_grid).mean(dim=2)
        found = torch.cat([found, gather_tokens(means, reducer.last_merged)], dim=1)
    return found
