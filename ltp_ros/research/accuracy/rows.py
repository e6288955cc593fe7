# Copyright 2026 The ltp_ros Authors
# SPDX-License-Identifier: Apache-2.0
"""How often answers are right, how often they agree, and how sure that is."""
import math
from typing import Any, Dict, Optional, Sequence, Tuple

import numpy as np
import torch

from ltp_ros.research.accuracy.answers import UNPRUNED, Answers, Variant

Z_95 = 1.959964  # of the normal distribution: 95 % lie within so many standard deviations
BOOTSTRAPS = 10_000


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


def paired_interval(ours: torch.Tensor, theirs: torch.Tensor) -> Tuple[float, float]:
    """Return the 95 % interval (low, high) of how much more often `ours` is true than `theirs`.

    The percentile bootstrap over images, each of which both have judged. A mean of -1, 0 and 1
    depends on their counts alone, so those are drawn.

    Args:
        ours: (n,) bool.
        theirs: (n,) bool, of the same images.
    """
    gains = ours.int() - theirs.int()
    n = len(gains)
    shares = [float((gains == gain).sum()) / n for gain in (-1, 0, 1)]
    counts = np.random.default_rng(0).multinomial(n, shares, BOOTSTRAPS)
    low, high = np.percentile((counts[:, 2] - counts[:, 0]) / n, (2.5, 97.5))
    return float(low), float(high)


def _share(name: str, hits: torch.Tensor) -> Dict[str, float]:
    successes, n = int(hits.sum()), len(hits)
    low, high = wilson_interval(successes, n)
    return {name: 100.0 * successes / n, f'{name}_low': 100.0 * low, f'{name}_high': 100.0 * high}


def gain(name: str, ours: torch.Tensor, theirs: Optional[torch.Tensor]
         ) -> Dict[str, Optional[float]]:
    """Return by how many percent more often (n,) `ours` is true, with `_low` and `_high`."""
    keys = (name, f'{name}_low', f'{name}_high')
    if theirs is None:
        return dict.fromkeys(keys)
    mean = float((ours.float() - theirs.float()).mean())
    return dict(zip(keys, (100.0 * value for value in (mean, *paired_interval(ours, theirs)))))


def accuracy_row(answers: Answers, variant: Variant, ltp: Optional[Variant],
                 labels: Optional[torch.Tensor]) -> Dict[str, Any]:
    """Return what the answers of one variant are worth, in percent of n images.

    Args:
        answers: of this variant, the unpruned model and `ltp`.
        variant: in question.
        ltp: that it is compared with besides the unpruned model; None: with none.
        labels: the right classes (n,); None: not known, then everything that needs them is None.

    Returns:
        n; top1, top5 and agreement (same best class as the unpruned model) with `_low` and
        `_high` of their Wilson intervals; diff, top-1 less that of the unpruned model, top1_gain
        and agreement_gain, less those of `ltp`, with their paired bootstrap intervals.
    """
    top, unpruned = answers[variant], answers[UNPRUNED]
    agreeing = top[:, 0] == unpruned[:, 0]
    theirs = None if ltp is None else answers[ltp]
    row: Dict[str, Any] = {'n': len(top), **_share('agreement', agreeing), **gain(
        'agreement_gain', agreeing, None if theirs is None else theirs[:, 0] == unpruned[:, 0])}
    if labels is None:
        names = ('top1', 'top5', 'diff', 'top1_gain')
        return {**row, **dict.fromkeys(f'{name}{end}' for name in names
                                       for end in ('', '_low', '_high'))}
    hits = top == labels.unsqueeze(1)
    right = hits[:, 0]
    return {**row, **_share('top1', right), **_share('top5', hits[:, :5].any(dim=1)),
            **gain('diff', right, unpruned[:, 0] == labels),
            **gain('top1_gain', right, None if theirs is None else theirs[:, 0] == labels)}


def ltp_beside(variant: Variant, variants: Sequence[Variant]) -> Optional[Variant]:
    """Return the first 'ltp' with the paper's score at the same keep ratio, if another one."""
    found = next((other for other in variants if other.score == 'srb'
                  and other.keep_ratio == variant.keep_ratio), None)
    return None if found == variant else found
