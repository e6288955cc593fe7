# Copyright 2026 The ltp_ros Authors
# SPDX-License-Identifier: Apache-2.0
"""Mixed resolution: four patches without detail become one, seen at half the resolution.

Pruning loses context: a patch that is dropped is not seen at all. Here nothing is dropped. The
patches form quads of 2x2; the quads that lose least by it are replaced by one token each, which
the model's own patch embedding makes of the quad scaled down to the size of a patch. One step
before the first block, without training or a second network, with static shapes. What it gains
over LTP, and how it was found: docs/accuracy.md. Related: Ronen et al., "Vision Transformers with
Mixed-Resolution Tokenization", CVPR Workshops 2023, who train a model for it.

A model that was adapted to a level may have one layer more, as in Choudhury et al., "Accelerating
Vision Transformers with Adaptive Patch Sizes" (2025): what the four tokens of a quad would have
said is added to the one that replaces them.

B images, N patches, Q = N / 4 quads, D channels.
"""
from typing import Optional, Tuple

import torch
import torch.nn.functional as F
from torch import nn

from ltp_ros.reduction.base import PixelReader, ascending, gather_tokens, num_keep_tokens, ranked

# A quad's position is the mean of its patches' times this; fitted, see docs/accuracy.md
POSITION_GAIN = 1.2


def quads(patches: torch.Tensor, grid_size: Tuple[int, int]) -> torch.Tensor:
    """Return (B, N, D), row by row over an even grid, as quads (B, Q, 4, D), row by row."""
    batch, _, channels = patches.shape
    rows, columns = grid_size
    blocks = patches.reshape(batch, rows // 2, 2, columns // 2, 2, channels)
    return blocks.transpose(2, 3).reshape(batch, -1, 4, channels)


def split_quads(num_patches: int, keep_ratio: float) -> Tuple[int, int]:
    """Return how many quads stay four tokens and how many become one.

    Together at most K tokens, and as many in full as fit. Below a quarter of the patches not
    every quad can have a token; those with the least detail then have none.
    """
    num_keep = num_keep_tokens(num_patches, keep_ratio)
    num_quads = num_patches // 4
    num_fine = max(0, (num_keep - num_quads) // 3)
    return num_fine, min(num_quads - num_fine, num_keep)


def detail(fine: torch.Tensor, coarse: torch.Tensor) -> torch.Tensor:
    """Return the loss of each quad (B, Q): the squared distance of its tokens to the merged one.

    Args:
        fine: (B, Q, 4, D).
        coarse: (B, Q, D).
    """
    return (fine.float() - coarse.float().unsqueeze(2)).square().sum(dim=(2, 3))


class QuadMerger(PixelReader):
    """Replaces the quads with the least detail by one token each; `attach` shows it the image.

    Args:
        patch_pos_embed: (N, D), the positional embedding of the patches.
        grid_size: patches of the Vision Transformer, rows and columns, both even.
        num_prefix_tokens: class, distillation and register tokens in front.
        keep_ratio: tokens left / N, (0, 1]. 1 passes the tokens on untouched.
    """

    coarse_pos_embed: torch.Tensor
    patches_of_quad: torch.Tensor
    last_merged: torch.Tensor

    def __init__(self, patch_pos_embed: torch.Tensor, grid_size: Tuple[int, int],
                 num_prefix_tokens: int = 1, keep_ratio: float = 1.0):
        super().__init__(patch_pos_embed.shape[0], num_prefix_tokens, keep_ratio)
        self.grid_size = grid_size
        positions = quads(patch_pos_embed.detach().unsqueeze(0), grid_size)[0].mean(dim=1)
        indices = torch.arange(self.num_patches).view(1, -1, 1)
        self.register_buffer('coarse_pos_embed', POSITION_GAIN * positions, persistent=False)
        self.register_buffer('patches_of_quad', quads(indices, grid_size)[0, :, :, 0],
                             persistent=False)
        self.fuse: Optional[nn.Linear] = None  # (4 D) -> D
        self._embed: Tuple[nn.Module, ...] = ()  # a tuple, lest it become a submodule

    @property
    def num_keep(self) -> int:
        """Tokens left of the N patches now; up to two fewer than K, as quads come in fours."""
        num_fine, num_coarse = self.counts
        return 4 * num_fine + num_coarse

    @property
    def num_whole(self) -> int:
        """Patches of the quads in full; all, where nothing is merged."""
        if self.num_keep == self.num_patches:
            return self.num_patches
        return 4 * self.counts[0]

    @property
    def level_counts(self) -> Tuple[int, ...]:
        """Quads in full, and merged ones."""
        return split_quads(self.num_patches, self.keep_ratio)

    def attach(self, patch_embed: nn.Module) -> None:
        """Look at every image that goes into `patch_embed`, and embed the small one with it."""
        super().attach(patch_embed)
        patch_embed.strict_img_size = False  # timm's word for: refuse any other size
        self._embed = (patch_embed,)

    def add_fuse(self, weight: Optional[torch.Tensor] = None) -> None:
        """Add to each merged token a linear map of the four that it replaces.

        Args:
            weight: (D, 4 D); None: zeros, with which the output is that without the layer.
        """
        channels = self.coarse_pos_embed.shape[1]
        self.fuse = nn.Linear(4 * channels, channels, bias=False).to(self.coarse_pos_embed)
        with torch.no_grad():
            self.fuse.weight.copy_(torch.zeros(()) if weight is None else weight)

    def read(self, pixels: torch.Tensor) -> torch.Tensor:
        """Return the tokens (B, Q, D) of the image at half its resolution, without positions."""
        return self._embed[0].forward(F.avg_pool2d(pixels, 2))  # a call would come back here

    def forward(self, tokens: torch.Tensor) -> torch.Tensor:
        """Merge quads of (B, P + N, D) with their positions added; return (B, P + K, D).

        With `trace` set, `last_keep_indices` holds the patches that stay tokens of their own, in
        the order of these tokens, which come first, and `last_merged` (B, n) the quads of the
        tokens that follow.
        """
        if self.num_keep == self.num_patches:
            return super().forward(tokens)
        coarse = self.take_seen()
        if coarse is None:
            raise RuntimeError('no image was seen for these tokens; attach this to patch_embed')
        coarse = coarse + self.coarse_pos_embed
        fine = quads(tokens[:, self.num_prefix_tokens:], self.grid_size)
        num_fine, num_coarse = self.counts
        order = ranked(detail(fine, coarse), num_fine + num_coarse)
        parts, merged = [tokens[:, :self.num_prefix_tokens]], order[:, num_fine:]
        if num_fine:  # ONNX has no tensor without rows, and OpenVINO ends the process in one
            in_full = ascending(order[:, :num_fine])
            whole = gather_tokens(fine.flatten(2), in_full)
            parts.append(whole.reshape(len(fine), -1, fine.shape[-1]))
        if self.trace:
            self.last_keep_indices = (
                self.patches_of_quad[in_full].flatten(1) if num_fine else
                torch.zeros(len(tokens), 0, dtype=torch.int64, device=tokens.device))
            self.last_merged = merged
        replaced = gather_tokens(coarse, merged)
        if self.fuse is not None:
            replaced = replaced + self.fuse(gather_tokens(fine.flatten(2), merged))
        return torch.cat([*parts, replaced], dim=1)
