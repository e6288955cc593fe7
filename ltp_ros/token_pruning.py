# Copyright 2026 The ltp_ros Authors
# SPDX-License-Identifier: Apache-2.0
"""LTP: one-step token pruning before the first Transformer block.

Source: Kim, Rho and Chung, "LTP-ViT: Lightweight Token Pre-Pruning for Low-Latency Vision
Transformer Inference", cited below as "LTP-ViT, eq. (n)". B images, N patch tokens, D channels,
K kept tokens. Everything here is plain torch with static shapes, so it can be captured in a CUDA
graph or exported.
"""
from typing import Any, Callable, Dict, Optional, Tuple

import torch
from torch import nn

EPSILON = 1e-6
FLAT = 1e-3  # norms of positions that differ by less, relatively, are equal but for rounding
# So are similarities that differ by less than so many times the resolution of their numbers. On
# uniform images it was up to 4 in float32, 9 after float16, 45 after bfloat16 (positions added and
# taken off); on photos never below a million
ROUNDING = 1024


def check_keep_ratio(keep_ratio: float) -> float:
    """Return `keep_ratio` as a float; raise ValueError unless it lies in (0, 1]."""
    if not 0.0 < keep_ratio <= 1.0:  # NaN fails both comparisons
        raise ValueError(f'keep_ratio {keep_ratio} is not allowed; it must lie in (0, 1]')
    return float(keep_ratio)


def num_keep_tokens(num_patches: int, keep_ratio: float) -> int:
    """Return K = max(1, round(keep_ratio * N)); ValueError unless 0 < keep_ratio <= 1."""
    return max(1, round(check_keep_ratio(keep_ratio) * num_patches))


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


# What `TokenPruner` may keep patches by: functions of what `srb_scores` takes. Those beside 'srb'
# are there to compare with: its terms alone (LTP-ViT, Fig. 8), and chance.
SCORES: Dict[str, Callable[..., torch.Tensor]] = {
    'srb': srb_scores,
    'redundancy': lambda patches, importance, alpha, mask: srb_scores(
        patches, importance, 0.0, mask),
    'spatial': lambda patches, importance, alpha, mask: srb_scores(
        patches, importance, 1.0, mask),
    'random': lambda patches, importance, alpha, mask: torch.rand_like(patches[..., 0]),
}


class TokenReducer(nn.Module):
    """Passes every token on; what a method of token reduction has in common with the others.

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
        self.last_keep_indices: Optional[torch.Tensor] = None  # (B, n) int64, if `trace`

    @property
    def num_keep(self) -> int:
        """K, the number of patch tokens left now."""
        return self.num_patches

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
    """Looks at the image before it becomes tokens; a subclass says what for."""

    def __init__(self, *args: Any, **kwargs: Any):
        super().__init__(*args, **kwargs)
        self._seen: Optional[torch.Tensor] = None  # what `forward` has not used yet

    def attach(self, patch_embed: nn.Module) -> None:
        """Look at every image that goes into `patch_embed`."""
        # A bound method: a copy of the model then looks with its own reducer
        patch_embed.register_forward_pre_hook(self._before_patch_embed)

    def _before_patch_embed(self, patch_embed: nn.Module, inputs: Tuple[Any, ...]) -> None:
        self.look(inputs[0])

    def look(self, pixels: torch.Tensor) -> None:
        """Take from the ViT's input (B, 3, H, W) what `forward` will need, if any token goes."""
        if self.num_keep < self.num_patches:
            self._seen = self.read(pixels)

    def read(self, pixels: torch.Tensor) -> torch.Tensor:
        """Return what `forward` needs of the ViT's input (B, 3, H, W)."""
        raise NotImplementedError

    def take_seen(self) -> Optional[torch.Tensor]:
        """Return what `read` returned for the tokens to come, once; None if it saw no image."""
        seen, self._seen = self._seen, None
        return seen


class PatchSelector(TokenReducer):
    """Keeps the best-scored share of the patch tokens; a subclass says what is best."""

    @property
    def num_keep(self) -> int:
        """K, the number of patch tokens kept now."""
        return num_keep_tokens(self.num_patches, self.keep_ratio)

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


class TokenPruner(PatchSelector):
    """LTP: one score decides, the SRB score unless told otherwise.

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

    def _apply(self, fn: Callable, *args: Any, **kwargs: Any) -> 'TokenPruner':
        # `model.half()` moves what the scores are made of and does not round it: the importance of
        # neighbours differs by less
        exact = {name: getattr(self, name) for name in ('importance', 'mask')}
        super()._apply(fn, *args, **kwargs)
        for name, tensor in exact.items():
            setattr(self, name, tensor.to(getattr(self, name).device))
        return self

    def extra_repr(self) -> str:
        """Show the settings where torch prints the model."""
        return f'{super().extra_repr()}, score={self.score}, alpha={self.alpha}'
