# Copyright 2026 The ltp_ros Authors
# SPDX-License-Identifier: Apache-2.0
"""ToMe, a peer of LTP: every block merges its most similar pairs of tokens.

Source: Bolya et al., "Token Merging: Your ViT But Faster", ICLR 2023; written from the paper's
description. B images, T tokens of which P are prefix, D channels.
"""
import functools
import math
from typing import List, Optional, Sequence, Tuple

import torch
import torch.nn.functional as F
from torch import nn

from ltp_ros.reduction.base import TokenReducer, ascending, num_keep_tokens, ranked


def merge_schedule(num_patches: int, num_merged: float, depth: int) -> Tuple[int, ...]:
    """Return how many patches each block merges: `num_merged` on average, at most half of them."""
    schedule: List[int] = []
    for index in range(depth):
        wanted = math.floor((index + 1) * num_merged) - math.floor(index * num_merged)
        schedule.append(min(wanted, (num_patches - sum(schedule)) // 2))
    return tuple(schedule)


@functools.lru_cache(maxsize=None)
def equal_work_schedule(num_patches: int, num_prefix_tokens: int, depth: int, mlp_ratio: float,
                        keep_ratio: float) -> Tuple[int, ...]:
    """Return the schedule that costs as much as pruning to `keep_ratio` before the first block.

    In multiply-accumulates of the linear layers: 4 D^2 a token for the attention, which sees the
    tokens before the merge, and 2 mlp_ratio D^2 for the MLP, which sees those after it.
    """
    def work(schedule: Sequence[int]) -> float:
        left = [num_patches - sum(schedule[:index]) for index in range(depth + 1)]
        return sum(4 * (before + num_prefix_tokens) + 2 * mlp_ratio * (after + num_prefix_tokens)
                   for before, after in zip(left, left[1:]))

    num_keep = num_keep_tokens(num_patches, keep_ratio)
    wanted = depth * (4 + 2 * mlp_ratio) * (num_keep + num_prefix_tokens)
    # As fine as one token in one block
    steps = range(num_patches * depth // 2 + 1)
    return min((merge_schedule(num_patches, step / depth, depth) for step in steps),
               key=lambda schedule: abs(work(schedule) - wanted))


def match(keys: torch.Tensor, num_merged: int) -> Tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
    """Find the most similar pairs: every other patch is a source, those between are targets.

    Args:
        keys: (B, N, C), of the patches, averaged over the heads.
        num_merged: r.

    Returns:
        Indices into the sources of those that stay (B, ceil(N / 2) - r), ascending, and of those
        that are merged (B, r), and the indices of their targets (B, r).
    """
    unit = keys / keys.norm(dim=-1, keepdim=True)
    similarity = unit[:, ::2] @ unit[:, 1::2].transpose(1, 2)
    nearest, target = similarity.max(dim=-1)
    order = ranked(nearest, nearest.shape[-1])
    merged, stay = order[:, :num_merged], ascending(order[:, num_merged:])
    return stay, merged, target.gather(1, merged)


def merge(values: torch.Tensor, stay: torch.Tensor, merged: torch.Tensor,
          target: torch.Tensor) -> torch.Tensor:
    """Add the merged sources of (B, N, C) to their targets; return (B, N - r, C)."""
    sources, targets = values[:, ::2], values[:, 1::2]

    def rows(indices: torch.Tensor) -> torch.Tensor:
        return indices.unsqueeze(-1).expand(-1, -1, values.shape[-1])

    # A product rather than scatter_add: that adds in any order on a GPU, and TensorRT 8 overwrites
    into = target.unsqueeze(1) == torch.arange(targets.shape[1], device=target.device).view(-1, 1)
    added = targets + into.to(values.dtype) @ sources.gather(1, rows(merged))
    if stay.shape[1] == 0:  # ONNX has no tensor without rows
        return added
    return torch.cat([sources.gather(1, rows(stay)), added], dim=1)


class TokenMerger(TokenReducer):
    """Merges tokens in every block, so that the model does as much work as LTP at `keep_ratio`.

    In timm's `patch_drop` slot it begins each image anew; `attach` puts the merging between
    attention and MLP of the blocks.

    Args:
        num_patches: N, before any merging.
        num_prefix_tokens: never merged.
        mlp_ratio: width of the MLPs / D.
        keep_ratio: (0, 1]. 1 merges nothing.
    """

    def __init__(self, num_patches: int, num_prefix_tokens: int, depth: int,
                 mlp_ratio: float = 4.0, keep_ratio: float = 1.0):
        super().__init__(num_patches, num_prefix_tokens, keep_ratio)
        self._shape = (num_patches, num_prefix_tokens, depth, mlp_ratio)
        self.sizes: Optional[torch.Tensor] = None  # (B, T, 1): patches in each token; None: 1

    @property
    def schedule(self) -> Tuple[int, ...]:
        """How many tokens each block merges now."""
        return equal_work_schedule(*self._shape, self.keep_ratio)

    @property
    def num_keep(self) -> int:
        """Patch tokens left after the last block."""
        return self.num_patches - sum(self.schedule)

    def attach(self, blocks: nn.Sequential) -> None:
        """Put a `MergingBlock` in the place of each of timm's `Block`s; the state dict stays."""
        for index, block in enumerate(blocks):
            blocks[index] = MergingBlock(block, self, index)

    def forward(self, tokens: torch.Tensor) -> torch.Tensor:
        """Return the tokens as they are, each of size 1 again."""
        self.sizes = None
        return super().forward(tokens)

    def merge_tokens(self, x: torch.Tensor, keys: torch.Tensor, num_merged: int) -> torch.Tensor:
        """Merge so many pairs of (B, T, D) by their keys (B, T, C); return the tokens left."""
        prefix = self.num_prefix_tokens
        pairs = match(keys[:, prefix:], num_merged)
        # Sums of up to N tokens are beyond float16
        exact = torch.promote_types(x.dtype, torch.float32)
        sizes = torch.ones_like(x[..., :1], dtype=exact) if self.sizes is None else self.sizes
        weighted = merge(x[:, prefix:] * sizes[:, prefix:], *pairs)
        merged_sizes = merge(sizes[:, prefix:], *pairs)
        self.sizes = torch.cat([sizes[:, :prefix], merged_sizes], dim=1)
        return torch.cat([x[:, :prefix], (weighted / merged_sizes).to(x.dtype)], dim=1)


class MergingBlock(nn.Module):
    """A block of timm's with its own layers, which merges tokens between attention and MLP.

    Args:
        block: a plain timm `Block`; its layers become this module's, under the same names.
        merger: says how many, and remembers how many patches each token stands for.
        index: of the block in the model.
    """

    def __init__(self, block: nn.Module, merger: TokenMerger, index: int):
        super().__init__()
        for name, layer in block.named_children():
            self.add_module(name, layer)
        self.train(block.training)
        self._merger = (merger,)  # a tuple: the merger is not a part of this module
        self._index = index

    @property
    def merger(self) -> TokenMerger:
        """What merges its tokens."""
        return self._merger[0]

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Return the block's output for (B, T, D), with fewer tokens."""
        merger = self.merger
        attended, keys = attention(self.attn, self.norm1(x), merger.sizes)
        x = x + self.drop_path1(self.ls1(attended))
        num_merged = merger.schedule[self._index]
        if num_merged:
            x = merger.merge_tokens(x, keys, num_merged)
        return x + self.drop_path2(self.ls2(self.mlp(self.norm2(x))))


def attention(attn: nn.Module, x: torch.Tensor,
              sizes: Optional[torch.Tensor]) -> Tuple[torch.Tensor, torch.Tensor]:
    """Return the output of timm's `Attention` for (B, T, D), and the keys averaged over the heads.

    A token that stands for several patches draws as much attention as they did: the logarithm of
    the `sizes` (B, T, 1) is added before the softmax ("proportional attention").
    """
    batch, num_tokens, _ = x.shape
    q, k, v = attn.qkv(x).reshape(batch, num_tokens, 3, attn.num_heads, -1).permute(2, 0, 3, 1, 4)
    q, k = attn.q_norm(q), attn.k_norm(k)
    bias = None if sizes is None else sizes.log().to(q.dtype).transpose(1, 2).unsqueeze(1)
    if attn.fused_attn:
        mixed = F.scaled_dot_product_attention(q, k, v, attn_mask=bias)
    else:
        similarity = (q * attn.scale) @ k.transpose(-2, -1)
        mixed = (similarity if bias is None else similarity + bias).softmax(dim=-1) @ v
    mixed = mixed.transpose(1, 2).flatten(2)
    return attn.proj(attn.norm(mixed) if hasattr(attn, 'norm') else mixed), k.mean(dim=1)
