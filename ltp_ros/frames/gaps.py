# Copyright 2026 The ltp_ros Authors
# SPDX-License-Identifier: Apache-2.0
"""When other work may be done between two frames without making an answer late."""
from typing import Optional

from ltp_ros.frames.latency import NS_PER_MS

WEIGHT = 0.1       # of the newest frame in what is typical
LATE_MS, IN_TIME_MS = 0.5, 0.01  # of the reserve: one in fifty may be late
SILENT_MS = 200.0  # after its expected time a frame is not waited for any longer
HUNGRY_MS = 100.0  # without a gap that was long enough
STARVED_MS = 500.0  # whoever has asked for it waits: now and then a frame is late instead


class Gaps:
    """Judges gaps by what the frames before have taken besides the model.

    A frame that has to wait is still answered in time if its budget holds the lowest level, which
    the tuner then chooses for it. Where even that leaves no gap, `hungry` asks for one: a frame
    at the lowest level frees what it saves.

    What cannot be known beforehand, such as what a runtime takes to change the level, shows in the
    frames that come after other work: where one is late, more is kept in reserve.
    """

    def __init__(self) -> None:
        self._besides_ms = 0.0  # decoding, publishing, and the age on arrival; typically
        self._reserve_ms = 0.0
        self._worked = False  # since the frame before
        self._waiting_since_ns: Optional[int] = None

    def note(self, besides_ms: float, late: bool) -> None:
        """Note an answer.

        Args:
            besides_ms: what it has taken besides its time in the model and in the mailbox.
            late: whether it missed its deadline.
        """
        self._besides_ms += WEIGHT * (besides_ms - self._besides_ms)
        if self._worked:
            change_ms = LATE_MS if late else -IN_TIME_MS
            self._reserve_ms = max(self._reserve_ms + change_ms, 0.0)
            self._worked = False

    def hungry(self, now_ns: int) -> bool:
        """Return whether other work has waited too long for a gap."""
        return self._waited(now_ns, HUNGRY_MS)

    def _waited(self, now_ns: int, limit_ms: float) -> bool:
        since_ns = self._waiting_since_ns
        return since_ns is not None and now_ns - since_ns > limit_ms * NS_PER_MS

    def allows(self, cost_ms: float, now_ns: int, next_ns: Optional[int], deadline_ms: float,
               lowest_ms: float) -> bool:
        """Return whether work may come before the next frame.

        Args:
            cost_ms: what it takes.
            now_ns: the monotonic clock.
            next_ns: when that frame came, or is to come, on that clock; None: none is to come.
            deadline_ms: of the frames; 0: none.
            lowest_ms: what the lowest level that may be chosen typically takes.
        """
        slack_ms = deadline_ms - self._besides_ms - lowest_ms
        # With a negative slack every answer is late, whatever is done
        allowed = next_ns is None or not deadline_ms or slack_ms < 0
        slack_ms -= min(self._reserve_ms, deadline_ms)
        if next_ns is not None and not allowed:
            overdue_ms = (now_ns - next_ns) / NS_PER_MS
            allowed = overdue_ms + cost_ms <= slack_ms or overdue_ms > SILENT_MS
        self._worked = self._worked or allowed
        allowed = allowed or self._waited(now_ns, STARVED_MS)
        if allowed:
            self._waiting_since_ns = None
        elif self._waiting_since_ns is None:
            self._waiting_since_ns = now_ns
        return allowed
