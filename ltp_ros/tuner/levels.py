# Copyright 2026 The ltp_ros Authors
# SPDX-License-Identifier: Apache-2.0
"""The levels of the ladder and their costs on this machine."""
from dataclasses import dataclass
from typing import List, Sequence

from ltp_ros.config import snap


@dataclass(frozen=True)
class LevelCost:
    """Inference time of one ladder level on this machine, measured at configure."""

    keep_ratio: float
    median_ms: float
    p99_ms: float


def nearest(levels: Sequence[LevelCost], keep_ratio: float) -> int:
    """Return the index into ascending `levels` of the nearest; the higher one of two as near."""
    ratios = [level.keep_ratio for level in levels]
    return ratios.index(snap(keep_ratio, ratios))


def useful_levels(levels: Sequence[LevelCost]) -> List[LevelCost]:
    """Return the levels that are faster than every higher one, lowest keep ratio first."""
    useful: List[LevelCost] = []
    for level in sorted(levels, key=lambda level: -level.keep_ratio):
        if not useful or level.median_ms < useful[-1].median_ms:
            useful.append(level)
    return useful[::-1]
