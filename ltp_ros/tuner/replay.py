# Copyright 2026 The ltp_ros Authors
# SPDX-License-Identifier: Apache-2.0
"""Each processed frame, replayed in thought at every level of the ladder. Milliseconds, no clock.

docs/tuner.md has the terms: the *fit* of a frame is the highest level at which it met the
deadline; it *misses at* those above.
"""
import math
from collections import deque
from itertools import islice
from statistics import fmean, median
from typing import Deque, List, NamedTuple, Sequence

WINDOW = 400    # frames remembered
RECENT = 5      # frames that distinguish an accident from a change of the machine
EASY = 0.97     # a frame meets the deadline easily within this share of it
QUEUED = 0.1    # of the period: a frame that waits longer came while another was in work
HOPELESS = -2   # the fit of a frame that even the lowest level would not have answered in time


class FrameTimes(NamedTuple):
    """One processed frame."""

    cost_ms: float      # table median of the level that it ran at
    slowdown: float     # inference time / cost_ms
    overhead_ms: float  # all of the latency that is neither inference nor waiting
    service_ms: float   # the part of it in which the next frame has to wait
    wait_ms: float      # it waited for the frames before it
    period_ms: float    # from one image to the next; inf where not known

    def latency_ms(self, cost_ms: float, wait_ms: float) -> float:
        """Return the latency that this frame would have had at a level of `cost_ms`."""
        return self.overhead_ms + wait_ms + self.slowdown * cost_ms

    def busy_ms(self, cost_ms: float) -> float:
        """Return how long it would have kept the next frame waiting."""
        return self.service_ms + self.slowdown * cost_ms


class Replay:
    """The newest frames, and at which levels each of them met one deadline.

    A level slower than the camera makes frames wait that a faster level answers at once, so the
    wait is not a property of the machine: it is tracked for each level separately (Lindley's
    recursion, bounded by one period because a newer image supersedes the one that waits).

    A frame is *hopeless* if even the lowest level, without any wait, would have been late. It
    says nothing about the levels above and is set aside, unless most of the newest frames are.

    Args:
        costs_ms: table medians of the levels, ascending.
        deadline_ms: a frame that takes just as long meets it.
        frames: known before, oldest first.
    """

    def __init__(self, costs_ms: Sequence[float], deadline_ms: float,
                 frames: Sequence[FrameTimes] = ()) -> None:
        self._costs_ms = costs_ms
        self._limit_ms = deadline_ms * (1 + 1e-9)  # rounded
        self.frames: Deque[FrameTimes] = deque(maxlen=WINDOW)
        self._fits: Deque[int] = deque(maxlen=WINDOW)
        self._next_waits = [0.0] * len(costs_ms)  # at each level
        self._easy_runs = [0] * len(costs_ms)
        for frame in frames:
            self.add(frame)

    def add(self, frame: FrameTimes) -> None:
        """Replay one more frame, and forget the one WINDOW frames before it."""
        waits = [_wait_at(cost_ms, wait_ms, frame)
                 for cost_ms, wait_ms in zip(self._costs_ms, self._next_waits)]
        self._next_waits = [
            min(max(wait_ms + frame.busy_ms(cost_ms) - frame.period_ms, 0.0), frame.period_ms)
            for cost_ms, wait_ms in zip(self._costs_ms, waits)]
        hopeless = frame.latency_ms(self._costs_ms[0], 0.0) > self._limit_ms
        self.frames.append(frame)
        self._fits.append(HOPELESS if hopeless else self._fit(frame, waits, self._limit_ms))
        if not hopeless or self._chronic:
            fit = self._fit(frame, waits, EASY * self._limit_ms)
            self._easy_runs = [run + 1 if level <= fit else 0
                               for level, run in enumerate(self._easy_runs)]

    def missed_at(self, level: int) -> bool:
        """Return whether the newest frame misses at `level`, and is not set aside."""
        return self._fits[-1] < level and (self._fits[-1] != HOPELESS or self._chronic)

    def miss_rate(self, level: int) -> float:
        """Return the share of frames that miss at `level`, without those that are set aside."""
        hopeless = self._fits.count(HOPELESS)
        late = sum(fit < level for fit in self._fits)
        return (late if 2 * hopeless > len(self._fits) else late - hopeless) / len(self._fits)

    def easy_run(self, level: int) -> int:
        """Return how many frames were added since the last that did not easily meet it there."""
        return self._easy_runs[level]

    def recent_fit(self, num_accidents: int) -> int:
        """Return the highest level at which fewer than `num_accidents` of RECENT frames miss.

        -1 if there is no such level. That a frame really waited does not count, it may have done
        so for a single slow one; a level that is slower than the camera, as a rule, does.
        """
        recent = self._recent()
        behind = self.keeping_up() + 1 if recent else 0
        waits = [0.0 if level < behind else recent[0].period_ms
                 for level in range(len(self._costs_ms))] if recent else []
        fits = sorted(self._fit(frame, waits, self._limit_ms)
                      for frame, fit in zip(recent, reversed(self._fits))
                      if fit != HOPELESS or self._chronic)
        return fits[num_accidents - 1] if len(fits) >= num_accidents else len(self._costs_ms) - 1

    def keeping_up(self) -> int:
        """Return the highest level at which frames take no longer than the period, as a rule.

        -1 if there is no such level.
        """
        recent = self._recent()
        slowdown = median(frame.slowdown for frame in recent)
        left_ms = (fmean(frame.period_ms for frame in recent) -
                   median(frame.service_ms for frame in recent))
        return sum(slowdown * cost_ms <= left_ms for cost_ms in self._costs_ms) - 1

    @property
    def queued(self) -> bool:
        """Whether the newest frames came while others were in work, as a rule."""
        recent = self._recent()
        return len(recent) == RECENT and (
            median(frame.wait_ms for frame in recent) > QUEUED * recent[0].period_ms)

    def _recent(self) -> List[FrameTimes]:
        return list(islice(reversed(self.frames), RECENT))

    @property
    def _chronic(self) -> bool:
        """Whether most of the newest frames are hopeless."""
        return sum(fit == HOPELESS for fit in islice(reversed(self._fits), RECENT)) > RECENT // 2

    def _fit(self, frame: FrameTimes, waits_ms: Sequence[float], limit_ms: float) -> int:
        return sum(frame.latency_ms(cost_ms, wait_ms) <= limit_ms
                   for cost_ms, wait_ms in zip(self._costs_ms, waits_ms)) - 1


def _wait_at(cost_ms: float, followed_ms: float, frame: FrameTimes) -> float:
    """Return how long `frame` waits at a level: as it really did at its own, else as followed."""
    if math.isclose(cost_ms, frame.cost_ms):
        return frame.wait_ms
    return (min if cost_ms < frame.cost_ms else max)(followed_ms, frame.wait_ms)
