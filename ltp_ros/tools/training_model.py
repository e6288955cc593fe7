# Copyright 2026 The ltp_ros Authors
# SPDX-License-Identifier: Apache-2.0
"""Token dropping while training, and accuracy with pruned tokens."""
import random
from typing import Dict, Sequence, Tuple

import torch
from torch import nn

from ltp_ros.preprocessing import Preprocessor
from ltp_ros.token_pruning import gather_tokens, keep_indices, num_keep_tokens, srb_scores
from ltp_ros.tools.training_data import normalise
from ltp_ros.vit import attach_pruner

EVALUATION_BATCH = 500


class TrainingPruner(nn.Module):
    """Drop patch tokens in timm's `patch_drop` slot while the positions are still learning.

    `keep_ratio` is one for the whole batch; which tokens stay is chosen by the SRB score where
    `by_score`, else by chance. Holds no weights.
    """

    def __init__(self, vit: nn.Module, alpha: float = 0.5):
        super().__init__()
        self._vit = (vit,)  # a tuple, so that the model does not become its own submodule
        self.alpha = alpha
        self.keep_ratio = 1.0
        self.by_score = False

    def forward(self, tokens: torch.Tensor) -> torch.Tensor:
        """Drop patches of (B, P + N, D) with their positions added; return (B, P + K, D)."""
        num_prefix = self._vit[0].num_prefix_tokens
        prefix, patches = tokens[:, :num_prefix], tokens[:, num_prefix:]
        num_keep = num_keep_tokens(patches.shape[1], self.keep_ratio)
        if num_keep == patches.shape[1]:
            return tokens
        indices = keep_indices(self.scores(patches), num_keep)
        return torch.cat([prefix, gather_tokens(patches, indices)], dim=1)

    @torch.no_grad()
    def scores(self, patches: torch.Tensor) -> torch.Tensor:
        """Return the scores (B, N) of patches (B, N, D) with their positions added."""
        if not self.by_score:
            return torch.rand(patches.shape[:2], device=patches.device)
        positions = self._vit[0].pos_embed[0, -patches.shape[1]:].float()
        with torch.autocast(patches.device.type, enabled=False):
            return srb_scores(patches.float() - positions, positions.norm(dim=-1), self.alpha)


def draw_pruning(rng: random.Random, lowest: float, share_full: float = 0.15,
                 share_scored: float = 0.5) -> Tuple[float, bool]:
    """Draw (keep_ratio, by_score) of one step: sometimes 1, else even between `lowest` and 1."""
    full, by_score = rng.random() < share_full, rng.random() < share_scored
    return (1.0 if full else rng.uniform(lowest, 1.0)), by_score


def separate_attention(vit: nn.Module) -> None:
    """Use plain matrix products in attention: on a CPU their backward pass is twice as fast."""
    for block in vit.blocks:
        block.attn.fused_attn = False


@torch.no_grad()
def pruned_accuracy(vit: nn.Module, pixels: torch.Tensor, labels: torch.Tensor,
                    preprocessor: Preprocessor, keep_ratios: Sequence[float],
                    alpha: float = 0.5) -> Dict[str, float]:
    """Return top-1 in percent at each keep ratio, tokens chosen as at inference, in float32.

    `pixels` (n, 3, H, W) uint8 and `labels` (n,) lie on the CPU.
    """
    slot, was_training = vit.patch_drop, vit.training
    pruner = attach_pruner(vit.eval(), alpha)
    device = pruner.patch_pos_embed.device
    accuracies = {}
    for keep_ratio in keep_ratios:
        pruner.keep_ratio = keep_ratio
        correct = 0
        for start in range(0, len(pixels), EVALUATION_BATCH):
            batch = slice(start, start + EVALUATION_BATCH)
            logits = vit(normalise(pixels[batch].to(device), preprocessor))
            correct += int((logits.argmax(dim=1).cpu() == labels[batch]).sum())
        accuracies[f'{keep_ratio:g}'] = round(100.0 * correct / len(pixels), 3)
    vit.patch_drop = slot
    vit.train(was_training)
    return accuracies
