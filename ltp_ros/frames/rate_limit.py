# Copyright 2026 The ltp_ros Authors
# SPDX-License-Identifier: Apache-2.0
"""Which images of a camera are classified where `max_rate` asks for fewer than come."""
import math
from collections import deque
from statistics import median
from typing import Deque

ARRIVALS = 10  # images that the camera's period is taken from
LONGEST_NS = 1e18  # of intervals: decades, but finite whatever the rate


class RateLimit:
    """Choose images on arrival: at most so many a second, and evenly spaced.

    Slots lie one interval apart, and each is given to the image nearest to it, with half a period
    of the camera as tolerance on either side. So a camera of the same rate passes whole in spite
    of its jitter, and no image is kept waiting for its slot. In any time, at most two images more
    pass than the rate allows.
    """

    def __init__(self) -> None:
        self._arrivals_ns: Deque[int] = deque(maxlen=ARRIVALS)
        self._slot_ns = -math.inf  # the last that was given away

    def admits(self, now_ns: int, max_rate: float) -> bool:
        """Return whether the image that arrives now is to be classified.

        Args:
            now_ns: monotonic.
            max_rate: in Hz; 0: no limit.
        """
        self._arrivals_ns.append(now_ns)
        if not max_rate:
            return True
        interval_ns = min(1e9 / max_rate, LONGEST_NS)
        tolerance_ns = min(self._period_ns, interval_ns) / 2
        due_ns = self._slot_ns + interval_ns
        if now_ns + tolerance_ns < due_ns:
            return False
        begins_anew = now_ns > due_ns + interval_ns
        self._slot_ns = now_ns if begins_anew else max(due_ns, now_ns - tolerance_ns)
        return True

    @property
    def _period_ns(self) -> float:
        arrivals = list(self._arrivals_ns)
        # The median, since a pause of the camera says nothing about its rate
        return median(b - a for a, b in zip(arrivals, arrivals[1:])) if arrivals[1:] else math.inf
