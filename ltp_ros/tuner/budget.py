# Copyright 2026 The ltp_ros Authors
# SPDX-License-Identifier: Apache-2.0
"""What a single frame can afford, given how slow the machine is just now. No clock."""
from collections import deque
from itertools import islice
from typing import Deque, Dict, Sequence

from ltp_ros.tuner.law import Duration
from ltp_ros.tuner.replay import EASY

NOW = Duration(0.27, 3)
ACCIDENT = 1.2
MOST = NOW.frames(1e3 / 120)  # at the highest rate
PEEK = 10  # of so many late frames in a row one runs all the same
AGES = 100   # newest frames of a camera whose median age is typical of it
RARELY = 0.1  # share of the images that wait where they do not wait for each other
REFRESH = 10  # frames from one look at them to the next, once there are so many


class Speed:
    """How slow the machine is just now.

    By the slowest of the newest frames: not worse than mean and deviation, and simpler
    (docs/tuner.md).
    """

    def __init__(self) -> None:
        self.typical = self.slowest = 1.0  # slowdowns, of the newest frames
        self._newest: Deque[float] = deque(maxlen=MOST)
        self._late = 0  # in a row

    def learn(self, slowdown: float, period_ms: float) -> None:
        """Take the slowdown of one more frame; `period_ms` from one image to the next."""
        self._newest.append(slowdown)
        newest = sorted(islice(reversed(self._newest), NOW.frames(period_ms)))
        self.typical = newest[len(newest) // 2]
        self.slowest = min(newest[-1], ACCIDENT * newest[-2:][0])

    def highest(self, costs_ms: Sequence[float], left_ms: float, before: int) -> int:
        """Return the highest level that a frame can afford; the lowest where it can afford none.

        Args:
            costs_ms: table medians of the levels, ascending.
            left_ms: of its budget, for its inference.
            before: level of the frame before; for a higher one it must leave a little, so that
                the levels do not flicker.
        """
        return max(sum(cost_ms * self.slowest <= (left_ms if level <= before else EASY * left_ms)
                       for level, cost_ms in enumerate(costs_ms)) - 1, 0)

    def is_late(self, floor_ms: float, left_ms: float, fresh_ms: float) -> bool:
        """Return whether to drop the next frame; see `KeepRatioController.is_late`.

        Where all are late, some that have a chance run, for only a frame that ran tells that the
        machine has become faster.
        """
        late = left_ms < floor_ms * self.typical <= fresh_ms
        self._late = self._late + 1 if late else 0
        return late and (left_ms <= 0.0 or self._late % PEEK > 0)


class Ages:
    """How old the images of the cameras typically are."""

    def __init__(self) -> None:
        self._ages: Dict[str, Deque[float]] = {}
        self._typical: Dict[str, float] = {}
        self._since: Dict[str, int] = {}
        self._frames, self._waiting = 0, 0.0  # share of the last AGES, roughly

    def learn(self, topic: str, age_ms: float, waited: bool) -> float:
        """Take the age of one more image; return the age that a level has to suit.

        It is the typical one of the camera with the newest images, for `Speed` sees to the others.
        Where images wait for each other, the time that one has too much the next one lacks, so it
        is that of the image's own camera.

        Args:
            topic: of its camera.
            age_ms: on arrival.
            waited: whether it came while another was in work.
        """
        ages = self._ages.setdefault(topic, deque(maxlen=AGES))
        ages.append(age_ms)
        self._frames += 1
        self._waiting += (waited - self._waiting) / min(self._frames, AGES)
        self._since[topic] = self._since.get(topic, 0) + 1
        if len(ages) < AGES or self._since[topic] >= REFRESH:
            self._typical[topic], self._since[topic] = sorted(ages)[len(ages) // 2], 0
        return (self._typical[topic] if self._waiting > RARELY
                else min(self._typical.values()))
