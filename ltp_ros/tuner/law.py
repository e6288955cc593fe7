# Copyright 2026 The ltp_ros Authors
# SPDX-License-Identifier: Apache-2.0
"""`Law`: up and down the ladder, by what the frames so far say of the machine. No clock."""
import math
from typing import Dict, NamedTuple, Sequence

from ltp_ros.config import TunerConfig
from ltp_ros.tuner.replay import RECENT, WINDOW, FrameTimes, Replay

UNKNOWN_MS = 1e3 / 30  # the period, where nobody knows it
LUCK = 1e-6            # a clean run less likely than this is none


class Duration(NamedTuple):
    """A time of the cameras, but never fewer frames than tell chance from a change."""

    seconds: float
    least: int

    def frames(self, period_ms: float) -> int:
        """Return how many frames it has that are so far apart; inf: not known."""
        period_ms = period_ms if period_ms < math.inf else UNKNOWN_MS
        return max(round(1e3 * self.seconds / period_ms), self.least)


CLEAN = Duration(0.67, 8)         # in which all frames are easy before a climb
PROBATION = Duration(1.0, 15)     # after a climb; to give the level up in it is its failure
FIRST_WAIT, LONGEST_WAIT = Duration(2.67, 40), Duration(171.0, 640)  # after it; each doubles it
TRUSTED = Duration(13.3, 100)     # that a level stands before its failures are forgotten


class Failure(NamedTuple):
    """A level that was climbed to and given up soon."""

    wait: int      # frames before the next try
    retry_at: int  # frame number


class Law:
    """The level that the machine can do at one deadline.

    Args:
        costs_ms: table medians of the levels, ascending.
        config: deadline, target and objective.
        level: to start at.
        frames: known before, oldest first.
    """

    def __init__(self, costs_ms: Sequence[float], config: TunerConfig, level: int,
                 frames: Sequence[FrameTimes] = ()) -> None:
        self.level = level
        self.config = config
        self.replay = Replay(costs_ms, config.deadline_ms, frames)
        self._top = len(costs_ms) - 1
        self._frames = 0  # added since
        self._changed_at = self._climbed_at = -math.inf  # frame numbers
        self._climbed_from = level
        self.allowance = 0.0  # misses forgiven: earns target_miss_rate a frame, a miss costs 1
        self._failures: Dict[int, Failure] = {}
        self._has_queued = False  # frames have waited; those of who waits for answers never do

    def add(self, frame: FrameTimes, tune: bool = True) -> None:
        """Learn from one more frame, and move the level."""
        self._frames += 1
        self.replay.add(frame)
        if not tune:
            return
        period_ms, target = frame.period_ms, self.config.target_miss_rate
        earned = min(self.allowance + target, target * WINDOW / 2)
        if self._failures and self._frames - self._climbed_at >= TRUSTED.frames(period_ms):
            self._failures = {level: failure for level, failure in self._failures.items()
                              if level > self.level}
        queued = self.replay.queued
        self._has_queued = self._has_queued or queued
        if self.replay.missed_at(self.level):
            self._consider_down(earned - 1, period_ms)
        else:
            self.allowance = earned
            if self._frames - self._changed_at >= CLEAN.frames(period_ms):
                self._consider_up(period_ms)
        if queued and self.level > self._keeping_up:
            self.place(self._keeping_up)

    def place(self, level: int) -> None:
        """Take a level that somebody chose; to leave it is no failure of a climb."""
        self.level, self._changed_at = level, self._frames

    def too_slow(self, level: int) -> bool:
        """Return whether a level is not to be begun with; there must have been a frame."""
        return self.replay.recent_fit(self._no_accident) < level or (
            self._strict and self.replay.miss_rate(level) > self.config.target_miss_rate)

    @property
    def _no_accident(self) -> int:
        """So many misses among RECENT frames mean that the machine has changed."""
        return min(2 + int(20 * self.config.target_miss_rate), RECENT)  # one more for each 5 %

    @property
    def _strict(self) -> bool:
        return self.config.objective == 'strict'

    @property
    def _keeping_up(self) -> int:
        """The highest level that answers every image; at least the lowest."""
        if self._strict or not self._has_queued:
            return self._top
        return max(self.replay.keeping_up(), 0)

    def _consider_down(self, allowance: float, period_ms: float) -> None:
        target = max(self.replay.recent_fit(self._no_accident), 0)
        self.allowance = max(allowance, 0.0)
        if target >= self.level:
            if self.level == 0 or allowance >= 0:
                return
            target = self.level - 1
        if self._frames - self._climbed_at < PROBATION.frames(period_ms):
            for level in range(target + 1, self.level + 1):
                wait, before = FIRST_WAIT.frames(period_ms), self._failures.get(level)
                if before and level > self._climbed_from:  # the others were only left with it
                    wait = min(2 * before.wait, LONGEST_WAIT.frames(period_ms))
                self._failures[level] = Failure(wait, self._frames + wait)
        self.place(target)

    def _consider_up(self, period_ms: float) -> None:
        clean = CLEAN.frames(period_ms)
        if self._strict:  # so many frames without a miss are a sign that the target holds there
            clean = max(clean, round(1 / max(self.config.target_miss_rate, 1 / WINDOW)))
        target, highest = self.level, self._keeping_up
        while target < highest and self._may_climb_to(target + 1, clean):
            target += 1
        if target > self.level:
            self._climbed_at, self._climbed_from = self._frames, self.level
            self.place(target)

    def _may_climb_to(self, level: int, clean: int) -> bool:
        failure, run = self._failures.get(level), self.replay.easy_run(level)
        if run < clean or failure is not None and self._frames < failure.retry_at:
            return False
        rate = self.replay.miss_rate(level) if self._strict else 0.0
        # A run too long to be luck, given the misses before it, is of another machine
        return rate <= self.config.target_miss_rate or (1 - rate) ** run <= LUCK
