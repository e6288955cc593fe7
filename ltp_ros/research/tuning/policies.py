# Copyright 2026 The ltp_ros Authors
# SPDX-License-Identifier: Apache-2.0
"""What an engineer would try in an afternoon instead of the tuner, the tuner, and the bounds.

The constants of the rules were chosen on other scenes than they are shown on (docs/tuner.md).
"""
import math
from collections import deque
from typing import Callable, Deque, Dict, Sequence

import numpy as np

from ltp_ros.config import TunerConfig
from ltp_ros.research.tuning.simulation import LADDER, SERVICE_MS, Answer, Images, Policy
from ltp_ros.tuner.controller import KeepRatioController

START = LADDER.index(0.7)
TOP = len(LADDER) - 1


class Tuned:
    """The tuner of the node."""

    def __init__(self, scene: Images, config: TunerConfig) -> None:
        self._controller = KeepRatioController(scene.table, config, LADDER[START])

    def choose(self, left_ms: float, times_ms: Sequence[float]) -> int:
        """See `Policy`."""
        return LADDER.index(self._controller.choose(left_ms))

    def learn(self, answer: Answer) -> None:
        """See `Policy`."""
        self._controller.update(
            answer.inference_ms, answer.latency_ms, LADDER[answer.level], wait_ms=answer.wait_ms,
            service_ms=SERVICE_MS, period_ms=answer.period_ms, topic=str(answer.camera))


class Rule:
    """A rule of thumb: a level that is in use until what is learnt moves it.

    Args:
        scene: for its table.
        config: deadline and target.
    """

    def __init__(self, scene: Images, config: TunerConfig, level: int = START) -> None:
        self.costs_ms, self.level = np.array(scene.table_ms), level
        self.deadline_ms, self.target = config.deadline_ms, config.target_miss_rate

    def choose(self, left_ms: float, times_ms: Sequence[float]) -> int:
        """See `Policy`."""
        return self.level

    def learn(self, answer: Answer) -> None:
        """See `Policy`."""


class Oracle(Rule):
    """The highest level that answers the frame at hand in time; it does not look ahead."""

    def choose(self, left_ms: float, times_ms: Sequence[float]) -> int:
        """See `Policy`."""
        return max((level for level, time_ms in enumerate(times_ms) if time_ms <= left_ms),
                   default=0)


class Aimd(Rule):
    """Down a level on each miss, up one after CLEAN frames without."""

    CLEAN = 50
    _run = 0

    def learn(self, answer: Answer) -> None:
        """See `Policy`."""
        self._run = 0 if answer.latency_ms > self.deadline_ms else self._run + 1
        if not self._run:
            self.level = max(self.level - 1, 0)
        elif self._run == self.CLEAN:
            self.level, self._run = min(self.level + 1, TOP), 0


class SlidingQuantile(Rule):
    """The highest level whose quantile of the last WINDOW latencies meets the deadline."""

    WINDOW, EASY, HOLD = 50, 0.97, 10

    def __init__(self, scene: Images, config: TunerConfig) -> None:
        super().__init__(scene, config)
        self._latencies: Deque[np.ndarray] = deque(maxlen=self.WINDOW)  # at each level
        self._since = 0

    def learn(self, answer: Answer) -> None:
        """See `Policy`."""
        slowdown = answer.inference_ms / self.costs_ms[answer.level]
        self._latencies.append(answer.latency_ms - answer.inference_ms + slowdown * self.costs_ms)
        self._since += 1
        place = len(self._latencies) - 1 - int(self.target * len(self._latencies))
        quantile = np.partition(np.array(self._latencies), place, axis=0)[place]
        holds, easy = (int((quantile <= share * self.deadline_ms).sum()) - 1
                       for share in (1.0, self.EASY))
        if holds < self.level:
            self.level, self._since = max(holds, 0), 0
        elif self._since >= self.HOLD and easy > self.level:
            self.level, self._since = easy, 0


class Pid(Rule):
    """A PI controller of latency / deadline."""

    SETPOINT, INTEGRAL, PROPORTIONAL = 0.8, 0.3, 6.0

    def __init__(self, scene: Images, config: TunerConfig) -> None:
        super().__init__(scene, config)
        self._sum = float(self.level)

    def learn(self, answer: Answer) -> None:
        """See `Policy`."""
        error = float(np.clip(self.SETPOINT - answer.latency_ms / self.deadline_ms, -1.0, 1.0))
        self._sum = float(np.clip(self._sum + self.INTEGRAL * error, 0.0, TOP))
        wanted = float(np.clip(self._sum + self.PROPORTIONAL * error, 0.0, TOP))
        if abs(wanted - self.level) > 0.6:
            self.level = round(wanted)


class Budget(Rule):
    """What is left of each frame's own budget: mean and SIGMAS deviations of the slowdown."""

    WEIGHT, SIGMAS = 0.2, 2.0

    def __init__(self, scene: Images, config: TunerConfig) -> None:
        super().__init__(scene, config)
        self._mean, self._variance = 1.0, 0.01

    def choose(self, left_ms: float, times_ms: Sequence[float]) -> int:
        """See `Policy`."""
        slowdown = self._mean + self.SIGMAS * math.sqrt(self._variance)
        return max(int((self.costs_ms * slowdown <= left_ms).sum()) - 1, 0)

    def learn(self, answer: Answer) -> None:
        """See `Policy`."""
        surprise = answer.inference_ms / self.costs_ms[answer.level] - self._mean
        self._mean += self.WEIGHT * surprise
        self._variance = (1 - self.WEIGHT) * (self._variance + self.WEIGHT * surprise ** 2)


Maker = Callable[[Images, TunerConfig], Policy]
RULES: Dict[str, Maker] = {
    'AIMD': Aimd, 'sliding quantile': SlidingQuantile, 'PID': Pid, 'budget alone': Budget}
ORACLE: Maker = Oracle


def fixed(level: int) -> Maker:
    """Return what makes a policy that stays at one level."""
    return lambda scene, config: Rule(scene, config, level)
