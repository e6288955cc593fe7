# Copyright 2026 The ltp_ros Authors
# SPDX-License-Identifier: Apache-2.0
"""Top-1, top-5 and agreement of a variant, with their confidence intervals."""
from dataclasses import replace
from typing import Dict, Optional, Sequence, Tuple

import numpy as np
import torch
from scipy.stats import binomtest

from ltp_ros.research.accuracy.answers import UNPRUNED, Answers, Variant

BOOTSTRAPS = 10_000


def wilson_interval(successes: int, n: int) -> Tuple[float, float]:
    """Return the 95 % interval (low, high) of the success rate, given `successes` of `n` > 0.

    Unlike the normal approximation, Wilson's interval stays within 0..1 and is accurate near
    both ends.
    """
    interval = binomtest(successes, n).proportion_ci(method='wilson')
    return float(interval.low), float(interval.high)


def paired_interval(ours: torch.Tensor, theirs: torch.Tensor) -> Tuple[float, float]:
    """Return the 95 % interval (low, high) of the mean of `ours` minus that of `theirs`.

    A percentile bootstrap over the images, in pairs.

    Args:
        ours: (n,) bool.
        theirs: (n,) bool, for the same images.
    """
    gains = ours.int() - theirs.int()
    n = len(gains)
    shares = [float((gains == gain).sum()) / n for gain in (-1, 0, 1)]
    # The mean of a resample depends only on its counts of -1, 0 and 1, and those are multinomial:
    # one draw in numpy is the bootstrap, a thousand times faster than resampling images, which is
    # all that scipy.stats.bootstrap offers
    counts = np.random.default_rng(0).multinomial(n, shares, BOOTSTRAPS)
    low, high = np.percentile((counts[:, 2] - counts[:, 0]) / n, (2.5, 97.5))
    return float(low), float(high)


def _share(name: str, hits: torch.Tensor) -> Dict[str, float]:
    successes, n = int(hits.sum()), len(hits)
    low, high = wilson_interval(successes, n)
    return {name: 100.0 * successes / n, f'{name}_low': 100.0 * low, f'{name}_high': 100.0 * high}


def gain(name: str, ours: torch.Tensor, theirs: Optional[torch.Tensor]
         ) -> Dict[str, Optional[float]]:
    """Return the mean of `ours` (n,) minus that of `theirs`, in percent, with `_low` and `_high`.

    All three are None if `theirs` is None.
    """
    keys = (name, f'{name}_low', f'{name}_high')
    if theirs is None:
        return dict.fromkeys(keys)
    mean = float((ours.float() - theirs.float()).mean())
    return dict(zip(keys, (100.0 * value for value in (mean, *paired_interval(ours, theirs)))))


def accuracy_row(answers: Answers, variant: Variant, ltp: Optional[Variant],
                 labels: Optional[torch.Tensor]) -> Dict[str, Optional[float]]:
    """Return the accuracy and agreement of one variant, in percent of the n images read.

    Args:
        answers: those of this variant, `ltp`, and the unpruned model with the same zoom; and
            those without zoom.
        variant: the variant to evaluate.
        ltp: the LTP variant to compare it with, if any.
        labels: those of all images, read or not; without them every value that needs them is None.

    Returns:
        n; top1, top5 and agreement (same top-1 class as the unpruned model), with the `_low` and
        `_high` of their Wilson intervals; diff (top-1 minus that of the unpruned model),
        top1_gain and agreement_gain (minus those of `ltp`), and zoom_gain (top-1 minus that of
        the same variant without zoom; None if it has none), with their paired bootstrap
        intervals. The unpruned model sees what the variant sees: both with zoom, or neither.
    """
    top, unpruned = answers[variant], answers[replace(UNPRUNED, zoom=variant.zoom)]
    agreeing = top[:, 0] == unpruned[:, 0]
    theirs = None if ltp is None else answers[ltp]
    row: Dict[str, Optional[float]] = {
        'n': len(top), **_share('agreement', agreeing), **gain(
            'agreement_gain', agreeing,
            None if theirs is None else theirs[:, 0] == unpruned[:, 0])}
    if labels is None:
        names = ('top1', 'top5', 'diff', 'top1_gain', 'zoom_gain')
        return {**row, **dict.fromkeys(f'{name}{end}' for name in names
                                       for end in ('', '_low', '_high'))}
    labels = labels[answers.read]
    hits = top == labels.unsqueeze(1)
    right = hits[:, 0]
    return {**row, **_share('top1', right), **_share('top5', hits[:, :5].any(dim=1)),
            **gain('diff', right, unpruned[:, 0] == labels),
            **gain('top1_gain', right, None if theirs is None else theirs[:, 0] == labels),
            **gain('zoom_gain', right,
                   answers[variant.plain][:, 0] == labels if variant.zoom else None)}


def ltp_beside(variant: Variant, variants: Sequence[Variant]) -> Optional[Variant]:
    """Return the first LTP variant with the paper's score at the same keep ratio and zoom.

    None if there is none, or if it is `variant` itself.
    """
    found = next((other for other in variants if other.score == 'srb'
                  and (other.keep_ratio, other.zoom) == (variant.keep_ratio, variant.zoom)),
                 None)
    return None if found == variant else found
