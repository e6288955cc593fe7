# Copyright 2026 The ltp_ros Authors
# SPDX-License-Identifier: Apache-2.0
"""LTP: one-step token pruning before the first Transformer block.

Source: Kim, Rho and Chung, "LTP-ViT: Lightweight Token Pre-Pruning for Low-Latency Vision
Transformer Inference", cited below as "LTP-ViT, eq. (n)". B images, N patch tokens, D channels.
"""
from typing import Callable, Dict, Optional

import torch

from ltp_ros.reduction.base import PatchSelector

EPSILON = 1e-6
FLAT = 1e-3  # norms of positions that differ by less, relatively, are equal but for rounding
# So are similarities that differ by less than so many times the resolution of their numbers. On
# uniform images it was up to 4 in float32, 9 after float16, 45 after bfloat16 (positions added and
# taken off); on photos never below a million
ROUNDING = 1024


def min_max(values: torch.Tensor, flat: float = EPSILON) -> torch.Tensor:
    """Scale each row of (..., N) to [0, 1]; one that spans no more than `flat` > 0 becomes 0."""
    low, high = values.aminmax(dim=-1, keepdim=True)
    span = high - low
    # Multiplied rather than chosen by `where`: an operator less, and no 0 / 0
    return (values - low) / span.clamp_min(flat) * (span > flat)


def spatial_importance(patch_pos_embed: torch.Tensor) -> torch.Tensor:
    """Return Norm(I) (N,) float32 of positional embeddings (N, D), LTP-ViT, eq. (3).

    It depends on the weights alone. Fixed sine positions all have the same norm: 0 everywhere.
    """
    norms = patch_pos_embed.float().norm(dim=-1)
    return min_max(norms, max(FLAT * float(norms.detach().max()), EPSILON))


def minus_itself(num_patches: int) -> torch.Tensor:
    """Return (N, N) float32 that, added to cosines, takes those of a token with itself away."""
    return -4.0 * torch.eye(num_patches)


def redundancy(patch_tokens: torch.Tensor, mask: Optional[torch.Tensor] = None) -> torch.Tensor:
    """Return R (B, N): each token's highest cosine similarity to another one of its image.

    LTP-ViT, eqs. (1) and (2). `patch_tokens` is (B, N, D). A single token is redundant with
    nothing: 0. `mask` is `minus_itself(N)`, for those who keep it.
    """
    num_patches = patch_tokens.shape[1]
    if num_patches == 1:
        return patch_tokens.new_zeros(patch_tokens.shape[:2])
    mask = (minus_itself(num_patches) if mask is None else mask).to(patch_tokens)
    unit_tokens = patch_tokens / (patch_tokens.norm(dim=-1, keepdim=True) + EPSILON)
    # One operator, and no write in place, which an export would not follow
    return torch.baddbmm(mask, unit_tokens, unit_tokens.transpose(1, 2)).amax(dim=-1)


def srb_scores(patch_tokens: torch.Tensor, importance: torch.Tensor, alpha: float,
               mask: Optional[torch.Tensor] = None) -> torch.Tensor:
    """Return the SRB (Spatial-Redundancy Balance) scores S (B, N); higher is kept.

    LTP-ViT, eq. (4): alpha * Norm(I) - (1 - alpha) * Norm(R), with the min-max Norm over the
    tokens of one image, so a score never depends on its batch mates.

    Args:
        patch_tokens: (B, N, D), straight out of the patch embedding, without positions. Half
            precision is scored in float32: similarities of neighbours differ by less than its
            resolution.
        importance: Norm(I) (N,), see `spatial_importance`.
        alpha: weight of the spatial term, 0..1.
        mask: as `redundancy`.
    """
    if patch_tokens.dtype in (torch.float16, torch.bfloat16):
        patch_tokens = patch_tokens.float()
    rounding = ROUNDING * torch.finfo(patch_tokens.dtype).eps
    redundant = min_max(redundancy(patch_tokens, mask), rounding)
    return torch.sub(alpha * importance.to(redundant.dtype), redundant, alpha=1.0 - alpha)


# The token-ranking criteria of `TokenPruner`, with the arguments of `srb_scores`. Those beside
# 'srb' are for comparison: each term alone (LTP-ViT, Fig. 8), and chance.
SCORES: Dict[str, Callable[..., torch.Tensor]] = {
    'srb': srb_scores,
    'redundancy': lambda patches, importance, alpha, mask: srb_scores(
        patches, importance, 0.0, mask),
    'spatial': lambda patches, importance, alpha, mask: srb_scores(
        patches, importance, 1.0, mask),
    'random': lambda patches, importance, alpha, mask: torch.rand_like(patches[..., 0]),
}


class TokenPruner(PatchSelector):
    """LTP: keeps the patches with the highest score, by default the SRB score.

    The slot passes tokens that already carry their positions. The score wants them without, so
    the pruner takes the positions off again. Its buffers are not persistent: the state dict of
    the model stays what it was.

    Args:
        patch_pos_embed: (N, D), the positional embedding of the patches.
        num_prefix_tokens: class, distillation and register tokens in front; never scored or
            dropped.
        keep_ratio: share of the N patches kept, (0, 1]. 1 passes the tokens on untouched.
        alpha: weight of the spatial term in the score 'srb', 0..1.
        score: one of SCORES.
    """

    patch_pos_embed: torch.Tensor
    importance: torch.Tensor
    mask: torch.Tensor

    def __init__(self, patch_pos_embed: torch.Tensor, num_prefix_tokens: int = 1,
                 keep_ratio: float = 1.0, alpha: float = 0.5, score: str = 'srb'):
        super().__init__(patch_pos_embed.shape[0], num_prefix_tokens, keep_ratio)
        positions = patch_pos_embed.detach().clone()
        self.register_buffer('patch_pos_embed', positions, persistent=False)
        self.register_buffer('importance', spatial_importance(positions), persistent=False)
        self.register_buffer('mask', minus_itself(self.num_patches), persistent=False)
        self.alpha = alpha
        self.score = score

    def scores(self, patches: torch.Tensor) -> torch.Tensor:
        """Return the scores (B, N) of patch tokens (B, N, D) with their positions."""
        return SCORES[self.score](patches - self.patch_pos_embed, self.importance, self.alpha,
                                  self.mask)

    def _apply(self, fn: Callable[..., torch.Tensor], *args: object,
               **kwargs: object) -> 'TokenPruner':
        # `model.half()` must move these buffers without rounding them: the importance of
        # neighbours differs by less
        exact = {name: getattr(self, name) for name in ('importance', 'mask')}
        super()._apply(fn, *args, **kwargs)
        for name, tensor in exact.items():
            setattr(self, name, tensor.to(getattr(self, name).device))
        return self

    def extra_repr(self) -> str:
        """Show the settings where torch prints the model."""
        return f'{super().extra_repr()}, score={self.score}, alpha={self.alpha}'
