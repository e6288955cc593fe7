# Copyright 2026 The ltp_ros Authors
# SPDX-License-Identifier: Apache-2.0
"""Simulated machines for the tuner: no clock, no sleep, the same numbers on every run.

A plant is a list of frames, each (slowdown, overhead_ms): how much slower than its table the
machine was and what came on top of the inference. What a frame costs at any level follows, so the
best fixed level is known in hindsight.
"""
import bisect
import math
import random
from typing import Callable, Dict, List, NamedTuple, Optional, Sequence, Tuple

from ltp_ros.tuner.controller import Decision, KeepRatioController
from ltp_ros.tuner.levels import LevelCost

LADDER = (1.0, 0.9, 0.8, 0.7, 0.6, 0.53, 0.45, 0.35, 0.25)
OVERHEAD_MS = 3.0
Plant = List[Tuple[float, float]]
Noise = Callable[[random.Random], float]


def inference_ms(keep_ratio: float) -> float:
    """Return the true inference time: a fixed, a linear and a quadratic part, as in a ViT."""
    return 3.0 + 22.0 * keep_ratio + 4.0 * keep_ratio ** 2


TRUTH = {keep_ratio: inference_ms(keep_ratio) for keep_ratio in LADDER}
DEADLINE_MS = 1.5 * (inference_ms(0.53) + OVERHEAD_MS)


def table(factor: float = 1.0) -> List[LevelCost]:
    """Return the measured table; wrong by `factor`."""
    return [LevelCost(keep_ratio, factor * cost_ms, 1.15 * factor * cost_ms)
            for keep_ratio, cost_ms in TRUTH.items()]


def quiet(rng: random.Random) -> float:
    """Draw no noise at all."""
    return 1.0


def noisy(spread: float) -> Noise:
    """Return log-normal noise."""
    return lambda rng: math.exp(rng.gauss(0.0, spread))


def heavy_tailed(alpha: float, scale: float) -> Noise:
    """Return Pareto noise: the smaller `alpha`, the wilder the tail."""
    return lambda rng: 1.0 + scale * (rng.paretovariate(alpha) - 1.0)


def outliers(share: float, factor: float) -> Noise:
    """Return a little noise and, at random, frames slower by `factor`."""
    return lambda rng: math.exp(rng.gauss(0.0, 0.03)) * (factor if rng.random() < share else 1.0)


def wandering(spread: float, memory: float) -> Noise:
    """Return noise in which each frame resembles the one before (AR(1))."""
    state = [0.0]

    def draw(rng: random.Random) -> float:
        state[0] = memory * state[0] + math.sqrt(1 - memory ** 2) * rng.gauss(0.0, spread)
        return math.exp(state[0])
    return draw


def plant(slowdowns: Sequence[float], noise: Noise = quiet, seed: int = 0,
          overhead_ms: float = OVERHEAD_MS) -> Plant:
    """Return one frame for each of `slowdowns`, times noise; the overhead varies a little."""
    rng = random.Random(seed)
    jitter = 0.0 if noise is quiet else 0.3
    return [(slowdown * noise(rng), overhead_ms + abs(rng.gauss(0.0, jitter)))
            for slowdown in slowdowns]


class Trace(NamedTuple):
    """What happened, frame by frame."""

    keep_ratios: List[float]
    missed: List[bool]
    decisions: List[Decision]

    @property
    def miss_rate(self) -> float:
        """Share of frames later than the deadline."""
        return sum(self.missed) / len(self.missed)

    @property
    def changes(self) -> int:
        """How often the level changed."""
        return sum(a != b for a, b in zip(self.keep_ratios, self.keep_ratios[1:]))


def run(frames: Plant, controller: KeepRatioController, deadline_ms: float = DEADLINE_MS,
        truth: Optional[Dict[float, float]] = None) -> Trace:
    """Run the tuner on a plant, one frame after the other."""
    truth = truth or TRUTH
    trace = Trace([], [], [])
    for slowdown, overhead_ms in frames:
        keep_ratio = controller.choose(deadline_ms - overhead_ms)
        inference = slowdown * truth[keep_ratio]
        trace.keep_ratios.append(keep_ratio)
        trace.missed.append(inference + overhead_ms > deadline_ms * (1 + 1e-9))
        trace.decisions.append(controller.update(inference, inference + overhead_ms, keep_ratio))
    return trace


def best_fixed(frames: Plant, deadline_ms: float = DEADLINE_MS, miss_rate: float = 0.01,
               truth: Optional[Dict[float, float]] = None) -> float:
    """Return the highest fixed level that keeps the miss rate, in hindsight; else the floor."""
    truth = truth or TRUTH
    for keep_ratio in LADDER:
        late = sum(overhead + slowdown * truth[keep_ratio] > deadline_ms * (1 + 1e-9)
                   for slowdown, overhead in frames)
        if late <= miss_rate * len(frames):
            return keep_ratio
    return LADDER[-1]


def step(keep_ratio: float, levels: int) -> float:
    """Return the level that lies `levels` above (negative: below), within the ladder."""
    return LADDER[min(max(LADDER.index(keep_ratio) - levels, 0), len(LADDER) - 1)]


class Camera(NamedTuple):
    """A camera and the mailbox behind it: what is newer supersedes what waits."""

    period_ms: float
    jitter_ms: float = 0.0  # an image comes up to so much later than it should
    service_ms: float = 2.0  # the worker is busy for so long beside the inference
    transport_ms: float = 1.0


def film(camera: Camera, slowdowns: Sequence[float], controller: KeepRatioController,
         deadline_ms: float = DEADLINE_MS, *, noise: Noise = quiet, seed: int = 0,
         keep_ratio: Optional[float] = None) -> Trace:
    """Run the tuner, or a fixed level beside it, on images that wait while the worker is busy.

    `slowdowns` are those of the machine as each image of the camera comes in; `keep_ratio` is the
    fixed level, None for the tuner's.
    """
    rng = random.Random(seed)
    arrivals_ms = [index * camera.period_ms + rng.uniform(0.0, camera.jitter_ms)
                   for index in range(len(slowdowns))]
    trace = Trace([], [], [])
    taken, free_ms = -1, 0.0
    while taken + 1 < len(arrivals_ms):
        newest = bisect.bisect_right(arrivals_ms, free_ms) - 1
        taken = max(newest, taken + 1)
        start_ms = max(free_ms, arrivals_ms[taken])
        wait_ms = start_ms - arrivals_ms[taken]
        ratio = keep_ratio or controller.choose(
            deadline_ms - camera.transport_ms - camera.service_ms - wait_ms)
        inference = slowdowns[taken] * noise(rng) * TRUTH[ratio]
        latency_ms = camera.transport_ms + wait_ms + camera.service_ms + inference
        free_ms = start_ms + camera.service_ms + inference
        trace.keep_ratios.append(ratio)
        trace.missed.append(latency_ms > deadline_ms * (1 + 1e-9))
        trace.decisions.append(controller.update(
            inference, latency_ms, ratio, wait_ms=wait_ms, service_ms=camera.service_ms,
            period_ms=camera.period_ms))
    return trace
