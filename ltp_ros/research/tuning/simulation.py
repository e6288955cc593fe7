# Copyright 2026 The ltp_ros Authors
# SPDX-License-Identifier: Apache-2.0
"""Cameras, mailbox and worker without a clock: what a policy would have done, frame by frame.

All times are in milliseconds. A policy chooses the level of each image that the worker takes.
"""
import math
from dataclasses import dataclass
from typing import List, Optional, Protocol, Sequence

import numpy as np

from ltp_ros.frames.mailbox import ARRIVALS
from ltp_ros.tuner.levels import LevelCost

# DeiT-tiny's top-1 on photos (docs/accuracy.md), by keep ratio, ascending: the default ladder
ACCURACY = {0.25: 36.0, 0.35: 57.0, 0.45: 66.0, 0.53: 72.0, 0.6: 76.5, 0.7: 81.5, 0.8: 83.5,
            0.9: 85.0, 1.0: 86.0}
LADDER = tuple(ACCURACY)
DECODE_MS, PUBLISH_MS = 1.2, 0.8
SERVICE_MS = DECODE_MS + PUBLISH_MS
# Deadlines that only low levels hold, that most hold, and that all hold on an idle machine
DEADLINES = {'tight': (1.15, 0.35), 'medium': (1.5, 0.53), 'loose': (1.4, 1.0)}


def synthetic_costs() -> List[float]:
    """Return times of the ladder: a fixed, a linear and a quadratic part, as in a ViT."""
    return [3.0 + 22.0 * keep_ratio + 4.0 * keep_ratio ** 2 for keep_ratio in LADDER]


@dataclass
class Images:
    """What cameras sent, in the order of arrival, and how fast the machine was then."""

    name: str
    arrivals_ms: Sequence[float]
    ages_ms: Sequence[float]         # on arrival
    times_ms: Sequence[Sequence[float]]  # true inference times of each image at each level
    costs_ms: Sequence[float]        # of each level, while nothing else runs
    cameras: Sequence[int]           # of each image
    table_ms: Sequence[float]        # what a policy is told of the costs
    load_ends_ms: Sequence[float] = ()

    @property
    def table(self) -> List[LevelCost]:
        """What was measured of the levels at configure."""
        return [LevelCost(keep_ratio, cost_ms, 1.15 * cost_ms)
                for keep_ratio, cost_ms in zip(LADDER, self.table_ms)]

    def deadline_ms(self, name: str) -> float:
        """Return one of DEADLINES for this machine."""
        factor, keep_ratio = DEADLINES[name]
        return factor * (1.0 + SERVICE_MS + self.costs_ms[LADDER.index(keep_ratio)])


def images(name: str, arrivals_ms: np.ndarray, slowdowns: np.ndarray,
           ages_ms: Optional[np.ndarray] = None, cameras: Optional[np.ndarray] = None,
           costs_ms: Optional[Sequence[float]] = None, table_ms: Optional[Sequence[float]] = None,
           load_ends_ms: Sequence[float] = ()) -> Images:
    """Return images on a machine that is slower by a factor; sorted by arrival.

    Args:
        name: of the scene.
        arrivals_ms: (N,).
        slowdowns: (N,) as each image is classified.
        ages_ms: (N,) on arrival; None: 1.
        cameras: (N,) int; None: one camera.
        costs_ms: of each level; None: `synthetic_costs`.
        table_ms: what a policy is told; None: the truth.
        load_ends_ms: when a load ended.
    """
    order = np.argsort(arrivals_ms, kind='stable')
    costs = synthetic_costs() if costs_ms is None else list(costs_ms)
    ages = np.ones(len(order)) if ages_ms is None else ages_ms
    which = np.zeros(len(order), int) if cameras is None else cameras
    return Images(name, arrivals_ms[order].tolist(), ages[order].tolist(),
                  np.outer(slowdowns[order], costs).tolist(), costs, which[order].tolist(),
                  costs if table_ms is None else table_ms, load_ends_ms)


@dataclass(frozen=True)
class Answer:
    """What a policy learns of the frame it chose a level for."""

    level: int
    inference_ms: float
    latency_ms: float
    wait_ms: float
    period_ms: float
    camera: int


