# Copyright 2026 The ltp_ros Authors
# SPDX-License-Identifier: Apache-2.0
"""Levels that the table calls no faster than a higher one, and may be after all. No clock.

They may have been timed while another program ran.
"""
import dataclasses
from collections import deque
from statistics import median
from typing import Dict, List, NamedTuple, Optional, Sequence

from ltp_ros.tuner.law import Duration
from ltp_ros.tuner.levels import LevelCost
from ltp_ros.tuner.replay import RECENT, WINDOW, Replay

TRY_AGAIN = Duration(67.0, 400)  # from one trial of a level to the next


class Trial(NamedTuple):
    """A level that runs although the table calls it no faster, to see whether that is true."""

    before: LevelCost  # as in the table
    cost_ms: float     # assumed meanwhile
    slowdown: float    # typical before
    ends_at: int       # frame number


class Trials:
    """One after the other, where all useful levels are too slow."""

    def __init__(self) -> None:
        self._trial: Optional[Trial] = None
        self._frames = 0
        self._not_before: Dict[float, int] = {}  # keep ratio -> frame number

    def next(self, replay: Replay, wanted: bool, inside: Sequence[LevelCost], floor: LevelCost,
             period_ms: float) -> Optional[LevelCost]:
        """Return a level that has another cost from now on, if any; called after each frame.

        Args:
            replay: with the newest frame.
            wanted: whether the floor is too slow.
            inside: the levels in the bounds, ascending.
            floor: the lowest useful one.
            period_ms: from one image to the next.
        """
        self._frames += 1
        if self._trial and self._frames >= self._trial.ends_at:
            return self._learn(self._trial, replay)
        doubted = self._doubted(inside, floor)
        if self._trial or not wanted or not doubted:
            return None
        level = doubted[-1]
        cost_ms = _share_ms(level, floor)
        slowdown = median(frame.slowdown for frame in list(replay.frames)[-RECENT:])
        self._trial = Trial(level, cost_ms, slowdown, self._frames + RECENT)
        self._not_before[level.keep_ratio] = self._frames + TRY_AGAIN.frames(period_ms)
        return dataclasses.replace(level, median_ms=cost_ms)

    def least_ms(self, inside: Sequence[LevelCost], floor: LevelCost) -> float:
        """Return the least that any level may cost: the floor, or one that may be tried."""
        return min(_share_ms(level, floor) for level in [floor, *self._doubted(inside, floor)])

    def _doubted(self, inside: Sequence[LevelCost], floor: LevelCost) -> List[LevelCost]:
        """Return the levels below the useful ones, ascending, that may be tried."""
        return [level for level in inside if level.keep_ratio < floor.keep_ratio and
                self._frames >= self._not_before.get(level.keep_ratio, 0)]

    def _learn(self, trial: Trial, replay: Replay) -> LevelCost:
        """End a trial: the cost of its level is what it was by the frames that ran there."""
        self._trial = None
        ran = [each.slowdown for each in replay.frames if each.cost_ms == trial.cost_ms]
        # Not below the assumption: the machine itself may have become faster meanwhile
        cost_ms = (trial.cost_ms * max(median(ran) / trial.slowdown, 1.0) if ran
                   else trial.before.median_ms)
        # They ran at a level of that cost; which levels they fit is for a new `Replay` to say
        replay.frames = deque((
            frame._replace(cost_ms=cost_ms, slowdown=frame.slowdown * trial.cost_ms / cost_ms)
            if frame.cost_ms == trial.cost_ms else frame for frame in replay.frames), WINDOW)
        return dataclasses.replace(trial.before, median_ms=cost_ms)


def _share_ms(level: LevelCost, floor: LevelCost) -> float:
    """Return the least that a level below the useful ones may cost: its share of the work."""
    return floor.median_ms * level.keep_ratio / floor.keep_ratio
