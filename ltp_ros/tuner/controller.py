# Copyright 2026 The ltp_ros Authors
# SPDX-License-Identifier: Apache-2.0
"""The keep-ratio tuner: measured latencies in, ladder level out. docs/tuner.md says why.

Pure numbers, milliseconds and frames: no clock, no torch, no ROS.
"""
import dataclasses
import math
from enum import IntEnum
from statistics import fmean, pstdev
from typing import List, Optional, Sequence

from ltp_ros.config import TunerConfig
from ltp_ros.tuner.budget import Ages, Speed
from ltp_ros.tuner.law import Law
from ltp_ros.tuner.levels import LevelCost, ascending, nearest, useful_levels
from ltp_ros.tuner.load import LightLoad, for_one
from ltp_ros.tuner.replay import QUEUED, RECENT, FrameTimes
from ltp_ros.tuner.trial import Trials


class Decision(IntEnum):
    """What one update did; the values of FrameLatency.msg."""

    HOLD = 0
    LOWERED = 1  # the keep ratio
    RAISED = 2
    FLOOR = 3   # at the lowest level allowed, and that one is too slow as well
    MANUAL = 4  # without a deadline the keep ratio is manual
    LATE_ARRIVAL = 5  # too old on arrival for any level, so that nothing was tuned


