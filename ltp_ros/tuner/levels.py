# Copyright 2026 The ltp_ros Authors
# SPDX-License-Identifier: Apache-2.0
"""The levels of the ladder and their costs on this machine."""
import math
from dataclasses import dataclass
from statistics import median
from typing import List, Mapping, Sequence

from ltp_ros.config import snap


@dataclass(frozen=True)
class LevelCost:
    """Inference time of one ladder level on this machine, measured at configure."""

    keep_ratio: float
    median_ms: float
    p99_ms: float


def costs_of(times_ms: Mapping[float, Sequence[float]]) -> List[LevelCost]:
    """Return the costs of levels that were timed in turns.

    What else the machine does only ever adds to a run. So the fastest run of each level tells how
    the levels compare, and all runs together how slow the machine typically is.

    Args:
        times_ms: keep ratio -> its runs.
    """
    fastest = {ratio: min(times) for ratio, times in times_ms.items()}
    slowdown = median(time_ms / fastest[ratio]
                      for ratio, times in times_ms.items() for time_ms in times)
    return [LevelCost(ratio, slowdown * fastest[ratio],
                      sorted(times)[math.ceil(0.99 * len(times)) - 1])
            for ratio, times in times_ms.items()]


def ascending(costs: Sequence[LevelCost]) -> List[LevelCost]:
    """Return the levels of a ladder, lowest keep ratio first.

    Raises:
        ValueError: if they are none, as where one is there twice or costs nothing.
    """
    ratios = [cost.keep_ratio for cost in costs]
    if not ratios or len(set(ratios)) < len(ratios):
        raise ValueError(f'{ratios} is not a ladder; expected keep ratios, none of them twice')
    for cost in costs:
        if not (0 < cost.keep_ratio <= 1 and 0 < cost.median_ms < math.inf and
                0 < cost.p99_ms < math.inf):
            raise ValueError(f'{cost} must have keep_ratio in (0, 1], finite times > 0')
    return sorted(costs, key=lambda cost: cost.keep_ratio)


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


def useless_levels(levels: Sequence[LevelCost]) -> List[float]:
    """Return the keep ratios of the levels that are no faster than a higher one, highest first."""
    useful = useful_levels(levels)
    return sorted((level.keep_ratio for level in levels if level not in useful), reverse=True)
