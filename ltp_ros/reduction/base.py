# Copyright 2026 The ltp_ros Authors
# SPDX-License-Identifier: Apache-2.0
"""What every method of token reduction shares: how many, which, and the slot it sits in.

Everything in this room is plain torch with static shapes, so it can be captured in a CUDA graph
or exported. B images, N patch tokens, D channels, K kept tokens.
"""
from contextlib import contextmanager
from typing import Iterator, Optional, Tuple

import torch
from torch import nn

from ltp_ros.reduction.keep_ratio import check_keep_ratio, num_keep_tokens


def ranked(scores: torch.Tensor, num_best: int) -> torch.Tensor:
    """Return the indices (B, num_best) int64 of the highest scores of each row of (B, N).

    Best first; equal scores go to the lower index, so every backend keeps the same tokens.
    """
    if torch.onnx.is_in_onnx_export():  # ONNX has no stable sort; its TopK is as stable
        return scores.topk(num_best, dim=-1).indices
    return scores.sort(dim=-1, descending=True, stable=True).indices[:, :num_best]


def keep_indices(scores: torch.Tensor, num_keep: int) -> torch.Tensor:
    """Return the indices (B, K) int64, ascending, of the K highest scores of each row of (B, N).

    Equal scores go to the lower index.
    """
    return ascending(ranked(scores, num_keep))


def ascending(indices: torch.Tensor) -> torch.Tensor:
    """Sort each row of indices (B, K) int64, each below 2**24."""
    if torch.onnx.is_in_onnx_export():  # TensorRT 8 sorts no integers
        return indices.float().topk(indices.shape[-1], largest=False).values.long()
    return indices.sort(dim=-1).values


def gather_tokens(tokens: torch.Tensor, indices: torch.Tensor) -> torch.Tensor:
    """Return tokens (B, N, D) at `indices` (B, K) as (B, K, D)."""
    if len(tokens) == 1:  # whole rows are copied: a third of the time on a CPU
        return tokens.index_select(1, indices[0])
    return tokens.gather(1, indices.unsqueeze(-1).expand(-1, -1, tokens.shape[-1]))


class TokenReducer(nn.Module):
    """Passes every token on: the base of every method of token reduction.

    Made for timm's `patch_drop` slot, which sees the tokens just before the first block.

    Args:
        num_patches: N, patch tokens before any reduction.
        num_prefix_tokens: class, distillation and register tokens in front; never scored or
            dropped.
        keep_ratio: (0, 1]; how much of the work remains. 1 leaves the model as it is.
    """

    def __init__(self, num_patches: int, num_prefix_tokens: int = 1, keep_ratio: float = 1.0):
        super().__init__()
        self.num_patches = num_patches
        self.num_prefix_tokens = num_prefix_tokens
        self.keep_ratio = keep_ratio
        self.trace = False
        self._given: Tuple[int, ...] = ()
        self.last_keep_indices: Optional[torch.Tensor] = None  # (B, n) int64, if `trace`

    @property
    def counts(self) -> Tuple[int, ...]:
        """What tells levels apart: how many tokens there are of each kind.

        Within `counted`, what was given there. () if levels differ in more than that.
        """
        return self._given or self.level_counts

    @property
    def level_counts(self) -> Tuple[int, ...]:
        """The counts of the keep ratio set now."""
        return ()

    @property
    def one_level(self) -> bool:
        """Whether all keep ratios are one, since no token is ever dropped."""
        return type(self) is TokenReducer

    @contextmanager
    def counted(self, counts: Tuple[int, ...]) -> Iterator[None]:
        """Keep so many tokens, whatever the keep ratio: sizes that an export may leave open."""
        self._given = counts
        try:
            yield
        finally:
            self._given = ()

    @property
    def num_keep(self) -> int:
        """K, the number of patch tokens left now."""
        return self.num_patches

    @property
    def num_whole(self) -> int:
        """How many patches stay tokens of their own: the length of `last_keep_indices`."""
        return self.num_keep

    @property
    def keep_ratio(self) -> float:
        """Share of the patch tokens kept, (0, 1]; ValueError on anything else."""
        return self._keep_ratio

    @keep_ratio.setter
    def keep_ratio(self, value: float) -> None:
        self._keep_ratio = check_keep_ratio(value)

    def forward(self, tokens: torch.Tensor) -> torch.Tensor:
        """Return (B, P + N, D) as it is; with `trace`, note that every patch is kept."""
        if self.trace:
            every = torch.arange(self.num_patches, device=tokens.device)
            self.last_keep_indices = every.expand(tokens.shape[0], -1)
        return tokens

    def extra_repr(self) -> str:
        """Show the settings where torch prints the model."""
        return f'keep_ratio={self.keep_ratio}, num_keep={self.num_keep}'


class PixelReader(TokenReducer):
    """Sees the image before it becomes tokens, for subclasses that need it."""

    def __init__(self, num_patches: int, num_prefix_tokens: int = 1, keep_ratio: float = 1.0):
        super().__init__(num_patches, num_prefix_tokens, keep_ratio)
        self._seen: Optional[torch.Tensor] = None  # not used by `forward` yet

    def attach(self, patch_embed: nn.Module) -> None:
        """Look at every image that goes into `patch_embed`."""
        # A bound method, so that a copy of the model calls its own reducer
        patch_embed.register_forward_pre_hook(self._before_patch_embed)

    def _before_patch_embed(self, patch_embed: nn.Module,
                            inputs: Tuple[torch.Tensor, ...]) -> None:
        self.look(inputs[0])

    def look(self, pixels: torch.Tensor) -> None:
        """Read the ViT's input (B, 3, H, W) for `forward`, if any token will be dropped."""
        if self.num_keep < self.num_patches:
            self._seen = self.read(pixels)

    def read(self, pixels: torch.Tensor) -> torch.Tensor:
        """Return the information that `forward` needs from the ViT's input (B, 3, H, W)."""
        raise NotImplementedError

    def take_seen(self) -> Optional[torch.Tensor]:
        """Return the last result of `read`, once; None if no image was seen."""
        seen, self._seen = self._seen, None
        return seen


class PatchSelector(TokenReducer):
    """Keeps the best-scored share of the patch tokens; a subclass defines the score."""

    @property
    def num_keep(self) -> int:
        """K, the number of patch tokens kept now."""
        return self.counts[0]

    @property
    def level_counts(self) -> Tuple[int, ...]:
        """K alone."""
        return (num_keep_tokens(self.num_patches, self.keep_ratio),)

    def scores(self, patches: torch.Tensor) -> torch.Tensor:
        """Return (B, N), higher is kept, for patch tokens (B, N, D) with their positions."""
        raise NotImplementedError

    def forward(self, tokens: torch.Tensor) -> torch.Tensor:
        """Drop patches of (B, P + N, D) with their positions added; return (B, P + K, D).

        With `trace` set, `last_keep_indices` holds the kept patches (B, K) afterwards.
        """
        if self.num_keep == self.num_patches:
            return super().forward(tokens)
        prefix = tokens[:, :self.num_prefix_tokens]
        patches = tokens[:, self.num_prefix_tokens:]
        indices = keep_indices(self.scores(patches), self.num_keep)
        if self.trace:
            self.last_keep_indices = indices
        return torch.cat([prefix, gather_tokens(patches, indices)], dim=1)
