# Copyright 2026 The ltp_ros Authors
# SPDX-License-Identifier: Apache-2.0
"""The keep-ratio tuner: measured latencies in, ladder level out. docs/tuner.md says why.

Pure numbers, milliseconds and frames: no clock, no torch, no ROS.
"""
import dataclasses
import math
from enum import IntEnum
from statistics import median
from typing import Dict, List, NamedTuple, Optional, Sequence

from ltp_ros.config import TunerConfig
from ltp_ros.tuner.levels import LevelCost, nearest, useful_levels
from ltp_ros.tuner.replay import RECENT, WINDOW, FrameTimes, Replay

CLEAN = 35           # frames in a row that meet the deadline easily before a climb
LUCK = 1e-6          # a clean run less likely than this means that the machine has changed
FIRST_WAIT, LONGEST_WAIT = 80, 5120  # frames after a failed climb; doubles with each one
TRY_AGAIN = 2000     # frames from one trial of a level to the next
NEW_REGIME = 0.85    # the wait ends at this share of the latency typical before the failure


class Decision(IntEnum):
    """What one update did; the values of FrameLatency.msg."""

    HOLD = 0
    LOWERED = 1  # the keep ratio
    RAISED = 2
    FLOOR = 3   # at the lowest level allowed, and that one is too slow as well
    MANUAL = 4  # without a deadline the keep ratio is manual
    LATE_ARRIVAL = 5  # too old on arrival for any level, so that nothing was tuned


class Failure(NamedTuple):
    """A level that was climbed to and given up within WINDOW frames."""

    wait: int          # frames before the next try
    retry_at: int      # frame number
    typical_ms: float  # latency predicted for this level when the climb was decided


class Trial(NamedTuple):
    """A level that runs although the table calls it no faster, to see whether that is true."""

    before: LevelCost  # as in the table
    cost_ms: float     # assumed meanwhile
    slowdown: float    # typical before
    ends_at: int       # frame number


