# Copyright 2026 The ltp_ros Authors
# SPDX-License-Identifier: Apache-2.0
"""PaPr, a peer of LTP: a small ConvNet looks at the image first and says which patches matter.

Source: Mahmud et al., "PaPr: Training-Free One-Step Patch Pruning with Lightweight ConvNets for
Faster Inference", ECCV 2024; written from the paper's description.
"""
from typing import Sequence, Tuple

import torch
import torch.nn.functional as F
from torch import nn

from ltp_ros.reduction.base import PatchSelector, PixelReader

Statistics = Tuple[Sequence[float], Sequence[float]]  # mean and std of each channel


class PaPrPruner(PatchSelector, PixelReader):
    """Keeps the patches where the ConvNet's last feature map is strongest.

    `attach` makes it see the image before the tokens come.

    Args:
        conv_net: its `forward_features` makes a feature map (B, C, h, w) of images (B, 3, H, W).
        grid_size: patches of the Vision Transformer, rows and columns.
        vit_statistics: by which the images are normalised.
        conv_statistics: by which the ConvNet wants them.
        num_prefix_tokens: in front of the patch tokens.
        keep_ratio: share of the patches kept, (0, 1].
    """

    def __init__(self, conv_net: nn.Module, grid_size: Tuple[int, int], vit_statistics: Statistics,
                 conv_statistics: Statistics, num_prefix_tokens: int = 1, keep_ratio: float = 1.0):
        super().__init__(grid_size[0] * grid_size[1], num_prefix_tokens, keep_ratio)
        self.conv_net = conv_net.eval()
        self.grid_size = grid_size
        (vit_mean, vit_std), (conv_mean, conv_std) = (
            [torch.tensor(values).view(1, -1, 1, 1) for values in statistics]
            for statistics in (vit_statistics, conv_statistics))
        self.register_buffer('scale', vit_std / conv_std, persistent=False)
        self.register_buffer('shift', (vit_mean - conv_mean) / conv_std, persistent=False)

    def read(self, pixels: torch.Tensor) -> torch.Tensor:
        """Return how much each patch (B, N) matters, for the ViT's input (B, 3, H, W)."""
        return self.significance(pixels)

    def significance(self, pixels: torch.Tensor) -> torch.Tensor:
        """Return how much each patch (B, N) matters, for the ViT's input (B, 3, H, W).

        The channel mean of the last feature map, resized to the patch grid.
        """
        features = self.conv_net.forward_features(pixels * self.scale + self.shift)
        mean = features.mean(dim=1, keepdim=True)
        return F.interpolate(mean, self.grid_size, mode='bicubic', align_corners=False).flatten(1)

    def scores(self, patches: torch.Tensor) -> torch.Tensor:
        """Return the significance (B, N) of the image that these tokens come from."""
        significance = self.take_seen()
        if significance is None:
            raise RuntimeError('PaPr has seen no image for these tokens; attach it to patch_embed')
        return significance
