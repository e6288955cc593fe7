# Copyright 2026 The ltp_ros Authors
# SPDX-License-Identifier: Apache-2.0
"""The time of a recording, in which only work takes time."""
import time
from collections import deque
from typing import Callable, Deque, List, Optional, Sequence


class ClockError(RuntimeError):
    """Readings that belong to other work."""


class ReplayClock:
    """Goes on while there is work, as fast as the real clock times `slowdown`; else stands still.

    What it showed can be given again, so that the same work is done at the same times.

    Args:
        slowdown: how many times longer than here the work would take.
        real_ns: a monotonic clock.
    """

    def __init__(self, slowdown: float = 1.0,
                 real_ns: Callable[[], int] = time.perf_counter_ns):
        self._slowdown, self._real_ns = slowdown, real_ns
        self._start_ns = self._at_ns = 0
        self._since_ns: Optional[int] = None  # on the real clock; None: it stands still
        self._again: Optional[Deque[int]] = None
        self._readings: List[int] = []

    def begin(self, at_ns: int, again: Optional[Sequence[int]] = None) -> None:
        """Begin a piece of work.

        Args:
            at_ns: when.
            again: the readings that `end` has returned for the same work; None: it is new.
        """
        self._start_ns = self._at_ns = at_ns
        self._again, self._readings = None if again is None else deque(again), []
        self.go_on()

    def now_ns(self) -> int:
        """Return the time in nanoseconds, and note it."""
        if self._since_ns is None:
            return self._at_ns
        if self._again is None:
            real_ns = self._real_ns() - self._since_ns
            reading_ns = self._at_ns + round(self._slowdown * real_ns)
        elif self._again:
            reading_ns = self._start_ns + self._again.popleft()
        else:
            raise ClockError('the work reads the clock more often than before')
        self._readings.append(reading_ns - self._start_ns)
        return reading_ns

    def stop(self) -> int:
        """Stand still; return the time in nanoseconds."""
        self._at_ns = self.now_ns()
        self._since_ns = None
        return self._at_ns

    def go_on(self) -> None:
        """Go on from where it stands."""
        self._since_ns = self._real_ns()

    def end(self) -> List[int]:
        """End the work; return the readings in nanoseconds from its beginning."""
        self.stop()
        return self._readings