class KeepRatioController:
    """Moves the keep ratio so that answers come in time.

    Call `choose` before each frame and `update` after it. The level in use, `keep_ratio`, is what
    the machine can do; `choose` lowers it for a frame that has less time than others. `configure`
    and `set_keep_ratio` may move it too. An invalid value raises a ValueError that names it and
    the allowed range. Not thread-safe.

    Args:
        costs: of each level of the ladder.
        config: deadline, target, objective and bounds.
        keep_ratio: where to start; lower if the table says that it is too slow.
    """

    def __init__(self, costs: Sequence[LevelCost], config: TunerConfig, keep_ratio: float) -> None:
        self._ladder = ascending(costs)
        self._speed, self._ages, self._trials = Speed(), Ages(), Trials()
        self._loads = LightLoad()
        self._chosen = 0  # for the frame before
        self._inside: List[LevelCost] = []  # levels in the bounds
        self._levels = self._ladder         # that may be used
        self._law = Law([1.0], dataclasses.replace(config, deadline_ms=0.0), 0)
        self.configure(dataclasses.replace(config, deadline_ms=0.0))
        self.set_keep_ratio(keep_ratio)
        self.configure(config)
        self._reported, self._untried = self.keep_ratio, False  # untried: manual, not run yet

    @property
    def keep_ratio(self) -> float:
        """The level in use."""
        return self._levels[self._law.level].keep_ratio

    @property
    def variation(self) -> float:
        """Standard deviation of the machine's slowdown / its mean, over the frames remembered."""
        slowdowns = [frame.slowdown for frame in self._law.replay.frames]
        return pstdev(slowdowns) / fmean(slowdowns) if slowdowns else 0.0

    def expected_ms(self, keep_ratio: float) -> float:
        """Return what one run at a level takes, as slow as the machine lately was."""
        return self._speed.slowest * self._ladder[nearest(self._ladder, keep_ratio)].median_ms

    def choose(self, left_ms: float, load: float = 1.0) -> float:
        """Return the keep ratio for the next frame.

        Args:
            left_ms: of its budget, for its inference.
            load: of that, in runs of the model on a whole image.
        """
        left_ms /= load
        if not self.config.deadline_ms or self._untried:
            return self.keep_ratio
        self._chosen = min(self._law.level, self._speed.highest(
            [level.median_ms for level in self._levels], left_ms, self._chosen))
        return self._levels[self._chosen].keep_ratio

    def is_late(self, left_ms: float, fresh_ms: float) -> bool:
        """Return whether the next frame is to be dropped: no level will answer it in time.

        That is its own fault: where the machine is too slow for any frame it is False.

        Args:
            left_ms: of its budget, for its inference.
            fresh_ms: what would be left of it, were the image new.
        """
        return bool(self.config.deadline_ms) and self._speed.is_late(
            self._levels[0].median_ms, left_ms, fresh_ms)

    def update(self, inference_ms: float, latency_ms: float, keep_ratio: Optional[float] = None, *,
               wait_ms: float = 0.0, service_ms: float = 0.0, period_ms: float = math.inf,
               topic: str = '', load: float = 1.0) -> Decision:
        """Learn from one processed frame, move the level, return how it moved.

        Args:
            inference_ms: inference time of this frame.
            latency_ms: budget it used, from `deadline_from` to publish; less than inference and
                wait together counts as these.
            keep_ratio: level it ran at, where that is not the one in use now.
            wait_ms: the part of the latency in which it waited for the frames before it.
            service_ms: the rest of the time in which the next frame has to wait.
            period_ms: from one image to the next; inf where that is not known.
            topic: of its camera.
            load: of the inference, in runs of the model on a whole image.

        A frame with a number that is NaN, negative or infinite is left out, and so is one whose
        inference, latency, level, period or load is 0.
        """
        ran_at = self.keep_ratio if keep_ratio is None else keep_ratio
        tuned = bool(self.config.deadline_ms)
        if not (all(0 < number < math.inf
                    for number in (inference_ms, latency_ms, ran_at, load)) and
                0 <= wait_ms < math.inf and 0 <= service_ms < math.inf and period_ms > 0):
            return Decision.HOLD if tuned else Decision.MANUAL
        cost = self._ladder[nearest(self._ladder, ran_at)]
        slowdown = inference_ms / cost.median_ms / load
        self._speed.learn(slowdown, period_ms)
        overhead_ms = max(latency_ms - inference_ms - wait_ms, 0.0)
        age_ms = max(overhead_ms - service_ms, 0.0)
        suited_ms = self._ages.learn(topic, age_ms, wait_ms > QUEUED * period_ms)
        overhead_ms -= max(age_ms - suited_ms, 0.0)  # that is for `choose`, and for it alone
        self._untried = self._untried and cost.keep_ratio != self.keep_ratio
        tuned = tuned and not self._untried
        suited = self._loads.learn(load)  # for heavier frames, `choose` goes lower
        self._law.add(FrameTimes(
            cost.median_ms, slowdown, for_one(self.config.deadline_ms, overhead_ms, suited),
            for_one(period_ms, service_ms, suited) if period_ms < math.inf else service_ms,
            wait_ms / suited, period_ms), tuned)
        if tuned:
            self._doubt_the_table(period_ms)
        before, self._reported = self._reported, self.keep_ratio
        if not self.config.deadline_ms:
            return Decision.MANUAL
        if self._reported != before:
            return Decision.LOWERED if self._reported < before else Decision.RAISED
        return Decision.FLOOR if self._at_a_slow_floor else Decision.HOLD

    def arrived_too_late(self, age_ms: float, service_ms: float = 0.0) -> bool:
        """Return whether this age leaves less than the lowest level and the service take.

        Not by the machine's own fault: where even a fresh image is too slow, it is False.
        """
        floor_ms = service_ms + self._trials.least_ms(self._inside, self._levels[0])
        return floor_ms <= self.config.deadline_ms < age_ms + floor_ms

    def set_keep_ratio(self, keep_ratio: float) -> None:
        """Move to the nearest level; with a deadline, to a useful one in the bounds."""
        if not 0 < keep_ratio <= 1:
            raise ValueError(f'keep_ratio {keep_ratio} must lie in (0, 1]')
        level = nearest(self._levels, keep_ratio)
        if level != self._law.level:
            self._law.place(level)
            self._untried = True
        self._reported = self.keep_ratio

    def configure(self, config: TunerConfig) -> None:
        """Use another deadline, target, objective or other bounds; go down at once if needed."""
        check(config)
        low, high = config.min_keep_ratio, config.max_keep_ratio
        inside = [cost for cost in self._ladder  # the bounds may have been float32 on their way
                  if low - 1e-6 <= cost.keep_ratio <= high + 1e-6]
        if not inside:
            raise ValueError(f'no level of {[cost.keep_ratio for cost in self._ladder]} lies in '
                             f'[min_keep_ratio {low}, max_keep_ratio {high}]')
        anew = inside != self._inside or config.deadline_ms != self._law.config.deadline_ms
        self.config = self._law.config = config
        if anew:
            self._inside = inside
            self._start_anew()

    def _start_anew(self) -> None:
        """Judge the frames that are known by another deadline, bounds or costs."""
        frames, ratio, allowance = self._law.replay.frames, self.keep_ratio, self._law.allowance
        self._levels = useful_levels(self._inside) if self.config.deadline_ms else self._ladder
        level = nearest(self._levels, ratio)
        self._law = Law([cost.median_ms for cost in self._levels], self.config, level, frames)
        self._law.allowance = allowance
        while self.config.deadline_ms and self._law.level > 0 and (
                self._law.too_slow(self._law.level) if frames else
                self._levels[self._law.level].p99_ms > self.config.deadline_ms):
            self._law.level -= 1

    @property
    def _at_a_slow_floor(self) -> bool:
        """Whether most of the newest frames are late at the lowest level."""
        return self._law.level == 0 and self._law.replay.recent_fit(RECENT // 2 + 1) < 0

    def _doubt_the_table(self, period_ms: float) -> None:
        if level := self._trials.next(self._law.replay, self._at_a_slow_floor, self._inside,
                                      self._levels[0], period_ms):
            self._ladder, self._inside = (
                [level if each.keep_ratio == level.keep_ratio else each for each in levels]
                for levels in (self._ladder, self._inside))
            self._start_anew()


def check(config: TunerConfig) -> None:
    """Raise ValueError if a setting of the tuner is not allowed."""
    low, high = config.min_keep_ratio, config.max_keep_ratio
    if not 0 <= config.target_miss_rate < 1:
        raise ValueError(f'target_miss_rate {config.target_miss_rate} must lie in [0, 1)')
    if not 0 < low <= high <= 1:
        raise ValueError(f'0 < min_keep_ratio {low} <= max_keep_ratio {high} <= 1 must hold')
    if not 0 <= config.deadline_ms < math.inf:
        raise ValueError(f'deadline_ms {config.deadline_ms} must be finite and not negative')