class Policy(Protocol):
    """Chooses a level for each frame: an index into LADDER."""

    def choose(self, left_ms: float, times_ms: Sequence[float]) -> int:
        """Return the level of the next frame.

        Args:
            left_ms: of its budget, for its inference.
            times_ms: its true inference times, for an oracle alone.
        """

    def learn(self, answer: Answer) -> None:
        """Take what became of it."""


@dataclass(frozen=True)
class Outcome:
    """What became of the images under one policy."""

    levels: List[int]         # of the answers
    missed: List[bool]        # whether they were late
    finished_ms: List[float]  # when
    received: int             # images, answered or superseded

    @property
    def miss_percent(self) -> float:
        """Percent of the answers that were late."""
        return 100.0 * float(np.mean(self.missed))

    @property
    def on_time_accuracy(self) -> float:
        """Percent of the images received that are answered right and in time."""
        right = np.array(list(ACCURACY.values()))[self.levels] * ~np.array(self.missed)
        return float(right.sum() / self.received)

    @property
    def keep_ratio(self) -> float:
        """The mean."""
        return float(np.array(LADDER)[self.levels].mean())

    @property
    def changes(self) -> float:
        """Changes of level in 100 answers."""
        return 100.0 * float(np.mean(np.diff(self.levels) != 0))

    def recovery_s(self, scene: Images, deadline_ms: float) -> List[float]:
        """Return after each load how long it took to within a level of what an idle machine can.

        Until the next load ended, or the end, where it was never so.
        """
        right = max((level for level, cost_ms in enumerate(scene.costs_ms)
                     if 1.0 + SERVICE_MS + cost_ms <= deadline_ms), default=0)
        ends = [*scene.load_ends_ms, self.finished_ms[-1]]
        found = []
        for start_ms, end_ms in zip(ends, ends[1:]):
            first, last = np.searchsorted(self.finished_ms, [start_ms, end_ms])
            near = np.flatnonzero(np.array(self.levels[first:last]) >= right - 1)
            if last - first > 5:
                back = self.finished_ms[first + near[0]] if len(near) else end_ms
                found.append((back - start_ms) / 1e3)
        return found


def play(scene: Images, policy: Policy, deadline_ms: float) -> Outcome:
    """Return what a policy makes of a scene.

    As in the node: the newest image of each camera waits, cameras take turns, one image at a time
    is decoded, classified and published.
    """
    limit_ms = deadline_ms * (1 + 1e-9)
    count, arrived, now_ms = len(scene.arrivals_ms), 0, 0.0
    waiting: dict = {}  # camera -> index
    turns = list(range(max(scene.cameras) + 1))
    outcome = Outcome([], [], [], count)
    while True:
        while arrived < count and scene.arrivals_ms[arrived] <= now_ms:
            waiting[scene.cameras[arrived]] = arrived
            arrived += 1
        if not waiting:
            if arrived == count:
                return outcome
            now_ms = scene.arrivals_ms[arrived]
            continue
        camera = next(camera for camera in turns if camera in waiting)
        turns.remove(camera)
        turns.append(camera)
        index = waiting.pop(camera)
        wait_ms = now_ms - scene.arrivals_ms[index]
        before_ms = scene.ages_ms[index] + wait_ms + DECODE_MS
        level = policy.choose(deadline_ms - before_ms - PUBLISH_MS, scene.times_ms[index])
        inference_ms = scene.times_ms[index][level]
        latency_ms = before_ms + inference_ms + PUBLISH_MS
        now_ms += inference_ms + SERVICE_MS
        policy.learn(Answer(level, inference_ms, latency_ms, wait_ms,
                            _period_ms(scene.arrivals_ms, arrived, now_ms), camera))
        outcome.levels.append(level)
        outcome.missed.append(latency_ms > limit_ms)
        outcome.finished_ms.append(now_ms)


def _period_ms(arrivals_ms: Sequence[float], arrived: int, now_ms: float) -> float:
    """Return what the mailbox says of it, once those that came during the work are in."""
    while arrived < len(arrivals_ms) and arrivals_ms[arrived] <= now_ms:
        arrived += 1
    first = max(arrived - ARRIVALS, 0)
    span_ms = arrivals_ms[arrived - 1] - arrivals_ms[first]
    return span_ms / (arrived - 1 - first) if span_ms > 0 else math.inf
