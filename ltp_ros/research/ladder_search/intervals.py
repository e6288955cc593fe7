# Copyright 2026 The ltp_ros Authors
# SPDX-License-Identifier: Apache-2.0
"""How sure a score is, and a difference of two on the same pictures: numpy and scipy alone."""
import math
from typing import Tuple

import numpy as np
from scipy.stats import binomtest, norm

from ltp_ros.tuner.ladder_file import Worth


def worth_of(hits: np.ndarray) -> Worth:
    """Return the share of hits (n,) bool, n > 0, in percent, with its 95 % Wilson interval."""
    interval = binomtest(int(hits.sum()), len(hits)).proportion_ci(method='wilson')
    return Worth(*(round(100.0 * float(share), 1)
                   for share in (hits.mean(), interval.low, interval.high)))


def gain_interval(ours: np.ndarray, theirs: np.ndarray, confidence: float) -> Tuple[float, float]:
    """Return the interval (low, high) of the mean of `ours` minus that of `theirs`.

    Agresti and Min's for matched pairs (Statistics in Medicine 2005): Wald's, with half a picture
    more of each of the four outcomes. The bootstrap of `ltp_evaluate` is sure that two models are
    equal once they agree on 16 pictures; this is not.

    Args:
        ours: (n,) bool.
        theirs: (n,) bool, for the same pictures.
        confidence: of the interval, 0..1.
    """
    better, worse = (0.5 + float(np.count_nonzero(each))
                     for each in (ours & ~theirs, theirs & ~ours))
    n = len(ours) + 2.0
    mean = (better - worse) / n
    half = float(norm.ppf(0.5 + confidence / 2)) * math.sqrt(
        better + worse - (better - worse) ** 2 / n) / n
    return mean - half, mean + half
