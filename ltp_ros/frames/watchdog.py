# Copyright 2026 The ltp_ros Authors
# SPDX-License-Identifier: Apache-2.0
"""For how long the worker has been at one piece of work: a driver that hangs raises nothing."""
from typing import Optional

PERIOD_S = 0.5  # from one look to the next
STUCK_AFTER_S = 5.0
SLOWER = 10.0  # than the slowest level mostly is, where that takes longer
LONGEST_STEP_NS = int(2e9 * PERIOD_S)


class Watchdog:
    """Measure the time in work as this process has lived it.

    A process that is stopped (SIGSTOP, a paused container) gets on with nothing, and is not to be
    called stuck when it goes on: between two looks no more than `LONGEST_STEP_NS` counts.
    """

    def __init__(self) -> None:
        self._since_ns: Optional[int] = None
        self._looked_ns = self._lived_ns = 0

    def stuck_s(self, busy_since_ns: Optional[int], now_ns: int) -> float:
        """Look; return for how many seconds the same piece of work has been seen.

        Args:
            busy_since_ns: when it was begun; None: there is none.
            now_ns: now, about `PERIOD_S` after the last look.
        """
        if busy_since_ns is None or busy_since_ns != self._since_ns:
            self._since_ns, self._lived_ns = busy_since_ns, 0
        else:
            self._lived_ns += min(now_ns - self._looked_ns, LONGEST_STEP_NS)
        self._looked_ns = now_ns
        return self._lived_ns / 1e9


def limit_s(slowest_ms: float) -> float:
    """Return after how many seconds in one image the worker is stuck.

    Args:
        slowest_ms: how long the slowest level of the ladder takes.
    """
    return max(STUCK_AFTER_S, SLOWER * slowest_ms / 1e3)


def stuck(seconds: float) -> str:
    """Return what is said of a worker that hangs."""
    return f'the worker has been in one image for {seconds:.0f} s, and is stuck'
