# Copyright 2026 The ltp_ros Authors
# SPDX-License-Identifier: Apache-2.0
"""Which classes a model finds best at each keep ratio, and how often they are right."""
import math
from typing import Callable, Dict, Iterable, Optional, Sequence, Tuple

import torch
from torch import nn

Z_95 = 1.959964  # of the normal distribution: 95 % lie within so many standard deviations


@torch.inference_mode()
def top_classes(model: nn.Module, batches: Iterable[torch.Tensor], keep_ratios: Sequence[float],
                k: int = 5, progress: Optional[Callable[[int], None]] = None
                ) -> Dict[float, torch.Tensor]:
    """Run every batch once at each keep ratio.

    Args:
        model: in eval mode, with a `TokenPruner` in `patch_drop`.
        batches: the images as the model takes them, each (B, 3, H, W) with any B.
        keep_ratios: shares of the patch tokens kept, (0, 1].
        k: how many classes; all where the model has fewer.
        progress: told the number of images after each run of the model.

    Returns:
        For each keep ratio the classes (n, k) int64 on the CPU, best first; of equal logits the
        lower class.
    """
    found: Dict[float, list] = {keep_ratio: [] for keep_ratio in keep_ratios}
    for images in batches:
        for keep_ratio in keep_ratios:
            model.patch_drop.keep_ratio = keep_ratio
            # topk leaves open which of two equal logits comes first, as float16 has them
            ranked = model(images).float().sort(dim=-1, descending=True, stable=True).indices
            found[keep_ratio].append(ranked[:, :k].cpu())
            if progress:
                progress(len(images))
    return {keep_ratio: torch.cat(parts) for keep_ratio, parts in found.items()}


def accuracy_row(top: torch.Tensor, unpruned_top: torch.Tensor,
                 labels: torch.Tensor) -> Dict[str, float]:
    """Return top-1, top-5 and agreement with the unpruned model, in percent of n images.

    Args:
        top: classes (n, k), best first, as from `top_classes`.
        unpruned_top: likewise, of the model that keeps every token.
        labels: the right classes (n,).
    """
    n = len(labels)
    hits = top == labels.unsqueeze(1)
    row: Dict[str, float] = {'n': n}
    for k in (1, 5):
        correct = int(hits[:, :k].any(dim=1).sum())
        low, high = wilson_interval(correct, n)
        row.update({f'top{k}': 100.0 * correct / n, f'top{k}_low': 100.0 * low,
                    f'top{k}_high': 100.0 * high})
    row['agreement'] = 100.0 * int((top[:, 0] == unpruned_top[:, 0]).sum()) / n
    return row


def wilson_interval(successes: int, n: int, z: float = Z_95) -> Tuple[float, float]:
    """Return the interval (low, high) of a share seen as `successes` of `n` > 0 trials.

    Source: E. B. Wilson, "Probable Inference, the Law of Succession, and Statistical Inference",
    1927. Unlike the normal interval it never leaves 0..1 and holds near both ends.
    """
    share = successes / n
    centre = share + z * z / (2 * n)
    half = z * math.sqrt(share * (1.0 - share) / n + (z / (2 * n)) ** 2)
    scale = 1.0 + z * z / n
    return max(0.0, (centre - half) / scale), min(1.0, (centre + half) / scale)
