# Copyright 2026 The ltp_ros Authors
# SPDX-License-Identifier: Apache-2.0
"""The keep-ratio tuner: measured latencies in, ladder level out. docs/tuner.md says why.

Pure numbers, milliseconds and frames: no clock, no torch, no ROS. Each frame is replayed in
thought at every level: its *fit* is the highest that met the deadline; it *misses at* those above.
"""
import math
from collections import deque
from dataclasses import dataclass
from enum import IntEnum
from itertools import islice
from statistics import median
from typing import Deque, Dict, List, NamedTuple, Optional, Sequence

WINDOW = 400         # frames remembered; a climb undone within so many has failed
RECENT = 5           # frames among which two misses are no accident and lead straight down
CLEAN = 25           # frames in a row without a predicted miss before a climb
LUCK = 1e-3          # a clean run less likely than this means that the machine has changed
FIRST_WAIT, LONGEST_WAIT = 80, 5120  # frames after a failed climb; doubles with each one
NEW_REGIME = 0.85    # the wait ends at this share of the latency typical before the failure


class Decision(IntEnum):
    """What one update did; the values of FrameLatency.msg."""

    HOLD = 0
    FASTER = 1  # to a lower keep ratio
    SLOWER = 2  # to a higher keep ratio
    FLOOR = 3   # at the lowest level allowed, and that one is too slow as well
    MANUAL = 4  # no deadline: the keep ratio is set by hand


@dataclass(frozen=True)
class LevelCost:
    """Inference time of one ladder level on this machine, measured at configure."""

    keep_ratio: float
    median_ms: float
    p99_ms: float


class Frame(NamedTuple):
    """One frame without the level that it ran at."""

    slowdown: float     # inference time / table median of its level
    overhead_ms: float  # all of the latency that is not inference

    def latency_ms(self, cost_ms: float) -> float:
        """Return the latency that this frame would have had at a level of `cost_ms`."""
        return self.overhead_ms + self.slowdown * cost_ms


class Failure(NamedTuple):
    """A level that was climbed to and given up within WINDOW frames."""

    wait: int          # frames before the next try
    retry_at: int      # frame number
    typical_ms: float  # latency predicted for this level when the climb was decided


def nearest(levels: Sequence[LevelCost], keep_ratio: float) -> int:
    """Return the index into ascending `levels` of the nearest; the higher one of two as near."""
    return min(range(len(levels)), key=lambda i: (abs(levels[i].keep_ratio - keep_ratio), -i))


def useful_levels(levels: Sequence[LevelCost]) -> List[LevelCost]:
    """Return the levels that are faster than every higher one, lowest keep ratio first."""
    useful: List[LevelCost] = []
    for level in sorted(levels, key=lambda level: -level.keep_ratio):
        if not useful or level.median_ms < useful[-1].median_ms:
            useful.append(level)
    return useful[::-1]


def fit(frame: Frame, costs_ms: Sequence[float], deadline_ms: float) -> int:
    """Return the last index into ascending `costs_ms` that meets the deadline, -1 if none."""
    limit_ms = deadline_ms * (1 + 1e-9)  # a latency equal to the deadline meets it, if rounded
    return sum(frame.latency_ms(cost_ms) <= limit_ms for cost_ms in costs_ms) - 1


