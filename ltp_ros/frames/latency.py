# Copyright 2026 The ltp_ros Authors
# SPDX-License-Identifier: Apache-2.0
"""Where the time of one frame went: disjoint stages, in milliseconds, on an injected clock."""
import math
from collections import Counter, deque
from dataclasses import dataclass
from typing import Callable, Deque, Dict, Optional, Tuple

NS_PER_MS = 1_000_000
# An image from further back than this was not taken by a camera on this clock.
MAX_PLAUSIBLE_AGE_MS = 10_000.0
# A larger step back is another clock; a smaller one, images that overtook each other.
NEW_CLOCK_MS = 1_000.0
# Clocks of two machines differ; this much into the future is the same moment. In simulated time
# comes the step of /clock on top.
FUTURE_TOLERANCE_MS = 5.0
ANOTHER_DAY_MS = 86_400_000.0
NO_CLOCK = 'no clock'  # the fault of every stamp while simulated time has not begun


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


class LatencyWindow:
    """The latencies of the newest answers, in milliseconds; not thread-safe.

    Args:
        size: how many are kept.
    """

    def __init__(self, size: int = 300):
        self._frames: Deque[Tuple[float, bool]] = deque(maxlen=size)

    def add(self, latency_ms: float, met: bool) -> None:
        """Note one answer and whether it met its deadline."""
        self._frames.append((latency_ms, met))

    def __len__(self) -> int:
        return len(self._frames)

    def percentile(self, share: float) -> float:
        """Return the latency that `share` (0..1) of the answers stayed within; NaN if none."""
        if not self._frames:
            return math.nan
        ordered = sorted(latency_ms for latency_ms, _ in self._frames)
        return ordered[max(math.ceil(share * len(ordered)) - 1, 0)]

    @property
    def miss_rate(self) -> float:
        """Share of the answers that were late; NaN if none."""
        if not self._frames:
            return math.nan
        return sum(not met for _, met in self._frames) / len(self._frames)


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
    deadline_ms: float  # 0: none
    deadline_met: bool
    decision: int  # controller.Decision

    @property
    def capture_to_publish_ms(self) -> float:
        """From the header's stamp to the publication; NaN where the stamp is unusable."""
        return self.age_at_receive_ms + self.total_ms


class SimulatedFrameLatency(FrameLatency):
    """One whose age is in simulated milliseconds, all else in real ones: they cannot be added."""

    @property
    def capture_to_publish_ms(self) -> float:
        """NaN."""
        return math.nan


class StampClock:
    """Tell the age of a camera's images by their stamps, as far as the stamps can be believed."""

    def __init__(self) -> None:
        self._newest_ns = self._now_ns = 0
        self.faults: Counter = Counter()  # how many stamps had which

    def age_ms(self, stamp_ns: int, now_ns: int,
               step_ms: Optional[float] = None) -> Tuple[float, str]:
        """Return the age of an image, both times on the ROS clock, and the fault of its stamp.

        The age is NaN, and the sentence not empty, for a stamp of zero, from the future, from too
        long ago to be a camera's, or far before an earlier one (a clock that was set back). Images
        may come out of order: that says nothing about their age.

        Args:
            stamp_ns: of the image.
            now_ns: 0 where simulated time has not begun.
            step_ms: by which the ROS clock goes, if it is a simulated one. A stamp up to this far
                ahead of it is of this moment, and so is one of zero in its first seconds.
        """
        fault, sentence = self._fault(stamp_ns, now_ns, step_ms)
        if fault:
            self.faults[fault] += 1
            return math.nan, sentence
        return max((now_ns - stamp_ns) / NS_PER_MS, 0.0), sentence

    def _fault(self, stamp_ns: int, now_ns: int, step_ms: Optional[float]) -> Tuple[str, str]:
        """Return a word for the fault, and a sentence; both empty if there is none."""
        if step_ms is not None and self._now_ns - now_ns > NEW_CLOCK_MS * NS_PER_MS:
            self._newest_ns = 0  # a bag that loops, a world that was reset: stamps go back with it
        self._now_ns = now_ns
        age = (now_ns - stamp_ns) / NS_PER_MS
        back_ms = (self._newest_ns - stamp_ns) / NS_PER_MS
        self._newest_ns = stamp_ns if back_ms > NEW_CLOCK_MS else max(self._newest_ns, stamp_ns)
        if step_ms is not None and now_ns == 0:
            return NO_CLOCK, 'use_sim_time is set, and no /clock has come'
        begins = step_ms is not None and age <= MAX_PLAUSIBLE_AGE_MS
        if stamp_ns < 0 or (stamp_ns == 0 and not begins):
            return 'zero', 'the stamp is zero'
        if age < -(FUTURE_TOLERANCE_MS + (step_ms or 0.0)):
            advice = '' if step_ms is None or -age < ANOTHER_DAY_MS else (
                ': the camera tells real time, this node simulated time; set use_sim_time for '
                'both, or for neither')
            return 'in the future', f'the stamp is {-age:.0f} ms in the future{advice}'
        if age > MAX_PLAUSIBLE_AGE_MS:
            advice = '' if step_ms is not None or age < ANOTHER_DAY_MS else (
                ': a recording or a simulation; to have it in its own time, play it with --clock '
                'and set use_sim_time')
            return 'old', f'the stamp is {age / 1000.0:.0f} s old{advice}'
        if back_ms > NEW_CLOCK_MS:
            return 'set back', f'the stamp is {back_ms / 1000.0:.1f} s before an earlier one'
        return '', ''
