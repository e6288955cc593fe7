# Copyright 2026 The ltp_ros Authors
# SPDX-License-Identifier: Apache-2.0
"""The configurations that `ltp_benchmark methods` compares, and its result rows. No ROS."""
from dataclasses import dataclass
from statistics import median
from typing import Dict, List, Mapping, Sequence, Union

import numpy as np
import torch
from torch import nn

from ltp_ros.research.benchmarks.gmacs import count_gmacs

NO_REDUCTION, LTP = 'none', 'ltp'
SAME_RATIO, SAME_GMACS = 'same keep ratio', 'equal GMACs'
# The settings of LTP-ViT's Table I
PAPER_GMACS = {'vit_small_patch16_224': 2.34, 'vit_base_patch16_224': 8.89}
REMAINING = 0.55  # share of the GMACs that remains, for any other model


@dataclass(frozen=True)
class Contender:
    """One method at one keep ratio."""

    method: str
    keep_ratio: float
    setting: str
    gmacs: float  # per image


@torch.inference_mode()
def gmacs_at(model: nn.Module, keep_ratio: float, pixels: torch.Tensor) -> float:
    """Return the GMACs per image at a keep ratio."""
    model.patch_drop.keep_ratio = keep_ratio
    return count_gmacs(model, pixels)


def keep_ratio_for(model: nn.Module, gmacs: float, pixels: torch.Tensor) -> float:
    """Return the keep ratio that costs about `gmacs`, rounded to a whole number of patches.

    The cost is linear in the tokens kept, since the product of queries and keys is not counted.
    """
    num_patches = model.patch_drop.num_patches
    low, high = 0.25, 0.75
    costs = [gmacs_at(model, keep_ratio, pixels) for keep_ratio in (low, high)]
    ratio = low + (high - low) * (gmacs - costs[0]) / (costs[1] - costs[0])
    return min(max(round(ratio * num_patches), 1), num_patches) / num_patches


def paper_keep_ratio(name: str, model: nn.Module, pixels: torch.Tensor) -> float:
    """Return LTP's keep ratio in the paper's setting; for other models, that of 55 % GMACs."""
    target = PAPER_GMACS.get(name.split('.')[0]) or REMAINING * gmacs_at(model, 1.0, pixels)
    return keep_ratio_for(model, target, pixels)


def contenders_of(models: Mapping[str, nn.Module], keep_ratios: Sequence[float],
                  pixels: torch.Tensor) -> List[Contender]:
    """Return the configurations to compare: the unpruned model, then each method.

    Every method runs at LTP's keep ratio, and each peer also at the keep ratio where its GMACs,
    those of choosing the tokens included, equal LTP's.

    Args:
        models: by method.
        keep_ratios: those of LTP.
        pixels: (1, 3, H, W).
    """
    found: List[Contender] = []
    if NO_REDUCTION in models:
        found.append(Contender(NO_REDUCTION, 1.0, SAME_RATIO,
                               gmacs_at(models[NO_REDUCTION], 1.0, pixels)))
    for keep_ratio in keep_ratios:
        for method, model in models.items():
            if method != NO_REDUCTION:
                found.append(Contender(method, keep_ratio, SAME_RATIO,
                                       gmacs_at(model, keep_ratio, pixels)))
        if LTP not in models:
            continue
        target = gmacs_at(models[LTP], keep_ratio, pixels)
        for method, model in models.items():
            if method not in (NO_REDUCTION, LTP):
                equal = keep_ratio_for(model, target, pixels)
                found.append(Contender(method, equal, SAME_GMACS, gmacs_at(model, equal, pixels)))
    return found


def pairwise(times_ms: Sequence[float], others_ms: Sequence[float]) -> float:
    """Return the median over the rounds of the ratio of the two times."""
    return median(mine / other for mine, other in zip(times_ms, others_ms))


def spread(times_ms: Sequence[float], batch: int = 1) -> Dict[str, float]:
    """Return the number of times, median, tails, and images a second at the median."""
    p50, p95, p99 = (float(np.percentile(times_ms, share)) for share in (50, 95, 99))
    return {'n': len(times_ms), 'p50_ms': p50, 'p95_ms': p95, 'p99_ms': p99,
            'images_per_s': 1e3 * batch / p50}


def row(contender: Contender, batch: int, backend: str, precision: str, times_ms: Sequence[float],
        baselines_ms: Mapping[str, Sequence[float]]) -> Dict[str, Union[str, float]]:
    """Return the result row of one contender.

    Args:
        contender: the configuration that ran.
        batch: batch size.
        backend: the backend that ran it.
        precision: number format.
        times_ms: one per round.
        baselines_ms: the times of the baselines in the same rounds: 'unpruned' and 'ltp' on the
            same backend, and 'eager_float32', unpruned. Each adds a `ratio_to_...`.
    """
    return {
        'method': contender.method, 'setting': contender.setting, 'batch': batch,
        'backend': backend, 'precision': precision, 'keep_ratio': contender.keep_ratio,
        'gmacs': contender.gmacs,
        **spread(times_ms, batch),
        **{f'ratio_to_{name}': pairwise(times_ms, others)
           for name, others in baselines_ms.items()}}
