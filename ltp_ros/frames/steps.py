# Copyright 2026 The ltp_ros Authors
# SPDX-License-Identifier: Apache-2.0
"""How far a model is loaded: a load that hangs looks like one that takes long."""
from typing import Callable, Optional, Tuple

from ltp_ros.backends.protocol import Log

STALLED_AFTER_S = 60.0


class Steps:
    """Log the steps of what takes long, and know for how long the newest has taken.

    Args:
        log: called with each step.
        now_ns: a monotonic clock.
    """

    def __init__(self, log: Log, now_ns: Callable[[], int]):
        self._log, self._now_ns = log, now_ns
        self._newest: Optional[Tuple[str, int]] = None  # and when it began

    def __call__(self, step: str) -> None:
        """Begin a step."""
        self._newest = step, self._now_ns()
        self._log(step)

    def end(self) -> None:
        """Be done with the last one."""
        self._newest = None

    @property
    def stalled(self) -> str:
        """A sentence on a step that takes longer than a minute; '' where there is none."""
        newest = self._newest
        if newest is None:
            return ''
        step, since_ns = newest
        seconds = (self._now_ns() - since_ns) / 1e9
        if seconds < STALLED_AFTER_S:
            return ''
        return (f'no progress for {seconds:.0f} s after "{step}"; an engine may take minutes, but '
                'a driver or a folder in the network may hang')
