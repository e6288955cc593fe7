# Copyright 2026 The ltp_ros Authors
# SPDX-License-Identifier: Apache-2.0
"""The choice of method, backend, precision and level: the most right one that is fast enough."""
from dataclasses import dataclass
from typing import Dict, List, Optional, Sequence, Tuple

import numpy as np

from ltp_ros.research.accuracy.rows import wilson_interval


@dataclass(frozen=True)
class Way:
    """One way to run the model."""

    method: str
    backend: str
    precision: str


@dataclass(frozen=True)
class Choice:
    """A way at one level: how long it took, and which images it was right on."""

    way: Way
    keep_ratio: float
    p50_ms: float
    tail_ms: float  # the percentile that the deadline must hold
    right: Optional[np.ndarray] = None  # (n,) bool; None: too slow to be asked

    def share(self, half: int) -> Optional[float]:
        """Return the share of right answers on the even (0) or the odd (1) images."""
        return None if self.right is None else float(self.right[half::2].mean())

    def interval(self, half: int) -> Tuple[float, float]:
        """Return the 95 % interval of `share`; the images must have been asked."""
        assert self.right is not None
        part = self.right[half::2]
        return wilson_interval(int(part.sum()), len(part))


def recommended(choices: Sequence[Choice]) -> Optional[Choice]:
    """Return the choice that is right most often on the even images; None if none was asked.

    Of equal ones (all methods are one at keep ratio 1) that whose way is right more often at its
    other levels, since the tuner will use these too; then the faster one.
    """
    shares: Dict[Way, List[float]] = {}
    asked = [choice for choice in choices if choice.right is not None]
    for choice in asked:
        shares.setdefault(choice.way, []).append(choice.share(0) or 0.0)
    return max(asked, default=None, key=lambda choice: (
        choice.share(0), float(np.mean(shares[choice.way])), -choice.tail_ms))
