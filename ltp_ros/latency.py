# Copyright 2026 The ltp_ros Authors
# SPDX-License-Identifier: Apache-2.0
"""Where the time of one frame went: disjoint stages, in milliseconds, on an injected clock."""
import math
from dataclasses import dataclass
from typing import Callable, Dict

NS_PER_MS = 1_000_000
# An image from further back than this was not taken by a camera on this clock.
MAX_PLAUSIBLE_AGE_MS = 3_600_000.0
# Clocks of two machines differ; this much into the future is the same moment.
FUTURE_TOLERANCE_MS = 5.0


class StageTimer:
    """Split the time since `start_ns` into stages; each ends where the next begins.

    Args:
        now_ns: a monotonic clock in nanoseconds.
        start_ns: when the first stage began, on that clock.
    """

    def __init__(self, now_ns: Callable[[], int], start_ns: int):
        self._now_ns = now_ns
        self._start_ns = start_ns
        self._last_ns = start_ns
        self.stages_ms: Dict[str, float] = {}

    def mark(self, stage: str) -> float:
        """End `stage` now and return its milliseconds."""
        now_ns = self._now_ns()
        self.stages_ms[stage] = (now_ns - self._last_ns) / NS_PER_MS
        self._last_ns = now_ns
        return self.stages_ms[stage]

    @property
    def total_ms(self) -> float:
        """Milliseconds from the start to the end of the last stage."""
        return (self._last_ns - self._start_ns) / NS_PER_MS


@dataclass(frozen=True)
class FrameLatency:
    """How one answer was made; milliseconds, NaN where unknown. Fields as in FrameLatency.msg."""

    frame_index: int
    keep_ratio: float
    age_at_receive_ms: float
    queue_ms: float
    decode_ms: float
    inference_ms: float
    publish_ms: float
    total_ms: float
    dropped_since_last: int

    @property
    def capture_to_publish_ms(self) -> float:
        """From the header's stamp to the publication; NaN where the stamp is no use."""
        return self.age_at_receive_ms + self.total_ms


def age_ms(stamp_ns: int, now_ns: int) -> float:
    """Return how old a stamp is, both on the ROS clock; NaN where the stamp is no use.

    A stamp of zero, one from the future, or one further back than any camera's says nothing about
    the age of an image.
    """
    age = (now_ns - stamp_ns) / NS_PER_MS
    if stamp_ns <= 0 or not -FUTURE_TOLERANCE_MS <= age <= MAX_PLAUSIBLE_AGE_MS:
        return math.nan
    return max(age, 0.0)