class KeepRatioController:
    """Moves the keep ratio so that the share of late frames stays within `target_miss_rate`.

    Read `keep_ratio` before each frame, call `update` after it. `configure` and `set_keep_ratio`
    may move it too. An invalid value raises a ValueError that names it and the allowed range.
    Not thread-safe.

    Args:
        costs: of each level of the ladder.
        config: deadline, target and bounds.
        keep_ratio: where to start; lower if the table says that it is too slow.
    """

    def __init__(self, costs: Sequence[LevelCost], config: TunerConfig, keep_ratio: float) -> None:
        ratios = [cost.keep_ratio for cost in costs]
        if not ratios or len(set(ratios)) < len(ratios):
            raise ValueError(f'{ratios} is not a ladder; expected keep ratios, none of them twice')
        for cost in costs:
            if not (0 < cost.keep_ratio <= 1 and 0 < cost.median_ms < math.inf and
                    0 < cost.p99_ms < math.inf):
                raise ValueError(f'{cost} must have keep_ratio in (0, 1], finite times > 0')
        self._ladder = sorted(costs, key=lambda cost: cost.keep_ratio)
        self._levels, self._level = self._ladder, 0
        self._replay = Replay([cost.median_ms for cost in self._ladder], 0.0)
        self._inside: List[LevelCost] = []   # levels in the bounds
        self._trial: Optional[Trial] = None
        self._tried_at: Dict[float, int] = {}  # keep ratio -> frame number of its last trial
        self._frames = self._changed_at = 0  # frames processed, at all and at the last change
        self._deadline_ms = 0.0
        self._allowance = 0.0  # misses forgiven: earns target_miss_rate a frame, a miss costs 1
        self.configure(dataclasses.replace(config, deadline_ms=0.0))
        self.set_keep_ratio(keep_ratio)
        self.configure(config)
        self._reported, self._untried = self.keep_ratio, False  # untried: manual, not run yet

    @property
    def keep_ratio(self) -> float:
        """The level in use."""
        return self._levels[self._level].keep_ratio

    def update(self, inference_ms: float, latency_ms: float, keep_ratio: Optional[float] = None, *,
               wait_ms: float = 0.0, service_ms: float = 0.0,
               period_ms: float = math.inf) -> Decision:
        """Learn from one processed frame, move the level, return how it moved.

        Args:
            inference_ms: inference time of this frame.
            latency_ms: budget it used, from `deadline_from` to publish; less than inference and
                wait together counts as these.
            keep_ratio: level it ran at, where that is not the one in use now.
            wait_ms: the part of the latency in which it waited for the frames before it.
            service_ms: the rest of the time in which the next frame has to wait.
            period_ms: from one image to the next; inf where that is not known.

        A frame with a number that is NaN, negative or infinite is left out, and so is one whose
        inference, latency, level or period is 0.
        """
        ran_at = self.keep_ratio if keep_ratio is None else keep_ratio
        if not (all(0 < number < math.inf for number in (inference_ms, latency_ms, ran_at)) and
                0 <= wait_ms < math.inf and 0 <= service_ms < math.inf and period_ms > 0):
            return Decision.HOLD if self._deadline_ms else Decision.MANUAL
        cost = self._ladder[nearest(self._ladder, ran_at)]
        self._frames += 1
        self._replay.add(FrameTimes(
            cost.median_ms, inference_ms / cost.median_ms,
            max(latency_ms - inference_ms - wait_ms, 0.0), service_ms, wait_ms, period_ms))
        self._untried = self._untried and cost.keep_ratio != self.keep_ratio
        if self._deadline_ms and not self._untried:
            self._tune()
            self._doubt_the_table()
        before, self._reported = self._reported, self.keep_ratio
        if not self._deadline_ms:
            return Decision.MANUAL
        if self._reported != before:
            return Decision.LOWERED if self._reported < before else Decision.RAISED
        return Decision.FLOOR if self._level == 0 and self._too_slow(0) else Decision.HOLD

    def arrived_too_late(self, age_ms: float, service_ms: float = 0.0) -> bool:
        """Return whether this age leaves less than the lowest level and the service take.

        Not by the machine's own fault: where even a fresh image is too slow, it is False.
        """
        floor_ms = service_ms + min(map(self._least_ms, [self._levels[0], *self._doubted()]))
        return floor_ms <= self._deadline_ms < age_ms + floor_ms

    def set_keep_ratio(self, keep_ratio: float) -> None:
        """Move to the nearest level; with a deadline, to a useful one in the bounds."""
        if not 0 < keep_ratio <= 1:
            raise ValueError(f'keep_ratio {keep_ratio} must lie in (0, 1]')
        level = nearest(self._levels, keep_ratio)
        if level != self._level:
            self._move(level)
            self._untried = True
        self._reported = self.keep_ratio

    def configure(self, config: TunerConfig) -> None:
        """Use another deadline, target or other bounds; go down at once if that demands it."""
        check(config)
        low, high = config.min_keep_ratio, config.max_keep_ratio
        inside = [cost for cost in self._ladder  # the bounds may have been float32 on their way
                  if low - 1e-6 <= cost.keep_ratio <= high + 1e-6]
        if not inside:
            raise ValueError(f'no level of {[cost.keep_ratio for cost in self._ladder]} lies in '
                             f'[min_keep_ratio {low}, max_keep_ratio {high}]')
        self.config = config
        self._miss_rate = float(config.target_miss_rate)
        self._no_accident = min(2 + int(20 * self._miss_rate), RECENT)  # one more for each 5 %
        if inside != self._inside or config.deadline_ms != self._deadline_ms:
            self._inside, self._deadline_ms = inside, float(config.deadline_ms)
            self._start_anew()

    def _start_anew(self) -> None:
        """Judge the frames that are known by another deadline or in other bounds."""
        ratio = self.keep_ratio
        self._levels = useful_levels(self._inside) if self._deadline_ms else self._ladder
        self._level = nearest(self._levels, ratio)
        self._failures: Dict[int, Failure] = {}
        self._climbed_at = self._frames - WINDOW
        self._replay = Replay([level.median_ms for level in self._levels], self._deadline_ms,
                              self._replay.frames)
        while self._deadline_ms and self._level > 0 and self._too_slow(self._level):
            self._level -= 1

    def _too_slow(self, level: int) -> bool:
        if not len(self._replay):  # the table is all there is
            return self._levels[level].p99_ms > self._deadline_ms
        return (self._replay.recent_fit(self._no_accident) < level or
                self._replay.misses(level) > self._miss_rate * len(self._replay))

    def _doubt_the_table(self) -> None:
        """Where all useful levels are too slow, try the next lower one that is called no faster.

        It may have been timed while another program ran.
        """
        if self._trial and self._frames >= self._trial.ends_at:
            self._learn(self._trial)
        if self._trial or self._level or not self._doubted() or (
                self._replay.recent_fit(RECENT // 2 + 1) >= 0):  # most of them were in time
            return
        level = self._doubted()[-1]
        slowdown = median(frame.slowdown for frame in list(self._replay.frames)[-RECENT:])
        self._trial = Trial(level, self._least_ms(level), slowdown, self._frames + RECENT)
        self._tried_at[level.keep_ratio] = self._frames
        self._set_cost(level, self._trial.cost_ms)

    def _learn(self, trial: Trial) -> None:
        """End a trial: the cost of its level is what it was by the frames that ran there."""
        self._trial = None
        ran = [each.slowdown for each in self._replay.frames if each.cost_ms == trial.cost_ms]
        # Not below the assumption: the machine itself may have become faster meanwhile
        cost_ms = (trial.cost_ms * max(median(ran) / trial.slowdown, 1.0) if ran
                   else trial.before.median_ms)
        self._replay.correct(trial.cost_ms, cost_ms)
        self._set_cost(trial.before, cost_ms)

    def _doubted(self) -> List[LevelCost]:
        """Return the levels below the useful ones, ascending, that may be tried."""
        return [cost for cost in self._inside if cost.keep_ratio < self._levels[0].keep_ratio and
                self._frames - self._tried_at.get(cost.keep_ratio, -TRY_AGAIN) >= TRY_AGAIN]

    def _least_ms(self, level: LevelCost) -> float:
        """Return the least that a level below the useful ones may cost: its share of the work."""
        floor = self._levels[0]
        return floor.median_ms * level.keep_ratio / floor.keep_ratio

    def _set_cost(self, level: LevelCost, cost_ms: float) -> None:
        corrected = dataclasses.replace(level, median_ms=cost_ms)
        self._ladder, self._inside = (
            [corrected if each.keep_ratio == level.keep_ratio else each for each in levels]
            for levels in (self._ladder, self._inside))
        self._start_anew()

    def _misses_allowed(self) -> float:
        """Return how many misses in the window do not stand against a climb."""
        return max(1.0, self._miss_rate * len(self._replay) / 2)

    def _tune(self) -> None:
        earned = min(self._allowance + self._miss_rate, self._miss_rate * WINDOW / 2)
        if self._frames - self._climbed_at == WINDOW:  # probation is over
            self._failures = {level: failure for level, failure in self._failures.items()
                              if level > self._level}
        if self._replay.missed_at(self._level):
            self._consider_down(earned - 1)
        else:
            self._allowance = earned
            if self._frames - self._changed_at >= CLEAN:
                self._consider_up()

    def _move(self, level: int) -> None:
        if level > self._level:
            self._climbed_at = self._frames
            self._typical_at_climb_ms = [self._replay.typical_ms(index, CLEAN)
                                         for index in range(len(self._levels))]
        self._level, self._changed_at = level, self._frames

    def _consider_down(self, allowance: float) -> None:
        on_probation = self._frames - self._climbed_at < WINDOW
        target = max(self._replay.recent_fit(self._no_accident), 0)
        self._allowance = max(allowance, 0.0)
        if target < self._level:
            if not on_probation:  # not the climb was wrong: the machine has changed
                self._replay.forget_all_but(RECENT)
        elif self._level > 0 and allowance < 0:
            target = self._level - 1
        else:
            return
        for level in range(target + 1, self._level + 1) if on_probation else ():
            before = self._failures.get(level)
            wait = min(2 * before.wait, LONGEST_WAIT) if before else FIRST_WAIT
            self._failures[level] = Failure(wait, self._frames + wait,
                                            self._typical_at_climb_ms[level])
        self._move(target)

    def _must_wait(self, level: int) -> bool:
        failure = self._failures.get(level)
        return (failure is not None and self._frames < failure.retry_at and
                self._replay.typical_ms(level, CLEAN) > NEW_REGIME * failure.typical_ms)

    def _consider_up(self) -> None:
        self._forget_a_slower_machine()
        target = self._level
        while (target + 1 < len(self._levels) and self._replay.easy_run(target + 1) >= CLEAN and
               self._replay.misses(target + 1) <= self._misses_allowed() and
               not self._must_wait(target + 1)):
            target += 1
        if target > self._level:
            self._move(target)

    def _forget_a_slower_machine(self) -> None:
        """Forget the frames before a clean run too long to be luck, given the misses before it."""
        for level in range(self._level, len(self._levels)):
            run, misses = self._replay.run(level), self._replay.misses(level)
            if run < CLEAN:
                return
            if misses > self._misses_allowed() and (
                    1 - misses / (len(self._replay) - run)) ** run <= LUCK:
                self._replay.forget_all_but(run)


def check(config: TunerConfig) -> None:
    """Raise ValueError if a setting of the tuner is not allowed."""
    low, high = config.min_keep_ratio, config.max_keep_ratio
    if not 0 <= config.target_miss_rate < 1:
        raise ValueError(f'target_miss_rate {config.target_miss_rate} must lie in [0, 1)')
    if not 0 < low <= high <= 1:
        raise ValueError(f'0 < min_keep_ratio {low} <= max_keep_ratio {high} <= 1 must hold')
    if not 0 <= config.deadline_ms < math.inf:
        raise ValueError(f'deadline_ms {config.deadline_ms} must be finite and not negative')