class KeepRatioController:
    """Moves the keep ratio so that the share of late frames stays within `target_miss_rate`.

    Read `keep_ratio` before each frame, call `update` after it. The setters may move it too. A
    value that is not allowed raises a ValueError that names it and what is. Not thread-safe.
    """

    def __init__(self, costs: Sequence[LevelCost], *, keep_ratio: float, deadline_ms: float = 0.0,
                 target_miss_rate: float = 0.01, min_keep_ratio: float = 0.25,
                 max_keep_ratio: float = 1.0) -> None:
        """Start at the level nearest to `keep_ratio`; lower if the table says it is too slow."""
        ratios = [cost.keep_ratio for cost in costs]
        if not ratios or len(set(ratios)) < len(ratios):
            raise ValueError(f'{ratios} is no ladder; expected keep ratios, none of them twice')
        for cost in costs:
            if not (0 < cost.keep_ratio <= 1 and 0 < cost.median_ms < math.inf and
                    0 < cost.p99_ms < math.inf):
                raise ValueError(f'{cost} must have keep_ratio in (0, 1], finite times > 0')
        self._ladder = sorted(costs, key=lambda cost: cost.keep_ratio)
        self._levels, self._level = self._ladder, 0
        self._window: Deque[Frame] = deque()
        self._inside: List[LevelCost] = []   # levels in the bounds
        self._runs: List[int] = []           # frames since the last miss at each level
        self._frames = self._changed_at = 0  # frames processed, at all and at the last change
        self._deadline_ms = 0.0
        self._allowance = 0.0  # misses forgiven: earns target_miss_rate a frame, a miss costs 1
        self.set_target_miss_rate(target_miss_rate)
        self.set_bounds(min_keep_ratio, max_keep_ratio)
        self.set_keep_ratio(keep_ratio)
        self.set_deadline(deadline_ms)
        self._reported, self._untried = self.keep_ratio, False  # untried: set by hand, not run yet

    @property
    def keep_ratio(self) -> float:
        """The level in use."""
        return self._levels[self._level].keep_ratio

    def update(self, inference_ms: float, latency_ms: float,
               keep_ratio: Optional[float] = None) -> Decision:
        """Learn from one processed frame, move the level, return how it moved.

        Args:
            inference_ms: inference time of this frame.
            latency_ms: budget it used, from `deadline_from` to publish; less than `inference_ms`
                counts as `inference_ms`.
            keep_ratio: level it ran at, where that is not the one in use now.

        A frame with a number that is not finite and above 0 is left out.
        """
        ran_at = self.keep_ratio if keep_ratio is None else keep_ratio
        if not all(0 < number < math.inf for number in (inference_ms, latency_ms, ran_at)):
            return Decision.HOLD if self._deadline_ms else Decision.MANUAL
        cost = self._ladder[nearest(self._ladder, ran_at)]
        self._frames += 1
        self._learn(Frame(inference_ms / cost.median_ms, max(latency_ms - inference_ms, 0.0)))
        self._untried = self._untried and cost.keep_ratio != self.keep_ratio
        if self._deadline_ms and not self._untried:
            self._tune()
        before, self._reported = self._reported, self.keep_ratio
        if not self._deadline_ms:
            return Decision.MANUAL
        if self._reported != before:
            return Decision.FASTER if self._reported < before else Decision.SLOWER
        return Decision.FLOOR if self._level == 0 and self._too_slow(0) else Decision.HOLD

    def set_keep_ratio(self, keep_ratio: float) -> None:
        """Move by hand to the nearest level; with a deadline, a useful one in the bounds."""
        if not 0 < keep_ratio <= 1:
            raise ValueError(f'keep_ratio {keep_ratio} must lie in (0, 1]')
        level = nearest(self._levels, keep_ratio)
        if level != self._level:
            self._move(level)
            self._untried = True
        self._reported = self.keep_ratio

    def set_deadline(self, deadline_ms: float) -> None:
        """Change the deadline, 0 for none; go down at once if what is known demands it."""
        if not 0 <= deadline_ms < math.inf:
            raise ValueError(f'deadline_ms {deadline_ms} must be finite and not negative')
        if deadline_ms != self._deadline_ms:
            self._deadline_ms = float(deadline_ms)
            self._replay()

    def set_bounds(self, min_keep_ratio: float, max_keep_ratio: float) -> None:
        """Change the bounds of the tuner; a level of the ladder must lie between them."""
        if not 0 < min_keep_ratio <= max_keep_ratio <= 1:
            raise ValueError(f'0 < min_keep_ratio {min_keep_ratio} <= max_keep_ratio '
                             f'{max_keep_ratio} <= 1 must hold')
        inside = [cost for cost in self._ladder  # the bounds may have been float32 on their way
                  if min_keep_ratio - 1e-6 <= cost.keep_ratio <= max_keep_ratio + 1e-6]
        if not inside:
            raise ValueError(f'no level of {[cost.keep_ratio for cost in self._ladder]} lies in '
                             f'[min_keep_ratio {min_keep_ratio}, max_keep_ratio {max_keep_ratio}]')
        if inside != self._inside:
            self._inside = inside
            self._replay()

    def set_target_miss_rate(self, target_miss_rate: float) -> None:
        """Change the share of frames that may be late."""
        if not 0 <= target_miss_rate < 1:
            raise ValueError(f'target_miss_rate {target_miss_rate} must lie in [0, 1)')
        self._miss_rate = float(target_miss_rate)
        self._no_accident = min(2 + int(20 * self._miss_rate), RECENT)  # one more for each 5 %

    def _learn(self, frame: Frame) -> None:
        self._window.append(frame)
        self._fits.append(fit(frame, self._costs_ms, self._deadline_ms))
        self._runs = [run + 1 if level <= self._fits[-1] else 0
                      for level, run in enumerate(self._runs)]

    def _replay(self) -> None:
        """Learn the window anew for another deadline or other bounds."""
        ratio = self.keep_ratio
        self._levels = useful_levels(self._inside) if self._deadline_ms else self._ladder
        self._level = nearest(self._levels, ratio)
        self._costs_ms = [level.median_ms for level in self._levels]
        self._fits: Deque[int] = deque(maxlen=WINDOW)
        self._runs = [0] * len(self._levels)
        self._failures: Dict[int, Failure] = {}
        self._climbed_at = self._frames - WINDOW
        frames, self._window = self._window, deque(maxlen=WINDOW)
        for frame in frames:
            self._learn(frame)
        while self._deadline_ms and self._level > 0 and self._too_slow(self._level):
            self._level -= 1

    def _forget_all_but(self, frames: int) -> None:
        for memory in (self._window, self._fits):
            while len(memory) > frames:
                memory.popleft()

    def _misses(self, level: int) -> int:
        """Return how many frames of the window miss at `level`."""
        return sum(fits < level for fits in self._fits)

    def _recent_fit(self) -> int:
        """Return the highest level at which the misses among RECENT may be an accident."""
        fits = sorted(islice(reversed(self._fits), RECENT))[self._no_accident - 1:]
        return fits[0] if fits else len(self._levels) - 1

    def _too_slow(self, level: int) -> bool:
        if not self._window:  # the table is all there is
            return self._levels[level].p99_ms > self._deadline_ms
        return (self._recent_fit() < level or
                self._misses(level) > self._miss_rate * len(self._window))

    def _misses_allowed(self) -> float:
        """Return how many misses in the window do not stand against a climb."""
        return max(1.0, self._miss_rate * len(self._window) / 2)

    def _typical(self) -> Frame:
        recent = list(islice(reversed(self._window), CLEAN)) or [Frame(1.0, 0.0)]
        return Frame(median(frame.slowdown for frame in recent),
                     median(frame.overhead_ms for frame in recent))

    def _tune(self) -> None:
        missed = self._fits[-1] < self._level
        earned = min(self._allowance + self._miss_rate, self._miss_rate * WINDOW / 2)
        if self._frames - self._climbed_at == WINDOW:  # probation is over
            self._failures = {level: failure for level, failure in self._failures.items()
                              if level > self._level}
        if missed:
            self._consider_down(earned - 1)
        else:
            self._allowance = earned
            if self._frames - self._changed_at >= CLEAN:
                self._consider_up()

    def _move(self, level: int) -> None:
        if level > self._level:
            self._climbed_at, self._typical_at_climb = self._frames, self._typical()
        self._level, self._changed_at = level, self._frames

    def _consider_down(self, allowance: float) -> None:
        on_probation = self._frames - self._climbed_at < WINDOW
        target = max(self._recent_fit(), 0)
        self._allowance = max(allowance, 0.0)
        if target < self._level:
            if not on_probation:  # not the climb was wrong: the machine has changed
                self._forget_all_but(RECENT)
        elif self._level > 0 and allowance < 0:
            target = self._level - 1
        else:
            return
        for level in range(target + 1, self._level + 1) if on_probation else ():
            before = self._failures.get(level)
            wait = min(2 * before.wait, LONGEST_WAIT) if before else FIRST_WAIT
            typical_ms = self._typical_at_climb.latency_ms(self._costs_ms[level])
            self._failures[level] = Failure(wait, self._frames + wait, typical_ms)
        self._move(target)

    def _must_wait(self, level: int) -> bool:
        failure = self._failures.get(level)
        return (failure is not None and self._frames < failure.retry_at and
                self._typical().latency_ms(self._costs_ms[level]) >
                NEW_REGIME * failure.typical_ms)

    def _consider_up(self) -> None:
        self._forget_a_slower_machine()
        target = self._level
        while (target + 1 < len(self._levels) and self._runs[target + 1] >= CLEAN and
               self._misses(target + 1) <= self._misses_allowed() and
               not self._must_wait(target + 1)):
            target += 1
        if target > self._level:
            self._move(target)

    def _forget_a_slower_machine(self) -> None:
        """Drop what came before a clean run too long to be luck, given the misses before it."""
        for level in range(self._level, len(self._levels)):
            run, misses, frames = self._runs[level], self._misses(level), len(self._window)
            if run < CLEAN:
                return
            if misses > self._misses_allowed() and (
                    1 - misses / (frames - run)) ** run <= LUCK:
                self._forget_all_but(run)
