# Copyright 2026 The ltp_ros Authors
# SPDX-License-Identifier: Apache-2.0
"""`SimulatedClock`: by which steps /clock goes, and whether it goes at all."""
import math
from collections import deque
from typing import Deque, Optional

from ltp_ros.frames.latency import MAX_PLAUSIBLE_AGE_MS, NEW_CLOCK_MS, NS_PER_MS
from ltp_ros.frames.status import SILENT_AFTER_S, Severity, Status, number

STEPS = 16  # remembered: some are longer, where the machine is busy or a bag has few messages
PAUSED_AFTER_S = 3.0  # /clock may be as slow as once a second
REMEDY = ('start the simulation, or `ros2 bag play --clock 100`, or set use_sim_time:=false')


class SimulatedClock:
    """What is known of simulated time; it stands still from one /clock message to the next.

    Args:
        start_ns: now, on the monotonic clock that all `now_ns` here are of.
    """

    def __init__(self, start_ns: int):
        self._start_ns = self._reported_ns = start_ns
        self._stepped_ns: Optional[int] = None  # when, last
        self._steps_ns: Deque[int] = deque(maxlen=STEPS)
        self._simulated_ns = 0  # that passed since the last report

    def advance(self, step_ns: int, now_ns: int) -> None:
        """Note that simulated time went from one value to another; `step_ns` may be negative."""
        # The first one leads from no time at all; a long one, or one back, to another time
        if self._stepped_ns is not None and 0 < step_ns <= MAX_PLAUSIBLE_AGE_MS * NS_PER_MS:
            self._steps_ns.append(step_ns)
            self._simulated_ns += step_ns
        self._stepped_ns = now_ns

    @property
    def step_ms(self) -> float:
        """By how much an image just stamped may be ahead of /clock, in simulated milliseconds."""
        return max(self._steps_ns) / NS_PER_MS if self._steps_ns else NEW_CLOCK_MS

    def paused(self, now_ns: int) -> bool:
        """Return whether simulated time has gone on before and stands now."""
        return self._stepped_ns is not None and now_ns - self._stepped_ns > PAUSED_AFTER_S * 1e9

    def report(self, now_ns: int, num_publishers: int) -> Status:
        """Return the status of /clock, which has so many publishers."""
        elapsed_ns = now_ns - self._reported_ns
        factor = self._simulated_ns / elapsed_ns if elapsed_ns > 0 else math.nan
        self._reported_ns, self._simulated_ns = now_ns, 0
        level, message = Severity.OK, 'simulated'
        if self._stepped_ns is None:
            message = 'waiting for /clock'
            if now_ns - self._start_ns > SILENT_AFTER_S * 1e9:
                level, message = Severity.WARN, (
                    'use_sim_time is set, and /clock stands at 0; unpause the simulation'
                    if num_publishers else f'use_sim_time is set, and no /clock comes; {REMEDY}')
        elif self.paused(now_ns):
            message = f'simulated time stands since {(now_ns - self._stepped_ns) / 1e9:.0f} s'
            if not num_publishers:
                level, message = Severity.WARN, f'/clock has lost its publisher; {REMEDY}'
        return Status('clock', level, message, {
            'real-time factor': number(factor, digits=2),
            'step (ms)': number(self.step_ms if self._steps_ns else math.nan),
            'publishers of /clock': str(num_publishers)})
