# Copyright 2026 The ltp_ros Authors
# SPDX-License-Identifier: Apache-2.0
"""What several parts of one image cost, in runs of the model on a whole one. No clock."""
from bisect import bisect_left
from collections import deque
from itertools import accumulate
from typing import Deque, Mapping

FRAMES = 100  # newest
LIGHT = 0.1   # share of them that is lighter than what a level has to suit


class BatchCost:
    """The profile by batch size: how many whole images so many parts take as long as.

    Args:
        times_ms: number of parts -> milliseconds of all of them, measured at one level; 1 must
            be among them.
        whole_ms: of a whole image at that level.
    """

    def __init__(self, times_ms: Mapping[int, float], whole_ms: float):
        self._counts = sorted(times_ms)
        # More parts never take less time, whatever the machine did meanwhile
        self._loads = list(accumulate((times_ms[count] / whole_ms for count in self._counts),
                                      max))

    def load(self, count: int) -> float:
        """Return the load of so many parts; beyond those measured, the largest over and over."""
        if count <= 0:
            return 0.0
        rounds, rest = divmod(count, self._counts[-1])
        return rounds * self._loads[-1] + (self._between(rest) if rest else 0.0)

    def _between(self, count: int) -> float:
        """Return the load of a batch that is no larger than those measured."""
        index = bisect_left(self._counts, count)
        if self._counts[index] == count:
            return self._loads[index]
        (low, high), (below, above) = (each[index - 1:index + 1]
                                       for each in (self._counts, self._loads))
        return below + (above - below) * (count - low) / (high - low)

    def most(self, load: float, limit: int) -> int:
        """Return how many parts, at most `limit`, have no more than this load."""
        return sum(self.load(count) <= load for count in range(1, limit + 1))


class LightLoad:
    """The load of a frame that a level has to suit; heavier ones are `choose`'s to see to."""

    def __init__(self) -> None:
        self._loads: Deque[float] = deque(maxlen=FRAMES)

    def learn(self, load: float) -> float:
        """Take the load of one more frame; return that which the frame counts with."""
        self._loads.append(load)
        return min(load, sorted(self._loads)[int(LIGHT * len(self._loads))])


def for_one(limit_ms: float, used_ms: float, load: float) -> float:
    """Return what of a limit is used, were a frame with a load of 1 to have as much for each run.

    A frame of `load` runs that has `limit_ms - used_ms` for them is in time just where one run
    is in that time over `load`.
    """
    return limit_ms - (limit_ms - used_ms) / load
